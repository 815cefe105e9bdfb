// What lives on the controller's shard: the metadata quorum, the runtime of the active controller, this broker's
// session with it, and the gRPC server that they share with replication.
//
// Made on the assembling thread; what a comment does not say otherwise happens on the controller's shard.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/config_schema.h"
#include "common/config/config.h"
#include "common/logging.h"
#include "common/model/random.h"
#include "common/shard.h"
#include "controller/quorum/broker_session.h"
#include "controller/quorum/controller_runtime.h"
#include "controller/quorum/forwarding_client.h"
#include "controller/quorum/grpc_controller_links.h"
#include "controller/quorum/grpc_controller_service.h"
#include "controller/quorum/raft_api.h"
#include "controller/quorum/session_server.h"
#include "controller/quorum/tcp_prober.h"

namespace broker {

// Where other brokers reach this one: advertised, else as the voters name it, else where it listens.
controller::metadata::ClusterEndpoint peer_endpoint(const common::config::BrokerConfig& config, uint16_t bound_port);
controller::metadata::ControllerOptions controller_options(const common::config::BrokerConfig& config);

class ControllerParts {
 public:
  struct Options {
    const common::config::BrokerConfig* config = nullptr;
    common::Logger log;
    std::function<common::model::Uuid()> cluster_id;  // zero until it is known
    std::function<void(const std::string&)> on_fatal;
  };
  ControllerParts(common::Shard& shard, common::model::Random& random, Options options);
  ~ControllerParts();

  [[nodiscard]] controller::quorum::ControllerRuntime& runtime() { return runtime_; }
  [[nodiscard]] controller::quorum::GrpcControllerService& service() { return service_; }
  [[nodiscard]] controller::quorum::ControllerClient& client() { return client_; }
  [[nodiscard]] common::Shard& shard() const { return shard_; }
  // Who leads the quorum, as far as this node knows. Any thread.
  [[nodiscard]] std::optional<common::model::BrokerId> leader() const;

  // Before anything else happens on the shard.
  void attach(controller::quorum::Raft& raft);
  // Begins this broker's session. `session` is asked from any thread afterwards.
  void start_session(controller::quorum::SessionOptions options, controller::quorum::SessionHooks hooks);
  [[nodiscard]] controller::quorum::BrokerSession* session() const { return session_.get(); }
  void stop_session() { session_.reset(); }

 private:
  std::optional<controller::metadata::ClusterEndpoint> endpoint_of(common::model::BrokerId id) const;

  common::Shard& shard_;
  const Options options_;
  TableSchema schema_;
  controller::quorum::TcpProber prober_;
  controller::quorum::ControllerRuntime runtime_;
  controller::quorum::SessionServer sessions_;
  controller::quorum::GrpcControllerService service_;
  controller::quorum::GrpcControllerLinks links_;
  controller::quorum::ForwardingClient client_;
  std::unique_ptr<controller::quorum::BrokerSession> session_;
  controller::quorum::Raft* raft_ = nullptr;
  std::atomic<int32_t> leader_{-1};
};

}  // namespace broker
