// What a fetch stream needs of a partition that this broker follows. Partition implements it.
//
// Thread-compatible: lives on the partition's home shard.
#pragma once
#include <cstdint>
#include <optional>

#include "broker/partition/batch_identity.h"
#include "broker/partition/follower_reconciler.h"
#include "broker/partition/isr_tracker.h"
#include "common/model/bytes.h"

namespace broker::partition {

// Where a follower stands: what it tells the leader, whenever it changed.
struct ReplicaPosition {
  FetchAsk ask;
  PartitionEpoch partition_epoch;
  Offset durable_offset;
  Offset log_start_offset;
  friend bool operator==(const ReplicaPosition&, const ReplicaPosition&) = default;
};

// What a copy ends with.
struct LastBatch {
  bool is_known = true;                // false: it is being read, and on_position_changed comes
  std::optional<BatchIdentity> batch;  // none: there is none, compaction may have rewritten it, or it has been compared
};

enum class Applied {
  done,            // the position now says where we stand
  busy,            // the disk is at work: on_position_changed comes when it is done, and not before
  await_metadata,  // ask again when the partition's metadata changes
  back_off,        // this partition failed: ask again after a while (R69)
};

class PositionObserver {
 public:
  virtual ~PositionObserver() = default;
  // The position moved by itself: a sync ended, the metadata changed, work after Applied::busy is done.
  virtual void on_position_changed(uint32_t slot) = 0;
};

class FollowerReplica {
 public:
  virtual ~FollowerReplica() = default;

  [[nodiscard]] virtual ReplicaPosition position() const = 0;
  // For the leader to compare with its own (R59), when a stream begins and after a cut.
  [[nodiscard]] virtual LastBatch last_batch() = 0;
  // Decides and does what an answer asks for (R59-R67). `records` are whole batches, in as many pieces as they came.
  [[nodiscard]] virtual Applied apply(const LeaderAnswer& answer, common::model::BufferChain records) = 0;
  // The leader's high watermark and log start alone; ignored unless of our leader epoch (R65).
  virtual void apply_high_watermark(common::model::LeaderEpoch leader_epoch, common::model::Offset high_watermark,
                                    common::model::Offset leader_log_start) = 0;
  // Whether the leader commits what is synced only (D2); ignored unless of our leader epoch.
  virtual void note_what_counts(common::model::LeaderEpoch leader_epoch, bool synced) = 0;

  // One observer at a time: the stream to the current leader. Clearing does nothing if another one has taken over.
  virtual void set_position_observer(PositionObserver& observer, uint32_t slot) = 0;
  virtual void clear_position_observer(const PositionObserver& observer) = 0;
};

}  // namespace broker::partition
