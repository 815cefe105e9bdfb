// What one shard of a broker is made of: its disk, replicas, replication streams, coordinators and the context of its
// request handlers; and how it follows the metadata.
//
// Made and started on the thread that assembles the broker, before the shard has work; afterwards it lives on its shard.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "broker/api/context.h"
#include "broker/api/fetch_session.h"
#include "broker/api/producer_id_source.h"
#include "broker/api/request_metrics.h"
#include "broker/cleaner/log_cleaner.h"
#include "broker/failover_clock.h"
#include "broker/follower_shares.h"
#include "broker/follower_throttles.h"
#include "broker/group_coordinators.h"
#include "broker/isr_proposals.h"
#include "broker/partition/directories.h"
#include "broker/partition/replica_manager.h"
#include "broker/partition/router.h"
#include "broker/replication/replication_follower.h"
#include "broker/replication/replication_leader.h"
#include "broker/replication/send_throttle.h"
#include "broker/topic_settings.h"
#include "common/disk/disk.h"
#include "common/log/tail_cache.h"
#include "common/model/random.h"
#include "controller/quorum/controller_client.h"
#include "controller/quorum/metadata_subscriber.h"

namespace broker {

// What all shards share; outlives them.
struct SharedParts {
  const common::config::BrokerConfig* config = nullptr;
  common::Logger log;
  std::function<std::unique_ptr<common::disk::Disk>(common::Shard&)> make_disk;
  controller::quorum::ControllerClient* controller = nullptr;
  replication::FetchTransport* fetch_transport = nullptr;
  partition::PartitionListener* partition_listener = nullptr;  // may be null
  const partition::TopicSettingsSource* topics = nullptr;
  group::GroupService* groups = nullptr;
  cleaner::CleanerTurns* cleaner_turns = nullptr;
  replication::SendThrottle* send_throttle = nullptr;
  FollowerThrottles* follower_throttles = nullptr;
  common::model::Uuid cluster_id;
  std::function<std::optional<common::model::BrokerEpoch>()> broker_epoch;  // any thread
  std::function<bool()> isolated;                                           // any thread (R33)
  std::function<bool()> behind;                                             // any thread (R33)
  std::function<bool()> has_lost_session;                                   // any thread (R33)
  std::function<bool()> may_be_replaced;                                    // any thread (R33)
  std::function<std::optional<common::model::BrokerId>()> active_controller;
  std::function<void(common::model::BrokerId)> report_lost;  // any thread: a broker's stream broke
  // Any thread: which replicas of a shard cannot be used as they should (R76, R81).
  std::function<void(int shard, controller::metadata::ReplicaTrouble)> report_trouble;
  // On the first shard: settings of brokers have changed.
  std::function<void(const controller::metadata::MetadataImage&)> on_broker_configs;
  // Any thread; may be absent: a log was opened at start.
  std::function<void(const common::log::RecoveryReport&)> on_log_opened;
  uint64_t random_seed = 0;
};

class ShardParts final : public controller::quorum::MetadataSubscriber {
 public:
  ShardParts(common::Shard& shard, int index, int count, const SharedParts& shared);
  ~ShardParts() override;

  // The directories exist once identity is known; then the logs are opened.
  void make_replicas(partition::Directories& directories);
  // Once every shard has its replicas. On the assembling thread, before the shard runs anything of ours.
  void connect(partition::PartitionRouter& router);
  // The stream of some shard to that broker's process broke, or could not be made anew. On the shard.
  void on_peer_lost(common::model::BrokerId id);
  // Registered under `epoch`. On the shard.
  void on_registered(common::model::BrokerEpoch epoch);

  void on_image(controller::quorum::ImagePtr image, controller::quorum::DeltaPtr delta) override;

  [[nodiscard]] common::Shard& shard() const { return shard_; }
  [[nodiscard]] common::disk::Disk& disk() const { return *disk_; }
  [[nodiscard]] partition::ReplicaManager& replicas() const { return *replicas_; }
  [[nodiscard]] replication::ReplicationLeader& replication_leader() const { return *leader_; }
  [[nodiscard]] api::BrokerContext& context() { return context_; }
  [[nodiscard]] const cleaner::LogCleaner* cleaner() const { return cleaner_.get(); }  // null: switched off
  // Ends the replication streams and compaction. On the shard.
  void stop_streams();

 private:
  void make_leader();
  void make_follower();
  void make_coordinators();
  void start_cleaner();
  void apply_broker_configs(const controller::metadata::ImageDelta& delta);
  void apply_throttle(const controller::metadata::ImageDelta& delta, const common::config::BrokerConfig* changed);
  bool apply_follower_throttles(const controller::metadata::ImageDelta& delta);
  // `broker` is us or the follower, as `named` lists the one side or the other.
  [[nodiscard]] bool is_throttled(const replication::ThrottledReplicas& named,
                                  const common::model::TopicIdPartition& id, common::model::BrokerId broker) const;

  common::Shard& shard_;
  const int index_;
  const int count_;
  const SharedParts& shared_;
  common::model::SeededRandom random_;
  std::unique_ptr<common::disk::Disk> disk_;
  common::log::TailCache tail_cache_;
  IsrProposals proposals_;
  replication::CatchUpPace pace_;
  replication::ThrottledReplicas throttled_;            // that we send to
  replication::ThrottledReplicas throttled_followers_;  // of any broker
  FollowerShares follower_shares_;
  std::unique_ptr<partition::ReplicaManager> replicas_;
  std::unique_ptr<replication::ReplicationLeader> leader_;
  std::unique_ptr<replication::ReplicationFollower> follower_;
  std::unique_ptr<GroupCoordinators> coordinators_;
  FailoverClock failover_clock_;
  std::unique_ptr<cleaner::LogCleaner> cleaner_;  // null: switched off
  api::FetchSessionCache fetch_sessions_;
  api::ProducerIdSource producer_ids_;
  api::RequestMetrics request_metrics_;
  common::Event image_changed_;
  std::map<common::model::BrokerId, common::Instant> unreached_at_;  // the last break or failed attempt
  api::BrokerContext context_;
};

}  // namespace broker
