// This broker's member of the metadata quorum: the Raft driver as the configuration wants it, and how the broker learns
// which cluster it belongs to.
//
// Made, started and stopped by the assembly; cluster_id() and cluster_name() by any thread once the cluster is known.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/disk/disk.h"
#include "common/logging.h"
#include "common/model/random.h"
#include "common/shard.h"
#include "controller/quorum/raft_driver.h"

namespace broker {

class QuorumNode {
 public:
  struct Options {
    const common::config::BrokerConfig* config = nullptr;
    common::Shard* shard = nullptr;
    common::model::Random* random = nullptr;
    common::disk::Disk* disk = nullptr;  // of `shard`, with threads of its own (R78)
    controller::quorum::RaftWire* wire = nullptr;
    controller::quorum::RaftListener* listener = nullptr;
    common::Logger log;
    std::vector<std::string> known_clusters;  // what the data directories say they belong to
    controller::raft::Endpoint endpoint;      // where the other brokers reach this one
    std::function<void()> on_cluster_known;   // on the controller's shard
    std::function<void(const std::string& why)> on_refused;
  };
  explicit QuorumNode(Options options);

  [[nodiscard]] controller::quorum::Raft& raft() { return *driver_; }
  // Begins to find or form the cluster; others may have to reach this node for it.
  void start();
  // Zero until the cluster is known.
  [[nodiscard]] common::model::Uuid cluster_id() const;
  // As written in meta.properties; empty until the cluster is known.
  [[nodiscard]] std::string cluster_name() const;
  // Ends streams and log. On `here`.
  [[nodiscard]] common::Awaitable<void> stop(common::Shard& here);

 private:
  Options options_;
  std::unique_ptr<controller::quorum::RaftDriver> driver_;
  bool started_ = false;
  std::atomic<bool> known_{false};  // identity_ is written before it is set, and never again
  controller::quorum::QuorumIdentity identity_;
};

}  // namespace broker
