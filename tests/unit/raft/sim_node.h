// A Raft node with a disk that loses what was not synced and a state machine that checks what it is given. The scenario
// tests and the random test drive several of them over a network of their own. Thread-compatible.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/raft/node.h"

namespace raft_test {

using namespace controller::raft;  // NOLINT: a test of that namespace

// What has reached the platter, and what is on the way. Operations finish in order; a crash loses those on the way.
class SimDisk {
 public:
  void submit(std::vector<Persist> operations);
  [[nodiscard]] bool is_busy() const { return !pending_.empty(); }
  // Finishes the oldest operation; the snapshot is set when it installed one.
  struct Finished {
    PersistToken token = 0;
    std::optional<Snapshot> installed;
  };
  Finished finish_one();
  // Loses all but the first `kept` operations on the way.
  void crash(size_t kept);
  [[nodiscard]] size_t pending() const { return pending_.size(); }

  void save_snapshot(Snapshot snapshot) { state_.snapshot = std::move(snapshot); }
  [[nodiscard]] const RestoredState& durable() const { return state_; }
  [[nodiscard]] RestoredState& lie() { return state_; }  // for tests of lost state
  [[nodiscard]] LogIndex log_end() const;

 private:
  std::optional<Snapshot> apply(const PersistOperation& operation);

  RestoredState state_;
  std::deque<Persist> pending_;
  std::optional<SnapshotMeta> piece_meta_;
  std::string pieces_;
};

// Applies entries by folding them into a position; a gap, a repetition or a foreign snapshot ends the test.
class SimState {
 public:
  void load(const Snapshot& snapshot);
  void apply(const Entry& entry);
  [[nodiscard]] LogPosition position() const { return position_; }
  [[nodiscard]] Buffer snapshot() const;

 private:
  LogPosition position_;
};

// Returns a fixed jitter, so that a scenario can say who is first.
class FixedRandom final : public common::model::Random {
 public:
  explicit FixedRandom(uint64_t value) : value_(value) {}
  uint64_t next() override { return value_; }

 private:
  uint64_t value_;
};

NodeKey key_of(int id, int life = 1);
Voter voter_of(int id, int life = 1);
VoterSet voters_of(const std::vector<int64_t>& ids);
// What first start leaves on each voter's disk: the bootstrap entry at index 0, term 1.
RestoredState bootstrapped(const std::vector<int64_t>& ids);

}  // namespace raft_test
