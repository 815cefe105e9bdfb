// Raft's wire over gRPC: streams that other nodes open to speak to us, answers for first start, and (RaftStream) the
// streams that we open.
//
// gRPC's threads run the reactors; they check frames and post to the shard. Of each stream the next frame is read only
// when the shard has handled the last one, so that a slow shard slows its peers down instead of filling memory.
// Registered with the server before any of it is ready: until open() streams are refused.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "common/logging.h"
#include "common/shard.h"
#include "controller/quorum/raft_wire.h"
#include "proto/cluster/raft.grpc.pb.h"

namespace controller::quorum {

class RaftService final : public naru::cluster::Raft::CallbackService, public RaftWire {
 public:
  RaftService(common::Shard& shard, common::Logger logger);
  ~RaftService() override;

  // --- RaftWire, the shard
  common::Awaitable<common::net::ProbeResult> probe(raft::Endpoint endpoint, common::Instant deadline) override;
  common::Awaitable<std::optional<PeerAnswer>> identify(raft::Endpoint endpoint, common::Duration timeout) override;
  void set_answer(const PeerAnswer& own) override;
  std::shared_ptr<RaftWireStream> connect(const raft::Endpoint& endpoint, const RaftHello& hello,
                                          RaftWireStream::Callbacks callbacks) override;
  void open(const TransportIdentity& identity, InboundSink sink) override;
  // Streams end; the sink is not called any more.
  void close() override;

  // --- gRPC's threads
  grpc::ServerBidiReactor<naru::cluster::RaftFrame, naru::cluster::RaftFrame>* Exchange(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Identify(grpc::CallbackServerContext* context,
                                     const naru::cluster::IdentifyRequest* request,
                                     naru::cluster::IdentifyResponse* response) override;

  struct Shared;  // raft_service.cc

 private:
  common::Shard& shard_;
  std::shared_ptr<Shared> shared_;  // with the streams, which may outlive close()
};

}  // namespace controller::quorum
