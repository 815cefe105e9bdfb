// The ids, offsets and epochs that every part uses. Terms are those of docs/architecture.md ("Words").
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "common/model/strong.h"
#include "common/model/uuid.h"

namespace common::model {

using BrokerId = Id<struct BrokerIdTag, int32_t>;
// Metadata-log index of the broker's registration record; unique and monotonic in the cluster (R24).
using BrokerEpoch = Id<struct BrokerEpochTag, int64_t>;
using LeaderEpoch = Id<struct LeaderEpochTag, int32_t>;        // of a partition's leader
using PartitionEpoch = Id<struct PartitionEpochTag, int32_t>;  // of any change of a partition's metadata
using Term = Id<struct TermTag, int32_t>;                      // of the controller's Raft
using PartitionIndex = Id<struct PartitionIndexTag, int32_t>;
using ProducerId = Id<struct ProducerIdTag, int64_t>;
using ProducerEpoch = Id<struct ProducerEpochTag, int16_t>;

using Offset = Position<struct OffsetTag>;      // in a partition's log
using LogIndex = Position<struct LogIndexTag>;  // in the Raft log

using TopicId = Uuid;
using DirectoryId = Uuid;
using IncarnationId = Uuid;

// Monotonic time. Comes from a Clock of the node, never from ::now() inside a core (R22).
struct SteadyClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<SteadyClock>;
  static constexpr bool is_steady = true;
};
using Instant = SteadyClock::time_point;
using Duration = SteadyClock::duration;

// Wall-clock milliseconds since 1970, as in records and Kafka's answers.
using TimestampMs = Id<struct TimestampTag, int64_t>;

struct TopicPartition {
  std::string topic;
  PartitionIndex partition;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

struct TopicIdPartition {
  TopicId topic_id;
  PartitionIndex partition;
  friend auto operator<=>(const TopicIdPartition&, const TopicIdPartition&) = default;
};

}  // namespace common::model

template <>
struct std::hash<common::model::TopicPartition> {
  size_t operator()(const common::model::TopicPartition& tp) const noexcept {
    return std::hash<std::string>{}(tp.topic) * 31 + static_cast<size_t>(tp.partition.value);
  }
};
template <>
struct std::hash<common::model::TopicIdPartition> {
  size_t operator()(const common::model::TopicIdPartition& tp) const noexcept {
    return std::hash<common::model::Uuid>{}(tp.topic_id) * 31 + static_cast<size_t>(tp.partition.value);
  }
};
template <>
struct fmt::formatter<common::model::TopicPartition> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const common::model::TopicPartition& tp, Context& ctx) const {
    return fmt::format_to(ctx.out(), "{}-{}", tp.topic, tp.partition.value);
  }
};
