// The controller's network over gRPC. service() carries what comes in: register it with the GrpcServer before that starts.
#pragma once
#include "controller/quorum/controller_wire.h"

namespace grpc {
class Service;
}

namespace controller::quorum {

class GrpcControllerService;

class GrpcControllerWire final : public ControllerWire {
 public:
  GrpcControllerWire();
  ~GrpcControllerWire() override;

  std::unique_ptr<Prober> make_prober(common::Shard& shard) override;
  std::unique_ptr<ControllerLinks> make_links(common::Shard& shard, LinksOptions options) override;
  void serve(common::Shard& shard, ControllerRuntime& runtime, SessionServer& sessions) override;
  void close() override;

  // After serve().
  [[nodiscard]] grpc::Service& service();

 private:
  std::unique_ptr<GrpcControllerService> service_;
};

}  // namespace controller::quorum
