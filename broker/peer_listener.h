// The port that the other brokers use. Two kinds of connections arrive there, and both speak gRPC: Raft, sessions and
// controller calls are served by gRPC's runtime; fetch streams, where most of the bytes go, by the shard that leads
// (replication/http2_call.h). The first setting that a connection sends tells which it is; until then nothing is read
// from it, only looked at.
//
// A fetch stream without that setting (another implementation's), or one that took its time to send it, is served by
// gRPC's runtime like everything else.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/replication/grpc_fetch_service.h"
#include "common/logging.h"
#include "common/model/bytes.h"
#include "common/net/socket.h"
#include "common/shard.h"

namespace broker {

// What the first bytes of a connection say.
struct PeerKind {
  enum class What { unknown, runtime, shard };  // unknown: more bytes are needed
  What what = What::unknown;
  uint32_t shard = 0;
};
[[nodiscard]] PeerKind peer_kind(common::model::BytesView first_bytes);

class PeerListener {
 public:
  // Takes over a descriptor from which nothing was read. Any thread.
  using TakeConnection = std::function<void(int descriptor)>;

  // Binds and listens; nobody is accepted before start(). Fails with one sentence when the port is taken.
  static common::model::Result<std::unique_ptr<PeerListener>> listen(common::Shard& home, const std::string& host,
                                                                     uint16_t port, common::Logger log);

  // Acceptors outlive the shards' loops.
  void start(std::vector<replication::ShardAcceptor> shards, TakeConnection runtime);
  // On the home shard; connections that were not sorted yet are closed.
  void stop();
  [[nodiscard]] uint16_t port() const { return acceptor_->port(); }

 private:
  PeerListener(common::Shard& home, std::unique_ptr<common::net::Acceptor> acceptor, common::Logger log);
  static common::Awaitable<void> accept(PeerListener& self);
  static common::Awaitable<void> sort(PeerListener& self, int descriptor);
  void hand_over(const PeerKind& kind, int descriptor);

  common::Shard& home_;
  std::unique_ptr<common::net::Acceptor> acceptor_;
  common::Logger log_;
  std::vector<replication::ShardAcceptor> shards_;
  TakeConnection runtime_;
  int unsorted_ = 0;
  bool is_stopped_ = false;
};

}  // namespace broker
