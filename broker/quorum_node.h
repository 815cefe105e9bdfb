// This broker's member of the metadata quorum, made of its parts: a disk with threads of its own (R78), the gRPC service
// of Raft, and the driver; and how the broker learns which cluster it belongs to.
//
// Used by the assembling thread; cluster_id() and cluster_name() by any thread once the cluster is known.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/disk/kernel_disk.h"
#include "common/logging.h"
#include "common/model/random.h"
#include "common/shard.h"
#include "controller/quorum/grpc_server.h"
#include "controller/quorum/raft_driver.h"

namespace broker {

class QuorumNode {
 public:
  struct Options {
    const common::config::BrokerConfig* config = nullptr;
    common::Shard* shard = nullptr;
    common::model::Random* random = nullptr;
    controller::quorum::GrpcServer* server = nullptr;  // the service is added to it; started later
    controller::quorum::RaftListener* listener = nullptr;
    common::Logger log;
    std::vector<std::string> known_clusters;  // what the data directories say they belong to
    controller::raft::Endpoint endpoint;      // where the other brokers reach this one
    std::function<void()> on_cluster_known;   // on the controller's shard
    std::function<void(const std::string& why)> on_refused;
  };
  explicit QuorumNode(Options options);

  [[nodiscard]] controller::quorum::Raft& raft() { return *driver_; }
  // Begins to find or form the cluster, after the gRPC server has started.
  void start();
  // Zero until the cluster is known.
  [[nodiscard]] common::model::Uuid cluster_id() const;
  // As written in meta.properties; empty until the cluster is known.
  [[nodiscard]] std::string cluster_name() const;
  // Ends streams and log; waits for it.
  void stop();

 private:
  Options options_;
  common::disk::DiskPool pool_;
  std::unique_ptr<common::disk::Disk> disk_;
  std::unique_ptr<controller::quorum::RaftService> service_;
  std::unique_ptr<controller::quorum::RaftDriver> driver_;
  bool started_ = false;
  std::atomic<bool> known_{false};  // identity_ is written before it is set, and never again
  controller::quorum::QuorumIdentity identity_;
};

}  // namespace broker
