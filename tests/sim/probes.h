// "Sometimes" probes: rare things that a campaign must have met, or its schedules are too tame. Counted over a run, added
// up over all; those never hit are reported.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string_view>

#include "common/model/error_code.h"

namespace sim {

// name, what was met
#define SIM_PROBES(X)                                                                               \
  X(acknowledged_after_retry, "a batch acknowledged only after it was sent again")                  \
  X(producer_started_over, "a producer that the brokers had forgotten")                             \
  X(leader_changed, "a partition's leader changed")                                                 \
  X(elected_from_elr, "a leader elected from the ELR")                                              \
  X(elr_used, "a replica in the ELR")                                                               \
  X(no_leader, "a partition without a leader")                                                      \
  X(truncated_by_epoch, "a follower cut records that its leader did not have")                      \
  X(high_watermark_behind_at_election, "a new leader whose high watermark was behind the true one") \
  X(raft_leader_changed, "the active controller changed")                                           \
  X(raft_snapshot_installed, "a metadata snapshot came from the leader")                            \
  X(voters_changed, "a voter added or removed")                                                     \
  X(voter_replaced, "a voter that had lost its disk votes again")                                   \
  X(raft_state_lost, "a metadata log was set aside and its node rejoined")                          \
  X(fenced, "a broker was fenced")                                                                  \
  X(crash_kept, "power lost, all unsynced data kept")                                               \
  X(crash_lost, "power lost, all unsynced data lost")                                               \
  X(crash_torn, "power lost, unsynced data torn")                                                   \
  X(all_down, "all brokers down at once")                                                           \
  X(disk_full, "an append found the disk full")                                                     \
  X(ended_by_itself, "a broker ended on its own account")                                           \
  X(clean_restart, "a broker came back after a controlled shutdown")                                \
  X(topic_deleted, "a topic deleted under load")                                                    \
  X(topic_recreated, "a topic made again under its name")                                           \
  X(group_rebalanced, "a group went to another generation")                                         \
  X(offset_committed, "an offset committed")                                                        \
  X(offset_read_after_failover, "a committed offset read from another coordinator")                 \
  X(isr_shrunk, "an ISR became smaller")                                                            \
  X(isr_grew, "an ISR became larger")                                                               \
  X(reassigned, "a partition moved to other replicas")                                              \
  X(reassignment_ended_early, "a reassignment turned back or replaced while under way")             \
  X(below_min_isr, "a produce refused for want of replicas")                                        \
  X(log_compacted, "a log was compacted")                                                           \
  X(foreign_disk_refused, "a broker ended because its disk is another one's")                       \
  X(twin_registered, "a copy of a broker registered in its place")                                  \
  X(topic_kept, "a deleted topic kept for a while")                                                 \
  X(topic_restored, "a deleted topic asked back")

enum class Probe {
#define X(name, text) name,
  SIM_PROBES(X)
#undef X
      count
};

[[nodiscard]] std::string_view to_string(Probe probe);

class Probes {
 public:
  void hit(Probe probe) { ++hits_[static_cast<size_t>(probe)]; }
  void add(Probe probe, uint64_t times) { hits_[static_cast<size_t>(probe)] += times; }
  [[nodiscard]] uint64_t count(Probe probe) const { return hits_[static_cast<size_t>(probe)]; }
  void produce_error(common::model::ErrorCode code) {
    ++produce_errors_[code];
    if (code == common::model::ErrorCode::not_enough_replicas) hit(Probe::below_min_isr);
  }
  [[nodiscard]] const std::map<common::model::ErrorCode, uint64_t>& produce_errors() const { return produce_errors_; }

 private:
  std::array<uint64_t, static_cast<size_t>(Probe::count)> hits_{};
  std::map<common::model::ErrorCode, uint64_t> produce_errors_;
};

}  // namespace sim
