// What kafka-consumer-groups changes: a group's offsets, and whether there is a group.
// Network; thread-compatible.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/client/cluster.h"
#include "cli/kafka_tools/offsets.h"
#include "common/model/error_code.h"

namespace cli::kafka_tools {

// Where the offsets of which partitions go.
struct OffsetReset {
  std::vector<std::string> topics;  // "t" or "t:0,1"
  bool all_topics = false;
  bool execute = false, dry_run = false;
  bool to_earliest = false, to_latest = false, to_current = false;
  std::optional<int64_t> to_offset, shift_by;
  std::string to_datetime, by_duration;
};

// The new offsets, committed if `execute` is set. Refuses a group with members.
Outcome<std::map<TopicPartition, int64_t>> reset_offsets(client::Cluster& cluster, const std::string& group,
                                                         const OffsetReset& reset);
Outcome<std::map<TopicPartition, common::model::ErrorCode>> delete_offsets(client::Cluster& cluster,
                                                                           const std::string& group,
                                                                           const std::vector<std::string>& topics);
// The error's message is Kafka's: the exception's name and its sentence.
Outcome<void> delete_group(client::Cluster& cluster, const std::string& group);

}  // namespace cli::kafka_tools
