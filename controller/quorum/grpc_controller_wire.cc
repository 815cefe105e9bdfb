#include "controller/quorum/grpc_controller_wire.h"

#include "controller/quorum/grpc_controller_links.h"
#include "controller/quorum/grpc_controller_service.h"
#include "controller/quorum/tcp_prober.h"

namespace controller::quorum {

GrpcControllerWire::GrpcControllerWire() = default;
GrpcControllerWire::~GrpcControllerWire() = default;

std::unique_ptr<Prober> GrpcControllerWire::make_prober(common::Shard& shard) {
  return std::make_unique<TcpProber>(shard);
}

std::unique_ptr<ControllerLinks> GrpcControllerWire::make_links(common::Shard& shard, LinksOptions options) {
  return std::make_unique<GrpcControllerLinks>(shard, std::move(options));
}

void GrpcControllerWire::serve(common::Shard& shard, ControllerRuntime& runtime, SessionServer& sessions) {
  service_ = std::make_unique<GrpcControllerService>(shard, runtime, sessions);
}

void GrpcControllerWire::close() {
  if (service_) service_->close();
}

grpc::Service& GrpcControllerWire::service() {
  return service_->service();
}

}  // namespace controller::quorum
