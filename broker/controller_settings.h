// What the controller's half of a broker is told, taken from the configuration. Pure; any thread.
#pragma once
#include <optional>

#include "common/config/config.h"
#include "controller/metadata/options.h"

namespace broker {

// Where other brokers reach this one: advertised, else as the voters name it, else where it listens.
controller::metadata::ClusterEndpoint peer_endpoint(const common::config::BrokerConfig& config, uint16_t bound_port);
controller::metadata::ControllerOptions controller_options(const common::config::BrokerConfig& config);
// Where the configuration says that a node is.
std::optional<controller::metadata::ClusterEndpoint> configured_endpoint(const common::config::BrokerConfig& config,
                                                                         common::model::BrokerId id);

}  // namespace broker
