// What a cluster says of its consumer groups: members from the coordinators, committed offsets, and how far behind the
// partitions' ends they are.
// fetch_*: network, thread-compatible.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/client/cluster.h"
#include "common/model/types.h"

namespace cli {

struct MemberFacts {
  std::string id;
  std::optional<std::string> instance;
  std::string client_id;
  std::string host;
  std::vector<common::model::TopicPartition> assigned;
};

struct GroupOffset {
  common::model::TopicPartition partition;
  std::optional<int64_t> committed;
  std::optional<int64_t> start;
  std::optional<int64_t> end;
  std::optional<int64_t> unread_since;  // time of the first record it has not read; see unread_age.h
  // Records between the committed offset (or the log's start, if that is later) and the end.
  [[nodiscard]] std::optional<int64_t> lag() const;
};

struct GroupFacts {
  std::string name;
  std::string state;
  std::string protocol_type;
  std::string protocol;  // the assignor
  std::optional<int32_t> coordinator;
  common::model::ErrorCode error = common::model::ErrorCode::none;
  std::string error_message;
  std::vector<MemberFacts> members;
  std::vector<GroupOffset> offsets;  // in the order of topics and partitions
  [[nodiscard]] int64_t total_lag() const;
};

Outcome<std::vector<std::string>> fetch_group_names(client::Cluster& cluster);
// State, members, committed offsets and lag. A group that its coordinator does not know carries an error.
Outcome<std::vector<GroupFacts>> fetch_groups(client::Cluster& cluster, const std::vector<std::string>& names);

// The broker that coordinates the group; waited for within the timeout while it is on its way.
Outcome<client::Broker> fetch_coordinator(client::Cluster& cluster, const std::string& group);

constexpr int64_t timestamp_end = -1;
constexpr int64_t timestamp_start = -2;
// The first offset at or after a time, or the start or end of the log; absent what cannot be learnt, -1 where no record
// is that young. Asks each leader once.
Outcome<std::map<common::model::TopicPartition, int64_t>> fetch_offsets_at(
    client::Cluster& cluster, const std::vector<common::model::TopicPartition>& partitions, int64_t timestamp);

}  // namespace cli
