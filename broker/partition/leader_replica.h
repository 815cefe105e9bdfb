// What a follower's fetch session needs of a partition that this broker leads, and how the partition tells it that
// there is news. Partition implements the first, LeaderFetchSession the second.
//
// Thread-compatible: both live on the partition's home shard.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>

#include "broker/partition/batch_identity.h"
#include "broker/partition/follower_reconciler.h"
#include "broker/partition/isr_tracker.h"
#include "common/model/bytes.h"
#include "common/model/result.h"

namespace broker::partition {

// Told inside the event; takes a note and returns.
class FollowerObserver {
 public:
  virtual ~FollowerObserver() = default;
  [[nodiscard]] virtual BrokerId follower_id() const = 0;
  virtual void on_log_end(uint32_t slot) = 0;         // there is more to fetch
  virtual void on_high_watermark(uint32_t slot) = 0;  // it, or the log start, moved
  virtual void on_role(uint32_t slot) = 0;            // role or epoch changed: look at the last position again
};

// What became of a follower's position.
struct PositionVerdict {
  // none; UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER: we may be behind, keep the position until on_role;
  // FENCED_LEADER_EPOCH, OFFSET_OUT_OF_RANGE, others: for the follower to act on.
  common::model::ErrorCode error = common::model::ErrorCode::none;
  std::optional<EpochEnd> diverging;
  bool in_sync = true;  // in the ISR, or about to be: what is committed waits for it, so it is not paced
  bool differs = false;  // its records are not ours, though epochs and offsets agree (R59)
};

// What became of a comparison of batches.
enum class Compared {
  nothing_against,  // the same one; or it cannot be told, because ours is gone, or was compacted
  differs,
  too_late,  // the leader epoch in which it was asked for is over
};

struct LeaderView {
  common::model::LeaderEpoch leader_epoch;
  common::model::Offset log_start_offset;
  common::model::Offset log_end_offset;
  common::model::Offset high_watermark;
  bool counts_synced = false;  // what followers have only written commits nothing (flush.messages=1)
};

// The bytes, or that they are not in memory.
struct FollowerRead {
  common::model::BufferChain records;
  bool cold = false;
};

class LeaderReplica {
 public:
  virtual ~LeaderReplica() = default;

  // Checks epochs (R61), looks for a divergence (KIP-595), and only then lets the position count (R49).
  [[nodiscard]] virtual PositionVerdict on_follower_position(const FollowerPosition& position,
                                                             std::optional<common::model::LeaderEpoch> last_epoch) = 0;
  // Compares the follower's last batch with what lies there with us, whose epochs do not part from the follower's
  // before. `done` may be called before this returns; it does not come any more once the log is gone.
  virtual void compare_batch(BatchIdentity theirs, BrokerId follower, std::function<void(Compared)> done) = 0;
  // The follower has closed the partition on its stream, after detach(). A stream that ends says nothing of the kind.
  virtual void on_follower_left(BrokerId follower, BrokerEpoch life) = 0;
  [[nodiscard]] virtual LeaderView leader_view() const = 0;
  // Whole batches from `from` up to the log end; at least one, even if larger than `max_bytes`. Counted as read by
  // `follower`.
  [[nodiscard]] virtual common::model::Result<FollowerRead> read_for_follower(common::model::BrokerId follower,
                                                                              common::model::Offset from,
                                                                              size_t max_bytes) = 0;
  // The same from the disk; `done` comes later on this shard.
  virtual void read_cold_for_follower(common::model::BrokerId follower, common::model::Offset from, size_t max_bytes,
                                      std::function<void(common::model::Result<common::model::BufferChain>)> done) = 0;

  virtual void attach(FollowerObserver& observer, uint32_t slot) = 0;
  virtual void detach(FollowerObserver& observer, uint32_t slot) = 0;
};

}  // namespace broker::partition
