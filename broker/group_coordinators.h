// Connects group coordinators with the replicas they stand on: a leadership of a __consumer_offsets partition becomes a
// coordinator, and its end ends it.
//
// One per shard, on that shard.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/group/service/group_service.h"
#include "broker/partition/replica_manager.h"

namespace broker {

using TopicIdOf = std::function<std::optional<common::model::Uuid>(const std::string& name)>;

// `partition` as its coordinator sees it in leader epoch `epoch`. `may_be_replaced`: R33, may be absent.
std::unique_ptr<group::CoordinatorLog> make_coordinator_log(std::shared_ptr<partition::Partition> partition,
                                                            common::model::LeaderEpoch epoch, TopicIdOf topic_id_of,
                                                            std::function<bool()> may_be_replaced);

class GroupCoordinators final : public partition::ReplicaListener {
 public:
  // `topic_id_of` looks into the newest image of the shard; `may_be_replaced`: R33, may be absent.
  GroupCoordinators(group::GroupService& groups, TopicIdOf topic_id_of, std::function<bool()> may_be_replaced)
      : groups_(groups), topic_id_of_(std::move(topic_id_of)), may_be_replaced_(std::move(may_be_replaced)) {}

  void on_leading(const std::shared_ptr<partition::Partition>& partition) override;
  void on_following(const std::shared_ptr<partition::Partition>& partition) override;
  void on_stopped(const common::model::TopicIdPartition& partition, const std::string& topic) override;

 private:
  group::GroupService& groups_;
  TopicIdOf topic_id_of_;
  std::function<bool()> may_be_replaced_;
};

}  // namespace broker
