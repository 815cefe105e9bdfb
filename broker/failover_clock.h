// How long a partition was without a leader, as its next leader sees it: from the moment when the stream to the old one
// broke until this broker leads. Leaderships that were handed over, or whose loss nobody noticed here, are not counted.
//
// Lives on one shard.
#pragma once
#include <map>

#include "broker/partition/replica_manager.h"

namespace broker {

class FailoverClock final : public partition::ReplicaListener {
 public:
  void attach(common::Shard& shard, partition::ShardPartitionMetrics& metrics) {
    shard_ = &shard;
    metrics_ = &metrics;
  }
  // Again with every attempt to connect that fails; the first of a row counts.
  void on_lost(common::model::BrokerId leader, common::Instant now) {
    constexpr std::chrono::seconds same_row{5};
    Loss& loss = losses_[leader];
    if (now - loss.last > same_row) loss.first = now;
    loss.last = now;
  }

  void on_leading(const std::shared_ptr<partition::Partition>& partition) override {
    const auto previous = partition->previous_leader();
    if (!previous) return;
    const auto lost = losses_.find(*previous);
    if (lost == losses_.end()) return;
    // An older loss has nothing to do with this election: the broker had come back.
    constexpr std::chrono::minutes related{2};
    const common::Duration took = shard_->now() - lost->second.first;
    if (took < related) metrics_->failover.observe(took);
  }
  // Whoever leads is there again.
  void on_following(const std::shared_ptr<partition::Partition>& partition) override {
    if (partition->leader() && partition->leader() == partition->previous_leader()) losses_.erase(*partition->leader());
  }
  void on_stopped(const common::model::TopicIdPartition& /*id*/, const std::string& /*topic*/) override {}

 private:
  common::Shard* shard_ = nullptr;
  partition::ShardPartitionMetrics* metrics_ = nullptr;
  struct Loss {
    common::Instant first{};
    common::Instant last{};
  };
  std::map<common::model::BrokerId, Loss> losses_;
};

}  // namespace broker
