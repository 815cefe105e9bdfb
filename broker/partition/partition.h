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
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/partition/alter_partition.h"
#include "broker/partition/fetch_waiter.h"
#include "broker/partition/follower_reconciler.h"
#include "broker/partition/isr_tracker.h"
#include "common/logging.h"
#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/types.h"
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
  Instant deadline;               // of the answer; the append itself is not undone (2.1: then the outcome is unknown)
  bool from_coordinator = false;  // group and transaction coordinators may append control and several batches
  bool zstd_refused = false;      // Produce below v7
  // Refuse unless this is the leader epoch: coordinators write only in the epoch that they loaded (R105).
  std::optional<LeaderEpoch> only_in_epoch;
};

struct ProduceRecordError {
  int32_t batch_index = 0;
  std::string message;
};

// A produce's outcome; with an error, `first_offset` is unset. REQUEST_TIMED_OUT, NOT_LEADER_OR_FOLLOWER after the
// append and NOT_ENOUGH_REPLICAS_AFTER_APPEND mean "unknown" (2.1).
struct ProduceResult {
  ErrorCode error = ErrorCode::none;
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
};

// What the shard's manager and the replication streams want to hear from a partition. Called on the home shard, inside
// the event; implementations only take notes or post.
class PartitionListener {
 public:
  virtual ~PartitionListener() = default;
  virtual void on_log_end(class Partition& partition) = 0;         // leader: there is more for followers
  virtual void on_high_watermark(class Partition& partition) = 0;  // either role
};

// The committed state of a partition as this broker must play it.
struct Assignment {
  std::optional<BrokerId> leader;
  LeaderEpoch leader_epoch;
  RecordedPartition recorded;
  std::vector<BrokerFacts> brokers;  // of the replicas
};

enum class Role { none, leader, follower };

struct PartitionOptions;  // replica_manager.h: everything a partition is made of

class Partition : public std::enable_shared_from_this<Partition> {
 public:
  explicit Partition(PartitionOptions options);
  ~Partition();
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  // --- identity and state ---
  [[nodiscard]] const TopicIdPartition& id() const { return id_; }
  [[nodiscard]] const std::string& topic() const { return topic_; }
  [[nodiscard]] PartitionIndex index() const { return id_.partition; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] bool is_leader() const { return role_ == Role::leader; }
  [[nodiscard]] std::optional<BrokerId> leader() const;
  [[nodiscard]] LeaderEpoch leader_epoch() const;
  [[nodiscard]] Offset log_start_offset() const;
  [[nodiscard]] Offset log_end_offset() const;
  [[nodiscard]] Offset high_watermark() const;
  [[nodiscard]] Offset last_stable_offset() const;
  [[nodiscard]] PartitionDescription describe() const;
  [[nodiscard]] common::Shard& shard() const { return shard_; }

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
  // Waits until `offset` is committed in this leader epoch: coordinators' reads. false: deadline, or no longer leader.
  Awaitable<bool> until_committed(Offset offset, Instant deadline);

 private:
  TopicIdPartition id_;
  std::string topic_;
  common::Shard& shard_;
  Role role_ = Role::none;
};

}  // namespace broker::partition
