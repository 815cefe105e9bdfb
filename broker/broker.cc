#include "broker/broker.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <random>

#include <grpcpp/impl/service_type.h>

#include "broker/api/handler.h"
#include "broker/config_schema.h"
#include "broker/controller_settings.h"
#include "broker/group/service/group_service.h"
#include "broker/process.h"
#include "broker/quorum_node.h"
#include "broker/replication/grpc_fetch_service.h"
#include "broker/replication/grpc_fetch_transport.h"
#include "broker/server/server.h"
#include "broker/shard_parts.h"
#include "common/clock.h"
#include "common/config/config_load.h"
#include "common/log/log_directory.h"
#include "common/model/mutant.h"
#include "controller/quorum/controller_node.h"
#include "controller/quorum/grpc_server.h"

namespace broker {
namespace {

namespace metadata = controller::metadata;
namespace quorum = controller::quorum;
using common::config::BrokerConfig;
using common::model::BrokerEpoch;
using common::model::BrokerId;
using common::model::DirectoryId;
using common::model::mutant;
using common::model::Result;
using common::model::Uuid;

// Fresh randomness of this process: incarnation, member ids, jitter.
class DeviceRandom final : public common::model::Random {
 public:
  uint64_t next() override { return (static_cast<uint64_t>(device_()) << 32) | device_(); }

 private:
  std::random_device device_;
};

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

common::LogLevel level_of(const std::string& text) {
  if (text == "debug" || text == "trace") return common::LogLevel::debug;
  if (text == "warn") return common::LogLevel::warn;
  if (text == "error") return common::LogLevel::error;
  return common::LogLevel::info;
}

// Runs `f` on `shard` and waits for it.
template <class F>
void run_on(common::Shard& shard, F f) {
  std::promise<void> done;
  shard.post([&] {
    f();
    done.set_value();
  });
  done.get_future().wait();
}

common::Awaitable<void> finish(common::Awaitable<void> work, std::promise<void>& done) {
  co_await std::move(work);
  done.set_value();
}
void run_to_end(common::Shard& shard, common::Awaitable<void> work) {
  std::promise<void> done;
  shard.spawn("broker step", finish(std::move(work), done));
  done.get_future().wait();
}

// The fetch service exists before the gRPC server starts, the shards' replication only once the cluster is known.
class LateAcceptor final : public replication::FollowerAcceptor {
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
class ShardPulse {
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

class Broker {
 public:
  Broker(const BrokerConfig& config, Lifeline& lifeline, common::Logger log)
      : config_(config), lifeline_(lifeline), log_(std::move(log)), topics_(config) {}
  ~Broker() { stop(); }

  Result<void> start();
  void stop();

 private:
  Result<void> open_directories();
  void make_shards();
  Result<void> start_peer_server();
  Result<void> find_cluster();
  Result<void> open_logs();
  Result<void> listen();
  Result<void> wait_until_serving();
  void leave_in_order();

  [[nodiscard]] Uuid cluster_id() const { return quorum_ ? quorum_->cluster_id() : Uuid{}; }
  [[nodiscard]] std::optional<BrokerEpoch> epoch() const { return controller_->epoch(); }
  [[nodiscard]] quorum::SessionOptions session_options();
  [[nodiscard]] quorum::SessionHooks session_hooks();
  void on_registered(BrokerEpoch epoch);
  std::vector<metadata::Listener> advertised() const;
  static common::Awaitable<void> answer_log_ends(Broker* self, std::vector<metadata::LogEndQuery> queries,
                                                 std::function<void(std::vector<metadata::LogEnd>)> answer);

  const BrokerConfig& config_;
  Lifeline& lifeline_;
  common::Logger log_;
  common::SystemClock clock_;
  DeviceRandom random_;
  ConfiguredTopics topics_;
  common::disk::DiskPool disk_pool_{{}};

  // Threads first: everything else dies before them.
  std::unique_ptr<common::Shard> controller_shard_;
  std::vector<std::unique_ptr<common::Shard>> shards_;
  std::unique_ptr<common::model::SeededRandom> controller_random_;

  std::unique_ptr<common::disk::Disk> start_disk_;  // of the first shard; directories are opened with it
  std::vector<std::unique_ptr<common::log::LogDirectory>> opened_;
  std::vector<DirectoryId> directory_ids_;
  std::optional<BrokerEpoch> previous_epoch_;

  std::unique_ptr<quorum::GrpcServer> peer_server_;
  TableSchema schema_;
  std::unique_ptr<quorum::ControllerNode> controller_;
  std::unique_ptr<QuorumNode> quorum_;
  std::vector<std::unique_ptr<LateAcceptor>> acceptors_;
  std::unique_ptr<grpc::Service> fetch_service_;
  std::unique_ptr<replication::FetchTransport> fetch_transport_;
  std::unique_ptr<group::GroupService> groups_;
  SharedParts shared_;
  std::vector<std::unique_ptr<ShardParts>> parts_;
  std::unique_ptr<partition::Directories> directories_;
  std::unique_ptr<partition::PartitionRouter> router_;
  std::unique_ptr<ShardPulse> pulse_;
  std::vector<std::shared_ptr<void>> subscriptions_;  // by shard; each dies on its shard
  std::unique_ptr<server::Server> server_;
  bool corrupt_logs_ = false;
  bool serving_ = false;
  bool stopped_ = false;
};

Result<void> Broker::start() {
  make_shards();
  // 1. The directories: locked, identified, how their last run ended. Nothing is written to a log yet.
  if (auto done = open_directories(); !done) return done;
  // 2. Client ports, so that a taken port is found before anything else is done; nobody is accepted yet.
  if (auto done = listen(); !done) return done;
  // 3. The port for the other brokers, then the quorum: it forms or finds the cluster.
  if (auto done = start_peer_server(); !done) return done;
  if (auto done = find_cluster(); !done) return done;
  // 4. The logs are recovered; from begin_run on they may be written (R70).
  if (auto done = open_logs(); !done) return done;
  // 5. Registered; then clients are let in.
  return wait_until_serving();
}

void Broker::make_shards() {
  const int count = config_.shards > 0 ? config_.shards : usable_cpus();
  controller_shard_ = common::make_thread_shard(count, clock_, "controller");
  for (int i = 0; i < count; ++i) shards_.push_back(common::make_thread_shard(i, clock_, fmt::format("shard-{}", i)));
  controller_random_ = std::make_unique<common::model::SeededRandom>(random_.next());
}

Result<void> Broker::open_directories() {
  common::Shard& first = *shards_.front();
  start_disk_ = common::disk::make_kernel_disk(disk_pool_, [&first](std::function<void()> f) { first.post(std::move(f)); });
  for (const std::string& path : config_.log_dirs) {
    auto opened = common::log::LogDirectory::open(*start_disk_, path, log_);
    if (!opened) return tl::unexpected(opened.error());
    opened_.push_back(std::move(*opened));
  }
  std::vector<const common::log::LogDirectory*> all;
  for (const auto& directory : opened_) all.push_back(directory.get());
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
                                 fmt::format("{} belongs to cluster {}, the configuration names cluster {}",
                                             directory->path(), identity->cluster_id, *config_.cluster_id));
    }
    directory_ids_.push_back(identity ? identity->directory_id
                                      : common::model::random_uuid(random_.next(), random_.next()));
  }
  return {};
}

Result<void> Broker::start_peer_server() {
  const auto& peer = config_.peer_listeners.front();
  quorum::GrpcServerOptions options;
  options.host = peer.host.empty() ? "::" : peer.host;
  options.port = peer.port;
  options.memory_bytes_max = static_cast<size_t>(config_.peer_memory_bytes);
  peer_server_ = std::make_unique<quorum::GrpcServer>(std::move(options));

  controller_ = std::make_unique<quorum::ControllerNode>(
      *controller_shard_,
      quorum::ControllerNodeOptions{.controller = controller_options(config_),
                                    .session = session_options(),
                                    .configured_endpoint = [this](BrokerId id) { return configured_endpoint(config_, id); }},
      schema_, *controller_random_,
      quorum::RuntimeHooks{.cluster_id = [this] { return cluster_id(); },
                           .on_fatal = [this](const std::string& why) { end_now(log_, why); }},
      session_hooks(), log_);
  peer_server_->add(controller_->service());
  std::vector<replication::ShardAcceptor> acceptors;
  for (const auto& shard : shards_) {
    acceptors_.push_back(std::make_unique<LateAcceptor>());
    acceptors.push_back({.shard = shard.get(), .acceptor = acceptors_.back().get()});
  }
  fetch_service_ = replication::make_grpc_fetch_service(std::move(acceptors));
  peer_server_->add(*fetch_service_);
  fetch_transport_ = replication::make_grpc_fetch_transport();

  std::vector<std::string> known_clusters;
  for (const auto& directory : opened_) {
    if (directory->identity()) known_clusters.push_back(directory->identity()->cluster_id);
  }
  const metadata::ClusterEndpoint self = peer_endpoint(config_, config_.peer_listeners.front().port);
  quorum_ = std::make_unique<QuorumNode>(
      QuorumNode::Options{.config = &config_,
                          .shard = controller_shard_.get(),
                          .random = controller_random_.get(),
                          .server = peer_server_.get(),
                          .listener = &controller_->listener(),
                          .log = log_,
                          .known_clusters = std::move(known_clusters),
                          .endpoint = {self.host, self.port},
                          .on_cluster_known = [this] { lifeline_.wake(); },
                          .on_refused = [this](const std::string& why) { lifeline_.give_up(why); }});
  controller_->attach(quorum_->raft());
  return peer_server_->start();
}

Result<void> Broker::find_cluster() {
  quorum_->start();
  if (!lifeline_.wait([this] { return !cluster_id().is_zero(); })) {
    return common::model::fail(common::model::ErrorCode::none, lifeline_.failure().value_or(""));
  }
  for (size_t i = 0; i < opened_.size(); ++i) {
    const auto& directory = opened_[i];
    common::log::DirectoryIdentity identity;
    identity.cluster_id = quorum_->cluster_name();
    identity.node_id = config_.node_id;
    identity.directory_id = directory_ids_[i];
    if (directory->identity() && directory->identity()->cluster_id != identity.cluster_id) {
      return common::model::fail(common::model::ErrorCode::inconsistent_cluster_id,
                                 fmt::format("{} belongs to cluster {}, this is cluster {}", directory->path(),
                                             directory->identity()->cluster_id, identity.cluster_id));
    }
    if (auto given = directory->give_identity(identity); !given) return given;
  }
  return {};
}

Result<void> Broker::open_logs() {
  shared_.config = &config_;
  shared_.log = log_;
  shared_.disk_pool = &disk_pool_;
  shared_.controller = &controller_->client();
  shared_.fetch_transport = fetch_transport_.get();
  shared_.topics = &topics_;
  shared_.cluster_id = cluster_id();
  shared_.broker_epoch = [this] { return epoch(); };
  shared_.isolated = [this] { return controller_->isolated(); };
  shared_.active_controller = [this] { return controller_->leader(); };
  shared_.report_lost = [this](BrokerId id) { controller_->report_lost(id); };
  shared_.random_seed = random_.next();

  const int count = static_cast<int>(shards_.size());
  group::GroupServiceOptions groups;
  for (const auto& shard : shards_) groups.shards.push_back(shard.get());
  groups.home_of = [count](const common::model::TopicIdPartition& id) {
    return partition::home_shard(id.topic_id, id.partition, count);
  };
  groups.config = {.session_timeout_min = config_.group_min_session_timeout,
                   .session_timeout_max = config_.group_max_session_timeout,
                   .initial_rebalance_delay = config_.group_initial_rebalance_delay,
                   .size_max = config_.group_max_size,
                   .offset_metadata_max = config_.offset_metadata_max_bytes,
                   .offsets_retention = config_.offsets_retention,
                   .expiry_check_interval = config_.offsets_retention_check_interval,
                   .write_timeout = config_.offsets_commit_timeout};
  groups.log = log_;
  groups_ = std::make_unique<group::GroupService>(std::move(groups), random_);
  shared_.groups = groups_.get();

  for (int i = 0; i < count; ++i) {
    parts_.push_back(std::make_unique<ShardParts>(*shards_[static_cast<size_t>(i)], i, count, shared_));
  }
  partition::DirectoriesOptions options;
  options.home = shards_.front().get();
  options.disk = start_disk_.get();
  options.random = &random_;
  options.logger = log_;
  options.high_watermark_interval = config_.high_watermark_checkpoint_interval;
  options.recovery_point_interval = config_.recovery_point_checkpoint_interval;
  options.low_space_bytes = static_cast<uint64_t>(config_.low_space_bytes);
  options.low_space_percent = config_.low_space_percent;
  options.on_failure = [this](const std::string& directory, const common::model::Error& error) {
    log_.error("{} has failed ({}): this broker asks to be taken out of service", directory, error.message);
    controller_->ask_to_be_fenced();
  };
  directories_ = std::make_unique<partition::Directories>(std::move(options), std::move(opened_));

  std::vector<partition::ReplicaManager*> managers;
  std::vector<common::Shard*> shards;
  Result<void> result;
  for (int i = 0; i < count; ++i) {
    ShardParts& part = *parts_[static_cast<size_t>(i)];
    run_on(part.shard(), [&] {
      part.make_replicas(*directories_);
      auto report = part.replicas().open_logs(directories_->found(i, count));
      if (!report) {
        result = tl::unexpected(report.error());
      } else if (!report->corrupt.empty()) {
        corrupt_logs_ = !mutant<"R72-keeps-its-claim-after-rot">();  // R72: what was acknowledged may be missing here
      }
    });
    if (!result) return result;
    managers.push_back(&part.replicas());
    shards.push_back(&part.shard());
  }
  run_on(*shards_.front(), [&] { result = directories_->begin_run(); });
  if (!result) return result;
  router_ = std::make_unique<partition::PartitionRouter>(shards, managers);
  for (size_t i = 0; i < parts_.size(); ++i) {
    run_on(parts_[i]->shard(), [&, i] {
      parts_[i]->connect(*router_);
      parts_[i]->replicas().start();
      acceptors_[i]->open(&parts_[i]->replication_leader());
    });
  }
  run_on(*shards_.front(), [&] { directories_->start(shards, managers); });
  pulse_ = std::make_unique<ShardPulse>(shards);
  for (const auto& part : parts_) {
    run_on(part->shard(), [&] { subscriptions_.push_back(controller_->publisher().subscribe(part->shard(), *part)); });
  }
  return {};
}

Result<void> Broker::listen() {
  std::vector<common::Shard*> shards;
  std::vector<server::Dispatch> dispatch;
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards.push_back(shards_[i].get());
    dispatch.push_back([this, i](server::InFlight& request) { return api::dispatch(parts_[i]->context(), request); });
  }
  server::ServerLimits limits;
  limits.connection.frame_bytes_max = static_cast<uint32_t>(config_.request_max_bytes);
  limits.connection.idle_max = config_.connections_max_idle.value_or(std::chrono::hours(24 * 365));
  limits.request_memory_bytes = static_cast<uint64_t>(config_.request_memory_bytes);
  limits.connections_max = static_cast<uint32_t>(config_.max_connections);
  limits.connections_per_ip_max = static_cast<uint32_t>(config_.max_connections_per_ip);
  server_ = std::make_unique<server::Server>(shards, limits, std::move(dispatch), log_);
  std::vector<server::ListenerSpec> specs;
  for (const auto& listener : config_.listeners) {
    specs.push_back({.name = listener.name, .host = listener.host, .port = listener.port});
  }
  return server_->listen(specs);
}

std::vector<metadata::Listener> Broker::advertised() const {
  std::vector<metadata::Listener> listeners;
  for (const auto& bound : config_.listeners) {
    metadata::Listener shown{.name = bound.name, .host = bound.host, .port = server_->port(bound.name)};
    for (const auto& told : config_.advertised_listeners) {
      if (told.name != bound.name) continue;
      shown.host = told.host;
      shown.port = told.port;
    }
    if (shown.host == "0.0.0.0" || shown.host == "::") shown.host.clear();  // each client is told what it can reach
    shown.security_protocol = static_cast<metadata::SecurityProtocol>(bound.protocol);
    listeners.push_back(std::move(shown));
  }
  return listeners;
}

void Broker::on_registered(BrokerEpoch epoch) {
  lifeline_.wake();
  shards_.front()->post([this, epoch] {
    for (const auto& directory : directories_->all()) {
      directory->note_broker_epoch(epoch, [this, path = directory->path()](Result<void> noted) {
        if (!noted) log_.warn("{}: the broker epoch was not noted: {}", path, noted.error().message);
      });
    }
  });
  for (const auto& part : parts_) {
    part->shard().post([part = part.get(), epoch] { part->on_registered(epoch); });
  }
}

common::Awaitable<void> Broker::answer_log_ends(Broker* self, std::vector<metadata::LogEndQuery> queries,
                                                std::function<void(std::vector<metadata::LogEnd>)> answer) {
  std::vector<metadata::LogEnd> ends;
  common::Shard& here = *self->controller_shard_;
  for (const metadata::LogEndQuery& query : queries) {
    auto found = co_await self->router_->on_home(here, query.partition, [](partition::Partition& p) { return p.position().ask; });
    if (!found) continue;  // no copy here: nothing to offer
    ends.push_back({.partition = query.partition,
                    .leader_epoch = query.leader_epoch,
                    .last_epoch = found->last_epoch,
                    .end = found->fetch_offset});
  }
  answer(std::move(ends));
}

quorum::SessionOptions Broker::session_options() {
  quorum::SessionOptions options;
  options.broker_id = config_.node_id;
  options.directories = directory_ids_;
  options.listeners = advertised();
  options.cluster_endpoint = peer_endpoint(config_, config_.peer_listeners.front().port);
  options.rack = config_.rack;
  options.previous_broker_epoch = previous_epoch_;
  options.incarnation_id = common::model::random_uuid(random_.next(), random_.next());
  options.heartbeat_interval = config_.heartbeat_interval;
  options.session_timeout = config_.session_timeout;
  return options;
}

quorum::SessionHooks Broker::session_hooks() {
  quorum::SessionHooks hooks;
  hooks.cluster_id = [this] { return cluster_id(); };
  hooks.progress = [this] { return pulse_->progress(controller_shard_->now()); };
  hooks.log_ends = [this](std::vector<metadata::LogEndQuery> queries, auto answer) {
    controller_shard_->spawn("log ends", answer_log_ends(this, std::move(queries), std::move(answer)));
  };
  hooks.on_registered = [this](BrokerEpoch registered) { on_registered(registered); };
  hooks.on_rejected = [this](const std::string& why) { lifeline_.give_up(why); };
  return hooks;
}

Result<void> Broker::wait_until_serving() {
  if (corrupt_logs_) controller_->report_damaged_logs();
  controller_->start();
  controller_->set_ready();
  // Clients are let in once this broker is registered: what they then ask can be answered.
  const bool served = lifeline_.wait([this] { return epoch().has_value(); });
  if (!served) return common::model::fail(common::model::ErrorCode::none, lifeline_.failure().value_or(""));
  serving_ = true;
  server_->start();
  for (const auto& listener : config_.listeners) {
    log_.info("{} listens on {}:{}", listener.name, listener.host.empty() ? "*" : listener.host, server_->port(listener.name));
  }
  return {};
}

void Broker::leave_in_order() {
  if (!serving_ || !config_.controlled_shutdown || lifeline_.failure()) return;
  // With the quorum gone nobody can take the leaderships over: then there is nothing to wait for.
  auto done = std::make_shared<std::promise<bool>>();
  std::future<bool> in_order = done->get_future();
  controller_->shut_down(clock_.now() + config_.controlled_shutdown_timeout, [done](bool ok) { done->set_value(ok); });
  std::chrono::milliseconds without_quorum{0};
  constexpr std::chrono::milliseconds step{50};
  while (in_order.wait_for(step) != std::future_status::ready && without_quorum < std::chrono::seconds(2)) {
    without_quorum = controller_->leader() ? std::chrono::milliseconds(0) : without_quorum + step;
  }
  const bool known = in_order.wait_for(std::chrono::milliseconds(0)) == std::future_status::ready;
  if (!known) {
    log_.warn("there is no controller: this broker ends without handing its leaderships over");
    return;
  }
  if (!in_order.get()) log_.warn("controlled shutdown ran out of time; leaders move once this broker is gone");
  std::promise<void> handed_over;
  controller_->hand_over([&handed_over] { handed_over.set_value(); });
  handed_over.get_future().wait();
}

void Broker::stop() {
  if (std::exchange(stopped_, true)) return;
  leave_in_order();
  if (server_) server_->stop();
  if (groups_) groups_->stop();
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (router_ == nullptr) break;
    run_on(parts_[i]->shard(), [&, i] {
      acceptors_[i]->open(nullptr);
      subscriptions_[i].reset();
      parts_[i]->stop_streams();
    });
  }
  if (controller_) controller_->close();
  if (quorum_) quorum_->stop();
  if (peer_server_) peer_server_->stop();
  if (router_ != nullptr) {
    Result<void> closed;
    std::promise<void> done;
    struct Close {
      static common::Awaitable<void> run(partition::Directories& directories, Result<void>& out) {
        out = co_await directories.close();
      }
    };
    run_to_end(*shards_.front(), Close::run(*directories_, closed));
    if (!closed) log_.warn("the next start will check the logs: {}", closed.error().message);
  }
  for (const auto& shard : shards_) {
    run_on(*shard, [] {});  // what the streams posted last
    common::stop_shard(*shard);
  }
  if (controller_shard_) {
    run_on(*controller_shard_, [] {});
    common::stop_shard(*controller_shard_);
  }
  log_.info("stopped");
}

}  // namespace

int run_broker(const BrokerConfig& config, const std::vector<std::string>& warnings) {
  Lifeline& lifeline = Lifeline::watch_signals();
  common::configure_logging(level_of(config.log_level),
                            config.log_format == "json" ? common::LogFormat::json : common::LogFormat::text,
                            config.log_file);
  const common::Logger log(fmt::format("b{}", config.node_id));
  prepare_process(log);
  for (const std::string& warning : warnings) log.warn("{}", warning);
  Broker broker(config, lifeline, log);
  if (auto started = broker.start(); !started) {
    if (started.error().message.empty()) return 0;  // told to end before it was up
    log.error("{}", started.error().message);
    return 1;
  }
  log.info("ready");
  lifeline.wait_for_end();
  if (const auto failure = lifeline.failure()) {
    log.error("{}", *failure);
    return 1;
  }
  log.info("told to end: leaders move to the other brokers");
  broker.stop();
  return 0;
}

}  // namespace broker
