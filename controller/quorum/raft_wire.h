// The bytes and sockets under Raft's transport and first start: ask an address, open a stream to it, take the streams of
// others. RaftService over gRPC is the production form, the simulator has its own. What is decided about peers (when to
// try again, what counts as evidence that a process is gone) is decided above it, in PeerLink.
//
// Lives on the controller's shard: calls, callbacks and coroutines.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/net/probe.h"
#include "common/shard.h"
#include "controller/quorum/formation.h"
#include "controller/raft/messages.h"

namespace controller::quorum {

// Who this node is towards the others, once it belongs to a cluster (R112).
struct TransportIdentity {
  raft::NodeKey self;
  std::string cluster_id;
  raft::Endpoint endpoint;  // where the others reach it
  uint64_t starts = 0;      // of this directory: sessions rise with it
};

// First on every stream.
struct RaftHello {
  std::string cluster_id;
  raft::NodeKey from;
  common::model::BrokerId to;  // whom the caller believes to reach
  raft::VersionRange versions;
  uint64_t session = 0;
  raft::Endpoint endpoint;  // of the caller
};
// Why a peer's hello cannot be accepted, or nothing.
std::string refuse_hello(const TransportIdentity& self, const RaftHello& hello);

// What a stream brings, on the shard.
struct InboundSink {
  // Answers with the newest session of the caller that was ever heard here; goes back to it with our hello.
  std::function<uint64_t(const raft::NodeKey& from, const raft::Endpoint& endpoint)> on_hello;
  std::function<void(uint64_t session, uint64_t sequence, const raft::Message& message)> on_message;
};

// A stream that this node opened to another, to speak to it: messages leave in order, numbered from 1.
class RaftWireStream {
 public:
  struct Callbacks {
    // `heard` is the newest session of ours that the peer had heard before this stream.
    std::function<void(raft::NodeKey peer, uint64_t heard)> on_open;
    std::function<void(std::string why)> on_end;  // once, the last; also after close()
  };
  virtual ~RaftWireStream() = default;
  // Dropped when too much waits already.
  virtual void send(const raft::Message& message) = 0;
  virtual void close() = 0;
  // For how long something has been sent without any sign that it arrived.
  [[nodiscard]] virtual common::Duration silence() const = 0;
};

class RaftWire {
 public:
  virtual ~RaftWire() = default;

  // A plain connect, which tells a process that is gone from silence.
  virtual common::Awaitable<common::net::ProbeResult> probe(raft::Endpoint endpoint, common::Instant deadline) = 0;
  // Asks who listens there; nothing if nobody answers in time.
  virtual common::Awaitable<std::optional<PeerAnswer>> identify(raft::Endpoint endpoint, common::Duration timeout) = 0;
  // What others hear when they ask that of us, from now on.
  virtual void set_answer(const PeerAnswer& own) = 0;

  virtual std::shared_ptr<RaftWireStream> connect(const raft::Endpoint& endpoint, const RaftHello& hello,
                                                  RaftWireStream::Callbacks callbacks) = 0;
  // Takes streams as `identity`; until then, and after close(), they are refused.
  virtual void open(const TransportIdentity& identity, InboundSink sink) = 0;
  virtual void close() = 0;
};

}  // namespace controller::quorum
