// A running broker, put together: controller and quorum on the controller's shard, replicas, streams, coordinators and
// connections on the others. The order of start and stop is in broker.cc.
//
// Used by one thread, which is none of the broker's.
#pragma once
#include <string>
#include <vector>

#include "common/config/config.h"

namespace broker {

// Runs a broker until it is told to end (SIGTERM, SIGINT: controlled shutdown) or cannot go on. Returns the process's
// exit code: 0 after an orderly end. `warnings` of the configuration are logged first.
int run_broker(const common::config::BrokerConfig& config, const std::vector<std::string>& warnings);

}  // namespace broker
