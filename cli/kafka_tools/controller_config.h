// What kafka-metadata-quorum add-controller takes from the configuration file of the controller that it adds: its id,
// the id of its metadata directory, and where it is reached.
#pragma once
#include "cli/quorum_facts.h"
#include "common/config/config_table.h"

namespace cli::kafka_tools {

struct ControllerConfig {
  int32_t id = -1;
  common::model::Uuid directory;
  std::vector<VoterEndpoint> endpoints;
};
// Reads the directory's own file too; the messages are those of Kafka's tool.
Outcome<ControllerConfig> read_controller_config(const common::config::ConfigMap& properties);

}  // namespace cli::kafka_tools
