// What several tools ask of partitions and brokers.
// Network; thread-compatible.
#pragma once
#include <map>
#include <set>
#include <vector>

#include "cli/client/cluster.h"
#include "common/model/types.h"

namespace cli::kafka_tools {

using common::model::TopicPartition;

struct Nodes {
  std::map<int32_t, client::Broker> brokers;
  std::map<int32_t, std::string> racks;  // of those that have one
};
Outcome<Nodes> fetch_nodes(client::Cluster& cluster);

// ListOffsets' timestamps with a meaning of their own.
constexpr int64_t latest = -1;
constexpr int64_t earliest = -2;

// The offset at a time (or latest, earliest, ...) of each partition, from its leader; absent where the log has none of
// that time or the leader does not answer.
Outcome<std::map<TopicPartition, int64_t>> fetch_offsets(client::Cluster& cluster,
                                                         const std::set<TopicPartition>& wanted, int64_t timestamp);

}  // namespace cli::kafka_tools
