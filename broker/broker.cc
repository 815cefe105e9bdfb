#include "broker/broker.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <random>

#include <grpcpp/impl/service_type.h>

#include "broker/api/handler.h"
#include "broker/arrivals.h"
#include "broker/broker_core.h"
#include "broker/http/service.h"
#include "broker/peer_listener.h"
#include "broker/process.h"
#include "broker/replication/grpc_fetch_service.h"
#include "broker/replication/http2_fetch.h"
#include "broker/server/server.h"
#include "common/clock.h"
#include "common/config/topic_config.h"
#include "common/disk/kernel_disk.h"
#include "common/log_set_up.h"
#include "common/model/address_text.h"
#include "common/net/networks.h"
#include "controller/quorum/grpc_controller_wire.h"
#include "controller/quorum/grpc_server.h"
#include "controller/quorum/raft_service.h"
#include "kafka/api_versions.h"
#include "kafka/metadata.h"

namespace broker {
namespace {

namespace metadata = controller::metadata;
namespace quorum = controller::quorum;
using common::config::BrokerConfig;
using common::model::Result;

// Fresh randomness of this process: incarnation, member ids, jitter.
class DeviceRandom final : public common::model::Random {
 public:
  uint64_t next() override { return (static_cast<uint64_t>(device_()) << 32) | device_(); }

 private:
  std::random_device device_;
};

common::LogLevel level_of(const std::string& text) {
  if (text == "debug" || text == "trace") return common::LogLevel::debug;
  if (text == "warn") return common::LogLevel::warn;
  if (text == "error") return common::LogLevel::error;
  if (text == "off") return common::LogLevel::off;
  return common::LogLevel::info;
}

// What cannot be had is said with the setting that asks for it.
common::model::Unexpected because_of(const std::string& setting, common::model::Error error) {
  error.message = fmt::format("{}: {}", setting, error.message);
  return common::model::Unexpected(std::move(error));
}

// Kafka's images give advertised.listeners only, and what to bind follows from it.
std::string listeners_setting(const BrokerConfig& config) {
  for (const char* key : {"listeners", "advertised.listeners"}) {
    if (const auto given = config.given.find(key); given != config.given.end())
      return fmt::format("{}={}", key, given->second);
  }
  return "listeners is not set";
}

std::unique_ptr<common::disk::Disk> kernel_disk(common::disk::DiskPool& pool, common::Shard& shard, size_t descriptors) {
  return common::disk::make_kernel_disk(
      pool, [&shard](std::function<void()> f) { shard.post(std::move(f)); }, {.descriptors_max = descriptors});
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

template <class T>
common::Awaitable<void> finish(common::Awaitable<T> work, std::shared_ptr<std::promise<T>> done) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(work);
    done->set_value();
  } else {
    done->set_value(co_await std::move(work));
  }
}
template <class T>
std::future<T> begin(common::Shard& shard, common::Awaitable<T> work) {
  const auto done = std::make_shared<std::promise<T>>();
  shard.spawn("broker step", finish(std::move(work), done));
  return done->get_future();
}

// The core with the kernel, gRPC and threads beneath it.
class Broker {
 public:
  Broker(const BrokerConfig& config, Lifeline& lifeline, uint64_t descriptors, common::Logger log)
      : config_(config),
        lifeline_(lifeline),
        shard_count_(config.shards > 0 ? config.shards : default_shards(usable_cpus())),
        descriptors_(plan_descriptors(descriptors, shard_count_)),
        log_(std::move(log)) {}
  ~Broker() { stop(); }

  Result<void> start();
  void stop();
  // Of health, metrics and the page; 0: there is none.
  [[nodiscard]] uint16_t http_port() const { return http_ ? http_->port() : 0; }

 private:
  void make_shards();
  void make_core();
  Result<void> listen();
  Result<void> start_http();
  Result<void> start_peer_server();
  Result<void> run_start();
  void let_clients_in();
  [[nodiscard]] common::Shard& home() const { return *shards_.front(); }
  [[nodiscard]] std::vector<metadata::Listener> advertised() const;
  [[nodiscard]] server::ConnectionCounts connection_counts(const BrokerConfig& config) const;
  void on_broker_configs(const metadata::MetadataImage& image);
  void watch_arrival(const server::InFlight& request, const metadata::MetadataImage* image);
  void name_the_silent(const metadata::MetadataImage* image);

  const BrokerConfig& config_;
  Lifeline& lifeline_;
  const int shard_count_;
  const DescriptorPlan descriptors_;
  common::Logger log_;
  common::SystemClock clock_;
  DeviceRandom random_;
  common::disk::DiskPool disk_pool_{{}};
  common::disk::DiskPool metadata_pool_{{.sync_threads = 1, .read_threads = 1}};

  // Threads first: everything else dies before them.
  std::unique_ptr<common::Shard> controller_shard_;
  std::vector<std::unique_ptr<common::Shard>> shards_;
  std::unique_ptr<common::Shard> http_shard_;

  std::unique_ptr<common::disk::Disk> metadata_disk_;
  quorum::GrpcControllerWire controller_wire_;
  std::unique_ptr<quorum::RaftService> raft_service_;
  std::unique_ptr<grpc::Service> fetch_service_;
  std::unique_ptr<replication::FetchTransport> fetch_transport_;
  std::unique_ptr<http::Service> http_;  // null: switched off; hears the quorum, so it outlives the core
  std::unique_ptr<BrokerCore> core_;
  std::unique_ptr<quorum::GrpcServer> peer_server_;
  std::unique_ptr<PeerListener> peer_listener_;
  Arrivals arrivals_;
  std::unique_ptr<server::Server> server_;
  bool stopped_ = false;
};

Result<void> Broker::start() {
  make_shards();
  make_core();
  // 1. The directories: locked, identified, how their last run ended. Nothing is written to a log yet.
  Result<void> opened;
  run_on(home(), [&] { opened = core_->open_directories(); });
  if (!opened) return opened;
  // 2. Client ports, so that a taken port is found before anything else is done; nobody is accepted yet.
  if (auto done = listen(); !done) return done;
  // Health can be asked from here on: a start may take long.
  if (auto done = start_http(); !done) return done;
  // 3. The port for the other brokers; then the core finds its cluster, recovers its logs and registers.
  if (auto done = start_peer_server(); !done) return done;
  if (auto done = run_start(); !done) return done;
  let_clients_in();
  return {};
}

void Broker::make_shards() {
  const int count = shard_count_;
  controller_shard_ = common::make_thread_shard(count, clock_, "controller");
  for (int i = 0; i < count; ++i) shards_.push_back(common::make_thread_shard(i, clock_, fmt::format("shard-{}", i)));
}

void Broker::make_core() {
  metadata_disk_ = kernel_disk(metadata_pool_, *controller_shard_, descriptors_.files_per_shard);
  raft_service_ = std::make_unique<quorum::RaftService>(*controller_shard_, log_.with("quorum"));
  fetch_transport_ = replication::make_http2_fetch_transport();
  BrokerHost host;
  host.random = &random_;
  host.controller_shard = controller_shard_.get();
  for (const auto& shard : shards_) host.shards.push_back(shard.get());
  host.make_disk = [this](common::Shard& shard) {
    return kernel_disk(disk_pool_, shard, descriptors_.files_per_shard);
  };
  host.metadata_disk = metadata_disk_.get();
  host.raft_wire = raft_service_.get();
  host.controller_wire = &controller_wire_;
  host.fetch_transport = fetch_transport_.get();
  host.listen = [this](quorum::RaftListener& runtime) { return http_ ? &http_->tap(runtime) : &runtime; };
  host.on_broker_configs = [this](const metadata::MetadataImage& image) { on_broker_configs(image); };
  host.on_refused = [this](const std::string& why) { lifeline_.give_up(why); };
  host.on_fatal = [this](const std::string& why) { end_now(log_, why); };
  core_ = std::make_unique<BrokerCore>(config_, std::move(host), log_);
}

Result<void> Broker::start_peer_server() {
  const auto& peer = config_.peer_listeners.front();
  auto listener = PeerListener::listen(home(), peer.host, peer.port, log_);
  if (!listener) return because_of(listeners_setting(config_), std::move(listener.error()));
  peer_listener_ = std::move(*listener);
  quorum::GrpcServerOptions options;
  options.listens = false;
  options.memory_bytes_max = static_cast<size_t>(config_.peer_memory_bytes);
  constexpr size_t few_shards = 2;
  options.one_poller = shards_.size() <= few_shards;
  peer_server_ = std::make_unique<quorum::GrpcServer>(std::move(options));
  core_->make_controller(advertised());
  std::vector<replication::ShardAcceptor> acceptors;
  for (size_t i = 0; i < shards_.size(); ++i) {
    acceptors.push_back({.shard = shards_[i].get(), .acceptor = &core_->acceptor(i)});
  }
  fetch_service_ = replication::make_grpc_fetch_service(acceptors);
  peer_server_->add(controller_wire_.service());
  peer_server_->add(*fetch_service_);
  peer_server_->add(*raft_service_);
  if (auto done = peer_server_->start(); !done) return done;
  run_on(home(), [&] {
    peer_listener_->start(std::move(acceptors), [this](int descriptor) { peer_server_->take(descriptor); });
  });
  return {};
}

// Tells the assembling thread, which waits at the lifeline, that the start is over.
common::Awaitable<Result<void>> tell(Lifeline& lifeline, std::atomic<bool>& is_over, common::Awaitable<Result<void>> work) {
  Result<void> result = co_await std::move(work);
  is_over = true;
  lifeline.wake();
  co_return result;
}

Result<void> Broker::run_start() {
  std::atomic<bool> is_over = false;
  std::future<Result<void>> started = begin(home(), tell(lifeline_, is_over, core_->start()));
  if (!lifeline_.wait([&is_over] { return is_over.load(); })) core_->end_start();
  return started.get();
}

Result<void> Broker::listen() {
  std::vector<common::Shard*> shards;
  std::vector<server::Dispatch> dispatch;
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards.push_back(shards_[i].get());
    dispatch.push_back([this, i](server::InFlight& request) {
      watch_arrival(request, core_->context(i).image.get());
      return api::dispatch(core_->context(i), request);
    });
  }
  server::ServerLimits limits;
  limits.connection.frame_bytes_max = static_cast<uint32_t>(config_.request_max_bytes);
  limits.connection.idle_max = config_.connections_max_idle.value_or(std::chrono::hours(24 * 365));
  limits.request_memory_bytes = static_cast<uint64_t>(config_.request_memory_bytes);
  limits.response_memory_bytes = static_cast<uint64_t>(config_.response_memory_bytes);
  limits.counts = connection_counts(config_);
  limits.listen = {.backlog = config_.listen_backlog,
                   .receive_buffer = config_.socket_receive_buffer,
                   .send_buffer = config_.socket_send_buffer};
  server_ = std::make_unique<server::Server>(shards, limits, std::move(dispatch), log_);
  std::vector<server::ListenerSpec> specs;
  for (const auto& listener : config_.listeners) {
    specs.push_back({.name = listener.name, .host = listener.host, .port = listener.port});
  }
  auto listening = server_->listen(specs);
  if (!listening) return because_of(listeners_setting(config_), std::move(listening.error()));
  return {};
}

server::ConnectionCounts Broker::connection_counts(const BrokerConfig& config) const {
  server::ConnectionCounts counts;
  counts.in_all = std::min(static_cast<uint32_t>(config.max_connections), descriptors_.clients);
  counts.per_ip = static_cast<uint32_t>(config.max_connections_per_ip);
  for (const auto& [address, count] : config.max_connections_per_ip_overrides) {
    counts.of_single.emplace(address, static_cast<uint32_t>(count));
  }
  for (const auto& [listener, count] : config.max_connections_of_listener) {
    counts.of_listener.emplace(listener, static_cast<uint32_t>(count));
  }
  return counts;
}

// What may change while brokers run, beside the topics' defaults (ConfiguredTopics).
void Broker::on_broker_configs(const metadata::MetadataImage& image) {
  const auto one = image.config(metadata::ResourceType::broker, std::to_string(config_.node_id.value));
  const auto all = image.config(metadata::ResourceType::broker, "");
  server_->set_connection_counts(connection_counts(
      common::config::with_dynamic(config_, common::config::lookup_in(one), common::config::lookup_in(all))));
}

// A client that asks for addresses and never comes there is named once.
void Broker::watch_arrival(const server::InFlight& request, const metadata::MetadataImage* image) {
  name_the_silent(image);
  kafka::Reader reader(request.frame());
  const int16_t key = reader.i16();
  const bool asks = key == kafka::MetadataRequest::api_key;
  if (key == kafka::ApiVersionsRequest::api_key || (!asks && !arrivals_.watching())) return;
  reader.i16();
  reader.i32();
  const std::string client_id = reader.nullable_string(false).value_or("");
  if (!reader.status("request header")) return;  // dispatch says so
  const server::ConnectionInfo& connection = request.connection();
  if (!asks) return arrivals_.arrived(connection.peer.host, client_id, connection.software);
  const auto told =
      std::ranges::find(config_.advertised_listeners, connection.listener, &common::config::Listener::name);
  const bool is_told = told != config_.advertised_listeners.end();
  // Whose silence would say something: the address by which it came here is one that it reaches.
  Arrivals::Connection stands;
  if (is_told && (told->host != connection.local.host || told->port != connection.local.port))
    stands = connection.software;
  const auto stranger = arrivals_.asked(connection.peer.host, client_id, clock_.now(), std::move(stands));
  if (!stranger) return;
  const std::string where =
      is_told ? common::model::address_text(told->host, told->port) + ", as advertised.listeners says"
              : common::model::address_text(connection.local.host, connection.local.port) + ", by which it came here";
  log_.warn(
      "client '{}' at {} asked {} times in {} s where the brokers are, and never came: it most likely cannot reach "
      "what it is told (of this broker: {}); advertised.listeners must hold addresses that clients reach",
      client_id, connection.peer.host, stranger->times,
      std::chrono::duration_cast<std::chrono::seconds>(stranger->within).count(), where);
}

// Where this is the only broker, whoever goes where it is told comes here. With others, it may be with them. Whatever
// request comes next, as that of a health check does, is the occasion to look.
void Broker::name_the_silent(const metadata::MetadataImage* image) {
  if (!arrivals_.watching() || image == nullptr || image->brokers().size() != 1) return;
  for (const Arrivals::Silent& client : arrivals_.silent(clock_.now())) {
    std::vector<std::string> told;
    for (const common::config::Listener& listener : config_.advertised_listeners)
      told.push_back(common::model::address_text(listener.host, listener.port));
    log_.warn(
        "client '{}' at {} asked {} s ago where the brokers are, and never came: unless it has nothing to do, it "
        "cannot reach what it is told ({}, as advertised.listeners says)",
        client.client_id, client.host, std::chrono::duration_cast<std::chrono::seconds>(client.since).count(),
        fmt::join(told, ", "));
  }
}

Result<void> Broker::start_http() {
  if (config_.http_port < 0) return {};
  http_shard_ = common::make_thread_shard(shard_count_ + 1, clock_, "http");
  http::ProcessParts parts;
  parts.config = &config_;
  parts.progress = &core_->start_progress();
  parts.here = http_shard_.get();
  parts.controller_shard = controller_shard_.get();
  for (const auto& shard : shards_) parts.shards.push_back(shard.get());
  parts.clients = server_.get();
  http_ = std::make_unique<http::Service>(std::move(parts), log_.with("http"));
  if (auto listening = http_->listen(); !listening) {
    const std::string host = config_.http_host.empty() ? "" : fmt::format("naru.http.host={}, ", config_.http_host);
    return because_of(fmt::format("{}naru.http.port={}", host, config_.http_port), std::move(listening.error()));
  }
  http_->start();
  log_.info("health, metrics and the page on port {}", http_->port());
  return {};
}

std::vector<metadata::Listener> Broker::advertised() const {
  const std::vector<std::string> networks = common::net::interface_networks();
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
    const bool anywhere = shown.host.empty();
    listeners.push_back(shown);
    if (!anywhere) continue;
    // Behind it under the same name, by address and prefix, where it is reached from inside a network: for the clients
    // of the other brokers (ClusterView::host_of).
    for (const std::string& network : networks) {
      shown.host = network;
      listeners.push_back(shown);
    }
  }
  // Clients of Kafka's protocol never see it: they are told the listener that they came in on.
  if (http_) listeners.push_back(http_->advertised());
  return listeners;
}

void Broker::let_clients_in() {
  if (http_) http_->set_serving(core_->looked_at());
  server_->start();
  for (const auto& listener : config_.listeners) {
    log_.info("{} listens on {}", listener.name,
              common::model::address_text(listener.host.empty() ? "*" : listener.host, server_->port(listener.name)));
  }
}

void Broker::stop() {
  if (std::exchange(stopped_, true)) return;
  if (core_ && !lifeline_.failure()) begin(home(), core_->leave()).wait();
  if (server_) server_->stop();
  if (http_) http_->stop();
  if (peer_listener_) run_on(home(), [this] { peer_listener_->stop(); });
  if (core_) begin(home(), core_->end_streams()).wait();
  if (peer_server_) peer_server_->stop();
  if (core_) begin(home(), core_->close_logs()).wait();
  for (const auto& shard : shards_) {
    run_on(*shard, [] {});  // what the streams posted last
    common::stop_shard(*shard);
  }
  if (http_shard_) common::stop_shard(*http_shard_);
  if (controller_shard_) {
    run_on(*controller_shard_, [] {});
    common::stop_shard(*controller_shard_);
  }
  // A topic of many gigabytes that was just deleted would hold up the next start of this broker.
  disk_pool_.leave_removals();
  log_.info("stopped");
}

// What only the start needed lies free between what stays: the command line's parser alone leaves 400 KB. malloc gives
// back by itself only what is at the end of its heaps.
void give_back_memory_of_the_start() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

int run(const BrokerConfig& given, const std::vector<std::string>& warnings) {
  BrokerConfig config = given;
  const std::optional<std::string> fitted = fit_memory(config, read_cgroup("memory.max"));
  Lifeline& lifeline = Lifeline::watch_signals();
  const Result<void> logs = common::set_up_logging(
      level_of(config.log_level), config.log_format == "json" ? common::LogFormat::json : common::LogFormat::text,
      config.log_file);
  const common::Logger log(fmt::format("b{}", config.node_id));
  if (!logs) {
    log.error("naru.log.file={}: {}", config.log_file, logs.error().message);
    return 1;
  }
  const uint64_t descriptors = prepare_process(log);
  for (const std::string& warning : warnings) log.warn("{}", warning);
  if (fitted) log.info("{}", *fitted);
  tell_service_manager("STATUS=recovers its logs and joins the cluster");
  Broker broker(config, lifeline, descriptors, log);
  if (auto started = broker.start(); !started) {
    const auto why = why_not_started(started.error().message, lifeline.failure());
    if (!why) return 0;  // told to end before it was up
    log.error("{}", *why);
    return 1;
  }
  log.info("ready");
  // X_ marks what is no word of systemd's own: `naru dev` tells its caller where the page is.
  const uint16_t page = broker.http_port();
  tell_service_manager(
      fmt::format("READY=1\nSTATUS=serves clients{}", page == 0 ? "" : fmt::format("\nX_NARU_PAGE_PORT={}", page)));
  give_back_memory_of_the_start();
  lifeline.wait_for_end();
  if (const auto failure = lifeline.failure()) {
    log.error("{}", *failure);
    return 1;
  }
  log.info("told to end: leaders move to the other brokers");
  tell_service_manager("STOPPING=1\nSTATUS=hands its leaderships over");
  broker.stop();
  return 0;
}

}  // namespace

int run_broker(const BrokerConfig& given, const std::vector<std::string>& warnings) {
  const int code = run(given, warnings);
  // Who has not taken the log would not let exit() flush it either.
  if (!common::drain_log()) ::_exit(code);
  return code;
}

}  // namespace broker
