// Raft over gRPC: each node opens one ordered stream to every peer and speaks only on the streams that it opened
// itself. A stream begins with a handshake in which both sides check cluster, node and version (R112); frames bear
// (session, sequence), and what is not newer than the last is dropped (R23).
//
// A plain TCP probe goes before every attempt: it resolves the name anew, and it tells a process that is gone from a
// host that is silent, which a gRPC channel would hide behind its back-off.
//
// Lives on the controller's shard; gRPC's threads only post to it. Shut down before the shard stops.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/logging.h"
#include "common/model/result.h"
#include "common/shard.h"
#include "controller/quorum/raft_transport.h"
#include "proto/cluster/raft.grpc.pb.h"

namespace controller::quorum {

struct RaftTransportOptions {
  raft::NodeKey self;
  common::model::Uuid cluster_id;
  // Grows with every start of this directory: sessions are numbered from session_base on.
  uint64_t session_base = 0;
  size_t waiting_messages_max = 1024;                              // per peer; more are dropped
  common::Duration unheard_max = std::chrono::milliseconds(1000);  // we speak, the peer does not: a new stream
  common::Duration probe_timeout = std::chrono::milliseconds(500);
  common::Duration retry_min = std::chrono::milliseconds(20);
  common::Duration retry_max = std::chrono::milliseconds(250);
};

class GrpcRaftTransport;

// The server side, registered before the gRPC server starts; streams are refused until a transport is attached.
class RaftService final : public naru::cluster::Raft::CallbackService {
 public:
  using IdentifyReply = std::function<void(naru::cluster::IdentifyResponse)>;
  // Runs on the shard; must call the reply once, there.
  using IdentifyHandler = std::function<void(const naru::cluster::IdentifyRequest&, IdentifyReply)>;

  explicit RaftService(common::Shard& shard) : shard_(shard) {}

  // Both on the shard.
  void set_identify(IdentifyHandler handler) { identify_ = std::move(handler); }
  void attach(GrpcRaftTransport* transport) { transport_ = transport; }

  grpc::ServerBidiReactor<naru::cluster::RaftFrame, naru::cluster::RaftFrame>* Exchange(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Identify(grpc::CallbackServerContext* context,
                                     const naru::cluster::IdentifyRequest* request,
                                     naru::cluster::IdentifyResponse* response) override;

 private:
  class Incoming;
  common::Shard& shard_;
  GrpcRaftTransport* transport_ = nullptr;
  IdentifyHandler identify_;
};

class GrpcRaftTransport final : public RaftTransport {
 public:
  // `listener` outlives this.
  GrpcRaftTransport(common::Shard& shard, RaftTransportOptions options, RaftTransportListener& listener,
                    common::Logger log);
  ~GrpcRaftTransport() override;

  void send(raft::Message message) override;
  void set_peers(std::map<common::model::BrokerId, raft::Endpoint> peers) override;
  // Ends all streams. Returns when no gRPC thread will call back any more.
  common::Awaitable<void> shut_down();

  // --- for RaftService ---
  // Checks who calls; the answer to send, or why not.
  [[nodiscard]] common::model::Result<naru::cluster::Hello> accept(const naru::cluster::Hello& hello);
  // A frame of a stream that was accepted as (peer, session). An error ends the stream.
  [[nodiscard]] common::model::Result<void> receive(common::model::BrokerId peer, uint64_t session,
                                                    const naru::cluster::RaftFrame& frame);

 private:
  class Outgoing;
  struct Link;
  struct Heard {
    uint64_t session = 0;
    uint64_t sequence = 0;
    std::optional<common::Instant> at;
  };

  static common::Awaitable<void> keep_link(GrpcRaftTransport* self, std::shared_ptr<Link> link);
  naru::cluster::Hello hello_to(common::model::BrokerId peer, uint64_t session) const;
  common::model::Result<void> check_hello(const naru::cluster::Hello& hello) const;
  void pump(Link& link);
  void end_link(Link& link);

  common::Shard& shard_;
  const RaftTransportOptions options_;
  RaftTransportListener& listener_;
  common::Logger log_;
  uint64_t next_session_;
  std::map<common::model::BrokerId, std::shared_ptr<Link>> links_;
  std::map<common::model::BrokerId, Heard> heard_;
  size_t running_ = 0;  // links whose coroutine has not ended
  common::Event link_ended_;
  bool stopping_ = false;
};

}  // namespace controller::quorum
