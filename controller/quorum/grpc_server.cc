#include "controller/quorum/grpc_server.h"

#include <chrono>

#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "common/model/check.h"
#include "controller/quorum/one_poller.h"

namespace controller::quorum {

using common::model::ErrorCode;
using common::model::fail;

GrpcServer::GrpcServer(GrpcServerOptions options) : options_(std::move(options)) {}

GrpcServer::~GrpcServer() {
  stop();
}

void GrpcServer::add(grpc::Service& service) {
  NARU_CHECK(!server_, "services are added before start");
  services_.push_back(&service);
}

common::model::Result<void> GrpcServer::start() {
  const bool is_v6 = options_.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + options_.host + "]" : options_.host;
  const std::string address = fmt::format("{}:{}", host, options_.port);
  // The distribution builds Abseil with its hunt for lock cycles, which every lock inside gRPC then pays for.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (options_.one_poller) poller_ = OnePoller::hold();
  grpc::ServerBuilder builder;
  if (options_.listens) {
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &bound_port_);
  } else {
    handed_over_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  }
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1024);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.message_bytes_max));
  builder.SetMaxSendMessageSize(static_cast<int>(options_.message_bytes_max));
  builder.SetResourceQuota(grpc::ResourceQuota("naru").Resize(options_.memory_bytes_max));
  for (grpc::Service* service : services_) builder.RegisterService(service);
  server_ = builder.BuildAndStart();
  if (!server_ || (options_.listens && bound_port_ == 0)) {
    server_.reset();
    poller_.reset();
    return fail(ErrorCode::broker_not_available,
                fmt::format("cannot listen on {} for the other brokers: the port is taken or the address is not ours",
                            address));
  }
  return {};
}

uint16_t GrpcServer::port() const {
  return static_cast<uint16_t>(bound_port_);
}

void GrpcServer::take(int descriptor) {
  NARU_CHECK(handed_over_, "a server that listens for itself");
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.fd = descriptor;
  handed_over_->HandleNewConnection(&connection);
}

void GrpcServer::stop() {
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now());  // cancels what is open
  server_->Wait();
  server_.reset();
  poller_.reset();
}

}  // namespace controller::quorum
