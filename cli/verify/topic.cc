#include "cli/verify/topic.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "cli/facts.h"
#include "cli/group_facts.h"
#include "kafka/create_topics.h"
#include "kafka/delete_groups.h"
#include "kafka/delete_topics.h"

namespace cli::verify {

using common::model::ErrorCode;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

Outcome<void> create_topic(client::Cluster& cluster, const std::string& name, int partitions, int wanted_replicas) {
  const auto facts = fetch_cluster(cluster, WithDisks::no);
  if (!facts) return tl::unexpected(facts.error());
  const auto alive = std::ranges::count_if(facts->brokers, [](const BrokerFacts& b) { return !b.fenced; });
  const int replicas = wanted_replicas > 0 ? wanted_replicas : std::clamp<int>(static_cast<int>(alive), 1, 3);
  kafka::CreateTopicsRequest request;
  kafka::CreateTopicsRequest::CreatableTopic& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = partitions;
  topic.replication_factor = static_cast<int16_t>(replicas);
  // Without it an acknowledgement of all may be one of one broker, which promises nothing.
  kafka::CreateTopicsRequest::CreatableTopicConfig& config = topic.configs.emplace_back();
  config.name = "min.insync.replicas";
  config.value = replicas >= 3 ? "2" : "1";
  request.timeout_ms = static_cast<int32_t>(cluster.timeout().count());
  const auto answer = cluster.call<kafka::CreateTopicsResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  for (const auto& result : answer->topics) {
    if (result.error_code != ErrorCode::none)
      return tl::unexpected(
          refused("cannot create topic " + name, result.error_code, result.error_message.value_or("")));
  }
  return {};
}

// Writers can begin when every partition is led.
Outcome<void> wait_led(client::Cluster& cluster, const std::string& name) {
  const auto until = cluster.deadline();
  for (;;) {
    const auto topics = fetch_topics(cluster, std::vector<std::string>{name});
    if (!topics) return tl::unexpected(topics.error());
    if (!topics->empty() && topics->front().error == ErrorCode::none && topics->front().leaderless() == 0) return {};
    if (steady_clock::now() > until) return problem(Exit::unreachable, "the topic's partitions have no leaders");
    std::this_thread::sleep_for(milliseconds(50));
  }
}

void delete_topic(client::Cluster& cluster, const std::string& name) {
  kafka::DeleteTopicsRequest request;
  request.topics.emplace_back().name = name;
  request.timeout_ms = static_cast<int32_t>(cluster.timeout().count());
  auto answer = cluster.call<kafka::DeleteTopicsResponse>(request);
  if (!answer && answer.error().exit == Exit::usage) {
    // Before version 6 the request carries plain names, and the codec refuses to drop the newer list.
    request.topics.clear();
    request.topic_names = {name};
    answer = cluster.call<kafka::DeleteTopicsResponse>(request);
  }
  if (!answer) {
    fmt::print(stderr, "naru: topic {} was not deleted: {}\n", name, answer.error().message);
    return;
  }
  for (const auto& result : answer->responses) {
    if (result.error_code != ErrorCode::none)
      fmt::print(stderr, "naru: topic {} was not deleted: {}\n", name, result.error_code);
  }
}

void delete_group(client::Cluster& cluster, const std::string& name) {
  const auto was_not = [&](const auto& why) { fmt::print(stderr, "naru: group {} was not deleted: {}\n", name, why); };
  const Outcome<client::Broker> coordinator = fetch_coordinator(cluster, name);
  if (!coordinator) return was_not(coordinator.error().message);
  kafka::DeleteGroupsRequest request;
  request.groups_names = {name};
  const auto answer = cluster.call_on<kafka::DeleteGroupsResponse>(*coordinator, request);
  if (!answer) return was_not(answer.error().message);
  for (const auto& result : answer->results) {
    // One that never came to be is as good as deleted.
    if (result.error_code != ErrorCode::none && result.error_code != ErrorCode::group_id_not_found)
      was_not(result.error_code);
  }
}

}  // namespace cli::verify
