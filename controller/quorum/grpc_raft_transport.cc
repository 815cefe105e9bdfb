#include "controller/quorum/grpc_raft_transport.h"

#include "controller/quorum/peer_link.h"

namespace controller::quorum {

GrpcRaftTransport::GrpcRaftTransport(common::Shard& shard, RaftService& service, TransportIdentity identity,
                                     common::Logger logger, LinkTimes times)
    : shard_(shard), service_(service), identity_(std::move(identity)), logger_(std::move(logger)), times_(times) {}

GrpcRaftTransport::~GrpcRaftTransport() = default;

void GrpcRaftTransport::listen(Events events) {
  events_ = std::move(events);
  InboundSink sink;
  sink.on_hello = [this](const raft::NodeKey& from, const raft::Endpoint& endpoint) {
    // Whoever reaches us can be reached there, and has a fresher idea of its address than we have.
    if (endpoint.port != 0) set_peer(from.id, endpoint);
    if (events_.on_endpoint) events_.on_endpoint(from.id, endpoint);
  };
  sink.on_message = [this](uint64_t session, uint64_t sequence, const raft::Message& message) {
    if (filter_.accept(message.from, session, sequence)) events_.on_message(message);
  };
  service_.open(identity_, std::move(sink));
}

void GrpcRaftTransport::send(const raft::Message& message) {
  const auto link = links_.find(message.to.id);
  if (link != links_.end()) link->second->send(message);
}

void GrpcRaftTransport::set_peer(BrokerId peer, const raft::Endpoint& endpoint) {
  if (PeerLink* link = link_to(peer, endpoint)) link->prefer(endpoint);
}

void GrpcRaftTransport::add_fallback(BrokerId peer, const raft::Endpoint& endpoint) {
  if (PeerLink* link = link_to(peer, endpoint)) link->fall_back_on(endpoint);
}

PeerLink* GrpcRaftTransport::link_to(BrokerId peer, const raft::Endpoint& endpoint) {
  if (peer == identity_.self.id || endpoint.host.empty() || endpoint.port == 0) return nullptr;
  auto& link = links_[peer];
  if (!link) {
    PeerLink::Callbacks callbacks;
    callbacks.on_connected = [this, peer] { events_.on_connected(peer); };
    callbacks.on_gone = [this, peer] { events_.on_gone(peer); };
    link = std::make_shared<PeerLink>(shard_, identity_, peer, times_, std::move(callbacks),
                                      logger_.with(fmt::format("peer {}", peer)));
    link->prefer(endpoint);
    link->start();
  }
  return link.get();
}

void GrpcRaftTransport::stop(std::function<void()> done) {
  service_.close();
  const auto left = std::make_shared<size_t>(links_.size());
  if (*left == 0) return done();
  for (auto& [peer, link] : links_) {
    link->stop([left, done] {
      if (--*left == 0) done();
    });
  }
  links_.clear();
}

}  // namespace controller::quorum
