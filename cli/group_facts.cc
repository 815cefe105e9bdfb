#include "cli/group_facts.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "cli/ask_again.h"
#include "cli/facts.h"
#include "kafka/describe_groups.h"
#include "kafka/find_coordinator.h"
#include "kafka/list_groups.h"
#include "kafka/list_offsets.h"
#include "kafka/metadata.h"
#include "kafka/offset_fetch.h"
#include "kafka/records/consumer_protocol_assignment.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using common::model::PartitionIndex;
using common::model::TopicPartition;

bool coordinator_may_come(ErrorCode code) {
  return code == ErrorCode::coordinator_not_available || code == ErrorCode::coordinator_load_in_progress ||
         code == ErrorCode::not_coordinator;
}

struct Coordinator {
  client::Broker broker;
  ErrorCode error = ErrorCode::none;
};

Outcome<Coordinator> find_coordinator_once(client::Cluster& cluster, const std::string& group, client::Deadline until) {
  kafka::FindCoordinatorRequest request;
  request.coordinator_keys = {group};
  auto answer = cluster.call_until<kafka::FindCoordinatorResponse>(request, until);
  if (!answer && answer.error().exit == Exit::usage) {
    // Before version 4 the request carries one key, and the codec refuses to drop the list.
    request.coordinator_keys.clear();
    request.key = group;
    answer = cluster.call_until<kafka::FindCoordinatorResponse>(request, until);
  }
  if (!answer) return tl::unexpected(std::move(answer.error()));
  if (!answer->coordinators.empty()) {
    const auto& c = answer->coordinators.front();
    return Coordinator{{c.node_id, {c.host, static_cast<uint16_t>(c.port)}}, c.error_code};
  }
  return Coordinator{{answer->node_id, {answer->host, static_cast<uint16_t>(answer->port)}}, answer->error_code};
}

// Right after a start or a failover the coordinator is on its way; it is waited for.
Outcome<Coordinator> find_coordinator(client::Cluster& cluster, const std::string& group, client::Deadline until) {
  return ask_again_until(
      until, [&] { return find_coordinator_once(cluster, group, until); },
      [](const Coordinator& found) { return coordinator_may_come(found.error); });
}

std::vector<TopicPartition> assigned_partitions(const common::model::Buffer& bytes) {
  std::vector<TopicPartition> all;
  if (bytes.empty()) return all;
  const auto assignment = kafka::decode_versioned<kafka::ConsumerProtocolAssignment>(bytes);
  if (!assignment) return all;
  for (const auto& topic : assignment->assigned_partitions) {
    for (const int32_t partition : topic.partitions) all.push_back({topic.topic, PartitionIndex(partition)});
  }
  return all;
}

Outcome<void> describe_members(client::Cluster& cluster, const client::Broker& coordinator, client::Deadline until,
                               GroupFacts& facts) {
  kafka::DescribeGroupsRequest request;
  request.groups = {facts.name};
  const auto answer = cluster.call_on_until<kafka::DescribeGroupsResponse>(coordinator, request, until);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->groups.empty()) return {};
  const auto& group = answer->groups.front();
  facts.error = group.error_code;
  facts.error_message = group.error_message.value_or("");
  facts.state = group.group_state;
  facts.protocol_type = group.protocol_type;
  facts.protocol = group.protocol_data;
  for (const auto& m : group.members) {
    MemberFacts member;
    member.id = m.member_id;
    member.instance = m.group_instance_id;
    member.client_id = m.client_id;
    member.host = m.client_host;
    if (group.protocol_type == "consumer") member.assigned = assigned_partitions(m.member_assignment);
    facts.members.push_back(std::move(member));
  }
  return {};
}

// One that is refused is no partition without an offset: who moves a group must not take it for that.
void add_offset(GroupFacts& facts, const std::string& topic, int32_t partition, int64_t offset, ErrorCode error) {
  if (error != ErrorCode::none) {
    facts.error = error;
    return;
  }
  GroupOffset entry;
  entry.partition = {topic, PartitionIndex(partition)};
  if (offset >= 0) entry.committed = offset;
  facts.offsets.push_back(std::move(entry));
}

// Names of topics by id, asked for once and only if an answer speaks of ids (OffsetFetch from version 10 on).
class TopicNames {
 public:
  explicit TopicNames(client::Cluster& cluster) : cluster_(cluster) {}
  // The id as text where the topic is gone.
  Outcome<std::string> name_of(const common::model::Uuid& id) {
    if (!known_) {
      const Outcome<std::vector<TopicFacts>> topics = fetch_topics(cluster_, std::nullopt);
      if (!topics) return tl::unexpected(topics.error());
      known_.emplace();
      for (const TopicFacts& topic : *topics) known_->emplace(topic.id, topic.name);
    }
    const auto it = known_->find(id.to_string());
    return it == known_->end() ? id.to_string() : it->second;
  }

 private:
  client::Cluster& cluster_;
  std::optional<std::map<std::string, std::string>> known_;
};

// Of a request about one group, in whichever field its version has it.
ErrorCode error_of(const kafka::OffsetFetchResponse& answer) {
  if (answer.error_code != ErrorCode::none || answer.groups.empty()) return answer.error_code;
  return answer.groups.front().error_code;
}

Outcome<void> fetch_committed(client::Cluster& cluster, const client::Broker& coordinator, client::Deadline until,
                              TopicNames& names, GroupFacts& facts) {
  kafka::OffsetFetchRequest request;
  kafka::OffsetFetchRequest::OffsetFetchRequestGroup group;
  group.group_id = facts.name;
  group.topics.reset();
  request.groups.push_back(std::move(group));
  auto answer = cluster.call_on_until<kafka::OffsetFetchResponse>(coordinator, request, until);
  if (!answer && answer.error().exit == Exit::usage) {
    // Before version 8 the request names one group outside the list.
    request.groups.clear();
    request.group_id = facts.name;
    request.topics.reset();
    answer = cluster.call_on_until<kafka::OffsetFetchResponse>(coordinator, request, until);
  }
  if (!answer) return tl::unexpected(std::move(answer.error()));
  if (const ErrorCode error = error_of(*answer); error != ErrorCode::none) {
    facts.error = error;
    return {};
  }
  for (const auto& topic : answer->topics) {
    for (const auto& p : topic.partitions)
      add_offset(facts, topic.name, p.partition_index, p.committed_offset, p.error_code);
  }
  for (const auto& g : answer->groups) {
    for (const auto& topic : g.topics) {
      std::string name = topic.name;
      if (name.empty()) {
        Outcome<std::string> found = names.name_of(topic.topic_id);
        if (!found) return tl::unexpected(std::move(found.error()));
        name = std::move(*found);
      }
      for (const auto& p : topic.partitions)
        add_offset(facts, name, p.partition_index, p.committed_offset, p.error_code);
    }
  }
  return {};
}

// Partitions that a member owns and for which nothing is committed belong into the table as well.
void add_owned(GroupFacts& facts) {
  std::set<TopicPartition> known;
  for (const GroupOffset& offset : facts.offsets) known.insert(offset.partition);
  for (const MemberFacts& member : facts.members) {
    for (const TopicPartition& partition : member.assigned) {
      if (!known.insert(partition).second) continue;
      GroupOffset entry;
      entry.partition = partition;
      facts.offsets.push_back(std::move(entry));
    }
  }
  std::sort(facts.offsets.begin(), facts.offsets.end(),
            [](const GroupOffset& a, const GroupOffset& b) { return a.partition < b.partition; });
}

Outcome<GroupFacts> fetch_group_once(client::Cluster& cluster, const std::string& name, client::Deadline until,
                                     TopicNames& topic_names) {
  GroupFacts facts;
  facts.name = name;
  const Outcome<Coordinator> coordinator = find_coordinator(cluster, name, until);
  if (!coordinator) return tl::unexpected(coordinator.error());
  facts.error = coordinator->error;
  if (facts.error != ErrorCode::none) return facts;
  facts.coordinator = coordinator->broker.id;
  if (Outcome<void> done = describe_members(cluster, coordinator->broker, until, facts); !done)
    return tl::unexpected(std::move(done.error()));
  if (coordinator_may_come(facts.error)) return facts;
  const ErrorCode described = facts.error;
  if (Outcome<void> done = fetch_committed(cluster, coordinator->broker, until, topic_names, facts); !done)
    return tl::unexpected(std::move(done.error()));
  if (described != ErrorCode::none && !coordinator_may_come(facts.error)) facts.error = described;
  add_owned(facts);
  // Kafka says "Dead" of a group it has never heard of.
  if (facts.error == ErrorCode::none && facts.state == "Dead" && facts.offsets.empty())
    facts.error = ErrorCode::group_id_not_found;
  return facts;
}

// A coordinator that moves between two questions answers the second with an error; its successor is asked both anew.
Outcome<GroupFacts> fetch_group(client::Cluster& cluster, const std::string& name, TopicNames& topic_names) {
  const client::Deadline until = cluster.deadline();
  return ask_again_until(
      until, [&] { return fetch_group_once(cluster, name, until, topic_names); },
      [](const GroupFacts& facts) { return coordinator_may_come(facts.error); });
}

struct Leaders {
  std::map<int32_t, client::Broker> brokers;
  std::map<TopicPartition, int32_t> leader_of;
};

Outcome<Leaders> find_leaders(client::Cluster& cluster, const std::set<std::string>& topics) {
  kafka::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  for (const std::string& name : topics) {
    kafka::MetadataRequest::MetadataRequestTopic topic;
    topic.name = name;
    request.topics->push_back(std::move(topic));
  }
  const auto answer = cluster.call<kafka::MetadataResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  Leaders leaders;
  for (const auto& b : answer->brokers)
    leaders.brokers[b.node_id] = {b.node_id, {b.host, static_cast<uint16_t>(b.port)}};
  for (const auto& t : answer->topics) {
    for (const auto& p : t.partitions) {
      if (p.leader_id >= 0) leaders.leader_of[{t.name.value_or(""), PartitionIndex(p.partition_index)}] = p.leader_id;
    }
  }
  return leaders;
}

// Asks each leader once for all its partitions; what cannot be learnt stays absent.
std::map<TopicPartition, int64_t> fetch_log_offsets(client::Cluster& cluster, const Leaders& leaders,
                                                    const std::set<TopicPartition>& wanted, int64_t timestamp) {
  std::map<int32_t, std::map<std::string, std::vector<int32_t>>> by_leader;
  for (const TopicPartition& partition : wanted) {
    const auto it = leaders.leader_of.find(partition);
    if (it != leaders.leader_of.end()) by_leader[it->second][partition.topic].push_back(partition.partition.value);
  }
  std::map<TopicPartition, int64_t> found;
  for (const auto& [leader, topics] : by_leader) {
    const auto broker = leaders.brokers.find(leader);
    if (broker == leaders.brokers.end()) continue;
    kafka::ListOffsetsRequest request;
    request.replica_id = -1;
    for (const auto& [name, partitions] : topics) {
      kafka::ListOffsetsRequest::ListOffsetsTopic topic;
      topic.name = name;
      for (const int32_t index : partitions) {
        kafka::ListOffsetsRequest::ListOffsetsPartition partition;
        partition.partition_index = index;
        partition.timestamp = timestamp;
        topic.partitions.push_back(std::move(partition));
      }
      request.topics.push_back(std::move(topic));
    }
    const auto answer = cluster.call_on<kafka::ListOffsetsResponse>(broker->second, request);
    if (!answer) continue;
    for (const auto& t : answer->topics) {
      for (const auto& p : t.partitions) {
        if (p.error_code == ErrorCode::none) found[{t.name, PartitionIndex(p.partition_index)}] = p.offset;
      }
    }
  }
  return found;
}

Outcome<void> fill_log_ends(client::Cluster& cluster, std::vector<GroupFacts>& groups) {
  std::set<std::string> topics;
  std::set<TopicPartition> wanted;
  for (const GroupFacts& group : groups) {
    for (const GroupOffset& offset : group.offsets) {
      topics.insert(offset.partition.topic);
      wanted.insert(offset.partition);
    }
  }
  if (wanted.empty()) return {};
  const Outcome<Leaders> leaders = find_leaders(cluster, topics);
  if (!leaders) return tl::unexpected(leaders.error());
  const auto starts = fetch_log_offsets(cluster, *leaders, wanted, timestamp_start);
  const auto ends = fetch_log_offsets(cluster, *leaders, wanted, timestamp_end);
  for (GroupFacts& group : groups) {
    for (GroupOffset& offset : group.offsets) {
      if (const auto it = starts.find(offset.partition); it != starts.end()) offset.start = it->second;
      if (const auto it = ends.find(offset.partition); it != ends.end()) offset.end = it->second;
    }
  }
  return {};
}

}  // namespace

std::optional<int64_t> GroupOffset::lag() const {
  if (!committed || !end) return std::nullopt;
  return std::max<int64_t>(0, *end - std::max(*committed, start.value_or(0)));
}

int64_t GroupFacts::total_lag() const {
  int64_t sum = 0;
  for (const GroupOffset& offset : offsets) sum += offset.lag().value_or(0);
  return sum;
}

Outcome<client::Broker> fetch_coordinator(client::Cluster& cluster, const std::string& group) {
  const Outcome<Coordinator> found = find_coordinator(cluster, group, cluster.deadline());
  if (!found) return tl::unexpected(found.error());
  if (found->error != ErrorCode::none)
    return tl::unexpected(refused(fmt::format("cannot find the coordinator of group {}", group), found->error));
  return found->broker;
}

Outcome<std::map<TopicPartition, int64_t>> fetch_offsets_at(client::Cluster& cluster,
                                                            const std::vector<TopicPartition>& partitions,
                                                            int64_t timestamp) {
  std::set<std::string> topics;
  for (const TopicPartition& p : partitions) topics.insert(p.topic);
  const Outcome<Leaders> leaders = find_leaders(cluster, topics);
  if (!leaders) return tl::unexpected(leaders.error());
  return fetch_log_offsets(cluster, *leaders, {partitions.begin(), partitions.end()}, timestamp);
}

namespace {

// A broker tells nothing at all while it loads a part of its groups: to take that for none would leave them out.
Outcome<kafka::ListGroupsResponse> list_groups(client::Cluster& cluster, const client::Broker& broker,
                                               client::Deadline until) {
  auto answer = ask_again_until(
      until,
      [&] { return cluster.call_on_until<kafka::ListGroupsResponse>(broker, kafka::ListGroupsRequest{}, until); },
      [](const kafka::ListGroupsResponse& listed) { return coordinator_may_come(listed.error_code); });
  if (answer && answer->error_code != ErrorCode::none)
    return tl::unexpected(refused(fmt::format("cannot list the groups of broker {}", broker.id), answer->error_code));
  return answer;
}

}  // namespace

Outcome<std::vector<std::string>> fetch_group_names(client::Cluster& cluster) {
  kafka::MetadataRequest all_brokers;
  all_brokers.allow_auto_topic_creation = false;
  const auto metadata = cluster.call<kafka::MetadataResponse>(all_brokers);
  if (!metadata) return tl::unexpected(metadata.error());
  // Each broker knows the groups it coordinates.
  std::set<std::string> names;
  std::optional<Problem> failure;
  const client::Deadline until = cluster.deadline();
  for (const auto& b : metadata->brokers) {
    const client::Broker broker{b.node_id, {b.host, static_cast<uint16_t>(b.port)}};
    const auto answer = list_groups(cluster, broker, until);
    if (!answer) {
      failure = answer.error();
      continue;
    }
    for (const auto& group : answer->groups) names.insert(group.group_id);
  }
  if (failure) return tl::unexpected(std::move(*failure));
  return std::vector<std::string>(names.begin(), names.end());
}

Outcome<std::vector<GroupFacts>> fetch_groups(client::Cluster& cluster, const std::vector<std::string>& names) {
  std::vector<GroupFacts> groups;
  TopicNames topic_names(cluster);
  for (const std::string& name : names) {
    Outcome<GroupFacts> facts = fetch_group(cluster, name, topic_names);
    if (!facts) return tl::unexpected(std::move(facts.error()));
    groups.push_back(std::move(*facts));
  }
  if (Outcome<void> done = fill_log_ends(cluster, groups); !done) return tl::unexpected(std::move(done.error()));
  return groups;
}

}  // namespace cli
