// The gRPC face of the active controller: sessions and forwarded calls. It decodes, posts to the controller's shard and
// encodes; nothing is decided here.
//
// Register service() with the GrpcServer before it starts. At the end: close() while the controller's shard still runs,
// then stop the server, then let this object die. gRPC's threads call it; everything behind it happens on the
// controller's shard.
#pragma once
#include <memory>

#include "controller/quorum/session_server.h"

namespace grpc {
class Service;
}

namespace controller::quorum {

class GrpcControllerService {
 public:
  GrpcControllerService(common::Shard& shard, ControllerRuntime& runtime, SessionServer& sessions);
  ~GrpcControllerService();

  [[nodiscard]] grpc::Service& service();
  // Ends all sessions and calls, and takes no new ones: a server waits for its calls when it stops. Any thread.
  void close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace controller::quorum
