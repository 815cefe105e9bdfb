#include "broker/http/service.h"

#include <charconv>
#include <future>

#include "broker/api/context.h"
#include "broker/api/last_change.h"
#include "broker/http/console.h"
#include "broker/http/gather.h"
#include "broker/http/health.h"
#include "broker/http/metrics.h"
#include "broker/server/server.h"
#include "common/config/config.h"

namespace broker::http {

using common::Awaitable;
using common::model::Result;

namespace {

std::string host_of(const common::config::BrokerConfig& config) {
  if (!config.http_host.empty() || config.listeners.empty()) return config.http_host;
  return config.listeners.front().host;
}

}  // namespace

struct Service::Impl {
  Impl(ProcessParts given, common::Logger logger)
      : process(std::move(given)),
        log(std::move(logger)),
        health(process),
        console(process, lag_meter),
        idle(*process.here),
        server(
            *process.here, limits(*process.config),
            [this](std::shared_ptr<const Request> r) { return route(std::move(r)); }, log) {
    console.timeline().set_last_change(&last_change);
    server.on_stop([this] { console.stop(); });
  }

  static ServerLimits limits(const common::config::BrokerConfig& config) {
    ServerLimits limits;
    limits.connections_max = static_cast<size_t>(config.http_max_connections);
    limits.streams_max = limits.connections_max / 2;
    return limits;
  }

  Awaitable<Response> route(std::shared_ptr<const Request> request) {
    if (request->path == "/livez") co_return co_await health.livez();
    if (request->path == "/readyz") co_return co_await health.readyz();
    if (request->path == "/healthz") co_return co_await health.healthz();
    if (request->path == "/metrics") co_return co_await metrics(request);
    if (auto answer = co_await console.answer(request)) co_return std::move(*answer);
    co_return refuse(404, "there is nothing at this path; see /metrics, /livez, /readyz, /healthz");
  }

  [[nodiscard]] int broker_state() const {
    using Stage = StartProgress::Stage;
    switch (process.progress->stage.load()) {
      case Stage::recovering:
        return 2;
      case Stage::serving:
        return 3;
      case Stage::leaving:
        return 6;
      default:
        return 1;
    }
  }

  // One look at a time: two scrapers at once do not double the work on the shards.
  Awaitable<Response> metrics(std::shared_ptr<const Request> request) {
    while (std::exchange(looking, true)) co_await common::until(idle);
    MetricsInput in;
    in.node_id = process.config->node_id.value;
    in.broker_state = broker_state();
    in.version = NARU_VERSION;
    in.process = sample_process();
    const server::ServerStats stats = process.clients->stats();
    in.connections = {.accepted = stats.accepted, .refused = stats.refused, .listeners = {}};
    for (const auto& of : stats.listeners) in.connections.listeners.push_back({of.name, of.connections, of.accepted});
    in.controllers_seen = console.timeline().controllers_seen();
    in.sessions_lost = console.timeline().sessions_lost();
    in.partitions_max = request->parameter("detail") == "partition"
                            ? SIZE_MAX
                            : static_cast<size_t>(process.config->metrics_partitions_max);
    BrokerSample sample;
    std::vector<GroupLag> lags;
    if (broker) {
      sample = co_await gather(process, *broker);
      lags = co_await lag_meter.measure(process, *broker, sample);
      in.broker = &sample;
      in.lags = &lags;
    }
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = page.render(in);
    looking = false;
    idle.pulse();
    co_return response;
  }

  const ProcessParts process;
  const common::Logger log;
  std::unique_ptr<BrokerParts> broker;  // null: does not serve yet
  Health health;
  MetricsPage page;
  LagMeter lag_meter;
  api::LastChange last_change;
  Console console;
  std::unique_ptr<TimelineTap> tap;
  common::Event idle;
  bool looking = false;
  Server server;
};

Service::Service(ProcessParts process, common::Logger log)
    : impl_(std::make_unique<Impl>(std::move(process), std::move(log))) {}

Service::~Service() {
  stop();
}

Result<void> Service::listen() {
  const common::config::BrokerConfig& config = *impl_->process.config;
  const auto wanted = static_cast<uint16_t>(config.http_port);
  const std::string host = host_of(config);
  Result<void> listening = impl_->server.listen(host, wanted);
  if (listening || config.given.contains("naru.http.port")) return listening;
  constexpr uint16_t neighbours = 100;
  for (uint16_t port = wanted + 1; !listening && port < wanted + neighbours; ++port)
    listening = impl_->server.listen(host, port);
  return listening;
}

uint16_t Service::port() const {
  return impl_->server.port();
}

controller::metadata::Listener Service::advertised() const {
  const common::config::BrokerConfig& config = *impl_->process.config;
  controller::metadata::Listener listener{.name = http_listener_name, .host = host_of(config), .port = port()};
  if (const size_t colon = config.http_advertised.rfind(':'); colon != std::string::npos) {
    listener.host = colon == 0 ? any_host : config.http_advertised.substr(0, colon);
    std::from_chars(config.http_advertised.data() + colon + 1,
                    config.http_advertised.data() + config.http_advertised.size(), listener.port);
  }
  if (listener.host == "0.0.0.0" || listener.host == "::") listener.host.clear();
  return listener;
}

controller::quorum::RaftListener& Service::tap(controller::quorum::RaftListener& runtime) {
  impl_->tap = std::make_unique<TimelineTap>(runtime, *impl_->process.here, impl_->console.timeline());
  return *impl_->tap;
}

void Service::start() {
  impl_->server.start();
}

void Service::set_serving(BrokerParts parts) {
  std::promise<void> done;
  impl_->process.here->post([&] {
    impl_->broker = std::make_unique<BrokerParts>(std::move(parts));
    impl_->health.set_serving(impl_->broker.get());
    impl_->console.set_serving(impl_->broker.get());
    done.set_value();
  });
  done.get_future().wait();
  // The service outlives the broker's core, whose requests look there.
  for (api::BrokerContext* context : impl_->broker->contexts) {
    context->shard->post([context, last_change = &impl_->last_change] { context->last_change = last_change; });
  }
}

void Service::stop() {
  impl_->server.stop();
}

}  // namespace broker::http
