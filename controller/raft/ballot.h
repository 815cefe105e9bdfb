// One election attempt: who has said what. Thread-compatible.
#pragma once
#include <map>

#include "controller/raft/types.h"

namespace controller::raft {

enum class Tally { undecided, won, lost };

class Ballot {
 public:
  // A voter's first answer counts.
  void record(const NodeKey& voter, bool granted) { answers_.emplace(voter, granted); }
  // Answers of nodes outside `voters` do not count (another directory of a wiped node, a removed voter).
  [[nodiscard]] Tally tally(const VoterSet& voters) const {
    size_t granted = 0;
    size_t refused = 0;
    for (const auto& [key, yes] : answers_)
      if (voters.contains(key)) ++(yes ? granted : refused);
    if (granted >= voters.majority() && !voters.empty()) return Tally::won;
    return refused + voters.majority() > voters.size() ? Tally::lost : Tally::undecided;
  }

 private:
  std::map<NodeKey, bool> answers_;
};

}  // namespace controller::raft
