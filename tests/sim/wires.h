// What a broker's core speaks through, over the simulated network: Raft, broker sessions and controller calls, and fetch
// streams. They carry production's messages as plain values; bytes on the wire (Protobuf) and gRPC are what is bypassed.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "broker/replication/transport.h"
#include "controller/quorum/controller_wire.h"
#include "controller/quorum/raft_wire.h"
#include "controller/quorum/session_server.h"
#include "sim/network.h"

namespace sim {

namespace quorum = controller::quorum;
namespace replication = broker::replication;

// What its receiver filters by number (R23), with that chance a second time. Only then it is copied: messages are large.
template <class F>
void send_perhaps_twice(Pipe& pipe, Pipe::Side from, double chance, F arrive) {
  if (chance <= 0) return pipe.send(from, std::move(arrive));
  pipe.send(from, arrive);
  if (pipe.network().random().chance(chance)) pipe.send(from, std::move(arrive));
}

// The part of a broker process that others reach; looked up in the process that accepted a connection.
class SimRaftWire;
class SimControllerWire;
struct Services {
  SimRaftWire* raft = nullptr;
  SimControllerWire* controller = nullptr;
  std::function<replication::FollowerAcceptor*(size_t shard)> acceptor;
  std::vector<SimShard*> shards;
  SimShard* controller_shard = nullptr;
};

// Where a wire stands, and how it finds the services of others by host name and port.
struct WireSite {
  Network* network = nullptr;
  std::shared_ptr<Process> process;
  Host host = 0;
  // The machine behind an address; -1: no such name.
  std::function<Host(const std::string& host)> resolve;
  // The services of the process that runs on a machine now; null: none.
  std::function<std::shared_ptr<Services>(Host)> services;
  // Chance of a message that is delivered twice, where its receiver filters repetitions (R23).
  double repeat_chance = 0;
};

// A callback of a wire that must run on `shard` of its process.
template <class F>
void on_shard(SimShard& shard, const F& f) {
  Process::look(shard, std::cref(f));
}

class SimRaftWire final : public quorum::RaftWire {
 public:
  SimRaftWire(WireSite site, SimShard& shard) : site_(std::move(site)), shard_(shard) {}

  common::Awaitable<common::net::ProbeResult> probe(controller::raft::Endpoint endpoint, common::Instant deadline) override;
  common::Awaitable<std::optional<quorum::PeerAnswer>> identify(controller::raft::Endpoint endpoint,
                                                                common::Duration timeout) override;
  void set_answer(const quorum::PeerAnswer& own) override { answer_ = own; }
  std::shared_ptr<quorum::RaftWireStream> connect(const controller::raft::Endpoint& endpoint,
                                                  const quorum::RaftHello& hello,
                                                  quorum::RaftWireStream::Callbacks callbacks) override;
  void open(const quorum::TransportIdentity& identity, quorum::InboundSink sink) override;
  void close() override;
  // Hears every message that this node sends, as it leaves.
  void overhear(std::function<void(const controller::raft::Message&)> f) { *overheard_ = std::move(f); }

 private:
  class Stream;
  void accept(const std::shared_ptr<Pipe>& pipe, const quorum::RaftHello& hello, const std::shared_ptr<Stream>& stream);

  WireSite site_;
  SimShard& shard_;
  std::optional<quorum::PeerAnswer> answer_;
  std::optional<quorum::TransportIdentity> identity_;
  quorum::InboundSink sink_;
  std::vector<std::weak_ptr<Pipe>> inbound_;
  using Overheard = std::function<void(const controller::raft::Message&)>;
  std::shared_ptr<Overheard> overheard_ = std::make_shared<Overheard>();  // streams may outlive the wire
};

class SimControllerWire final : public quorum::ControllerWire {
 public:
  SimControllerWire(WireSite site, SimShard& shard) : site_(std::move(site)), shard_(shard) {}

  std::unique_ptr<quorum::Prober> make_prober(common::Shard& shard) override;
  std::unique_ptr<quorum::ControllerLinks> make_links(common::Shard& shard, quorum::LinksOptions options) override;
  void serve(common::Shard& shard, quorum::ControllerRuntime& runtime, quorum::SessionServer& sessions) override;
  void close() override;

 private:
  class Prober;
  class Links;
  class Stream;
  class Port;
  struct Session;
  struct Call;
  void accept_session(const std::shared_ptr<Session>& session);
  void accept_call(const std::shared_ptr<Call>& call);

  WireSite site_;
  SimShard& shard_;
  quorum::ControllerRuntime* runtime_ = nullptr;
  quorum::SessionServer* sessions_ = nullptr;
  bool closed_ = false;
};

class SimFetchTransport final : public replication::FetchTransport {
 public:
  explicit SimFetchTransport(WireSite site) : site_(std::move(site)) {}
  std::unique_ptr<replication::ConnectionToLeader> connect(common::Shard& shard, const replication::Endpoint& leader,
                                                           const replication::FollowerHello& hello,
                                                           replication::ToLeaderEvents& events) override;

 private:
  WireSite site_;
};

}  // namespace sim
