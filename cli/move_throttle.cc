#include "cli/move_throttle.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "kafka/describe_configs.h"
#include "kafka/incremental_alter_configs.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Request = kafka::IncrementalAlterConfigsRequest;

struct Keys {
  std::string_view rate;  // of a broker
  std::string_view list;  // of a topic
};
constexpr Keys of_leaders{"leader.replication.throttled.rate", "leader.replication.throttled.replicas"};
// Moves here set none; Kafka's own tool does, and expects both to be taken away.
constexpr Keys of_followers{"follower.replication.throttled.rate", "follower.replication.throttled.replicas"};
constexpr int8_t of_topic = 2;
constexpr int8_t of_broker = 4;
enum class Operation : int8_t { set = 0, remove = 1, append = 2 };

struct Change {
  int8_t type = 0;
  std::string name;
  std::string_view key;
  Operation operation = Operation::set;
  std::string value;
};

// Each resource once: who is named twice is refused.
Request request_of(const std::vector<Change>& changes) {
  std::map<std::pair<int8_t, std::string>, std::vector<Request::AlterableConfig>> by_resource;
  for (const Change& change : changes) {
    Request::AlterableConfig& config = by_resource[{change.type, change.name}].emplace_back();
    config.name = std::string(change.key);
    config.config_operation = static_cast<int8_t>(change.operation);
    if (change.operation != Operation::remove) config.value = change.value;
  }
  Request request;
  for (auto& [resource, configs] : by_resource) {
    Request::AlterConfigsResource& one = request.resources.emplace_back();
    one.resource_type = resource.first;
    one.resource_name = resource.second;
    one.configs = std::move(configs);
  }
  return request;
}

Outcome<void> alter(client::Cluster& cluster, const std::vector<Change>& changes) {
  if (changes.empty()) return {};
  const Request request = request_of(changes);
  const auto answer = cluster.call<kafka::IncrementalAlterConfigsResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  for (const auto& r : answer->responses) {
    // A topic that is gone, or a broker, throttles nothing any more.
    const bool is_gone =
        r.error_code == ErrorCode::unknown_topic_or_partition || r.error_code == ErrorCode::broker_id_not_registered;
    if (r.error_code == ErrorCode::none || is_gone) continue;
    const std::string whose = fmt::format("{} {}", r.resource_type == of_broker ? "broker" : "topic", r.resource_name);
    return tl::unexpected(
        refused(fmt::format("cannot change the throttle of {}", whose), r.error_code, r.error_message.value_or("")));
  }
  return {};
}

Change rate_of(int32_t broker, int64_t bytes_per_second) {
  return {.type = of_broker,
          .name = std::to_string(broker),
          .key = of_leaders.rate,
          .value = std::to_string(bytes_per_second)};
}

// Which of the resources have `key` set on themselves, and to what.
Outcome<std::map<std::string, std::string>> with_setting(const Outcome<kafka::DescribeConfigsResponse>& answer,
                                                         std::string_view key) {
  constexpr int8_t set_on_topic = 1;
  constexpr int8_t set_on_broker = 2;
  if (!answer) return tl::unexpected(answer.error());
  std::map<std::string, std::string> set;
  for (const auto& result : answer->results) {
    for (const auto& config : result.configs) {
      const bool is_own = config.config_source == set_on_topic || config.config_source == set_on_broker;
      if (config.name == key && is_own) set[result.resource_name] = config.value ? *config.value : "";
    }
  }
  return set;
}

kafka::DescribeConfigsRequest question(int8_t type, const std::vector<std::string>& names, std::string_view key) {
  kafka::DescribeConfigsRequest request;
  for (const std::string& name : names) {
    kafka::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = type;
    resource.resource_name = name;
    resource.configuration_keys.emplace().emplace_back(key);
    request.resources.push_back(std::move(resource));
  }
  return request;
}

using Settings = std::map<std::string, std::string>;

// Which topics have replicas throttled, and which ones.
Outcome<Settings> lists_of(client::Cluster& cluster, const ClusterFacts& facts, const Keys& keys) {
  std::vector<std::string> names;
  for (const TopicFacts& topic : facts.topics) names.push_back(topic.name);
  if (names.empty()) return Settings();
  return with_setting(cluster.call<kafka::DescribeConfigsResponse>(question(of_topic, names, keys.list)), keys.list);
}

// What was named beside "*" is of moves, and without effect. `stay`: those that are throttled for good.
Outcome<std::vector<Change>> topics_to_lift(client::Cluster& cluster, const ClusterFacts& facts, const Keys& keys,
                                            std::set<std::string>& stay) {
  const auto found = lists_of(cluster, facts, keys);
  if (!found) return tl::unexpected(found.error());
  std::vector<Change> changes;
  for (const auto& [name, list] : *found) {
    if (is_for_good(list)) {
      stay.insert(name);
      if (list != "*") changes.push_back({.type = of_topic, .name = name, .key = keys.list, .value = "*"});
    } else {
      changes.push_back(
          {.type = of_topic, .name = name, .key = keys.list, .operation = Operation::remove, .value = {}});
    }
  }
  return changes;
}

// One that is down cannot say: it keeps what it has, and with no topic naming a replica that is without effect.
Outcome<std::vector<Change>> brokers_to_lift(client::Cluster& cluster, const ClusterFacts& facts, const Keys& keys) {
  std::vector<Change> changes;
  for (const BrokerFacts& broker : facts.brokers) {
    if (broker.fenced) continue;
    const std::string name = std::to_string(broker.id);
    const auto answer = cluster.call_on<kafka::DescribeConfigsResponse>(
        client::Broker{.id = broker.id, .address = {.host = broker.host, .port = broker.port}},
        question(of_broker, {name}, keys.rate));
    const auto found = with_setting(answer, keys.rate);
    if (!found) return tl::unexpected(found.error());
    if (found->empty()) continue;
    changes.push_back({.type = of_broker, .name = name, .key = keys.rate, .operation = Operation::remove, .value = {}});
  }
  return changes;
}

}  // namespace

bool is_for_good(std::string_view list) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == "*") return true;
  }
  return false;
}

std::string throttled_replicas(const std::vector<Move>& moves, std::string_view topic) {
  std::set<std::pair<int32_t, int32_t>> named;
  for (const Move& move : moves) {
    if (move.topic != topic) continue;
    for (const int32_t id : move.from) named.emplace(move.partition, id);
    for (const int32_t id : move.to) named.emplace(move.partition, id);  // leads, perhaps, before the others are done
  }
  std::string list;
  for (const auto& [partition, id] : named) list += fmt::format("{}{}:{}", list.empty() ? "" : ",", partition, id);
  return list;
}

Outcome<void> check_rates_are_free(client::Cluster& cluster, const ClusterFacts& facts) {
  const auto lists = lists_of(cluster, facts, of_leaders);
  if (!lists) return tl::unexpected(lists.error());
  std::vector<std::string> for_good;
  for (const auto& [name, list] : *lists) {
    if (is_for_good(list)) for_good.push_back(name);
  }
  if (for_good.empty()) return {};
  return problem(Exit::refused,
                 fmt::format("topics are throttled as a whole, by rates of brokers that --throttle would replace: {}",
                             fmt::join(for_good, ", ")),
                 fmt::format("leave --throttle out, or take {} from them (`naru config unset topic {} {}`)",
                             of_leaders.list, for_good.front(), of_leaders.list));
}

Outcome<void> set_throttle(client::Cluster& cluster, const std::vector<Move>& moves, int64_t bytes_per_second) {
  std::set<int32_t> brokers;
  std::set<std::string> topics;
  for (const Move& move : moves) {
    brokers.insert(move.from.begin(), move.from.end());
    brokers.insert(move.to.begin(), move.to.end());
    topics.insert(move.topic);
  }
  std::vector<Change> changes;
  for (const int32_t id : brokers) changes.push_back(rate_of(id, bytes_per_second));
  for (const std::string& topic : topics) {
    changes.push_back({.type = of_topic,
                       .name = topic,
                       .key = of_leaders.list,
                       .operation = Operation::append,
                       .value = throttled_replicas(moves, topic)});
  }
  return alter(cluster, changes);
}

Outcome<void> set_throttle_rate(client::Cluster& cluster, const std::vector<int32_t>& brokers,
                                int64_t bytes_per_second) {
  std::vector<Change> changes;
  for (const int32_t id : brokers) changes.push_back(rate_of(id, bytes_per_second));
  return alter(cluster, changes);
}

Outcome<Lifted> lift_throttle(client::Cluster& cluster) {
  Lifted lifted;
  const Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::no);
  if (!facts) return tl::unexpected(facts.error());
  std::vector<Change> changes;
  std::set<std::string> for_good;
  for (const Keys& keys : {of_leaders, of_followers}) {
    std::set<std::string> stay;
    const Outcome<std::vector<Change>> of_topics = topics_to_lift(cluster, *facts, keys, stay);
    if (!of_topics) return tl::unexpected(of_topics.error());
    changes.insert(changes.end(), of_topics->begin(), of_topics->end());
    for_good.insert(stay.begin(), stay.end());
    if (!stay.empty()) continue;
    const Outcome<std::vector<Change>> of_brokers = brokers_to_lift(cluster, *facts, keys);
    if (!of_brokers) return tl::unexpected(of_brokers.error());
    changes.insert(changes.end(), of_brokers->begin(), of_brokers->end());
  }
  if (const Outcome<void> done = alter(cluster, changes); !done) return tl::unexpected(done.error());
  lifted.any = !changes.empty();
  lifted.topics.assign(for_good.begin(), for_good.end());
  return lifted;
}

}  // namespace cli
