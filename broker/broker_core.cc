#include "broker/broker_core.h"

#include <algorithm>

#include "broker/controller_settings.h"
#include "broker/kafka_directory.h"
#include "common/model/mutant.h"

namespace broker {

namespace metadata = controller::metadata;
namespace quorum = controller::quorum;
using common::Awaitable;
using common::model::BrokerEpoch;
using common::model::BrokerId;
using common::model::mutant;
using common::model::Result;
using common::model::Uuid;

// Followers may call before the shards' replication is there.
class BrokerCore::LateAcceptor final : public replication::FollowerAcceptor {
 public:
  void open(replication::FollowerAcceptor* target) { target_ = target; }  // on the shard
  replication::ToFollowerEvents* on_follower(const replication::FollowerHello& hello,
                                             std::unique_ptr<replication::ConnectionToFollower> connection) override {
    return target_ == nullptr ? nullptr : target_->on_follower(hello, std::move(connection));
  }

 private:
  replication::FollowerAcceptor* target_ = nullptr;
};

// Tells how long each shard has not come to a small piece of work (R32), without a timer.
class BrokerCore::ShardPulse {
 public:
  explicit ShardPulse(const std::vector<common::Shard*>& shards) {
    for (common::Shard* shard : shards) beats_.push_back(std::make_shared<Beat>(*shard));
  }
  // On the controller's shard.
  metadata::Progress progress(common::Instant now) {
    metadata::Progress progress;
    for (const auto& beat : beats_) {
      if (beat->answered.exchange(false)) {
        beat->asked_at = now;
        beat->shard.post([beat] { beat->answered = true; });
      } else {
        const auto stalled = std::chrono::duration_cast<std::chrono::milliseconds>(now - beat->asked_at);
        progress.append_stalled = std::max(progress.append_stalled, stalled);
      }
    }
    return progress;
  }

 private:
  struct Beat {
    explicit Beat(common::Shard& s) : shard(s) {}
    common::Shard& shard;
    common::Instant asked_at{};
    std::atomic<bool> answered{true};
  };
  std::vector<std::shared_ptr<Beat>> beats_;
};

BrokerCore::BrokerCore(const common::config::BrokerConfig& config, BrokerHost host, common::Logger log)
    : config_(config),
      host_(std::move(host)),
      log_(std::move(log)),
      topics_(config),
      controller_random_(std::make_unique<common::model::SeededRandom>(host_.random->next())),
      progress_(home()) {
  for (size_t i = 0; i < host_.shards.size(); ++i) acceptors_.push_back(std::make_unique<LateAcceptor>());
}

// Coordinators hold their partitions, and these give back what they have in their shard's tail cache. A disk waits for
// its jobs, and those of the directories refer to them.
BrokerCore::~BrokerCore() {
  groups_.reset();
  start_disk_.reset();
}

replication::FollowerAcceptor& BrokerCore::acceptor(size_t shard) {
  return *acceptors_[shard];
}

Uuid BrokerCore::cluster_id() const {
  return quorum_ ? quorum_->cluster_id() : Uuid{};
}

template <class F>
Awaitable<void> BrokerCore::run_on(common::Shard& shard, F f) {
  common::Shard& here = home();
  if (&shard != &here) co_await common::hop(shard);
  f();
  if (&shard != &here) co_await common::hop(here);
}

// ---- what start() waits for ----

void BrokerCore::wake() {
  home().post([this] { progress_.pulse(); });
}

void BrokerCore::refuse(const std::string& why) {
  host_.on_refused(why);
  home().post([this, why] {
    refusal_ = why;
    progress_.pulse();
  });
}

void BrokerCore::end_start() {
  home().post([this] {
    ending_ = true;
    progress_.pulse();
  });
}

Awaitable<bool> BrokerCore::until_or_ended(std::function<bool()> condition) {
  while (!condition()) {
    if (ending_ || refusal_) co_return false;
    co_await common::until(progress_);
  }
  co_return true;
}

Awaitable<Result<void>> BrokerCore::start() {
  using Stage = http::StartProgress::Stage;
  start_progress_.stage = Stage::finding_quorum;
  if (auto found = co_await find_cluster(); !found) co_return found;
  start_progress_.stage = Stage::recovering;
  // The logs are recovered; from begin_run on they may be written (R70).
  if (auto opened = co_await open_logs(); !opened) co_return opened;
  start_progress_.stage = Stage::registering;
  co_return co_await register_broker();
}

// ---- directories and identity ----

Result<void> BrokerCore::open_directories() {
  start_disk_ = host_.make_disk(home());
  if (auto ours = refuse_directories_of_kafka(*start_disk_, config_); !ours) return ours;
  for (const std::string& path : config_.log_dirs) {
    auto opened = common::log::LogDirectory::open(*start_disk_, path, log_);
    if (!opened) {
      const bool singular = !config_.given.contains("log.dirs") && config_.given.contains("log.dir");
      return common::model::fail(opened.error().code, fmt::format("{}={}: {}", singular ? "log.dir" : "log.dirs", path,
                                                                  opened.error().message));
    }
    opened_.push_back(std::move(*opened));
  }
  std::vector<const common::log::LogDirectory*> all;
  for (const auto& directory : opened_) all.push_back(directory.get());
  take_back_what_returned();
  if (auto once = common::log::check_each_partition_once(all); !once) return once;
  if (const auto lost = common::log::lost_partitions(all); !lost.empty()) {
    // R44: the others must not take an empty copy for what this broker had.
    log_.error("{}{} had records here and is in none of log.dirs any more: this broker starts as after a loss",
               lost.front(), lost.size() > 1 ? fmt::format(" (and {} more)", lost.size() - 1) : "");
    if (!mutant<"R44-a-partition-that-is-gone-is-no-loss">())
      for (const auto& directory : opened_) directory->forget_previous_epoch();
  }
  previous_epoch_ = common::log::agreed_previous_epoch(all);
  for (const auto& directory : opened_) {
    const auto& identity = directory->identity();
    if (identity && identity->node_id != config_.node_id) {
      return common::model::fail(common::model::ErrorCode::invalid_config,
                                 fmt::format("{} belongs to broker {}, this is broker {} (node.id). Give each broker a "
                                             "directory of its own",
                                             directory->path(), identity->node_id, config_.node_id));
    }
    if (identity && config_.cluster_id && identity->cluster_id != *config_.cluster_id) {
      return common::model::fail(common::model::ErrorCode::inconsistent_cluster_id,
                                 fmt::format("naru.cluster.id={}: {} belongs to cluster {}", *config_.cluster_id,
                                             directory->path(), identity->cluster_id));
    }
    directory_ids_.push_back(identity ? identity->directory_id
                                      : common::model::random_uuid(host_.random->next(), host_.random->next()));
  }
  return {};
}

// A disk is mounted again. No more is claimed for what is back than was when it was missing (R44).
void BrokerCore::take_back_what_returned() {
  stale_ = common::log::make_way(opened_);
  if (stale_.empty()) return;
  log_.warn("{} lies in two of log.dirs: {} is worth less and set aside{}", stale_.front().partition,
            stale_.front().path, stale_.size() > 1 ? fmt::format(" (and {} more)", stale_.size() - 1) : "");
  for (const auto& directory : opened_) directory->forget_previous_epoch();
}

void BrokerCore::make_controller(std::vector<metadata::Listener> listeners) {
  controller_ = std::make_unique<quorum::ControllerNode>(
      *host_.controller_shard,
      quorum::ControllerNodeOptions{.controller = controller_options(config_),
                                    .session = session_options(std::move(listeners)),
                                    .configured_endpoint = [this](BrokerId id) { return configured_endpoint(config_, id); }},
      *host_.controller_wire, schema_, *controller_random_,
      quorum::RuntimeHooks{.cluster_id = [this] { return cluster_id(); }, .on_fatal = host_.on_fatal}, session_hooks(),
      log_);
  controller_->when_leader_changes([this] { start_progress_.has_controller = controller_->leader().has_value(); });
  std::vector<std::string> known_clusters;
  for (const auto& directory : opened_) {
    if (directory->identity()) known_clusters.push_back(directory->identity()->cluster_id);
  }
  const metadata::ClusterEndpoint self = peer_endpoint(config_, config_.peer_listeners.front().port);
  quorum::RaftListener& runtime = controller_->listener();
  quorum_ = std::make_unique<QuorumNode>(QuorumNode::Options{.config = &config_,
                                                             .shard = host_.controller_shard,
                                                             .random = controller_random_.get(),
                                                             .disk = host_.metadata_disk,
                                                             .wire = host_.raft_wire,
                                                             .listener = host_.listen ? host_.listen(runtime) : &runtime,
                                                             .log = log_,
                                                             .known_clusters = std::move(known_clusters),
                                                             .endpoint = {self.host, self.port},
                                                             .on_cluster_known = [this] { wake(); },
                                                             .on_refused = [this](const std::string& why) { refuse(why); }});
  controller_->attach(quorum_->raft());
}

Awaitable<Result<void>> BrokerCore::find_cluster() {
  quorum_->start();
  const bool known = co_await until_or_ended([this] { return !cluster_id().is_zero(); });
  if (!known) co_return common::model::fail(common::model::ErrorCode::none, refusal_.value_or(""));
  co_return give_identities();
}

Result<void> BrokerCore::give_identities() {
  // Nothing is written anywhere before all of them are known to be of this cluster.
  for (const auto& directory : opened_) {
    if (!directory->identity() || directory->identity()->cluster_id == quorum_->cluster_name()) continue;
    return common::model::fail(common::model::ErrorCode::inconsistent_cluster_id,
                               fmt::format("{} belongs to cluster {}, this is cluster {}", directory->path(),
                                           directory->identity()->cluster_id, quorum_->cluster_name()));
  }
  common::log::note_if_less(opened_);  // R46: first, as a directory with an identity is none that is new
  common::log::set_aside(stale_, *host_.random, log_);
  for (size_t i = 0; i < opened_.size(); ++i) {
    const auto& directory = opened_[i];
    common::log::DirectoryIdentity identity;
    identity.cluster_id = quorum_->cluster_name();
    identity.node_id = config_.node_id;
    identity.directory_id = directory_ids_[i];
    if (auto given = directory->give_identity(identity); !given) return given;
  }
  common::log::note_siblings(opened_);
  return {};
}

// ---- logs, replicas, coordinators ----

void BrokerCore::collect_shared_parts() {
  shared_.config = &config_;
  shared_.log = log_;
  shared_.make_disk = host_.make_disk;
  shared_.controller = &controller_->client();
  shared_.fetch_transport = host_.fetch_transport;
  shared_.partition_listener = host_.partition_listener;
  shared_.topics = &topics_;
  shared_.cluster_id = cluster_id();
  shared_.broker_epoch = [this] { return epoch(); };
  shared_.isolated = [this] { return controller_->isolated(); };
  shared_.behind = [this] { return controller_->behind(); };
  shared_.has_lost_session = [this] { return controller_->has_lost_session(); };
  shared_.may_be_replaced = [this] { return controller_->may_be_replaced(); };
  shared_.active_controller = [this] { return controller_->leader(); };
  shared_.report_lost = [this](BrokerId id) {
    controller_->report_lost(id);
    for (const auto& part : parts_) part->shard().post([part = part.get(), id] { part->on_peer_lost(id); });
  };
  shared_.on_broker_configs = host_.on_broker_configs;
  shared_.on_log_opened = [this](const common::log::RecoveryReport& report) {
    ++start_progress_.logs_opened;
    start_progress_.scanned_bytes += report.scanned_bytes;
  };
  shared_.report_trouble = [this](int shard, metadata::ReplicaTrouble trouble) { on_trouble(shard, std::move(trouble)); };
  shared_.random_seed = host_.random->next();
  shared_.groups = groups_.get();
  cleaner_turns_ = std::make_unique<cleaner::CleanerTurns>(home(), config_.cleaner_threads);
  shared_.cleaner_turns = cleaner_turns_.get();
  send_throttle_.set_rate(config_.leader_throttled_rate);  // of the file; shards hear of changes only
  shared_.send_throttle = &send_throttle_;
  shared_.follower_throttles = &follower_throttles_;
}

void BrokerCore::make_groups() {
  group::GroupServiceOptions options;
  options.shards = host_.shards;
  options.home_of = [count = static_cast<int>(host_.shards.size())](const common::model::TopicIdPartition& id) {
    return partition::home_shard(id.topic_id, id.partition, count);
  };
  options.config = {.session_timeout_min = config_.group_min_session_timeout,
                    .session_timeout_max = config_.group_max_session_timeout,
                    .initial_rebalance_delay = config_.group_initial_rebalance_delay,
                    .size_max = config_.group_max_size,
                    .offset_metadata_max = config_.offset_metadata_max_bytes,
                    .offsets_retention = config_.offsets_retention,
                    .expiry_check_interval = config_.offsets_retention_check_interval,
                    .write_timeout = config_.offsets_commit_timeout};
  options.log = log_;
  groups_ = std::make_unique<group::GroupService>(std::move(options), *host_.random);
}

void BrokerCore::make_directories() {
  partition::DirectoriesOptions options;
  options.home = &home();
  options.disk = start_disk_.get();
  options.random = host_.random;
  options.logger = log_;
  options.high_watermark_interval = config_.high_watermark_checkpoint_interval;
  options.recovery_point_interval = config_.recovery_point_checkpoint_interval;
  options.log_start_interval = config_.log_start_checkpoint_interval;
  options.low_space_bytes = static_cast<uint64_t>(config_.low_space_bytes);
  options.low_space_percent = config_.low_space_percent;
  options.on_failure = [this](const std::string& directory, const common::model::Error& error) {
    if (directories_->usable() > 0) {
      log_.error("{} has failed ({}): its replicas are offline, the other directories go on", directory, error.message);
      return;
    }
    log_.error("{} has failed ({}), the last directory: this broker asks to be taken out of service", directory,
               error.message);
    controller_->ask_to_be_fenced();
  };
  directories_ = std::make_unique<partition::Directories>(std::move(options), std::move(opened_));
}

Awaitable<Result<void>> BrokerCore::open_logs_of(ShardParts& part, int index) {
  Result<void> result;
  co_await run_on(part.shard(), [&] {
    part.make_replicas(*directories_);
    auto report = part.replicas().open_logs(directories_->found(index, static_cast<int>(host_.shards.size())));
    if (!report) {
      result = tl::unexpected(report.error());
      return;
    }
    if (report->corrupt > 0) claims_ = partition::Claims::given_up;
    failed_directories_.merge(report->failed);
  });
  co_return result;
}

Awaitable<Result<void>> BrokerCore::open_logs() {
  make_groups();
  collect_shared_parts();
  const int count = static_cast<int>(host_.shards.size());
  for (int i = 0; i < count; ++i) {
    parts_.push_back(std::make_unique<ShardParts>(*host_.shards[static_cast<size_t>(i)], i, count, shared_));
  }
  make_directories();
  for (int i = 0; i < count; ++i) start_progress_.logs_found += directories_->found(i, count).size();
  std::vector<partition::ReplicaManager*> managers;
  for (int i = 0; i < count; ++i) {
    ShardParts& part = *parts_[static_cast<size_t>(i)];
    if (auto opened = co_await open_logs_of(part, i); !opened) co_return opened;
    managers.push_back(&part.replicas());
  }
  if (auto begun = directories_->begin_run(claims_, failed_directories_); !begun) co_return begun;
  co_await connect_shards(std::move(managers));
  co_return Result<void>();
}

Awaitable<void> BrokerCore::connect_shards(std::vector<partition::ReplicaManager*> managers) {
  router_ = std::make_unique<partition::PartitionRouter>(host_.shards, managers);
  for (size_t i = 0; i < parts_.size(); ++i) {
    co_await run_on(parts_[i]->shard(), [this, i] {
      parts_[i]->connect(*router_);
      parts_[i]->replicas().start();
      acceptors_[i]->open(&parts_[i]->replication_leader());
    });
  }
  directories_->start(host_.shards, managers);
  pulse_ = std::make_unique<ShardPulse>(host_.shards);
  for (const auto& part : parts_) {
    co_await run_on(part->shard(),
                    [&] { subscriptions_.push_back(controller_->publisher().subscribe(part->shard(), *part)); });
  }
}

// ---- the cluster ----

void BrokerCore::on_registered(BrokerEpoch epoch) {
  wake();
  directories_->note_broker_epoch(epoch);
  for (const auto& part : parts_) {
    part->shard().post([part = part.get(), epoch] { part->on_registered(epoch); });
  }
}

// Any shard; put together on the controller's.
void BrokerCore::on_trouble(int shard, metadata::ReplicaTrouble trouble) {
  host_.controller_shard->post([this, shard, trouble = std::move(trouble)]() mutable {
    troubles_[shard] = std::move(trouble);
    metadata::ReplicaTrouble all;
    for (const auto& [from, some] : troubles_) {
      all.failed.insert(some.failed.begin(), some.failed.end());
      all.low_on_space.insert(some.low_on_space.begin(), some.low_on_space.end());
      all.damaged.insert(some.damaged.begin(), some.damaged.end());
    }
    controller_->set_trouble(std::move(all));
  });
}

Awaitable<void> BrokerCore::answer_log_ends(BrokerCore* self, std::vector<metadata::LogEndQuery> queries,
                                            std::function<void(std::vector<metadata::LogEnd>)> answer) {
  std::vector<metadata::LogEnd> ends;
  common::Shard& here = *self->host_.controller_shard;
  for (const metadata::LogEndQuery& query : queries) {
    const int home = self->router_->home_of(query.partition);
    common::Shard& there = self->router_->shard(home);
    if (&there != &here) co_await common::hop(there);
    const auto found = self->router_->manager(home).end_of_copy(query.partition);
    if (&there != &here) co_await common::hop(here);
    if (!found) continue;  // no copy here: nothing to offer
    ends.push_back({.partition = query.partition,
                    .leader_epoch = query.leader_epoch,
                    .last_epoch = found->last_epoch,
                    .end = found->end,
                    .never_in_sync = found->never_in_sync});
  }
  answer(std::move(ends));
}

quorum::SessionOptions BrokerCore::session_options(std::vector<metadata::Listener> listeners) {
  quorum::SessionOptions options;
  options.broker_id = config_.node_id;
  options.directories = directory_ids_;
  options.listeners = std::move(listeners);
  options.cluster_endpoint = peer_endpoint(config_, config_.peer_listeners.front().port);
  options.rack = config_.rack;
  options.previous_broker_epoch = previous_epoch_;
  options.incarnation_id = common::model::random_uuid(host_.random->next(), host_.random->next());
  options.heartbeat_interval = config_.heartbeat_interval;
  options.session_timeout = config_.session_timeout;
  return options;
}

quorum::SessionHooks BrokerCore::session_hooks() {
  quorum::SessionHooks hooks;
  hooks.cluster_id = [this] { return cluster_id(); };
  hooks.progress = [this] {
    metadata::Progress progress = pulse_->progress(host_.controller_shard->now());
    for (const auto& part : parts_) {
      const partition::ReplicaManager& replicas = part->replicas();
      progress.sync_stalled = std::max(progress.sync_stalled, replicas.sync_stalled());
      progress.write_time = std::max(progress.write_time, replicas.write_time());
      progress.sync_time = std::max(progress.sync_time, replicas.sync_time());
    }
    return progress;
  };
  hooks.log_ends = [this](std::vector<metadata::LogEndQuery> queries, auto answer) {
    host_.controller_shard->spawn("log ends", answer_log_ends(this, std::move(queries), std::move(answer)));
  };
  hooks.on_registered = [this](BrokerEpoch registered) { on_registered(registered); };
  hooks.on_rejected = [this](const std::string& why) { refuse(why); };
  return hooks;
}

Awaitable<Result<void>> BrokerCore::register_broker() {
  // R72: what was acknowledged may be missing here.
  if (claims_ == partition::Claims::given_up) controller_->report_damaged_logs();
  controller_->start();
  controller_->set_ready();
  // Clients are let in once this broker is registered: what they then ask can be answered.
  const bool registered = co_await until_or_ended([this] { return epoch().has_value(); });
  if (!registered) co_return common::model::fail(common::model::ErrorCode::none, refusal_.value_or(""));
  serving_ = true;
  start_progress_.stage = http::StartProgress::Stage::serving;
  co_return Result<void>();
}

http::BrokerParts BrokerCore::looked_at() {
  http::BrokerParts parts;
  parts.controller = controller_.get();
  parts.raft = &quorum_->raft();
  for (const auto& part : parts_) {
    parts.contexts.push_back(&part->context());
    parts.replicas.push_back(&part->replicas());
    parts.cleaners.push_back(part->cleaner());
  }
  parts.router = router_.get();
  parts.directories = directories_.get();
  parts.groups = groups_.get();
  return parts;
}

// ---- the end ----

Awaitable<void> BrokerCore::leave() {
  start_progress_.stage = http::StartProgress::Stage::leaving;
  if (!serving_ || !config_.controlled_shutdown) co_return;
  // With the quorum gone nobody can take the leaderships over: then there is nothing to wait for.
  struct Leaving {
    explicit Leaving(common::Shard& shard) : ended(shard) {}
    bool in_order = false;
    common::Event ended;
  };
  common::Shard& here = home();
  const auto leaving = std::make_shared<Leaving>(here);
  controller_->shut_down(here.now() + config_.controlled_shutdown_timeout, [leaving, &here](bool ok) {
    here.post([leaving, ok] {
      leaving->in_order = ok;
      leaving->ended.set();
    });
  });
  common::Duration without_quorum{0};
  constexpr std::chrono::milliseconds step{50};
  while (!leaving->ended.is_set() && without_quorum < std::chrono::seconds(2)) {
    co_await common::until(leaving->ended, here.now() + step);
    without_quorum = controller_->leader() ? common::Duration(0) : without_quorum + step;
  }
  if (!leaving->ended.is_set()) {
    log_.warn("there is no controller: this broker ends without handing its leaderships over");
    co_return;
  }
  if (!leaving->in_order) log_.warn("controlled shutdown ran out of time; leaders move once this broker is gone");
  const auto handed_over = std::make_shared<common::Event>(here);
  controller_->hand_over([handed_over, &here] { here.post([handed_over] { handed_over->set(); }); });
  co_await common::until(*handed_over);
}

Awaitable<void> BrokerCore::end_streams() {
  if (groups_) groups_->stop();
  for (size_t i = 0; i < parts_.size() && router_ != nullptr; ++i) {
    co_await run_on(parts_[i]->shard(), [this, i] {
      acceptors_[i]->open(nullptr);
      if (i < subscriptions_.size()) subscriptions_[i].reset();
      parts_[i]->stop_streams();
    });
  }
  if (controller_) controller_->close();
  if (quorum_) co_await quorum_->stop(home());
}

Awaitable<void> BrokerCore::close_logs() {
  if (router_ == nullptr) co_return;
  const Result<void> closed = co_await directories_->close();
  if (!closed) log_.warn("the next start will check the logs: {}", closed.error().message);
}

}  // namespace broker
