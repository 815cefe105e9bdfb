#include "broker/partition/router.h"

namespace broker::partition {

PartitionRouter::PartitionRouter(std::vector<common::Shard*> shards, std::vector<ReplicaManager*> managers)
    : shards_(std::move(shards)), managers_(std::move(managers)) {
  NARU_CHECK(!shards_.empty() && shards_.size() == managers_.size(), "{} shards, {} managers", shards_.size(),
             managers_.size());
}

int home_shard(const TopicId& topic, PartitionIndex partition, int shard_count) {
  const uint64_t mixed = (topic.high() ^ topic.low()) * 0x9e3779b97f4a7c15ull >> 32;
  return static_cast<int>((mixed + static_cast<uint64_t>(partition.value)) % static_cast<uint64_t>(shard_count));
}

}  // namespace broker::partition
