#include "controller/quorum/session_server.h"

#include "common/model/mutant.h"
#include "controller/quorum/session_codec.h"

namespace controller::quorum {

using common::model::ErrorCode;
using common::model::mutant;
using metadata::BrokerHeartbeat;
using metadata::BrokerHeartbeatAnswer;
using metadata::RegisterBroker;
using metadata::RegisterBrokerAnswer;

SessionServer::SessionServer(ControllerRuntime& runtime, BrokerId self, common::Logger log)
    : runtime_(runtime), self_(self), log_(std::move(log)), alive_(std::make_shared<bool>(true)) {
  runtime_.when_leader_changes([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_leader_change();
  });
}

SessionServer::Session SessionServer::open(std::shared_ptr<SessionPort> port) {
  const Session session = next_++;
  peers_[session].port = std::move(port);
  return session;
}

void SessionServer::on_message(Session session, uint64_t sequence, SessionUp message) {
  const auto found = peers_.find(session);
  if (found == peers_.end() || found->second.refused) return;
  Peer& peer = found->second;
  if (sequence <= peer.last_sequence && !mutant<"R23-session-takes-messages-twice">()) return;  // R23: late or repeated
  peer.last_sequence = sequence;
  if (!peer.greeted && !std::holds_alternative<SessionHello>(message)) {
    return refuse(peer, sequence, {ErrorCode::invalid_request, "a session begins with a hello"});
  }
  std::visit([&](auto& m) { on(session, peer, sequence, std::move(m)); }, message);
}

void SessionServer::refuse(Peer& peer, uint64_t sequence, Error error) {
  peer.refused = true;
  peer.port->send(sequence, SessionRefused{std::move(error)});
  peer.port->close();
}

// R112: both ends must mean the same cluster, node and protocol.
void SessionServer::on(Session session, Peer& peer, uint64_t sequence, SessionHello hello) {
  const Uuid& cluster = runtime_.image()->cluster_id();
  // As somebody else it would leave the one that it was behind as a session that nobody closes.
  if (peer.greeted) return refuse(peer, sequence, {ErrorCode::invalid_request, "a session has one hello"});
  if (hello.to_node != self_ && !mutant<"R112-answers-for-another-node">()) {
    return refuse(peer, sequence,
                  {ErrorCode::invalid_request, fmt::format("this is broker {}, not {}", self_, hello.to_node)});
  }
  if (!cluster.is_zero() && hello.cluster_id != cluster && !mutant<"R112-talks-to-another-cluster">()) {
    return refuse(peer, sequence, {ErrorCode::inconsistent_cluster_id, fmt::format("this is cluster {}", cluster)});
  }
  if ((hello.version_min > session_version || hello.version_max < session_version) &&
      !mutant<"R112-talks-another-version">()) {
    return refuse(peer, sequence,
                  {ErrorCode::unsupported_version, fmt::format("sessions speak version {} here", session_version)});
  }
  if (!runtime_.active())
    return refuse(peer, sequence, {ErrorCode::not_controller, "this broker is not the active controller"});
  peer.greeted = true;
  peer.broker_id = hello.broker_id;
  peer.incarnation_id = hello.incarnation_id;
  take_over(session, Which::all_but_the_registered);
  peer.port->send(sequence, SessionWelcome{session_version, std::chrono::duration_cast<std::chrono::milliseconds>(
                                                                runtime_.session_timeout())});
}

// Ends the other sessions of this broker. All but that of the registered process, if this is not it: a process that
// merely calls itself by the same id would cut the other one's heartbeats off, again and again.
void SessionServer::take_over(Session session, Which others) {
  const BrokerId id = peers_.at(session).broker_id;
  const metadata::BrokerImage* broker = runtime_.image()->broker(id);
  const auto is_registered = [broker](const Peer& peer) {
    return broker != nullptr && broker->incarnation_id == peer.incarnation_id;
  };
  const bool yields = others == Which::all_but_the_registered && !is_registered(peers_.at(session)) &&
                      !mutant<"R26-ends-the-session-of-the-registered">();
  bool stands_beside = false;
  for (auto& [other, peer] : peers_) {
    const bool is_over = !peer.greeted || peer.replaced || peer.refused;
    if (other == session || is_over || peer.broker_id != id) continue;
    if (yields && is_registered(peer)) {
      stands_beside = true;
      continue;
    }
    peer.replaced = true;
    peer.port->close();
  }
  if (!stands_beside) current_[id] = session;
}

void SessionServer::answer(Session session, uint64_t sequence, const Reply& reply) {
  const auto found = peers_.find(session);
  if (found == peers_.end() || found->second.refused) return;
  Peer& peer = found->second;
  if (const auto* refused = std::get_if<metadata::Refused>(&reply.answer))
    return refuse(peer, sequence, refused->error);
  if (const auto* registered = std::get_if<RegisterBrokerAnswer>(&reply.answer)) {
    if (registered->error.code == ErrorCode::none) {
      peer.epoch = registered->broker_epoch;
      if (!peer.replaced) take_over(session, Which::all);
    }
    return peer.port->send(sequence, *registered);
  }
  peer.port->send(sequence, std::get<BrokerHeartbeatAnswer>(reply.answer));
}

void SessionServer::on(Session session, Peer& peer, uint64_t sequence, RegisterBroker request) {
  request.broker_id = peer.broker_id;
  runtime_.handle(request, {}, [this, alive = std::weak_ptr(alive_), session, sequence](const Reply& reply) {
    if (!alive.expired()) answer(session, sequence, reply);
  });
}

void SessionServer::on(Session session, Peer& peer, uint64_t sequence, BrokerHeartbeat heartbeat) {
  heartbeat.broker_id = peer.broker_id;
  if (peer.replaced) return;  // another stream of this broker has taken over
  peer.epoch = heartbeat.broker_epoch;
  runtime_.handle(heartbeat, {}, [this, alive = std::weak_ptr(alive_), session, sequence](const Reply& reply) {
    if (!alive.expired()) answer(session, sequence, reply);
  });
}

void SessionServer::on(Session, Peer& peer, uint64_t, Witness witness) {
  runtime_.on_witness(peer.broker_id, witness.broker_id, witness.broker_epoch);
}

void SessionServer::on_closed(Session session) {
  const auto found = peers_.find(session);
  if (found == peers_.end()) return;
  const Peer peer = std::move(found->second);
  peers_.erase(found);
  const auto current = current_.find(peer.broker_id);
  if (!peer.greeted || current == current_.end() || current->second != session) return;
  current_.erase(current);
  if (peer.epoch) runtime_.on_session_lost(peer.broker_id, *peer.epoch);
}

void SessionServer::close_all() {
  closing_ = true;
  on_leader_change();
}

void SessionServer::on_leader_change() {
  if (runtime_.active() && !closing_) return;
  for (auto& [session, peer] : peers_) {
    if (!peer.refused) refuse(peer, 0, {ErrorCode::not_controller, "this broker is no longer the active controller"});
  }
}

}  // namespace controller::quorum
