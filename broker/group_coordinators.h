// Connects group coordinators with the replicas they stand on: a leadership of a __consumer_offsets partition becomes a
// coordinator, and its end ends it.
//
// One per shard, on that shard.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "broker/group/service/group_service.h"
#include "broker/partition/replica_manager.h"

namespace broker {

using HasTopic = std::function<bool(const std::string& name)>;

// `partition` as its coordinator sees it in leader epoch `epoch`.
std::unique_ptr<group::CoordinatorLog> make_coordinator_log(std::shared_ptr<partition::Partition> partition,
                                                            common::model::LeaderEpoch epoch, HasTopic has_topic);

class GroupCoordinators final : public partition::ReplicaListener {
 public:
  // `has_topic` looks into the newest image of the shard.
  GroupCoordinators(group::GroupService& groups, HasTopic has_topic)
      : groups_(groups), has_topic_(std::move(has_topic)) {}

  void on_leading(const std::shared_ptr<partition::Partition>& partition) override;
  void on_following(const std::shared_ptr<partition::Partition>& partition) override;
  void on_stopped(const common::model::TopicIdPartition& partition, const std::string& topic) override;

 private:
  group::GroupService& groups_;
  HasTopic has_topic_;
};

}  // namespace broker
