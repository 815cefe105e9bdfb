// The one gRPC server of a broker: Raft, broker sessions, controller calls and replication share its port. Services are
// registered before start; a second broker on the port is refused with one message (no SO_REUSEPORT).
//
// Thread-compatible until start(); gRPC's threads call the services, which only post to a shard.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/model/result.h"

namespace grpc {
class Server;
class Service;
namespace experimental {
class ExternalConnectionAcceptor;
}
}  // namespace grpc

namespace controller::quorum {

struct GrpcServerOptions {
  std::string host = "0.0.0.0";          // an IPv6 address without brackets is fine
  uint16_t port = 0;                     // 0: any free port
  size_t message_bytes_max = 128 << 20;  // above the largest batch that a topic may allow
  size_t memory_bytes_max = 32 << 20;    // gRPC's resource quota
  bool listens = true;                   // false: connections come by take() alone
  bool one_poller = true;                // one of gRPC's threads does it all (one_poller.h): where there are few CPUs
};

class GrpcServer {
 public:
  explicit GrpcServer(GrpcServerOptions options);
  ~GrpcServer();  // stops
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // Before start; `service` must outlive the server.
  void add(grpc::Service& service);
  // Fails with one sentence when the port is taken.
  [[nodiscard]] common::model::Result<void> start();
  [[nodiscard]] uint16_t port() const;  // the bound one
  // Serves a connection that somebody else has accepted and read nothing of. Owns the descriptor from here on. After
  // start and before stop; any thread.
  void take(int descriptor);
  // Ends every call and waits for its handlers. Idempotent. Not from a gRPC thread.
  void stop();

 private:
  GrpcServerOptions options_;
  std::vector<grpc::Service*> services_;
  std::shared_ptr<class OnePoller> poller_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> handed_over_;
  std::unique_ptr<grpc::Server> server_;
  int bound_port_ = 0;
};

}  // namespace controller::quorum
