#include "controller/quorum/peer_transport.h"

#include <utility>

#include "controller/quorum/peer_link.h"

namespace controller::quorum {

std::string refuse_hello(const TransportIdentity& self, const RaftHello& hello) {
  if (hello.cluster_id != self.cluster_id)
    return fmt::format("it belongs to cluster {}, this node to {}", hello.cluster_id, self.cluster_id);
  if (hello.to != self.self.id) return fmt::format("it looks for node {}, this is node {}", hello.to, self.self.id);
  if (hello.from.id == self.self.id) return fmt::format("it calls itself node {} as well", self.self.id);
  if (hello.versions.min > raft::raft_version || hello.versions.max < raft::raft_version)
    return fmt::format("it speaks versions {} to {}, this node {}", hello.versions.min, hello.versions.max,
                       raft::raft_version);
  return {};
}

PeerTransport::PeerTransport(common::Shard& shard, RaftWire& wire, TransportIdentity identity, common::Logger logger,
                             LinkTimes times)
    : shard_(shard), wire_(wire), identity_(std::move(identity)), logger_(std::move(logger)), times_(times) {}

PeerTransport::~PeerTransport() = default;

void PeerTransport::listen(Events events) {
  events_ = std::move(events);
  InboundSink sink;
  sink.on_hello = [this](const raft::NodeKey& from, const raft::Endpoint& endpoint) {
    // Whoever reaches us can be reached there, and has a fresher idea of its address than we have.
    if (endpoint.port != 0) set_peer(from.id, endpoint);
    note_heard(from.id);
    if (events_.on_endpoint) events_.on_endpoint(from.id, endpoint);
    return filter_.newest_session(from);
  };
  sink.on_message = [this](uint64_t session, uint64_t sequence, const raft::Message& message) {
    if (!filter_.accept(message.from, session, sequence)) return;
    note_heard(message.from.id);  // its stream may have stood for hours where ours cannot
    events_.on_message(message);
  };
  wire_.open(identity_, std::move(sink));
}

void PeerTransport::note_heard(BrokerId peer) {
  if (const auto link = links_.find(peer); link != links_.end()) link->second->note_heard();
}

void PeerTransport::send(const raft::Message& message) {
  const auto link = links_.find(message.to.id);
  if (link != links_.end()) link->second->send(message);
}

void PeerTransport::set_peer(BrokerId peer, const raft::Endpoint& endpoint) {
  if (PeerLink* link = link_to(peer, endpoint)) link->prefer(endpoint);
}

void PeerTransport::add_fallback(BrokerId peer, const raft::Endpoint& endpoint) {
  if (PeerLink* link = link_to(peer, endpoint)) link->fall_back_on(endpoint);
}

PeerLink* PeerTransport::link_to(BrokerId peer, const raft::Endpoint& endpoint) {
  if (peer == identity_.self.id || endpoint.host.empty() || endpoint.port == 0) return nullptr;
  auto& link = links_[peer];
  if (!link) {
    PeerLink::Callbacks callbacks;
    callbacks.on_connected = [this, peer] { events_.on_connected(peer); };
    callbacks.on_gone = [this, peer] { events_.on_gone(peer); };
    callbacks.on_older_image = [this, peer] { events_.on_older_image(peer); };
    link = std::make_shared<PeerLink>(shard_, wire_, identity_, peer, times_, std::move(callbacks),
                                      logger_.with(fmt::format("peer {}", peer)), connections_before_[peer]);
    link->prefer(endpoint);
    link->start();
  }
  return link.get();
}

std::map<BrokerId, LinkStatus> PeerTransport::links() const {
  std::map<BrokerId, LinkStatus> all;
  for (const auto& [peer, link] : links_) all.emplace(peer, link->status());
  return all;
}

void PeerTransport::forget_unreached(const std::set<BrokerId>& but) {
  std::erase_if(ending_, [](const auto& link) { return link.expired(); });
  std::erase_if(links_, [&](const auto& entry) {
    const auto& [peer, link] = entry;
    const auto since = link->unreached_since();
    if (but.contains(peer) || !since || shard_.now() - *since < times_.forget_after) return false;
    logger_.info("peer {} has not been reached for long and is looked for no more", peer);
    connections_before_[peer] = link->connections();
    ending_.push_back(link);
    link->stop([] {});
    return true;
  });
}

void PeerTransport::stop(std::function<void()> done) {
  wire_.close();
  std::vector<std::shared_ptr<PeerLink>> links;
  for (auto& [peer, link] : std::exchange(links_, {})) links.push_back(std::move(link));
  for (const auto& ending : std::exchange(ending_, {}))
    if (auto link = ending.lock()) links.push_back(std::move(link));
  const auto left = std::make_shared<size_t>(links.size());
  if (*left == 0) return done();
  for (const auto& link : links) {
    link->stop([left, done] {
      if (--*left == 0) done();
    });
  }
}

}  // namespace controller::quorum
