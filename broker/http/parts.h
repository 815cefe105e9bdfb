// What of a running broker the HTTP side may look at. Everything outlives it; what is used where stands beside it.
#pragma once
#include <vector>

#include "broker/http/start_progress.h"
#include "common/shard.h"

namespace common::config {
struct BrokerConfig;
}
namespace controller::quorum {
class ControllerNode;
class Raft;
}  // namespace controller::quorum
namespace broker::api {
struct BrokerContext;
}
namespace broker::cleaner {
class LogCleaner;
}
namespace broker::group {
class GroupService;
}
namespace broker::partition {
class Directories;
class PartitionRouter;
class ReplicaManager;
}  // namespace broker::partition
namespace broker::server {
class Server;
}

namespace broker::http {

// From the beginning.
struct ProcessParts {
  const common::config::BrokerConfig* config = nullptr;
  const StartProgress* progress = nullptr;
  common::Shard* here = nullptr;  // the HTTP shard
  common::Shard* controller_shard = nullptr;
  std::vector<common::Shard*> shards;
  const server::Server* clients = nullptr;  // any thread
};

// Once the broker serves.
struct BrokerParts {
  controller::quorum::ControllerNode* controller = nullptr;  // any thread
  controller::quorum::Raft* raft = nullptr;                  // on the controller's shard
  std::vector<api::BrokerContext*> contexts;                 // each on its shard
  std::vector<partition::ReplicaManager*> replicas;          // each on its shard
  std::vector<const cleaner::LogCleaner*> cleaners;          // each on its shard; null: switched off
  partition::PartitionRouter* router = nullptr;              // any thread
  partition::Directories* directories = nullptr;             // on its home
  group::GroupService* groups = nullptr;                     // any thread
};

}  // namespace broker::http
