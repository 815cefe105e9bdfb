#include "controller/quorum/controller_node.h"

#include "common/model/mutant.h"
#include "controller/quorum/forwarding_client.h"
#include "controller/quorum/session_server.h"
#include "controller/quorum/voter_watch.h"

namespace controller::quorum {
namespace {

constexpr int32_t nobody = -1;

}  // namespace

struct ControllerNode::Impl {
  Impl(common::Shard& s, ControllerNodeOptions options, ControllerWire& w, const metadata::ConfigSchema& schema,
       common::model::Random& random, RuntimeHooks runtime_hooks, SessionHooks session_hooks, const common::Logger& log)
      : shard(s),
        self(options.session.broker_id),
        configured_endpoint(std::move(options.configured_endpoint)),
        wire(w),
        prober(wire.make_prober(s)),
        voters(self, *prober),
        session_timeout(options.session.session_timeout),
        runtime(s, std::move(options.controller), schema, random, *prober, log.with("controller"), runtime_hooks),
        sessions(runtime, self, log.with("controller")),
        links(wire.make_links(s, {.self = self,
                                  .cluster_id = runtime_hooks.cluster_id,
                                  .endpoints = [this](BrokerId id) { return endpoints_of(id); }})),
        forwarding(s, runtime, *links, self, random),
        session(s, runtime, sessions, *links, std::move(options.session), watched(std::move(session_hooks)),
                log.with("session")) {
    wire.serve(s, runtime, sessions);
    runtime.when_leader_changes([this] {
      const auto who = runtime.leader();
      leader.store(who ? who->value : nobody, std::memory_order_release);
    });
  }

  // R112: a registration overrides the configuration, which is tried where the registered address does not answer.
  std::vector<metadata::ClusterEndpoint> endpoints_of(BrokerId id) const {
    std::vector<metadata::ClusterEndpoint> found;
    const metadata::BrokerImage* broker = runtime.image()->broker(id);
    if (broker != nullptr && !common::model::mutant<"R112-keeps-to-the-configuration">())
      found.push_back(broker->cluster_endpoint);
    if (const auto configured = configured_endpoint ? configured_endpoint(id) : std::nullopt) {
      if (found.empty() || found.front() != *configured) found.push_back(*configured);
    }
    return found;
  }

  SessionHooks watched(SessionHooks hooks) {
    hooks.on_turn = [this](common::Duration unconfirmed) { watch_voters(unconfirmed); };
    return hooks;
  }

  // Begins before the session is over, so that it is known by then.
  void watch_voters(common::Duration unconfirmed) {
    if (unconfirmed < session_timeout / 3) return voters.forget();
    if (raft == nullptr) return;
    voters.look(raft->describe().voters, [this](BrokerId id) -> std::optional<metadata::ClusterEndpoint> {
      const auto known = endpoints_of(id);
      return known.empty() ? std::nullopt : std::optional(known.front());
    });
  }

  common::Shard& shard;
  const BrokerId self;
  const std::function<std::optional<metadata::ClusterEndpoint>(BrokerId)> configured_endpoint;
  std::atomic<int32_t> leader{nobody};
  Raft* raft = nullptr;
  ControllerWire& wire;
  std::unique_ptr<Prober> prober;
  VoterWatch voters;
  const common::Duration session_timeout;
  ControllerRuntime runtime;
  SessionServer sessions;
  std::unique_ptr<ControllerLinks> links;
  ForwardingClient forwarding;
  BrokerSession session;
};

ControllerNode::ControllerNode(common::Shard& shard, ControllerNodeOptions options, ControllerWire& wire,
                               const metadata::ConfigSchema& schema, common::model::Random& random,
                               RuntimeHooks runtime_hooks, SessionHooks session_hooks, common::Logger log)
    : impl_(std::make_unique<Impl>(shard, std::move(options), wire, schema, random, std::move(runtime_hooks),
                                   std::move(session_hooks), log)) {}
ControllerNode::~ControllerNode() = default;

RaftListener& ControllerNode::listener() {
  return impl_->runtime;
}
void ControllerNode::attach(Raft& raft) {
  impl_->raft = &raft;
  impl_->runtime.attach(raft);
}

void ControllerNode::report_damaged_logs() {
  impl_->shard.post([impl = impl_.get()] { impl->session.report_damaged_logs(); });
}
void ControllerNode::start() {
  impl_->shard.post([impl = impl_.get()] { impl->session.start(); });
}
void ControllerNode::set_ready() {
  impl_->shard.post([impl = impl_.get()] { impl->session.set_ready(); });
}
void ControllerNode::ask_to_be_fenced() {
  impl_->shard.post([impl = impl_.get()] { impl->session.ask_to_be_fenced(); });
}
void ControllerNode::set_trouble(metadata::ReplicaTrouble trouble) {
  impl_->shard.post(
      [impl = impl_.get(), trouble = std::move(trouble)]() mutable { impl->session.set_trouble(std::move(trouble)); });
}
void ControllerNode::report_lost(BrokerId id) {
  impl_->shard.post([impl = impl_.get(), id] { impl->session.report_lost(id); });
}
void ControllerNode::shut_down(Instant deadline, std::function<void(bool)> done) {
  impl_->shard.post(
      [impl = impl_.get(), deadline, done = std::move(done)] { impl->session.shut_down(deadline, done); });
}
void ControllerNode::hand_over(std::function<void()> done) {
  impl_->shard.post([impl = impl_.get(), done = std::move(done)] {
    if (!impl->raft->is_leader()) return done();
    impl->raft->transfer_leadership(std::nullopt, [done](const Result<void>&) { done(); });
  });
}
void ControllerNode::close() {
  impl_->wire.close();
}

ControllerClient& ControllerNode::client() {
  return impl_->forwarding;
}
MetadataPublisher& ControllerNode::publisher() {
  return impl_->runtime.publisher();
}
std::optional<BrokerEpoch> ControllerNode::epoch() const {
  return impl_->session.epoch();
}
bool ControllerNode::isolated() const {
  return impl_->session.isolated();
}
bool ControllerNode::behind() const {
  return impl_->session.behind();
}
bool ControllerNode::has_lost_session() const {
  return impl_->session.has_lost_session();
}
bool ControllerNode::may_be_replaced() const {
  return impl_->session.behind() || (impl_->session.isolated() && impl_->voters.others_may_decide());
}
bool ControllerNode::in_service() const {
  return impl_->session.in_service();
}
ControllerMeasures ControllerNode::measures() const {
  return impl_->runtime.measures();
}
void ControllerNode::when_leader_changes(std::function<void()> f) {
  impl_->runtime.when_leader_changes(std::move(f));
}

std::optional<BrokerId> ControllerNode::leader() const {
  const int32_t id = impl_->leader.load(std::memory_order_acquire);
  return id == nobody ? std::nullopt : std::optional(BrokerId{id});
}

}  // namespace controller::quorum
