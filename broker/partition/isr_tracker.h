// For one partition that this broker leads: which replicas are in sync (ISR) and how far the log is committed (high
// watermark).
//
// Why it exists: acks=all, what consumers may read and what survives a failover all follow from this arithmetic, so it
// must be testable with no socket, disk, thread or clock. It is told what happened and when; it answers with effects.
// Rules R41, R47-R56 of docs/architecture.md.
//
// Thread-compatible: lives on its partition's shard, for one leader epoch.
#pragma once
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "common/model/error_code.h"
#include "common/model/types.h"

namespace broker::partition {

using common::model::BrokerEpoch;
using common::model::BrokerId;
using common::model::Duration;
using common::model::Instant;
using common::model::LeaderEpoch;
using common::model::Offset;
using common::model::PartitionEpoch;

using BrokerIds = boost::container::small_vector<BrokerId, 4>;

// A member of a proposed ISR, with the broker epoch under which the leader has seen it fetch (R35, KIP-903).
struct IsrMember {
  BrokerId id;
  std::optional<BrokerEpoch> epoch;
  friend bool operator==(const IsrMember&, const IsrMember&) = default;
};

// Ask the controller to record `isr`; it refuses if the partition has moved past `expected`.
struct ProposeIsr {
  std::vector<IsrMember> isr;
  PartitionEpoch expected;
  friend bool operator==(const ProposeIsr&, const ProposeIsr&) = default;
};
// Produces and fetches waiting below `high_watermark` may complete.
struct CommitUpTo {
  Offset high_watermark;
};
using IsrEffects = boost::container::small_vector<std::variant<ProposeIsr, CommitUpTo>, 2>;

// What the metadata image says about one broker: whether it may join an ISR, and under which life.
struct BrokerFacts {
  BrokerId id;
  std::optional<BrokerEpoch> epoch;  // none: not registered
  bool eligible = false;             // registered, unfenced, not shutting down (KIP-841)
};

// What a high watermark counts: bytes that a write() accepted (D0, D1), or bytes that are synced (D2,
// flush.messages=1).
enum class CountedEnd { written, durable };

// "Recovering" after an unclean election: the ISR does not grow until the controller says recovered (R39).
enum class Recovery { recovered, recovering };

struct IsrStart {
  BrokerId leader;
  BrokerEpoch leader_broker_epoch;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  BrokerIds replicas;
  BrokerIds isr;
  Recovery recovery = Recovery::recovered;
  std::vector<BrokerFacts> brokers;  // of the replicas
  Offset log_end_offset;             // becomes the leader-epoch start offset
  Offset durable_offset;
  Offset high_watermark;
  int adding = 0;   // how many of the replicas a reassignment adds
  int min_isr = 1;  // clipped to the replicas but those that are being added, by effective_min_isr()
  CountedEnd counted = CountedEnd::written;
  Duration lag_time_max = std::chrono::seconds(10);
  Instant now;
};

// The controller's record of the partition within the same leader epoch.
struct RecordedPartition {
  PartitionEpoch partition_epoch;
  BrokerIds replicas;
  BrokerIds isr;
  Recovery recovery = Recovery::recovered;
  int adding = 0;  // how many of the replicas a reassignment adds
};

// The follower holds every record before `fetch_offset`, synced before `durable_offset`.
struct FollowerPosition {
  BrokerId follower;
  BrokerEpoch broker_epoch;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;  // that the follower had applied when it sent this (R41)
  Offset fetch_offset;
  Offset durable_offset;
  Offset log_start_offset;
  bool is_unverified = false;  // what the follower ends with was not compared yet: it does not count (R59)
};

class IsrTracker {
 public:
  explicit IsrTracker(IsrStart start);

  [[nodiscard]] IsrEffects on_append(Offset log_end_offset, Instant now);
  // The leader's own sync reached `durable_offset`.
  [[nodiscard]] IsrEffects on_durable(Offset durable_offset, Instant now);
  // Ignored unless it is of this leader epoch and of a replica (R49); its broker epoch and partition epoch decide
  // whether the follower may join (R41, R51). The caller has already ruled out divergence.
  [[nodiscard]] IsrEffects on_follower_position(const FollowerPosition& position, Instant now);
  // The follower has said, under `life`, that it follows this partition no more: its directory has failed, or its log
  // is begun anew (R72, R76). In the ISR it counts until the controller's word is here (R47); outside, nobody waits for
  // it (R56), nor is it let in, before it tells a position again.
  [[nodiscard]] IsrEffects on_follower_left(BrokerId follower, BrokerEpoch life, Instant now);
  // `spoken_at`: when each follower's stream last said anything; a follower whose last position is our log end is
  // caught up as of then (R52). Proposes to drop laggards, re-sends a proposal that failed retriably (R53).
  [[nodiscard]] IsrEffects on_tick(const std::vector<std::pair<BrokerId, Instant>>& spoken_at, Instant now);
  // A committed record from the metadata log; older or equal partition epochs change nothing (R54), but for how many
  // are being added.
  [[nodiscard]] IsrEffects on_recorded(const RecordedPartition& recorded, Instant now);
  // The controller's answer to our proposal, `replicas` not looked at: an equal partition epoch ends the pending state
  // too (R54).
  [[nodiscard]] IsrEffects on_proposal_recorded(RecordedPartition recorded, Instant now);
  // R53: retriable keeps and re-sends the same proposal, INELIGIBLE_REPLICA reverts to the recorded ISR, anything else
  // stays pending on the maximal ISR until newer metadata comes.
  void on_proposal_refused(common::model::ErrorCode code, Instant now);
  [[nodiscard]] IsrEffects on_broker_facts(const BrokerFacts& facts, Instant now);
  // What the next event is judged by: other settings, which may come together with a state of the partition.
  void set_rules(int min_isr, CountedEnd counted) {
    min_isr_ = min_isr;
    counted_ = counted;
  }

  [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
  [[nodiscard]] Offset leader_epoch_start_offset() const { return leader_epoch_start_offset_; }
  [[nodiscard]] LeaderEpoch leader_epoch() const { return leader_epoch_; }
  [[nodiscard]] PartitionEpoch partition_epoch() const { return partition_epoch_; }
  // The ISR as recorded by the controller, the leader included.
  [[nodiscard]] BrokerIds isr() const;
  [[nodiscard]] int isr_size() const;
  // R57 and R50: does the recorded ISR have at least min.insync.replicas members?
  [[nodiscard]] bool has_enough_replicas() const { return isr_size() >= effective_min_isr(); }
  [[nodiscard]] int effective_min_isr() const;
  [[nodiscard]] bool has_proposal() const { return proposed_.has_value(); }
  // Whether the proposal under way is for that partition epoch; an answer to an earlier one says nothing of it (R53).
  [[nodiscard]] bool proposes_at(PartitionEpoch expected) const { return proposed_ && proposed_->expected == expected; }
  // The smallest log start offset of the leader (`own`) and every live replica: what DeleteRecords waits for. None
  // while a live replica has not spoken in this epoch.
  [[nodiscard]] std::optional<Offset> low_watermark(Offset own) const;
  // Log end offset of a follower as known in this epoch.
  [[nodiscard]] std::optional<Offset> follower_end(BrokerId id) const;
  // Recorded, proposed, or about to join (R56): the high watermark waits for it.
  [[nodiscard]] bool is_waited_for(BrokerId id, Instant now) const;
  [[nodiscard]] BrokerIds followers() const;

 private:
  struct Follower {
    BrokerId id;
    std::optional<Offset> log_end_offset;  // none until a position of this leader epoch came
    Offset durable_offset;
    Offset log_start_offset;
    Instant caught_up_at;
    Instant at_end_until;                         // its position was our log end until then
    Instant position_at;                          // of the previous position
    Offset end_at_position;                       // our log end at that moment
    std::optional<BrokerEpoch> fetch_epoch;       // of its last position
    PartitionEpoch seen_partition_epoch;          // of its last position
    std::optional<BrokerEpoch> registered_epoch;  // in our metadata
    Instant refused_until;                        // the controller called it ineligible: do not ask again before
    bool eligible = false;
    bool in_isr = false;
    bool in_proposal = false;
    bool has_left = false;  // since its last position: it has no such replica, or another one
  };

  Follower* find(BrokerId id);
  [[nodiscard]] const Follower* find(BrokerId id) const;
  [[nodiscard]] Offset counted_end(const Follower& follower) const;
  [[nodiscard]] Offset own_counted_end() const;
  [[nodiscard]] bool caught_up(const Follower& follower, Instant now) const;
  [[nodiscard]] bool joins_soon(const Follower& follower, Instant now) const;
  [[nodiscard]] bool may_join(const Follower& follower, Instant now) const;
  void must_catch_up(Follower& f, Instant now) const;
  void forget_life(Follower& f, Instant now) const;
  void adopt(const RecordedPartition& recorded, Instant now);
  void note_end_left(Instant now);
  void advance(IsrEffects& effects, Instant now);
  enum class Laggards { kept, dropped };
  void propose(IsrEffects& effects, Laggards laggards, Instant now);
  [[nodiscard]] ProposeIsr proposal_of(PartitionEpoch expected) const;

  // After every event: (1) the leader is in the ISR, always; (2) high_watermark_ never falls, is at most the log end,
  // and it only moved while every member of the maximal ISR held all before it (R47); (3) at most one proposal waits
  // (R53).
  void check_commit(Offset reached) const;
  void check_invariants() const;

  const BrokerId leader_;
  const BrokerEpoch leader_broker_epoch_;
  const LeaderEpoch leader_epoch_;
  const Duration lag_time_max_;
  const Offset leader_epoch_start_offset_;
  int min_isr_;
  int adding_ = 0;
  CountedEnd counted_;
  Recovery recovery_;
  PartitionEpoch partition_epoch_;
  boost::container::small_vector<Follower, 2> followers_;  // every replica but the leader
  std::optional<ProposeIsr> proposed_;
  bool resend_ = false;
  Instant resend_at_;
  std::optional<Instant> last_tick_;
  Offset log_end_offset_;
  Offset durable_offset_;
  Offset high_watermark_;
};

}  // namespace broker::partition
