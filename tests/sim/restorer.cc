#include "sim/restorer.h"

#include "kafka/delete_topics.h"
#include "kafka/incremental_alter_configs.h"

namespace sim {

using namespace std::chrono_literals;

namespace {

constexpr int64_t keep_ms = 3'600'000;  // longer than a run of minutes
constexpr int8_t topic_resource = 2;
constexpr int8_t take_away = 1;
constexpr const char* mark = "naru.deleted";

}  // namespace

Awaitable<void> Restorer::run(Restorer& self) {
  while (self.running_.others) {
    Rng& random = self.client_.random();
    const bool may_delete = self.running_.moves && self.running_.producers;
    co_await self.client_.sleep(may_delete ? random.between(2s, 20s) : random.between(200ms, 1s));
    if (self.running_.moves && self.running_.producers) {
      co_await self.remove();
      co_await self.client_.sleep(random.between(0s, 6s));
    }
    while (self.running_.others && co_await self.is_missing()) {
      co_await self.restore();
      co_await self.client_.sleep(200ms);
    }
  }
}

Awaitable<void> Restorer::remove() {
  kafka::DeleteTopicsRequest request;
  request.topics.push_back({std::string(regretted_topic), Uuid{}});
  request.timeout_ms = 5000;
  request.keep_ms = keep_ms;
  const auto answer = co_await client_.ask<kafka::DeleteTopicsResponse>(client_.any_broker(), std::move(request), 6, 8s);
  if (!answer || answer->responses.size() != 1 || answer->responses[0].error_code != ErrorCode::none) co_return;
  probes_.hit(Probe::topic_kept);
  removed_ = true;
}

// One that has not heard of the deletion yet still lists it; it is asked again later.
Awaitable<bool> Restorer::is_missing() {
  const bool answered = co_await client_.refresh();
  co_return answered && !client_.topics().contains(std::string(regretted_topic));
}

Awaitable<void> Restorer::restore() {
  kafka::IncrementalAlterConfigsRequest request;
  kafka::IncrementalAlterConfigsRequest::AlterConfigsResource resource;
  resource.resource_type = topic_resource;
  resource.resource_name = std::string(regretted_topic);
  resource.configs.push_back({mark, take_away, topic_.to_string()});
  request.resources.push_back(std::move(resource));
  const auto answer = co_await client_.ask<kafka::IncrementalAlterConfigsResponse>(client_.any_broker(),
                                                                                   std::move(request), 1, 5s);
  if (!answer || answer->responses.size() != 1 || answer->responses[0].error_code != ErrorCode::none) co_return;
  if (std::exchange(removed_, false)) probes_.hit(Probe::topic_restored);
}

}  // namespace sim
