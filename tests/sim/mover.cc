#include "sim/mover.h"

#include <numeric>

#include "kafka/alter_partition_reassignments.h"

namespace sim {

using namespace std::chrono_literals;

Awaitable<void> Mover::run(Mover& self) {
  while (self.running_.moves) {
    co_await self.client_.sleep(self.client_.random().between(1s, 20s) * (self.running_.long_lived ? 180 : 1));
    if (self.running_.moves && !self.running_.calm) co_await self.move_one();
  }
}

std::vector<int32_t> Mover::some_brokers() {
  std::vector<int32_t> ids(static_cast<size_t>(options_.brokers));
  std::iota(ids.begin(), ids.end(), 1);
  for (size_t i = 0; i + 1 < ids.size(); ++i) std::swap(ids[i], ids[i + client_.random().below(ids.size() - i)]);
  ids.resize(static_cast<size_t>(options_.replication_factor));
  return ids;
}

Awaitable<void> Mover::move_one() {
  kafka::AlterPartitionReassignmentsRequest request;
  request.timeout_ms = 5000;
  const bool offsets = client_.random().chance(0.2);
  const int partitions = offsets ? options_.offsets_partitions : options_.partitions;
  kafka::AlterPartitionReassignmentsRequest::ReassignableTopic topic;
  topic.name = offsets ? "__consumer_offsets"
                       : "orders-" + std::to_string(client_.random().below(static_cast<uint64_t>(options_.topics)));
  for (int p = 0; p < partitions; ++p) {
    if (client_.random().chance(0.5)) continue;
    kafka::AlterPartitionReassignmentsRequest::ReassignablePartition one;
    one.partition_index = p;
    if (client_.random().chance(0.75)) one.replicas = some_brokers();
    topic.partitions.push_back(std::move(one));
  }
  if (topic.partitions.empty()) co_return;
  request.topics.push_back(std::move(topic));
  co_await client_.ask<kafka::AlterPartitionReassignmentsResponse>(client_.any_broker(), std::move(request), 1, 8s);
}

}  // namespace sim
