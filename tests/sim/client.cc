#include "sim/client.h"

namespace sim {

using namespace std::chrono_literals;

Client::Client(Cluster& cluster, ClientHost& host, std::string name)
    : cluster_(cluster), host_(host), name_(std::move(name)), random_(cluster.world().seed(), name_) {}

std::shared_ptr<ClientConnection> Client::connection_to(BrokerId id) {
  auto& connection = connections_[id];
  if (!connection || connection->is_broken()) {
    connection = std::make_shared<ClientConnection>(cluster_.site_of(host_), id.value);
    connection->begin();
  }
  return connection;
}

BrokerId Client::any_broker() {
  return BrokerId(static_cast<int32_t>(1 + random_.below(cluster_.nodes().size())));
}

Awaitable<bool> Client::refresh() {
  kafka::MetadataRequest request;
  request.topics.reset();
  request.allow_auto_topic_creation = false;
  const BrokerId to = any_broker();
  const auto answer = co_await ask<kafka::MetadataResponse>(to, std::move(request), 12, 2s);
  if (!answer) co_return false;
  leaders_.clear();
  topics_.clear();
  for (const auto& topic : answer->topics) {
    if (!topic.name) continue;
    topics_[*topic.name] = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      if (partition.leader_id >= 0)
        leaders_[{topic.topic_id, partition.partition_index}] = BrokerId(partition.leader_id);
    }
  }
  controller_ = answer->controller_id >= 0 ? std::optional(BrokerId(answer->controller_id)) : std::nullopt;
  co_return true;
}

std::optional<BrokerId> Client::leader_of(const Place& place) const {
  const auto found = leaders_.find(place);
  return found == leaders_.end() ? std::nullopt : std::optional(found->second);
}

Awaitable<void> Client::look_again() {
  co_await sleep(random_.between(50ms, 150ms));
  co_await refresh();
}

}  // namespace sim
