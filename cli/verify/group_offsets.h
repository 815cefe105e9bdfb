// The committed offsets of consumer groups as registers: what a fetch may answer, given which commits were acknowledged
// before it began and which were under way. A commit is over when its outcome is known, also when the outcome is
// "unknown": a broker that applies it after a later commit was acknowledged breaks the promise. Thread-compatible.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cli/verify/verdict.h"

namespace cli::verify {

class GroupOffsets {
 public:
  struct Key {
    int32_t group = 0;
    int32_t partition = 0;
    auto operator<=>(const Key&) const = default;
  };
  // What an answer fell short of.
  struct Regress {
    Key key;
    int64_t floor = 0;
    int64_t answer = 0;
  };

  // `call` is a number of the caller's, unique among the calls under way; false if it is not.
  bool commit_began(int64_t call, Key key, int64_t offset);
  bool commit_acknowledged(int64_t call);
  bool commit_failed(int64_t call, Failure failure);
  bool fetch_began(int64_t call, Key key);
  bool fetch_failed(int64_t call) { return fetches_.erase(call) > 0; }
  // -1: no offset. False: no such call.
  bool fetch_answered(int64_t call, int64_t offset, std::optional<Regress>& regress);
  // The least that may be committed now; absent while nothing was acknowledged.
  [[nodiscard]] std::optional<int64_t> floor(Key key) const;

 private:
  struct Commit {
    int64_t call = 0;
    int64_t offset = 0;
    int64_t began = 0;
    int64_t ended = -1;  // -1: under way
    bool acknowledged = false;
  };
  // Commits that may be what the group has: none of them ended before a later, acknowledged one began.
  struct Register {
    std::vector<Commit> candidates;
    std::vector<int64_t> fetches;  // under way
  };
  struct Fetch {
    Key key;
    std::optional<int64_t> floor;
  };
  static std::optional<int64_t> floor_of(const Register& state);

  int64_t time_ = 0;  // counts events
  std::map<Key, Register> registers_;
  std::unordered_map<int64_t, Key> commits_;
  std::unordered_map<int64_t, Fetch> fetches_;
};

}  // namespace cli::verify
