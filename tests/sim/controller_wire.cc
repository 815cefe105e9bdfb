#include "sim/wires.h"

namespace sim {

using common::model::BrokerId;
using common::model::ErrorCode;
using common::model::fail;
using common::model::Result;
using common::net::ProbeResult;
namespace metadata = controller::metadata;

namespace {

constexpr auto probe_timeout = std::chrono::milliseconds(300);

}  // namespace

class SimControllerWire::Prober final : public quorum::Prober {
 public:
  Prober(WireSite site, SimShard& shard) : site_(std::move(site)), shard_(shard) {}
  void probe(const metadata::ProbeOrder& order, std::function<void(metadata::ProbeResult)> done) override {
    const Host to = site_.resolve(order.endpoint.host);
    site_.network->probe(site_.host, site_.process, to, probe_timeout, [&shard = shard_, done](ProbeResult result) {
      on_shard(shard, [&] {
        done(result == ProbeResult::refused     ? metadata::ProbeResult::refused
             : result == ProbeResult::connected ? metadata::ProbeResult::connected
                                                : metadata::ProbeResult::no_answer);
      });
    });
  }

 private:
  WireSite site_;
  SimShard& shard_;
};

// ---- sessions ----

// What both ends share.
struct SimControllerWire::Session {
  WireSite site;  // the broker's
  SimShard* shard = nullptr;
  quorum::SessionEvents events;
  bool gone = false;     // the broker let go, or was told of the end
  bool reached = false;  // anything was heard
  std::shared_ptr<Pipe> pipe;
  bool stands = false;  // as the broker knows
  std::vector<std::pair<uint64_t, quorum::SessionUp>> early;  // sent before the connection stood
  std::function<void()> on_unreached;
  // The controller's end, used in its own process only.
  SimShard* server_shard = nullptr;
  quorum::SessionServer* server = nullptr;
  quorum::SessionServer::Session id = 0;

  void closed(const std::string& why) {
    if (std::exchange(gone, true)) return;
    if (!reached && on_unreached) on_unreached();
    const auto on_closed = events.on_closed;
    on_shard(*shard, [&] { on_closed(why); });
  }
};

class SimControllerWire::Port final : public quorum::SessionPort {
 public:
  explicit Port(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  void send(uint64_t sequence, quorum::SessionDown message) override {
    session_->pipe->send(Pipe::acceptor, [s = session_, sequence, message = std::move(message)]() mutable {
      s->reached = true;
      if (s->gone) return;
      const auto on_message = s->events.on_message;
      on_shard(*s->shard, [&] { on_message(sequence, std::move(message)); });
    });
  }
  void close() override {
    session_->pipe->close(Pipe::acceptor);
    // As the end of the call, which comes after everything that was received before.
    session_->server_shard->post([s = session_] { s->server->on_closed(s->id); });
  }

 private:
  std::shared_ptr<Session> session_;
};

class SimControllerWire::Stream final : public quorum::SessionStream {
 public:
  explicit Stream(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  ~Stream() override {
    session_->gone = true;
    if (session_->pipe) session_->pipe->close(Pipe::opener);
  }
  void send(uint64_t sequence, quorum::SessionUp message) override {
    if (!session_->stands) {
      session_->early.emplace_back(sequence, std::move(message));
      return;
    }
    deliver(session_, sequence, std::move(message));
  }
  static void deliver(const std::shared_ptr<Session>& session, uint64_t sequence, quorum::SessionUp message) {
    auto arrive = [s = session, sequence, message = std::move(message)] {
      if (s->server == nullptr) return;
      on_shard(*s->server_shard, [&] { s->server->on_message(s->id, sequence, message); });
    };
    send_perhaps_twice(*session->pipe, Pipe::opener, session->site.repeat_chance, std::move(arrive));
  }

 private:
  std::shared_ptr<Session> session_;
};

// In the controller's process: a broker has opened a session.
void SimControllerWire::accept_session(const std::shared_ptr<Session>& session) {
  if (sessions_ == nullptr || closed_) return session->pipe->close(Pipe::acceptor);
  session->server = sessions_;
  session->server_shard = &shard_;
  session->pipe->on_closed(Pipe::acceptor, [s = session] {
    on_shard(*s->server_shard, [&] { s->server->on_closed(s->id); });
  });
  on_shard(shard_, [&] { session->id = sessions_->open(std::make_shared<Port>(session)); });
}

// ---- calls ----

struct SimControllerWire::Call {
  WireSite site;
  SimShard* shard = nullptr;
  std::shared_ptr<Pipe> pipe;
  metadata::ControllerRequest request;
  common::model::Uuid cluster_id;
  common::Duration timeout{};
  std::function<void(Result<quorum::Reply>)> done;
  std::function<void()> on_unreached;
  bool answered = false;

  void answer(Result<quorum::Reply> reply) {
    if (std::exchange(answered, true)) return;
    if (!reply && on_unreached) on_unreached();
    on_shard(*shard, [&] { done(std::move(reply)); });
    if (pipe) pipe->close(Pipe::opener);
  }
};

void SimControllerWire::accept_call(const std::shared_ptr<Call>& call) {
  const std::shared_ptr<Pipe> pipe = call->pipe;
  const auto refuse = [&](const char* why) {
    pipe->send(Pipe::acceptor, [call, why] { call->answer(fail(ErrorCode::network_exception, why)); });
  };
  if (runtime_ == nullptr || closed_) return refuse("this broker is stopping");
  on_shard(shard_, [&] {
    const auto& ours = runtime_->image()->cluster_id();
    if (!ours.is_zero() && call->cluster_id != ours) return refuse("another cluster");
    runtime_->handle(call->request, shard_.now() + call->timeout, [call, pipe](quorum::Reply reply) {
      pipe->send(Pipe::acceptor, [call, reply = std::move(reply)] { call->answer(reply); });
    });
  });
}

// ---- the broker's end ----

class SimControllerWire::Links final : public quorum::ControllerLinks {
 public:
  Links(WireSite site, SimShard& shard, quorum::LinksOptions options)
      : site_(std::move(site)), shard_(shard), options_(std::move(options)) {}

  std::unique_ptr<quorum::SessionStream> open_session(BrokerId controller, quorum::SessionEvents events) override {
    auto session = std::make_shared<Session>();
    session->site = site_;
    session->shard = &shard_;
    session->events = std::move(events);
    session->on_unreached = counting(controller);
    const auto to = choose(controller);
    if (!to) {
      shard_.post([session] { session->closed("the controller's address is not known"); });
      return std::make_unique<Stream>(session);
    }
    site_.network->connect(
        site_.host, site_.process, *to,
        [session, to = *to](const std::shared_ptr<Pipe>& pipe) {
          session->pipe = pipe;
          const auto there = session->site.services(to);
          if (!there || there->controller == nullptr) return pipe->close(Pipe::acceptor);
          there->controller->accept_session(session);
        },
        [session](ProbeResult result, const std::shared_ptr<Pipe>& pipe) {
          if (!pipe) return session->closed(std::string(common::net::to_string(result)));
          session->pipe = pipe;
          session->stands = true;
          if (session->gone) return pipe->close(Pipe::opener);
          pipe->on_closed(Pipe::opener, [session] { session->closed("closed by the controller"); });
          for (auto& [sequence, message] : std::exchange(session->early, {}))
            Stream::deliver(session, sequence, std::move(message));
        });
    return std::make_unique<Stream>(session);
  }

  void call(BrokerId controller, const metadata::ControllerRequest& request, const metadata::RequestOrigin&,
            common::Instant deadline, std::function<void(Result<quorum::Reply>)> done) override {
    const auto to = choose(controller);
    if (!to) {
      return shard_.post([done = std::move(done)] {
        quorum::Reply reply;
        reply.answer = metadata::Refused{{ErrorCode::not_controller, "the controller's address is not known"}, false};
        done(std::move(reply));
      });
    }
    auto call = std::make_shared<Call>();
    call->site = site_;
    call->shard = &shard_;
    call->request = request;
    call->cluster_id = options_.cluster_id();
    call->timeout = std::max<common::Duration>(deadline - shard_.now(), common::Duration(0));
    call->done = std::move(done);
    call->on_unreached = counting(controller);
    site_.network->world().after(call->timeout + std::chrono::milliseconds(100), site_.process.get(), [call] {
      call->answer(fail(ErrorCode::network_exception, "deadline exceeded"));
    });
    site_.network->connect(
        site_.host, site_.process, *to,
        [call, to = *to](const std::shared_ptr<Pipe>& pipe) {
          call->pipe = pipe;
          const auto there = call->site.services(to);
          if (!there || there->controller == nullptr) return pipe->close(Pipe::acceptor);
          there->controller->accept_call(call);
        },
        [call](ProbeResult result, const std::shared_ptr<Pipe>& pipe) {
          if (!pipe) return call->answer(fail(ErrorCode::network_exception, std::string(common::net::to_string(result))));
          pipe->on_closed(Pipe::opener, [call] { call->answer(fail(ErrorCode::network_exception, "reset")); });
        });
  }

 private:
  std::optional<Host> choose(BrokerId controller) {
    const auto candidates = options_.endpoints(controller);
    if (candidates.empty()) return std::nullopt;
    const Host host = site_.resolve(candidates[failures_[controller] % candidates.size()].host);
    return host < 0 ? std::nullopt : std::optional(host);
  }
  std::function<void()> counting(BrokerId controller) {
    return [this, controller, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) ++failures_[controller];
    };
  }

  WireSite site_;
  SimShard& shard_;
  const quorum::LinksOptions options_;
  std::map<BrokerId, size_t> failures_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

std::unique_ptr<quorum::Prober> SimControllerWire::make_prober(common::Shard&) {
  return std::make_unique<Prober>(site_, shard_);
}

std::unique_ptr<quorum::ControllerLinks> SimControllerWire::make_links(common::Shard&, quorum::LinksOptions options) {
  return std::make_unique<Links>(site_, shard_, std::move(options));
}

void SimControllerWire::serve(common::Shard&, quorum::ControllerRuntime& runtime, quorum::SessionServer& sessions) {
  runtime_ = &runtime;
  sessions_ = &sessions;
}

void SimControllerWire::close() {
  shard_.post([this] {
    closed_ = true;
    if (sessions_ != nullptr) sessions_->close_all();
  });
}

}  // namespace sim
