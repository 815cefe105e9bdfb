// All followers' fetch streams to the partitions of one shard: accepts them, lets each session fill its stream as fast
// as the stream takes frames, and knows when each follower last spoke (R52).
//
// Lives on its shard.
#pragma once
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "broker/partition/replica_manager.h"
#include "broker/replication/leader_fetch_session.h"
#include "broker/replication/transport.h"
#include "common/logging.h"
#include "common/shard.h"

namespace broker::replication {

struct ReplicationLeaderOptions {
  common::Shard* shard = nullptr;
  Uuid cluster_id;
  BrokerId self;
  int shard_index = 0;
  int shards = 1;
  FindReplica find;
  LeaderFetchOptions fetch;
  Duration heartbeat = std::chrono::milliseconds(500);  // an idle stream speaks that often
  Duration silence_max = std::chrono::seconds(2);       // a follower silent for longer is cut off
  common::Logger logger;
};

class ReplicationLeader final : public FollowerAcceptor, public partition::ReplicaListener {
 public:
  explicit ReplicationLeader(ReplicationLeaderOptions options);
  ~ReplicationLeader() override;

  // Known only after registration; streams are rejected before.
  void set_broker_epoch(BrokerEpoch epoch) { broker_epoch_ = epoch; }

  ToFollowerEvents* on_follower(const FollowerHello& hello, std::unique_ptr<ConnectionToFollower> connection) override;

  void on_leading(const std::shared_ptr<partition::Partition>& partition) override {
    on_partition_appeared(partition->id());
  }
  void on_following(const std::shared_ptr<partition::Partition>& /*partition*/) override {}
  void on_stopped(const TopicIdPartition& /*partition*/, const std::string& /*topic*/) override {}

  void on_throttle_changed();
  // Positions of followers who knew of the partition sooner than we did are looked at.
  void on_partition_appeared(const TopicIdPartition& partition);
  [[nodiscard]] std::vector<std::pair<BrokerId, Instant>> spoken_at() const;
  [[nodiscard]] size_t stream_count() const { return streams_.size(); }

 private:
  class Stream;
  using Key = std::pair<BrokerId, int>;  // follower and its shard
  void drop(const Key& key, const Stream* stream);
  // How late this shard gets to what is due, as it does to clients' requests, while replicas catch up.
  void watch_turns();

  const ReplicationLeaderOptions options_;
  std::optional<BrokerEpoch> broker_epoch_;
  std::map<Key, std::unique_ptr<Stream>> streams_;
  // The newest of each follower's shard: its life, and its session in that life. Older ones are refused (R23).
  std::map<Key, std::pair<BrokerEpoch, uint64_t>> newest_;
  std::optional<Instant> turn_due_;
  common::TimerHandle turn_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::replication
