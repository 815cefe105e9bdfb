// All fetch streams of one shard to the leaders of its partitions: one for each (leader, leader's shard). Follows what
// the replica manager says: a partition whose leader changes moves to the other stream at once; a broken stream is made
// anew at once, then with growing pauses, resolving the address each time.
//
// Where leader and follower have as many shards, partitions of one shard there are those of one shard here: one stream
// a shard. Otherwise each of our shards keeps its own streams, so that no record crosses our shards.
//
// Lives on its shard.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "broker/partition/replica_manager.h"
#include "broker/replication/follower_fetcher.h"
#include "broker/replication/transport.h"
#include "common/logging.h"
#include "common/shard.h"

namespace broker::replication {

struct ReplicationFollowerOptions {
  common::Shard* shard = nullptr;
  Uuid cluster_id;
  BrokerId self;
  int shard_index = 0;
  int shards = 1;
  FetchTransport* transport = nullptr;
  // Where a broker's gRPC listens, by the newest metadata (R112). None: not known now.
  std::function<std::optional<Endpoint>(BrokerId)> endpoint_of;
  FollowerFetchOptions fetch;
  Duration heartbeat = std::chrono::milliseconds(500);
  Duration silence_max = std::chrono::seconds(2);
  Duration connect_timeout = std::chrono::seconds(1);
  Duration reconnect_pause_max = std::chrono::milliseconds(250);
  uint64_t first_session = 1;  // sessions of one process grow; different processes differ by broker epoch
  // Told how long it takes to write what leaders send. May be null.
  partition::RecentMean* writes = nullptr;
  // A stream to `leader` ended: evidence for the failure detector. May be empty.
  std::function<void(BrokerId leader, const Broken&)> on_broken;
  common::Logger logger;
};

class ReplicationFollower final : public partition::ReplicaListener {
 public:
  explicit ReplicationFollower(ReplicationFollowerOptions options);
  ~ReplicationFollower() override;

  // This process is registered; streams are made from now on. Registered again: streams say so anew.
  void set_broker_epoch(BrokerEpoch epoch);

  void on_leading(const std::shared_ptr<partition::Partition>& partition) override;
  void on_following(const std::shared_ptr<partition::Partition>& partition) override;
  void on_stopped(const TopicIdPartition& partition, const std::string& topic) override;

  // The same for whoever has no replica manager (simulator, tests).
  void follow(const TopicIdPartition& id, std::shared_ptr<partition::FollowerReplica> replica, BrokerId leader);
  void unfollow(const TopicIdPartition& id);
  // Broker addresses may have changed: streams that wait for a reconnection try again now. A stream without partitions
  // stays, so that a leadership that comes back finds it, until its broker is gone.
  void on_brokers_changed();
  [[nodiscard]] size_t stream_count() const { return streams_.size(); }

 private:
  class Stream;
  struct Followed {
    std::shared_ptr<partition::FollowerReplica> replica;
    BrokerId leader;
    int leader_shard = 0;
  };
  using Key = std::pair<BrokerId, int>;  // leader and its shard

  [[nodiscard]] int shards_of(BrokerId leader) const;
  Stream& stream(const Key& key);
  // The leader has told how many shards it has: everything that we follow there is distributed anew.
  void on_shard_count(BrokerId leader, int shards);

  const ReplicationFollowerOptions options_;
  std::optional<BrokerEpoch> broker_epoch_;
  uint64_t next_session_;
  std::map<BrokerId, int> leader_shards_;
  std::map<TopicIdPartition, Followed> followed_;
  std::map<Key, std::unique_ptr<Stream>> streams_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::replication
