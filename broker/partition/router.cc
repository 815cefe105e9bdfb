#include "broker/partition/router.h"

namespace broker::partition {

PartitionRouter::PartitionRouter(std::vector<common::Shard*> shards, std::vector<ReplicaManager*> managers)
    : shards_(std::move(shards)), managers_(std::move(managers)) {
  NARU_CHECK(!shards_.empty() && shards_.size() == managers_.size(), "{} shards, {} managers", shards_.size(),
             managers_.size());
}

Result<std::shared_ptr<Partition>> PartitionRouter::find_here(const TopicIdPartition& id) const {
  return manager(home_of(id)).find(id);
}

}  // namespace broker::partition
