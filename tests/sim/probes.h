// "Sometimes" probes: rare things that a campaign must have met, or its schedules are too tame. Counted over a run, added
// up over all; those never hit are reported.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "common/model/error_code.h"
#include "sim/buggify.h"
#include "sim/faults.h"

namespace sim {

// name, what was met
#define SIM_PROBES(X)                                                                               \
  X(acknowledged_after_retry, "a batch acknowledged only after it was sent again")                  \
  X(acknowledged_by_a_successor, "a batch acknowledged by another leader than was asked first")     \
  X(producer_started_over, "a producer was forgotten, and a later batch came first")                \
  X(wrote_after_a_day, "a producer wrote again after a day of silence")                             \
  X(leader_changed, "a partition's leader changed")                                                 \
  X(elected_from_elr, "a leader elected from the ELR")                                              \
  X(elr_used, "a replica in the ELR")                                                               \
  X(no_leader, "a partition without a leader")                                                      \
  X(truncated_by_epoch, "a follower cut records that its leader did not have")                      \
  X(truncated_twice, "a replica cut records twice in one life")                                     \
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
  X(offsets_compacted, "__consumer_offsets was compacted")                                          \
  X(foreign_disk_refused, "a broker ended because its disk is another one's")                       \
  X(twin_registered, "a copy of a broker registered in its place")                                  \
  X(topic_kept, "a deleted topic kept for a while")                                                 \
  X(topic_restored, "a deleted topic asked back")                                                   \
  X(core_alone, "all but one broker were healed, and went on")                                      \
  X(stood_for_a_transfer, "a node stood because the leader hands over")                             \
  X(pre_vote_refused, "a pre-vote was refused")                                                     \
  X(vote_refused, "a vote was refused")                                                             \
  X(metadata_log_mismatch, "a metadata log that did not continue the leader's")                     \
  X(message_of_an_old_term, "a leader heard that its term is over")                                 \
  X(snapshot_in_pieces, "a metadata snapshot went in several pieces")                               \
  X(told_to_stand, "the quorum's leader told another one to stand")                                 \
  X(observer_asked, "a node without a vote asked for the metadata")                                 \
  X(observer_sent_on, "whoever asked a node that does not lead was told where the voters are")      \
  X(told_of_lost_state, "a node was told that its metadata log has lost something")                 \
  X(fenced_as_refusing, "fenced: its address refused connections")                                  \
  X(fenced_as_unreachable, "fenced: its stream was lost and it did not answer")                     \
  X(fenced_as_silent, "fenced: silence")                                                            \
  X(fenced_as_replaced, "fenced: another process registered in its place")                          \
  X(fenced_at_own_wish, "fenced: at its own wish")                                                  \
  X(fenced_as_stalled, "fenced: its progress had stalled")                                          \
  X(fenced_as_shut_down, "fenced: shut down in good order")                                         \
  X(fenced_together, "brokers fenced in one batch")                                                 \
  X(shutdown_began, "a controlled shutdown recorded")                                               \
  X(isr_empty, "an ISR became empty")                                                               \
  X(claim_lost, "a replica lost its claim by an unclean restart")                                   \
  X(elected_with_possible_loss, "a leader elected that may lack something")                         \
  X(recovered_from_possible_loss, "such a leader has recovered")                                    \
  X(slow_leader_relieved, "leadership taken from a slow broker")                                    \
  X(reassignment_began, "a reassignment began")                                                     \
  X(setting_changed, "a setting changed")                                                           \
  X(setting_taken_away, "a setting taken away")                                                     \
  X(producer_ids_given, "a block of producer ids given away")                                       \
  X(broker_isolated, "looked: a broker whose session nobody confirms")                              \
  X(out_of_service, "looked: a broker that runs and is not in service")                             \
  X(directory_failed, "looked: a directory that has failed")                                        \
  X(partition_offline, "looked: a partition that is offline")                                       \
  X(refused_by_no_leader, "a produce refused by a broker that does not lead")                       \
  X(timed_out, "a produce timed out")                                                               \
  X(isr_shrank_after_append, "a produce answered that replicas were missing after the append")      \
  X(storage_error, "a produce refused for want of a disk")                                          \
  X(out_of_sequence, "a produce refused as out of sequence")

enum class Probe {
#define X(name, text) name,
  SIM_PROBES(X)
#undef X
// Each kind of fault, and each choice that is seldom made.
#define X(name, text) fault_##name,
      SIM_FAULTS(X)
#undef X
#define X(name, text) rare_##name,
          SIM_RARE(X)
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
    if (const auto probe = of_error(code)) hit(*probe);
  }

 private:
  static std::optional<Probe> of_error(common::model::ErrorCode code);

  std::array<uint64_t, static_cast<size_t>(Probe::count)> hits_{};
};

}  // namespace sim
