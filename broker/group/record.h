// What one __consumer_offsets record says, as plain structs. Kafka's schemas for them are in service/record_codec.
//
//   OffsetStored / OffsetRemoved      key (group, topic, partition)   OffsetCommitKey, OffsetCommitValue or a tombstone
//   GroupStored / GroupRemoved        key (group)                     GroupMetadataKey, GroupMetadataValue or a
//   tombstone
//
// Plain values; no thread rules.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/types.h"
#include "common/model/uuid.h"

namespace broker::group {

using common::model::Buffer;
using common::model::LeaderEpoch;
using common::model::Offset;
using common::model::PartitionIndex;
using common::model::ProducerId;
using common::model::TimestampMs;
using common::model::TopicPartition;

using std::chrono::milliseconds;

// Counts the rebalances of one group; a member's word is taken only if it speaks of the current one.
using Generation = common::model::Id<struct GenerationTag, int32_t>;

struct StoredOffset {
  Offset offset;
  std::optional<LeaderEpoch> leader_epoch;
  std::string metadata;
  TimestampMs committed_at;
  std::optional<TimestampMs> expires_at;  // OffsetCommit v2-4 with a retention time; else the broker's retention rules
  // Which topic of that name; none: not known, as in what older brokers wrote.
  std::optional<common::model::Uuid> topic_id;
  friend bool operator==(const StoredOffset&, const StoredOffset&) = default;
};

struct StoredMember {
  std::string member_id;
  std::optional<std::string> instance_id;  // a static member's name (KIP-345)
  std::string client_id;
  std::string client_host;
  milliseconds rebalance_timeout{0};
  milliseconds session_timeout{0};
  Buffer subscription;  // what the member said under the chosen protocol
  Buffer assignment;
};
bool operator==(const StoredMember& a, const StoredMember& b);

struct StoredGroup {
  std::string protocol_type;
  Generation generation;
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  std::optional<TimestampMs> state_since;
  std::vector<StoredMember> members;  // by member id
  friend bool operator==(const StoredGroup&, const StoredGroup&) = default;
};

struct OffsetStored {
  std::string group;
  TopicPartition partition;
  StoredOffset value;
  friend bool operator==(const OffsetStored&, const OffsetStored&) = default;
};
struct OffsetRemoved {
  std::string group;
  TopicPartition partition;
  friend bool operator==(const OffsetRemoved&, const OffsetRemoved&) = default;
};
struct GroupStored {
  std::string group;
  StoredGroup value;
  friend bool operator==(const GroupStored&, const GroupStored&) = default;
};
struct GroupRemoved {
  std::string group;
  friend bool operator==(const GroupRemoved&, const GroupRemoved&) = default;
};

using GroupRecord = std::variant<OffsetStored, OffsetRemoved, GroupStored, GroupRemoved>;

[[nodiscard]] const std::string& group_of(const GroupRecord& record);

}  // namespace broker::group
