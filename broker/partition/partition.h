// One replica of one partition on its home shard: the log and the role it plays in the current leader epoch.
//
// As leader it appends what producers send, counts followers' positions (IsrTracker), proposes ISR changes, and answers
// waiting produces and fetches when the high watermark moves. As follower it appends and truncates as the
// leader's answers say (FollowerReconciler). Every waiting request ends on commit, epoch change, resignation, deletion,
// shutdown or its deadline (R58).
//
// Held by shared_ptr; a coroutine in here keeps its partition alive. Lives on its home shard, asserted: reach it from
// elsewhere with PartitionRouter::on_home.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/partition/alter_partition.h"
#include "broker/partition/fetch_waiter.h"
#include "broker/partition/follower_replica.h"
#include "broker/partition/leader_replica.h"
#include "broker/partition/partition_metrics.h"
#include "broker/partition/partition_traffic.h"
#include "broker/partition/topic_settings.h"
#include "common/believed_clock.h"
#include "common/log/log.h"
#include "common/logging.h"
#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/types.h"
#include "common/rate_limit.h"
#include "common/records/validate.h"
#include "common/shard.h"

namespace broker::partition {

using common::Awaitable;
using common::model::Buffer;
using common::model::BufferChain;
using common::model::ErrorCode;
using common::model::PartitionIndex;
using common::model::Result;
using common::model::TimestampMs;
using common::model::TopicId;
using common::model::TopicIdPartition;

enum class Acks { none, leader, all };

struct ProduceOptions {
  Acks acks = Acks::all;
  Instant deadline;                 // of the answer; the append itself is not undone (then the outcome is unknown)
  bool from_coordinator = false;    // group and transaction coordinators may append control and several batches
  bool zstd_refused = false;        // Produce below v7
  size_t frame_bytes = 0;           // memory that the batches keep alive, if they are a slice of a larger frame
  std::optional<Instant> asked_at;  // when a client's request was begun, if the client waits for the answer
  // Refuse unless this is the leader epoch: coordinators write only in the epoch that they loaded (R105).
  std::optional<LeaderEpoch> only_in_epoch;
};

struct ProduceRecordError {
  int32_t batch_index = 0;
  std::string message;
};

// A produce's outcome; with an error, `first_offset` is unset. REQUEST_TIMED_OUT, NOT_LEADER_OR_FOLLOWER after the
// append and NOT_ENOUGH_REPLICAS_AFTER_APPEND mean "unknown".
struct ProduceResult {
  ErrorCode error = ErrorCode::none;
  bool is_definite = false;  // refused: nothing was appended, whatever the error's name leaves open
  std::string message;
  std::vector<ProduceRecordError> record_errors;
  std::optional<Offset> first_offset;
  std::optional<Offset> last_offset;
  std::optional<TimestampMs> log_append_time;  // set when the topic stamps append time
  Offset log_start_offset;
};

enum class Isolation : int8_t { read_uncommitted = 0, read_committed = 1 };

struct ReadOptions {
  Offset from;
  size_t max_bytes = 1 << 20;
  bool at_least_one_batch = true;  // even if larger than max_bytes (KIP-74)
  Isolation isolation = Isolation::read_uncommitted;
  bool leader_only = true;  // false: a follower may answer up to its own high watermark (KIP-392, R68)
  bool to_log_end = false;  // coordinators loading, and debugging consumers (replica id -2): up to the LEO
  std::optional<LeaderEpoch> current_leader_epoch;  // fenced if it is not ours (KIP-320)
  std::optional<LeaderEpoch> last_fetched_epoch;    // divergence is looked for if set (KIP-595)
};

struct AbortedTransaction {
  int64_t producer_id = 0;
  Offset first_offset;
};

// Failures of a read (Result's error): NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
// OFFSET_OUT_OF_RANGE, OFFSET_NOT_AVAILABLE, KAFKA_STORAGE_ERROR, CORRUPT_MESSAGE.
struct ReadResult {
  BufferChain records;  // whole batches as stored, the first may begin below `from`; references the tail cache
  Offset high_watermark;
  Offset last_stable_offset;
  Offset log_start_offset;
  std::optional<EpochEnd> diverging;  // then there are no records
  std::vector<AbortedTransaction> aborted;
};

// What the decision to compact needs to know.
struct CleaningFacts {
  CleaningSettings settings;
  std::vector<common::log::SegmentFacts> segments;  // but the active one
  Offset log_start_offset;
  Offset cleaned_offset;
  Offset stable_end;  // everything below is committed and of decided transactions
};

// Where a ListOffsets answer points.
struct OffsetAndTimestamp {
  std::optional<Offset> offset;          // none: no record that late
  std::optional<TimestampMs> timestamp;  // of that record, for lookups by time
  std::optional<LeaderEpoch> leader_epoch;
};
// ListOffsets' special timestamps, or a time.
enum class SpecialTime { latest, earliest, max_timestamp };
struct LocateOptions {
  std::variant<SpecialTime, TimestampMs> at = SpecialTime::latest;
  std::optional<Isolation> isolation;  // none: a replica or debugger asks, latest is the log end
  std::optional<LeaderEpoch> current_leader_epoch;
  bool leader_only = true;
};

// What a log directory report says of a replica.
struct PartitionDescription {
  std::string topic;
  TopicId topic_id;
  PartitionIndex partition;
  std::string directory;
  int64_t size_bytes = 0;
  Offset log_start_offset, log_end_offset, high_watermark;
  bool is_leader = false;
  std::optional<LeaderEpoch> leader_epoch;
  BrokerIds isr;
  Offset last_stable_offset;
  size_t segments = 0;
  int min_isr = 1;
  size_t producers = 0;  // idempotent producers that are remembered
  struct Follower {
    BrokerId id;
    std::optional<Offset> log_end;  // none: has not spoken in this leader epoch
  };
  std::vector<Follower> followers;  // of a leader
  bool fetch_fails = false;         // of a follower: what the leader last answered could not be taken (R69)
};

// Whoever else wants to know of a partition's progress (coordinators). Called on the home shard, inside the event;
// implementations only take notes or post.
class PartitionListener {
 public:
  virtual ~PartitionListener() = default;
  virtual void on_high_watermark(class Partition& partition) = 0;  // either role
};

// The committed state of a partition as this broker must play it.
struct Assignment {
  std::optional<BrokerId> leader;
  LeaderEpoch leader_epoch;
  RecordedPartition recorded;
  std::vector<BrokerFacts> brokers;  // of the replicas
  BrokerIds adding;                  // those of them that a reassignment adds
  // Where the same metadata changes them: what was before is not judged by them (R48).
  std::optional<TopicSettings> settings;
};

enum class Role { none, leader, follower };

// One per shard, seen by all its partitions; ReplicaManager keeps it current.
struct ShardState {
  BrokerId self;
  BrokerEpoch broker_epoch;
  Duration lag_time_max = std::chrono::seconds(10);
  std::set<std::string> low_on_space;  // directories (R81): clients' produces are refused, coordinators' go on
  // R33: nothing has confirmed for a session that this broker is still what it believes.
  std::function<bool()> isolated = [] { return false; };
  ShardPartitionMetrics* metrics = nullptr;  // may be null
  // Isolated, and there is metadata that does not arrive here: this broker answers as nobody's leader.
  std::function<bool()> behind = [] { return false; };
  // No controller has this broker in a session, for longer than a new one takes.
  std::function<bool()> has_lost_session = [] { return false; };
  PartitionTraffic* traffic = nullptr;  // told what clients write; may be null
  common::BelievedClock clock;
};

struct PartitionOptions {
  TopicIdPartition id;
  std::string topic;
  std::string directory;  // of log.dirs
  std::unique_ptr<common::log::Log> log;
  TopicSettings settings;
  Offset high_watermark;  // from the checkpoint; a hint (R73)
  // The log ends below what was synced, or what was committed or deleted is not any more: calls back once the
  // checkpoints say no more. Null: there are none.
  using LowerCheckpoints = std::function<void(const common::log::Ceilings& most, std::function<void()> done)>;
  LowerCheckpoints lower_checkpoints;
  const ShardState* state = nullptr;
  AlterPartitionSender* sender = nullptr;
  PartitionListener* listener = nullptr;  // may be null
  // An assignment that had to wait for the log has changed role or leader epoch after assign() had returned. May be
  // null.
  std::function<void(const std::shared_ptr<Partition>&)> on_late_role;
  common::Logger logger;
};

class Partition final : public std::enable_shared_from_this<Partition>, public LeaderReplica, public FollowerReplica {
 public:
  Partition(common::Shard& shard, PartitionOptions options);
  ~Partition() override;
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  // --- identity and state ---
  [[nodiscard]] const TopicIdPartition& id() const { return id_; }
  [[nodiscard]] const std::string& topic() const { return topic_; }
  [[nodiscard]] PartitionIndex index() const { return id_.partition; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] bool is_leader() const { return role_ == Role::leader; }
  [[nodiscard]] std::optional<BrokerId> leader() const { return leader_; }
  // Who led in the leader epoch that this replica knew before the present one.
  [[nodiscard]] std::optional<BrokerId> previous_leader() const { return previous_leader_; }
  [[nodiscard]] LeaderEpoch leader_epoch() const { return leader_epoch_; }
  [[nodiscard]] Offset log_start_offset() const;
  [[nodiscard]] Offset log_end_offset() const;
  // Of the last record; none if the copy is empty (R46 compares it and the log end).
  [[nodiscard]] std::optional<LeaderEpoch> last_record_epoch() const;
  [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
  [[nodiscard]] Offset last_stable_offset() const;
  // The log is gone (deleted, moved away) or its disk has failed.
  [[nodiscard]] bool is_offline() const;
  // R33: a leader that no controller has answered for a session, and that misses a member of the ISR: it can commit
  // nothing, and somebody else may lead by now. Looked at with every tick.
  [[nodiscard]] bool is_cut_off() const { return cut_off_; }
  // R33: the same before its time. A controller that sees connections break fences in a fraction of a session: what is
  // known here alone may be outdated, though nothing is lost by waiting for a commit. Looked at when asked.
  [[nodiscard]] bool may_be_outdated() const;
  [[nodiscard]] PartitionDescription describe() const;
  // Counted by whoever works with the partition on its shard.
  [[nodiscard]] PartitionCounters& counters() { return counters_; }
  [[nodiscard]] common::Shard& shard() const { return shard_; }
  [[nodiscard]] const common::Logger& logger() const { return logger_; }

  // --- for clients (API handlers, coordinators) ---
  // One partition's part of a Produce. The batches are patched in place: nobody else may be reading them yet. Errors
  // are in the result. The append happens before the first suspension, so calls of one connection keep their order
  // (R87).
  Awaitable<ProduceResult> produce(Buffer batches, ProduceOptions options);
  // Suspends only for reads that are not in memory.
  Awaitable<Result<ReadResult>> read(ReadOptions options);
  // Wakes `waiter` once when records at or above `from` become readable, or the role or epoch changes. May be at once.
  void watch(const std::shared_ptr<FetchWaiter>& waiter, Offset from, Isolation isolation);
  Awaitable<Result<OffsetAndTimestamp>> locate(LocateOptions options);
  // OffsetForLeaderEpoch: none where the epoch is not known (R60). Leader only.
  [[nodiscard]] Result<std::optional<EpochEnd>> epoch_end(std::optional<LeaderEpoch> current_leader_epoch,
                                                          LeaderEpoch asked) const;
  // Moves the log start; `before` none = the high watermark. Waits for the live replicas; answers the low watermark.
  Awaitable<Result<Offset>> delete_records(std::optional<Offset> before, Instant deadline);
  // Waits until everything before `offset` is committed in this leader epoch. An error: NOT_LEADER_OR_FOLLOWER,
  // REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR.
  Awaitable<Result<void>> until_committed(Offset offset, Instant deadline);
  [[nodiscard]] std::vector<common::records::ProducerSummary> producers() const;

  // --- for ReplicaManager ---
  void assign(const Assignment& assignment);
  void on_broker_facts(const BrokerFacts& facts);
  // A role was given that waits for the log.
  [[nodiscard]] bool is_to_begin() const { return postponed_.has_value(); }
  void set_settings(const TopicSettings& settings);
  // `spoken_at`: when each follower's stream last spoke on this shard.
  void tick(const std::vector<std::pair<BrokerId, Instant>>& spoken_at);
  // Also forgets idle producers (R88).
  size_t apply_retention(TimestampMs believed_wall);
  // The one that what happens here is aged by.
  [[nodiscard]] const common::BelievedClock& believed_clock() const { return state_.clock; }
  // Ends every waiting request with `code` and drops roles, also one that waits for the log. The log stays open.
  void resign(ErrorCode code);
  // The same, and hands the log out: to be closed, or destroyed before its directory is deleted.
  [[nodiscard]] std::unique_ptr<common::log::Log> release_log(ErrorCode code);
  [[nodiscard]] Offset recovery_point() const;
  // Compaction alone takes records away, by whichever layer of settings.
  [[nodiscard]] bool is_compacted_only() const {
    return settings_.cleaning.has_value() && !settings_.log.delete_old_segments;
  }
  // How large a batch of ours may be.
  [[nodiscard]] size_t batch_bytes_max() const {
    return std::min<size_t>(settings_.produce.max_batch_bytes, settings_.log.segment_bytes);
  }
  // Since when acknowledgements have waited for the sync under way (R32); none: for no sync.
  [[nodiscard]] std::optional<Instant> syncing_since() const { return flushing_since_; }
  [[nodiscard]] const common::log::RecoveryReport& recovery_report() const { return log_->recovery_report(); }
  [[nodiscard]] const std::string& log_path() const { return log_->path(); }
  // To look at (the simulator's invariants); null once released.
  [[nodiscard]] common::log::Log* log() const { return log_.get(); }
  [[nodiscard]] Offset cleaned_offset() const;
  // The leader has said that this copy's records are not its own (R59): one of both is wrong, and nobody knows which.
  [[nodiscard]] bool differs_from_leader() const { return differs_from_leader_; }

  // --- for the cleaner ---
  // None: not compacted, or nothing may be done with the log now.
  [[nodiscard]] std::optional<CleaningFacts> cleaning_facts() const;
  // See Log::compact.
  [[nodiscard]] Result<std::unique_ptr<common::log::Compaction>> compact(common::log::CompactionRequest request);

  // --- for fetch streams (broker/replication) ---
  [[nodiscard]] PositionVerdict on_follower_position(const FollowerPosition& position,
                                                     std::optional<LeaderEpoch> last_epoch) override;
  void compare_batch(BatchIdentity theirs, BrokerId follower, std::function<void(Compared)> done) override;
  void on_follower_left(BrokerId follower, BrokerEpoch life) override;
  [[nodiscard]] LeaderView leader_view() const override;
  [[nodiscard]] Result<FollowerRead> read_for_follower(BrokerId follower, Offset from, size_t max_bytes) override;
  void read_cold_for_follower(BrokerId follower, Offset from, size_t max_bytes,
                              std::function<void(Result<BufferChain>)> done) override;
  void attach(FollowerObserver& observer, uint32_t slot) override;
  void detach(FollowerObserver& observer, uint32_t slot) override;

  [[nodiscard]] ReplicaPosition position() const override;
  [[nodiscard]] LastBatch last_batch() override;
  [[nodiscard]] Applied apply(const LeaderAnswer& answer, BufferChain records) override;
  void apply_high_watermark(LeaderEpoch leader_epoch, Offset high_watermark, Offset leader_log_start) override;
  void note_what_counts(LeaderEpoch leader_epoch, bool synced) override;
  void set_position_observer(PositionObserver& observer, uint32_t slot) override;
  void clear_position_observer(const PositionObserver& observer) override;

 private:
  class LogFacts;   // the log as the reconciler sees it
  struct Waiter;    // a coroutine that waits for an offset to be committed, or for a low watermark
  struct ColdRead;  // a coroutine that waits for the disk
  struct Appended;
  struct Watch {
    std::weak_ptr<FetchWaiter> waiter;
    Offset from;
    Isolation isolation;
  };
  struct Observer {
    FollowerObserver* observer;  // null: detached while the list was being walked
    uint32_t slot;
  };

  void count_read_by(BrokerId follower, size_t bytes);
  [[nodiscard]] bool is_being_added(BrokerId replica) const {
    return std::ranges::find(adding_, replica) != adding_.end();
  }

  void become_leader(const Assignment& assignment);
  void become_follower(const Assignment& assignment);
  void become_nothing(const Assignment& assignment);
  void end_role(ErrorCode code);
  void perform(const IsrEffects& effects);
  void propose(const ProposeIsr& proposal);
  void count_isr_change(size_t before);
  void on_proposal_answer(LeaderEpoch epoch, PartitionEpoch expected, Result<IsrRecorded> answer);
  void set_high_watermark(Offset high_watermark);
  void flush_if_needed();
  // Whether the batches that lack before `batch` were refused here for a reason of our own.
  [[nodiscard]] bool is_own_gap(const common::records::BatchFacts& batch) const;
  void note_unwritten(const common::records::ProducerStamp& first);
  [[nodiscard]] bool is_followed_by(BrokerId id) const;  // on a stream that is there
  void look_whether_cut_off(const std::vector<std::pair<BrokerId, Instant>>& spoken_at);

  [[nodiscard]] Appended append(const Buffer& batches, const ProduceOptions& options);
  // Its parts: what speaks against it whatever the batches hold; what the producers' state says to them (a refusal, or
  // the answer to a retry; none: append); and what follows once the log has them.
  [[nodiscard]] std::optional<ProduceResult> refuse_unseen(const ProduceOptions& options) const;
  [[nodiscard]] std::optional<Appended> answer_by_producers(const std::vector<common::records::BatchFacts>& facts,
                                                            const ProduceOptions& options);
  void note_appended(const std::vector<common::records::BatchFacts>& facts, size_t bytes, Instant begun);
  Awaitable<ErrorCode> wait_for(std::vector<Waiter*>& list, Offset required, Instant deadline);
  static void complete(std::vector<Waiter*>& list, Offset reached, ErrorCode outcome);
  void complete_committed();
  void complete_low_watermark();
  void fail_all(std::vector<Waiter*>& list, ErrorCode code);

  [[nodiscard]] Result<void> check_epoch(std::optional<LeaderEpoch> current) const;
  [[nodiscard]] Result<void> check_reader(std::optional<LeaderEpoch> current, bool leader_only) const;
  [[nodiscard]] std::optional<EpochEnd> divergence(LeaderEpoch last_epoch, Offset fetch_offset) const;
  [[nodiscard]] Offset readable_end(Isolation isolation) const;
  Awaitable<Result<BufferChain>> read_from_disk(Offset from, Offset limit, size_t max_bytes, bool at_least_one);
  Awaitable<Result<OffsetAndTimestamp>> locate_in_log(LocateOptions options);
  void wake_watches(bool all);

  template <class Call>
  void for_observers(Call call);

  // -- partition_compare.cc --
  [[nodiscard]] bool may_be_rewritten(Offset base_offset) const;  // by compaction, here or where it was copied from
  void on_end_read(Offset end, std::optional<BatchIdentity> batch);
  Applied refuse_own_copy();
  [[nodiscard]] Compared compared(const std::optional<BatchIdentity>& ours, const BatchIdentity& theirs,
                                  BrokerId follower) const;

  Applied take(const LeaderAnswer& answer, BufferChain records);
  Applied truncate(Offset offset, const LeaderAnswer& answer);
  void restart_at(Offset offset);
  // Where a log stood before it was cut.
  struct Stood {
    Offset synced;
    Offset high_watermark;
    Offset log_start;
  };
  [[nodiscard]] Stood stands() const;
  void on_restarted(Result<void> done, const Stood& before);
  void take_postponed();
  [[nodiscard]] bool must_note_cut(const Stood& before);
  void go_on_after_cut();
  void tell_position();

  void check_on_shard() const { NARU_CHECK(shard_.is_current(), "{} used off its shard", logger_identity()); }
  [[nodiscard]] std::string logger_identity() const;

  const TopicIdPartition id_;
  const std::string topic_;
  const std::string directory_;
  common::Shard& shard_;
  const ShardState& state_;
  AlterPartitionSender& sender_;
  PartitionListener* const listener_;
  const std::function<void(const std::shared_ptr<Partition>&)> on_late_role_;
  common::Logger logger_;
  const PartitionOptions::LowerCheckpoints lower_checkpoints_;
  std::unique_ptr<common::log::Log> log_;  // null: released
  TopicSettings settings_;
  PartitionCounters counters_;

  // log_start <= last stable <= high_watermark_ <= log end, always. In a leader epoch it does not fall (R50).
  Offset high_watermark_;
  Role role_ = Role::none;
  std::optional<BrokerId> leader_;
  std::optional<BrokerId> previous_leader_;
  LeaderEpoch leader_epoch_{-1};
  PartitionEpoch partition_epoch_{-1};
  BrokerIds adding_;                              // replicas that a reassignment adds, of the last assignment
  std::unique_ptr<IsrTracker> tracker_;           // leader
  std::optional<FollowerReconciler> reconciler_;  // follower
  std::optional<Assignment> postponed_;           // came meanwhile
  common::TimerHandle restart_again_;             // a disk was full when the log was to be started over
  bool restarting_ = false;                       // the log is being started over, or a cut of it noted
  bool cut_off_ = false;
  bool fetch_fails_ = false;           // and is tried again after a while (R69)
  bool leader_counts_synced_ = false;  // of the leader that is followed
  // What the log ended with when it ended there, until somebody has asked for it.
  struct EndRead {
    Offset end;
    std::optional<BatchIdentity> batch;
  };
  std::optional<EndRead> end_read_;
  bool is_reading_end_ = false;  // last_batch() has said that it comes
  bool is_vouched_for_ = false;  // a leader has found that what this ends with is its own; what came since came from one
  bool differs_from_leader_ = false;
  // R86: gaps that we made ourselves: batches of producers that could not be written, though nothing was wrong with
  // them; and when one of that producer was last refused so.
  struct Unwritten {
    common::records::ProducerStamp first;
    Instant at;
    uint64_t number = 0;  // of the refusal: many are of one instant
  };
  std::map<common::model::ProducerId, Unwritten> unwritten_;
  uint64_t last_refusal_ = 0;
  common::RateLimit refusal_lines_{std::chrono::seconds(10)};  // a follower that cannot append
  std::optional<Instant> flushing_since_;                      // a sync that acknowledgements wait for is under way

  // By required offset; each waiter leaves its list when it is answered.
  std::vector<Waiter*> committed_waiters_;
  std::vector<Waiter*> synced_waiters_;  // acks=1 where syncs are waited for
  std::vector<Waiter*> low_watermark_waiters_;
  std::vector<std::shared_ptr<ColdRead>> cold_reads_;
  std::vector<Watch> watches_;  // with some that nobody waits for any more
  size_t prune_watches_at_ = 16;
  std::vector<Observer> observers_;
  int walking_observers_ = 0;
  PositionObserver* position_observer_ = nullptr;
  uint32_t position_slot_ = 0;
};

}  // namespace broker::partition
