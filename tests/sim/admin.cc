#include "sim/admin.h"

#include "kafka/create_topics.h"
#include "kafka/delete_topics.h"
#include "kafka/elect_leaders.h"
#include "kafka/incremental_alter_configs.h"
#include "sim/workload.h"

namespace sim {

using namespace std::chrono_literals;

namespace {

constexpr int8_t topic_resource = 2;
// Every life of the name has values of its own: a record of an earlier life would be seen.
constexpr Value values_of_a_life = Value{1} << 32;

}  // namespace

Awaitable<void> Admin::run(Admin& self) {
  while (self.running_.producers) {
    const int slower = self.running_.long_lived ? 120 : 1;
    co_await self.client_.sleep(self.client_.random().between(3s, 20s) * slower);
    if (!self.running_.producers) co_return;
    if (self.running_.calm) continue;
    switch (self.client_.random().below(4)) {
      case 0:
      case 1:
        co_await self.short_lived_topic();
        break;
      case 2:
        co_await self.change_setting();
        break;
      default:
        co_await self.elect_preferred();
    }
  }
}

Awaitable<std::optional<Uuid>> Admin::make_topic(Client& client, std::string name, int partitions, int replicas,
                                                 Duration patience, Settings settings) {
  const Instant until = client.now() + patience;
  while (client.now() < until) {
    kafka::CreateTopicsRequest request;
    request.timeout_ms = 5000;
    kafka::CreateTopicsRequest::CreatableTopic topic;
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = static_cast<int16_t>(replicas);
    for (const auto& [key, value] : settings) topic.configs.push_back({key, value});
    request.topics.push_back(std::move(topic));
    const auto answer = co_await client.ask<kafka::CreateTopicsResponse>(client.any_broker(), std::move(request), 7, 8s);
    if (answer && answer->topics.size() == 1) {
      const ErrorCode code = answer->topics[0].error_code;
      if (code == ErrorCode::none || code == ErrorCode::topic_already_exists) {
        co_await client.refresh();
        const auto found = client.topics().find(name);
        if (found != client.topics().end()) co_return found->second;
      }
    }
    co_await client.sleep(200ms);
  }
  co_return std::nullopt;
}

Awaitable<void> Admin::short_lived_topic() {
  const std::string name = "short-lived";
  const auto id = co_await make_topic(client_, name, 1, options_.replication_factor, 20s);
  if (!id) co_return;
  if (++topics_made_ > 1) probes_.hit(Probe::topic_recreated);
  const Place place{*id, 0};
  Producer& producer = workload_.add_producer(place, topics_made_ * values_of_a_life);
  co_await client_.sleep(client_.random().between(500ms, 8s) * (running_.long_lived ? 60 : 1));
  producer.abandon();
  history_.dropped(place);
  // Some are kept for a while, and go when that is over, or when another one of their name is made.
  const int64_t keep_ms = options_.restores && client_.random().chance(0.5) ? client_.random().range(500, 20'000) : -1;
  for (int attempt = 0; attempt < 10; ++attempt) {
    kafka::DeleteTopicsRequest request;
    request.topics.push_back({name, Uuid{}});
    request.timeout_ms = 5000;
    request.keep_ms = keep_ms;
    const auto answer = co_await client_.ask<kafka::DeleteTopicsResponse>(client_.any_broker(), std::move(request), 6, 8s);
    if (answer && answer->responses.size() == 1) {
      const ErrorCode code = answer->responses[0].error_code;
      if (code == ErrorCode::none) probes_.hit(Probe::topic_deleted);
      if (code == ErrorCode::none || code == ErrorCode::unknown_topic_or_partition) co_return;
    }
    co_await client_.sleep(300ms);
  }
}

Awaitable<void> Admin::change_setting() {
  kafka::IncrementalAlterConfigsRequest request;
  kafka::IncrementalAlterConfigsRequest::AlterConfigsResource resource;
  resource.resource_type = topic_resource;
  resource.resource_name = "orders-0";
  const char* sizes[] = {"1048576", "2097152", "4194304"};
  resource.configs.push_back({"segment.bytes", 0, std::string(sizes[client_.random().below(3)])});
  request.resources.push_back(std::move(resource));
  co_await client_.ask<kafka::IncrementalAlterConfigsResponse>(client_.any_broker(), std::move(request), 1, 5s);
}

Awaitable<void> Admin::elect_preferred() {
  kafka::ElectLeadersRequest request;
  request.topic_partitions.reset();
  request.timeout_ms = 5000;
  co_await client_.ask<kafka::ElectLeadersResponse>(client_.any_broker(), std::move(request), 2, 8s);
}

}  // namespace sim
