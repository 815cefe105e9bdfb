// What followers and leaders say to each other on a fetch stream, as plain values. grpc_frames.h turns them into bytes;
// the simulator hands them over as they are.
//
// A follower names a partition once (OpenSlot) and by its slot number from then on. It speaks of a partition only when
// its position changed or an answer has to be answered; asking from an offset acknowledges everything before it.
// Frames of a stream are numbered from 1 in each direction; one that is not newer than the last is dropped (R23).
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "broker/partition/batch_identity.h"
#include "broker/partition/follower_reconciler.h"
#include "broker/partition/follower_replica.h"
#include "common/model/bytes.h"
#include "common/model/types.h"

namespace broker::replication {

using common::model::BrokerEpoch;
using common::model::BrokerId;
using common::model::BufferChain;
using common::model::Duration;
using common::model::Instant;
using common::model::LeaderEpoch;
using common::model::Offset;
using common::model::TopicIdPartition;
using common::model::Uuid;

// What the frames below mean. A stream is refused if the two sides share no version.
inline constexpr int32_t protocol_version = 1;

// First on every stream, in both directions (R112). A follower's shard speaks with one of the leader's shards.
struct FollowerHello {
  int32_t version_min = protocol_version;
  int32_t version_max = protocol_version;
  Uuid cluster_id;
  BrokerId node_id;
  BrokerEpoch broker_epoch;
  BrokerId to_node;           // whom the follower believes to reach; an address may have been reused
  int32_t leader_shard = 0;   // which it wants
  int32_t leader_shards = 0;  // how many it believes that the leader has
  int32_t follower_shard = 0;
  uint64_t session = 0;  // grows with every stream of this process; an older one that arrives late is refused
};
struct LeaderHello {
  int32_t version = protocol_version;
  Uuid cluster_id;
  BrokerId node_id;
  BrokerEpoch broker_epoch;
  int32_t shards = 0;     // differs from what the follower believed: connect again with this number
  bool accepted = false;  // false: the end of the stream follows, with the reason
};

struct OpenSlot {
  uint32_t slot = 0;
  TopicIdPartition partition;
};
struct SlotPosition {
  uint32_t slot = 0;
  uint64_t answers = 0;  // number of the last answer received for the slot, 0: none yet
  partition::ReplicaPosition position;
  // With the first position of a slot, and with the first one after a cut: for the leader to compare (R59).
  std::optional<partition::BatchIdentity> last_batch;
};
struct FollowerFrame {
  uint64_t sequence = 0;
  std::vector<OpenSlot> opened;
  std::vector<SlotPosition> positions;
  std::vector<uint32_t> closed;  // the leader forgets the slot and what it owes, and that the follower was near (R56)

  [[nodiscard]] bool empty() const { return opened.empty() && positions.empty() && closed.empty(); }
};

struct SlotAnswer {
  uint32_t slot = 0;
  uint64_t number = 0;  // grows with every answer of the stream
  partition::LeaderAnswer answer;
  BufferChain records;
};
struct SlotHighWatermark {
  uint32_t slot = 0;
  LeaderEpoch leader_epoch;
  Offset high_watermark;
  Offset log_start_offset;
  bool counts_synced = false;
};
struct LeaderFrame {
  uint64_t sequence = 0;
  std::vector<SlotAnswer> answers;
  std::vector<SlotHighWatermark> high_watermarks;

  [[nodiscard]] bool empty() const { return answers.empty() && high_watermarks.empty(); }
};

}  // namespace broker::replication
