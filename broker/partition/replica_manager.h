// The replicas of one shard: follows the metadata image (creates, leads, follows, deletes), checkpoints high
// watermarks, and runs retention and ISR ticks from one periodic timer for all of them (never a timer per partition).
//
// Lives on its shard, asserted, except where a method says otherwise.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/partition/partition.h"
#include "broker/partition/topic_settings.h"

namespace controller::metadata {
class MetadataImage;
struct ImageDelta;
}  // namespace controller::metadata

namespace broker::partition {

// Which of `shard_count` shards a partition lives on; the same on every broker with as many shards. Partitions of one
// topic go round the shards.
[[nodiscard]] int home_shard(const TopicId& topic, PartitionIndex partition, int shard_count);

// Roles as they change, for coordinators and replication. Called on the shard after the change.
class ReplicaListener {
 public:
  virtual ~ReplicaListener() = default;
  virtual void on_leading(const std::shared_ptr<Partition>& partition) = 0;
  virtual void on_following(const std::shared_ptr<Partition>& partition) = 0;
  // Neither leads nor follows any more: no leader known, deleted, reassigned away, offline. May be gone already.
  virtual void on_stopped(const TopicIdPartition& partition, const std::string& topic) = 0;
};

class ReplicaManager;

}  // namespace broker::partition
