// The server side of Raft's gRPC service: streams that other nodes open to speak to us, and answers for first start.
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
#include "controller/raft/messages.h"
#include "proto/cluster/raft.grpc.pb.h"

namespace controller::quorum {

// Who this node is towards the others, once it belongs to a cluster (R112).
struct TransportIdentity {
  raft::NodeKey self;
  std::string cluster_id;
  raft::Endpoint endpoint;  // where the others reach it
  uint64_t starts = 0;      // of this directory: sessions rise with it
};

// What a stream brings, on the shard.
struct InboundSink {
  std::function<void(const raft::NodeKey& from, const raft::Endpoint& endpoint)> on_hello;
  std::function<void(uint64_t session, uint64_t sequence, const raft::Message& message)> on_message;
};

class RaftService final : public naru::cluster::Raft::CallbackService {
 public:
  RaftService(common::Shard& shard, common::Logger logger);
  ~RaftService() override;

  // --- the shard
  void open(const TransportIdentity& identity, InboundSink sink);
  // Streams end; `sink` is not called any more.
  void close();
  // What Identify answers from now on.
  void set_answer(naru::cluster::IdentifyResponse answer);

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

// Why a peer's Hello cannot be accepted, or nothing.
std::string refuse_hello(const TransportIdentity& self, const naru::cluster::Hello& hello);

}  // namespace controller::quorum
