// This broker's member of the metadata quorum: storage, transport and driver, and the way it finds or forms its cluster.
//
// Opened on the assembling thread; the rest on the controller's shard unless a comment says otherwise.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/logging.h"
#include "common/model/random.h"
#include "common/model/result.h"
#include "common/shard.h"
#include "controller/metadata/records.h"
#include "controller/quorum/grpc_server.h"
#include "controller/quorum/raft_api.h"

namespace broker {

class QuorumNode {
 public:
  struct Options {
    const common::config::BrokerConfig* config = nullptr;
    common::Shard* shard = nullptr;
    common::model::Random* random = nullptr;
    controller::quorum::GrpcServer* server = nullptr;  // services are added to it; started later
    controller::quorum::RaftListener* listener = nullptr;
    common::Logger log;
    std::vector<std::string> known_clusters;  // what the log directories say they belong to
    std::function<void()> on_cluster_known;   // any thread
    std::function<void(const std::string& why)> on_fatal;
  };
  static common::model::Result<std::unique_ptr<QuorumNode>> open(Options options);
  virtual ~QuorumNode() = default;

  // Zero until the cluster is known. Any thread.
  [[nodiscard]] virtual common::model::Uuid cluster_id() const = 0;
  [[nodiscard]] virtual controller::quorum::Raft& raft() = 0;
  // Begins to find or form the cluster. `self`: where the other brokers reach this one.
  virtual void start(const controller::metadata::ClusterEndpoint& self) = 0;
  // Ends the streams to other nodes, before the gRPC server stops.
  virtual common::Awaitable<void> close_streams() = 0;
  // Syncs and closes the metadata log.
  virtual common::Awaitable<void> close() = 0;
};

}  // namespace broker
