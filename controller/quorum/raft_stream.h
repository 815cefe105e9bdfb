// One stream that this node opened to another, to speak to it: frames leave in order, numbered, one write at a time.
//
// send() and close() on the shard; gRPC's threads carry on with what is queued. The shard hears of opening and ending
// through the callbacks given, posted to it.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <grpcpp/channel.h>

#include "common/shard.h"
#include "controller/quorum/raft_wire.h"
#include "proto/cluster/raft.grpc.pb.h"

namespace controller::quorum {

// A channel of Raft's own: no connection shared with anything else, no proxy, no waiting before it tries.
std::shared_ptr<grpc::Channel> make_raft_channel(const raft::Endpoint& endpoint);

class RaftStream final : public grpc::ClientBidiReactor<naru::cluster::RaftFrame, naru::cluster::RaftFrame>,
                         public RaftWireStream,
                         public std::enable_shared_from_this<RaftStream> {
 public:
  static std::shared_ptr<RaftStream> open(common::Shard& shard, const raft::Endpoint& endpoint, const RaftHello& hello,
                                          Callbacks callbacks);
  RaftStream(common::Shard& shard, Callbacks callbacks);

  void send(const raft::Message& message) override;
  void close() override;
  [[nodiscard]] common::Duration silence() const override;

  // gRPC's threads.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  using Instant = std::chrono::steady_clock::time_point;
  void enqueue(naru::cluster::RaftFrame frame);
  void let_go();

  common::Shard& shard_;
  Callbacks callbacks_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<naru::cluster::Raft::Stub> stub_;
  grpc::ClientContext context_;
  std::shared_ptr<RaftStream> self_;  // until OnDone
  naru::cluster::RaftFrame incoming_;

  mutable std::mutex mutex_;
  std::deque<naru::cluster::RaftFrame> queue_;  // the first one is being written
  size_t queued_bytes_ = 0;
  bool ended_ = false;  // nothing may be started any more
  uint64_t sequence_ = 0;
  uint64_t acknowledged_ = 0;
  Instant unacknowledged_since_;
};

}  // namespace controller::quorum
