#include "broker/shard_parts.h"

#include <algorithm>

namespace broker {

namespace metadata = controller::metadata;
using common::model::BrokerEpoch;
using common::model::BrokerId;
using partition::Partition;

namespace {

replication::LeaderFetchOptions leader_options(const common::config::BrokerConfig& config) {
  replication::LeaderFetchOptions options;
  options.credit_bytes = static_cast<size_t>(config.replica_fetch_response_max_bytes);
  options.partition_bytes = static_cast<size_t>(config.replica_fetch_max_bytes);
  return options;
}

cleaner::CleanerLimits cleaner_limits(const common::config::BrokerConfig& config) {
  cleaner::CleanerLimits limits;
  limits.at_a_time = config.cleaner_threads;
  limits.backoff = config.cleaner_backoff;
  limits.map_bytes = static_cast<uint64_t>(config.cleaner_map_bytes);
  limits.map_load = config.cleaner_map_load;
  limits.io_buffer_bytes = static_cast<uint64_t>(config.cleaner_io_buffer_bytes);
  limits.io_bytes_per_second = config.cleaner_io_bytes_per_second;
  return limits;
}

}  // namespace

ShardParts::ShardParts(common::Shard& shard, int index, int count, const SharedParts& shared)
    : shard_(shard),
      index_(index),
      count_(count),
      shared_(shared),
      random_(shared.random_seed + static_cast<uint64_t>(index)),
      disk_(shared.make_disk(shard)),
      tail_cache_(static_cast<size_t>(shared.config->tail_cache_bytes) / static_cast<size_t>(count)),
      proposals_(shard, *shared.controller, shared.config->node_id, shared.broker_epoch,
                 shared.config->request_timeout),
      fetch_sessions_({.sessions_max = static_cast<size_t>(shared.config->fetch_sessions_max)}, random_),
      producer_ids_(shard, *shared.controller, shared.config->node_id, shared.broker_epoch),
      image_changed_(shard) {
  context_.shard = &shard_;
  context_.node_id = shared.config->node_id;
  context_.config = shared.config;
  context_.log = shared.log;
  context_.image = std::make_shared<const metadata::MetadataImage>();
  context_.image_changed = &image_changed_;
  context_.controller = shared.controller;
  context_.groups = shared.groups;
  context_.fetch_sessions = &fetch_sessions_;
  context_.producer_ids = &producer_ids_;
  context_.metrics = &request_metrics_;
  context_.active_controller = shared.active_controller;
  context_.may_be_replaced = shared.may_be_replaced;
}

ShardParts::~ShardParts() = default;

void ShardParts::make_replicas(partition::Directories& directories) {
  partition::ReplicaManagerOptions options;
  options.shard = &shard_;
  options.shard_index = index_;
  options.shard_count = count_;
  options.self = shared_.config->node_id;
  options.disk = disk_.get();
  options.tail_cache = &tail_cache_;
  options.directories = &directories;
  options.settings = shared_.topics;
  options.sender = &proposals_;
  options.partition_listener = shared_.partition_listener;
  options.logger = shared_.log;
  options.lag_time_max = shared_.config->replica_lag_time_max;
  options.retention_interval = shared_.config->retention_check_interval;
  options.on_log_opened = shared_.on_log_opened;
  options.on_trouble = [this](metadata::ReplicaTrouble trouble) { shared_.report_trouble(index_, std::move(trouble)); };
  replicas_ = std::make_unique<partition::ReplicaManager>(std::move(options));
  context_.directories = &directories;
}

void ShardParts::connect(partition::PartitionRouter& router) {
  context_.partitions = &router;
  make_leader();
  make_follower();
  make_coordinators();
  replicas_->add_listener(*leader_);
  replicas_->add_listener(*follower_);
  replicas_->add_listener(*coordinators_);
  failover_clock_.attach(shard_, replicas_->metrics());
  replicas_->add_listener(failover_clock_);
  replicas_->set_stream_activity([this] { return leader_->spoken_at(); });
  replicas_->set_traffic(&pace_);
  if (shared_.isolated) replicas_->set_isolation(shared_.isolated, shared_.behind, shared_.has_lost_session);
  if (shared_.config->cleaner_enabled) start_cleaner();
}

void ShardParts::make_leader() {
  replication::ReplicationLeaderOptions leader;
  leader.shard = &shard_;
  leader.cluster_id = shared_.cluster_id;
  leader.self = shared_.config->node_id;
  leader.shard_index = index_;
  leader.shards = count_;
  leader.find = [this](const common::model::TopicIdPartition& id) { return replicas_->find_or_null(id); };
  leader.fetch = leader_options(*shared_.config);
  leader.fetch.pace = &pace_;
  leader.fetch.throttle = shared_.send_throttle;
  leader.fetch.is_throttled = [this](const common::model::TopicIdPartition& id) {
    return is_throttled(throttled_, id, shared_.config->node_id);
  };
  leader.fetch.follower_throttle = [this](BrokerId follower) { return &shared_.follower_throttles->of(follower); };
  leader.fetch.is_throttled_for = [this](const common::model::TopicIdPartition& id, BrokerId follower) {
    return is_throttled(throttled_followers_, id, follower);
  };
  leader.logger = shared_.log;
  leader_ = std::make_unique<replication::ReplicationLeader>(std::move(leader));
}

void ShardParts::make_follower() {
  replication::ReplicationFollowerOptions follower;
  follower.shard = &shard_;
  follower.cluster_id = shared_.cluster_id;
  follower.self = shared_.config->node_id;
  follower.shard_index = index_;
  follower.shards = count_;
  follower.transport = shared_.fetch_transport;
  follower.endpoint_of = [this](BrokerId id) -> std::optional<replication::Endpoint> {
    const metadata::BrokerImage* broker = context_.image->broker(id);
    if (broker == nullptr) return std::nullopt;
    return replication::Endpoint{broker->cluster_endpoint.host, broker->cluster_endpoint.port};
  };
  follower.writes = &replicas_->metrics().writes;
  follower.fetch.backoff = shared_.config->replica_fetch_backoff;
  follower.on_broken = [this](BrokerId leader_id, const replication::Broken& broken) {
    if (broken.kind == replication::BreakKind::rejected) return;
    failover_clock_.on_lost(leader_id, shard_.now());
    shared_.report_lost(leader_id);
  };
  follower.logger = shared_.log;
  follower_ = std::make_unique<replication::ReplicationFollower>(std::move(follower));
}

void ShardParts::make_coordinators() {
  coordinators_ = std::make_unique<GroupCoordinators>(
      *shared_.groups,
      [this](const std::string& name) -> std::optional<common::model::Uuid> {
        const metadata::TopicImage* topic = context_.image->topic_by_name(name);
        if (topic != nullptr) return topic->id;
        // What groups have committed of a deleted topic stays with it while it can be restored.
        const common::model::TopicId* kept = context_.image->kept_topics().find(name);
        return kept != nullptr ? std::optional(*kept) : std::nullopt;
      },
      shared_.may_be_replaced);
}

void ShardParts::start_cleaner() {
  cleaner::LogCleanerOptions cleaner;
  cleaner.shard = &shard_;
  cleaner.replicas = replicas_.get();
  cleaner.turns = shared_.cleaner_turns;
  cleaner.random = &random_;
  cleaner.logger = shared_.log;
  cleaner.limits = cleaner_limits(*shared_.config);
  cleaner_ = std::make_unique<cleaner::LogCleaner>(std::move(cleaner));
  cleaner_->start();
}

void ShardParts::apply_broker_configs(const metadata::ImageDelta& delta) {
  const auto is_of_a_broker = [](const metadata::ConfigResource& r) {
    return r.type == metadata::ResourceType::broker;
  };
  if (std::none_of(delta.configs.begin(), delta.configs.end(), is_of_a_broker)) return apply_throttle(delta, nullptr);
  const auto& image = *context_.image;
  const auto now =
      common::config::with_dynamic(*shared_.config,
                                   common::config::lookup_in(image.config(
                                       metadata::ResourceType::broker, std::to_string(shared_.config->node_id.value))),
                                   common::config::lookup_in(image.config(metadata::ResourceType::broker, "")));
  apply_throttle(delta, &now);
  if (!cleaner_) return;
  cleaner_->set_limits(cleaner_limits(now));
  shared_.cleaner_turns->set_at_a_time(now.cleaner_threads);  // the same from each shard
}

// `changed`: what holds for this broker now, if something may.
void ShardParts::apply_throttle(const metadata::ImageDelta& delta, const common::config::BrokerConfig* changed) {
  if (changed != nullptr) shared_.send_throttle->set_rate(changed->leader_throttled_rate);  // the same from each shard
  bool is_another = changed != nullptr;
  for (const metadata::ConfigResource& resource : delta.configs) {
    if (resource.type != metadata::ResourceType::topic) continue;
    const metadata::ConfigMap& settings = context_.image->config(resource);
    const auto list_of = [&](std::string_view key) {
      const auto list = settings.find(key);
      return list == settings.end() ? std::string_view() : std::string_view(list->second);
    };
    throttled_.set(resource.name, list_of("leader.replication.throttled.replicas"));
    throttled_followers_.set(resource.name, list_of("follower.replication.throttled.replicas"));
    is_another = true;
  }
  is_another = apply_follower_throttles(delta) || is_another;
  if (is_another && leader_) leader_->on_throttle_changed();
}

// What each of a follower's leaders may send it changes with every partition that is in sync, or led elsewhere. True:
// it is another one than before. The same from each shard.
bool ShardParts::apply_follower_throttles(const metadata::ImageDelta& delta) {
  if (!follower_shares_.follow(*context_.image, delta, throttled_followers_)) return false;
  shared_.follower_throttles->set_rates(follower_shares_.shares());
  return true;
}

bool ShardParts::is_throttled(const replication::ThrottledReplicas& named, const common::model::TopicIdPartition& id,
                              BrokerId broker) const {
  if (named.empty()) return false;
  const metadata::TopicImage* topic = context_.image->topic_by_id(id.topic_id);
  return topic != nullptr && named.contain(topic->name, id.partition, broker);
}

void ShardParts::on_peer_lost(BrokerId id) {
  constexpr std::chrono::seconds attempts_apart{2};  // at most: more than a connect timeout and a pause
  const common::Instant now = shard_.now();
  const auto last = unreached_at_.find(id);
  if (last == unreached_at_.end() || now - last->second > attempts_apart) context_.lost_peers[id] = now;
  unreached_at_[id] = now;
}

void ShardParts::on_registered(BrokerEpoch epoch) {
  if (!leader_) return;  // the streams have ended: this broker is stopping
  leader_->set_broker_epoch(epoch);
  follower_->set_broker_epoch(epoch);
  replicas_->set_broker_epoch(epoch);
}

void ShardParts::on_image(controller::quorum::ImagePtr image, controller::quorum::DeltaPtr delta) {
  context_.image = image;
  if (!delta->brokers.empty()) follower_->on_brokers_changed();
  replicas_->on_image(image, delta);
  apply_broker_configs(*delta);
  image_changed_.pulse();
  if (index_ == 0) {
    const bool settings = std::any_of(delta->configs.begin(), delta->configs.end(), [](const auto& resource) {
      return resource.type == metadata::ResourceType::broker;
    });
    if (settings && shared_.on_broker_configs) shared_.on_broker_configs(*image);
    for (const auto& [id, name] : delta->deleted_topics) shared_.groups->on_topic_deleted(name, id);
  }
}

void ShardParts::stop_streams() {
  replicas_->set_stream_activity({});  // asks the leader, and the replicas tick until they are closed
  if (cleaner_) cleaner_->stop();
  replicas_->remove_listener(*follower_);
  replicas_->remove_listener(*leader_);
  follower_.reset();
  leader_.reset();
}

}  // namespace broker
