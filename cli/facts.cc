#include "cli/facts.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "cli/output.h"
#include "kafka/describe_cluster.h"
#include "kafka/describe_configs.h"
#include "kafka/describe_log_dirs.h"
#include "kafka/describe_quorum.h"
#include "kafka/describe_topic_partitions.h"
#include "kafka/metadata.h"

namespace cli {
namespace {

using common::model::ErrorCode;

constexpr int8_t topic_resource = 2;

// For what is not worth all of --timeout.
client::Deadline soon(const client::Cluster& cluster) {
  return std::min(cluster.deadline(), std::chrono::steady_clock::now() + std::chrono::seconds(2));
}

PartitionFacts partition_from(const kafka::MetadataResponse::MetadataResponsePartition& p) {
  PartitionFacts facts;
  facts.index = p.partition_index;
  if (p.leader_id >= 0 && p.error_code != ErrorCode::leader_not_available) facts.leader = p.leader_id;
  facts.leader_epoch = p.leader_epoch;
  facts.replicas = p.replica_nodes;
  facts.isr = p.isr_nodes;
  facts.offline = p.offline_replicas;
  return facts;
}

TopicFacts topic_from(const kafka::MetadataResponse::MetadataResponseTopic& t) {
  TopicFacts facts;
  facts.name = t.name.value_or("");
  if (!t.topic_id.is_zero()) facts.id = t.topic_id.to_string();
  facts.internal = t.is_internal;
  facts.error = t.error_code;
  for (const auto& p : t.partitions) facts.partitions.push_back(partition_from(p));
  std::sort(facts.partitions.begin(), facts.partitions.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  return facts;
}

template <class F>
int count_partitions(const TopicFacts& topic, F wanted) {
  return static_cast<int>(std::count_if(topic.partitions.begin(), topic.partitions.end(), wanted));
}

template <class F>
int sum_topics(const ClusterFacts& cluster, F count) {
  int sum = 0;
  for (const TopicFacts& topic : cluster.topics) sum += count(topic);
  return sum;
}

void fill_brokers_from_metadata(const kafka::MetadataResponse& metadata, ClusterFacts& facts) {
  for (const auto& b : metadata.brokers) {
    BrokerFacts broker;
    broker.id = b.node_id;
    broker.host = b.host;
    broker.port = static_cast<uint16_t>(b.port);
    broker.rack = b.rack;
    facts.brokers.push_back(std::move(broker));
  }
}

// Fenced brokers are known to DescribeCluster only (version 2).
void add_fenced_brokers(client::Cluster& cluster, ClusterFacts& facts) {
  kafka::DescribeClusterRequest request;
  request.include_fenced_brokers = true;
  const auto answer = cluster.call<kafka::DescribeClusterResponse>(request);
  if (!answer || answer->error_code != ErrorCode::none) return;
  for (const auto& b : answer->brokers) {
    if (!b.is_fenced) continue;
    const auto known = std::find_if(facts.brokers.begin(), facts.brokers.end(),
                                    [&](const BrokerFacts& f) { return f.id == b.broker_id; });
    if (known != facts.brokers.end()) {
      known->fenced = true;
      continue;
    }
    BrokerFacts broker;
    broker.id = b.broker_id;
    broker.host = b.host;
    broker.port = static_cast<uint16_t>(b.port);
    broker.rack = b.rack;
    broker.fenced = true;
    facts.brokers.push_back(std::move(broker));
  }
}

void add_quorum(client::Cluster& cluster, ClusterFacts& facts) {
  kafka::DescribeQuorumRequest request;
  kafka::DescribeQuorumRequest::TopicData topic;
  topic.topic_name = "__cluster_metadata";
  topic.partitions.emplace_back();
  request.topics.push_back(std::move(topic));
  // A broker waits for a controller to ask, where there is none for as long as it is asked to: an election takes less.
  const auto answer = cluster.call_until<kafka::DescribeQuorumResponse>(request, soon(cluster));
  // A broker that is cut off from its quorum goes on telling what it last knew: the controller of then is none now. One
  // that cannot describe a quorum at all is another kind of cluster.
  if (!answer) {
    if (answer.error().exit == Exit::unreachable) facts.controller.reset();
    return;
  }
  if (answer->error_code != ErrorCode::none) {
    if (answer->error_code != ErrorCode::unsupported_version &&
        answer->error_code != ErrorCode::cluster_authorization_failed)
      facts.controller.reset();
    return;
  }
  if (answer->topics.empty() || answer->topics.front().partitions.empty()) return;
  const auto& partition = answer->topics.front().partitions.front();
  if (partition.error_code != ErrorCode::none) return;
  if (partition.leader_id >= 0) facts.controller = partition.leader_id;
  facts.controller_epoch = partition.leader_epoch;
  for (const auto& voter : partition.current_voters) facts.voters.push_back(voter.replica_id);
  std::sort(facts.voters.begin(), facts.voters.end());
  for (const auto& observer : partition.observers) facts.observers.push_back(observer.replica_id);
  std::sort(facts.observers.begin(), facts.observers.end());
}

// All brokers see the same changes, each since its own start: the youngest is the last.
void add_change(const kafka::DescribeLogDirsResponse& answer, ClusterFacts& facts) {
  if (answer.last_change_ms < 0 || answer.last_change.empty()) return;
  const std::chrono::milliseconds ago(answer.last_change_ms);
  if (facts.last_change && facts.last_change->ago <= ago) return;
  facts.last_change = ChangeFacts{.text = answer.last_change, .reason = answer.last_change_reason, .ago = ago};
}

// It told the time at some moment between those two.
std::chrono::milliseconds ahead_of_us(int64_t told_ms, std::chrono::system_clock::time_point before,
                                      std::chrono::system_clock::time_point after) {
  const std::chrono::system_clock::time_point theirs{std::chrono::milliseconds(told_ms)};
  const auto ms = [](auto d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d); };
  return theirs < before ? ms(theirs - before) : theirs > after ? ms(theirs - after) : std::chrono::milliseconds(0);
}

// Who has been there for longest knows best.
void add_down(const kafka::DescribeLogDirsResponse& answer, ClusterFacts& facts) {
  for (const auto& told : answer.down) {
    for (BrokerFacts& broker : facts.brokers) {
      const std::chrono::milliseconds down(told.down_ms);
      if (broker.id == told.broker_id && broker.fenced) broker.down = std::max(broker.down.value_or(down), down);
    }
  }
}

void add_disks(client::Cluster& cluster, ClusterFacts& facts) {
  for (BrokerFacts& broker : facts.brokers) {
    if (broker.fenced) continue;
    kafka::DescribeLogDirsRequest request;
    request.topics.reset();
    request.traffic = true;
    // Without a controller nobody says who is down, and those who are do not answer.
    const client::Deadline until = facts.controller ? cluster.deadline() : soon(cluster);
    const auto asked = std::chrono::system_clock::now();
    const auto answer = cluster.call_on_until<kafka::DescribeLogDirsResponse>(
        client::Broker{.id = broker.id, .address = {.host = broker.host, .port = broker.port}}, request, until);
    if (!answer) continue;
    broker.answers = true;
    if (answer->bytes_in_per_second >= 0) broker.bytes_in_per_second = answer->bytes_in_per_second;
    if (answer->bytes_out_per_second >= 0) broker.bytes_out_per_second = answer->bytes_out_per_second;
    if (answer->up_ms >= 0) broker.up = std::chrono::milliseconds(answer->up_ms);
    broker.version = answer->version;
    if (answer->wall_time_ms >= 0)
      broker.clock_ahead = ahead_of_us(answer->wall_time_ms, asked, std::chrono::system_clock::now());
    add_change(*answer, facts);
    add_down(*answer, facts);
    int64_t used = 0;
    int64_t total = 0;
    for (const auto& dir : answer->results) {
      if (dir.error_code != ErrorCode::none) {
        broker.offline_dirs.push_back(dir.log_dir);
        continue;
      }
      if (dir.low_on_space) broker.low_dirs.push_back(dir.log_dir);
      for (const auto& topic : dir.topics) {
        for (const auto& partition : topic.partitions) used += partition.partition_size;
      }
      if (dir.total_bytes > 0) total += dir.total_bytes;
      if (dir.usable_bytes >= 0) broker.disk_free = std::min(broker.disk_free.value_or(INT64_MAX), dir.usable_bytes);
    }
    broker.disk_used = used;
    if (total > 0) broker.disk_total = total;
  }
}

void count_roles(ClusterFacts& facts) {
  for (BrokerFacts& broker : facts.brokers) {
    broker.voter = std::binary_search(facts.voters.begin(), facts.voters.end(), broker.id) &&
                   !std::binary_search(facts.observers.begin(), facts.observers.end(), broker.id);
    for (const TopicFacts& topic : facts.topics) {
      for (const PartitionFacts& p : topic.partitions) {
        if (p.leader == broker.id) ++broker.leaders;
        if (std::find(p.replicas.begin(), p.replicas.end(), broker.id) != p.replicas.end()) ++broker.replicas;
      }
    }
  }
}

}  // namespace

int TopicFacts::leaderless() const {
  return count_partitions(*this, [](const PartitionFacts& p) { return !p.led(); });
}
int TopicFacts::under_replicated() const {
  return count_partitions(*this, [](const PartitionFacts& p) { return !p.fully_replicated(); });
}
int TopicFacts::under_min_isr() const {
  if (!min_isr) return 0;
  const size_t needed = std::min<size_t>(static_cast<size_t>(*min_isr), replication());
  return count_partitions(*this, [&](const PartitionFacts& p) { return p.isr.size() < needed; });
}
int ClusterFacts::partitions() const {
  return sum_topics(*this, [](const TopicFacts& t) { return static_cast<int>(t.partitions.size()); });
}
int ClusterFacts::leaderless() const {
  return sum_topics(*this, [](const TopicFacts& t) { return t.leaderless(); });
}
int ClusterFacts::under_replicated() const {
  return sum_topics(*this, [](const TopicFacts& t) { return t.under_replicated(); });
}
int ClusterFacts::under_min_isr() const {
  return sum_topics(*this, [](const TopicFacts& t) { return t.under_min_isr(); });
}

Outcome<std::vector<TopicFacts>> fetch_topics(client::Cluster& cluster,
                                              const std::optional<std::vector<std::string>>& names) {
  kafka::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  if (names) {
    for (const std::string& name : *names) {
      kafka::MetadataRequest::MetadataRequestTopic topic;
      topic.name = name;
      request.topics->push_back(std::move(topic));
    }
  } else {
    request.topics.reset();
  }
  const auto answer = cluster.call<kafka::MetadataResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  std::vector<TopicFacts> topics;
  for (const auto& t : answer->topics) topics.push_back(topic_from(t));
  std::sort(topics.begin(), topics.end(), [](const TopicFacts& a, const TopicFacts& b) { return a.name < b.name; });
  return topics;
}

void fetch_eligible(client::Cluster& cluster, std::vector<TopicFacts>& topics) {
  for (TopicFacts& topic : topics) {
    if (topic.error != ErrorCode::none) continue;
    kafka::DescribeTopicPartitionsRequest request;
    kafka::DescribeTopicPartitionsRequest::TopicRequest one;
    one.name = topic.name;
    request.topics.push_back(std::move(one));
    const auto answer = cluster.call<kafka::DescribeTopicPartitionsResponse>(request);
    if (!answer || answer->topics.empty()) return;
    for (const auto& p : answer->topics.front().partitions) {
      const auto it = std::find_if(topic.partitions.begin(), topic.partitions.end(),
                                   [&](const PartitionFacts& f) { return f.index == p.partition_index; });
      if (it == topic.partitions.end()) continue;
      it->eligible = p.eligible_leader_replicas.value_or(std::vector<int32_t>());
      it->last_known_eligible = p.last_known_elr.value_or(std::vector<int32_t>());
    }
  }
}

void fetch_min_isr(client::Cluster& cluster, std::vector<TopicFacts>& topics) {
  kafka::DescribeConfigsRequest request;
  for (const TopicFacts& topic : topics) {
    kafka::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = topic_resource;
    resource.resource_name = topic.name;
    resource.configuration_keys = std::vector<std::string>{"min.insync.replicas"};
    request.resources.push_back(std::move(resource));
  }
  if (request.resources.empty()) return;
  const auto answer = cluster.call<kafka::DescribeConfigsResponse>(request);
  if (!answer) return;
  for (const auto& result : answer->results) {
    if (result.error_code != ErrorCode::none || result.configs.empty()) continue;
    const auto it =
        std::find_if(topics.begin(), topics.end(), [&](const TopicFacts& t) { return t.name == result.resource_name; });
    if (it != topics.end() && result.configs.front().value)
      it->min_isr = std::atoi(result.configs.front().value->c_str());
  }
}

Outcome<ClusterFacts> fetch_cluster(client::Cluster& cluster, WithDisks disks) {
  kafka::MetadataRequest request;
  request.topics.reset();
  request.allow_auto_topic_creation = false;
  const auto metadata = cluster.call<kafka::MetadataResponse>(request);
  if (!metadata) return tl::unexpected(metadata.error());
  ClusterFacts facts;
  facts.cluster_id = metadata->cluster_id.value_or("");
  if (metadata->controller_id >= 0) facts.controller = metadata->controller_id;
  fill_brokers_from_metadata(*metadata, facts);
  for (const auto& t : metadata->topics) facts.topics.push_back(topic_from(t));
  std::sort(facts.topics.begin(), facts.topics.end(),
            [](const TopicFacts& a, const TopicFacts& b) { return a.name < b.name; });
  add_quorum(cluster, facts);
  add_fenced_brokers(cluster, facts);
  std::sort(facts.brokers.begin(), facts.brokers.end(),
            [](const BrokerFacts& a, const BrokerFacts& b) { return a.id < b.id; });
  fetch_min_isr(cluster, facts.topics);
  if (disks == WithDisks::yes) add_disks(cluster, facts);
  count_roles(facts);
  return facts;
}

std::vector<int32_t> brokers_not_in_sync(const ClusterFacts& cluster) {
  std::set<int32_t> missing;
  for (const TopicFacts& topic : cluster.topics) {
    for (const PartitionFacts& p : topic.partitions) {
      for (const int32_t id : p.replicas) {
        if (std::find(p.isr.begin(), p.isr.end(), id) == p.isr.end()) missing.insert(id);
      }
    }
  }
  return {missing.begin(), missing.end()};
}

Health assess(const ClusterFacts& cluster, int brokers_min) {
  Health health;
  const auto because = [&](std::string reason) { health.reasons.push_back(std::move(reason)); };
  if (!cluster.controller)
    because("no controller: a majority of the voters must be running; all else shown here may be old");
  std::set<int32_t> alive;
  std::vector<int32_t> down;
  for (const BrokerFacts& broker : cluster.brokers) {
    if (broker.fenced) {
      down.push_back(broker.id);
    } else {
      alive.insert(broker.id);
    }
  }
  for (const int32_t voter : cluster.voters) {
    if (!alive.contains(voter) && std::find(down.begin(), down.end(), voter) == down.end()) down.push_back(voter);
  }
  std::sort(down.begin(), down.end());
  if (!down.empty())
    because(fmt::format("down {}: {} {}", down.size(), down.size() == 1 ? "broker" : "brokers", ids_text(down)));
  for (const BrokerFacts& broker : cluster.brokers) {
    if (!broker.offline_dirs.empty())
      because(fmt::format("broker {} has lost {}", broker.id, fmt::join(broker.offline_dirs, ", ")));
  }
  if (static_cast<int>(alive.size()) < brokers_min) {
    because(fmt::format("{} of {} brokers are there", alive.size(), brokers_min));
  }
  if (const int n = cluster.leaderless(); n > 0)
    because(fmt::format("without leader {}: these partitions can be neither written nor read", n));
  if (const int n = cluster.under_min_isr(); n > 0)
    because(fmt::format("too few in sync {}: below min.insync.replicas, so acks=all is refused there", n));
  if (const int n = cluster.under_replicated(); n > 0) {
    const std::vector<int32_t> missing = brokers_not_in_sync(cluster);
    because(fmt::format("under-replicated {}: {} {} not in sync", n,
                        missing.size() == 1 ? "the copies of broker" : "copies of brokers", ids_text(missing)));
  }
  return health;
}

std::string disk_text(const BrokerFacts& broker) {
  if (!broker.disk_used) return {};
  if (!broker.disk_total) return bytes_text(*broker.disk_used);
  return fmt::format("{} of {}", bytes_text(*broker.disk_used), bytes_text(*broker.disk_total));
}

std::string_view role_of(const BrokerFacts& broker, const ClusterFacts& cluster) {
  if (cluster.controller == broker.id) return "controller";
  if (broker.voter) return "voter";
  // Other kinds of cluster name a controller and no voters.
  return cluster.controller ? "observer" : "";
}

std::string_view state_of(const BrokerFacts& broker, const ClusterFacts& cluster) {
  if (broker.answers) return "up";
  if (!cluster.controller) return "";
  return broker.fenced ? "down" : "up";
}

std::string_view source_text(int8_t source) {
  switch (source) {
    case 1:
      return "topic";
    case 2:
      return "broker";
    case 3:
      return "cluster";
    case 4:
      return "file";
    case 8:
      return "group";
    default:
      return "default";
  }
}

}  // namespace cli
