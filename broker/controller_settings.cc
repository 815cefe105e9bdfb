#include "broker/controller_settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace broker {

namespace metadata = controller::metadata;
using common::config::BrokerConfig;

namespace {

bool is_wildcard(const std::string& host) { return host.empty() || host == "0.0.0.0" || host == "::"; }

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != 0 ? std::string(name.data()) : "localhost";
}

}  // namespace

metadata::ClusterEndpoint peer_endpoint(const BrokerConfig& config, uint16_t bound_port) {
  if (!config.advertised_peer_listeners.empty()) {
    return {config.advertised_peer_listeners.front().host, config.advertised_peer_listeners.front().port};
  }
  for (const common::config::Voter& voter : config.voters) {
    if (voter.id == config.node_id) return {voter.address.host, voter.address.port};
  }
  if (!config.peer_listeners.empty() && !is_wildcard(config.peer_listeners.front().host)) {
    return {config.peer_listeners.front().host, bound_port};
  }
  // Alone, nobody but this machine asks.
  const bool alone = config.voters.size() <= 1 && config.bootstrap_servers.empty();
  return {alone ? "127.0.0.1" : host_name(), bound_port};
}

metadata::ControllerOptions controller_options(const BrokerConfig& config) {
  using metadata::Enabled;
  metadata::ControllerOptions options;
  options.node_id = config.node_id;
  options.partitions_default = config.num_partitions;
  options.replication_factor_default = config.default_replication_factor;
  options.min_isr_default = config.topic_defaults.min_insync_replicas;
  // Said by the operator, or what a cluster of three wants: one that begins as a single broker grows into it.
  const auto replicas_of = [&config](const char* key, int16_t configured) {
    return config.given.contains(key) ? configured : std::max<int16_t>(configured, 3);
  };
  options.internal_replication = {
      {"__consumer_offsets", replicas_of("offsets.topic.replication.factor", config.offsets_replication_factor)},
      {"__transaction_state",
       replicas_of("transaction.state.log.replication.factor", config.transactions_replication_factor)}};
  options.unclean_election_default = config.topic_defaults.unclean_leader_election ? Enabled::yes : Enabled::no;
  options.auto_leader_rebalance = config.auto_leader_rebalance ? Enabled::yes : Enabled::no;
  options.rebalance_interval = config.leader_imbalance_check_interval;
  // Clients wait up to 10 s before they connect anew to a broker that was gone (librdkafka's reconnect.backoff.max.ms):
  // those that meet a leader there sooner cannot write until then.
  options.rebalance_settle = std::chrono::seconds(12);
  options.detector.heartbeat_interval = config.heartbeat_interval;
  options.detector.session_timeout = config.session_timeout;
  return options;
}

std::optional<metadata::ClusterEndpoint> configured_endpoint(const BrokerConfig& config, common::model::BrokerId id) {
  for (const common::config::Voter& voter : config.voters) {
    if (voter.id == id) return metadata::ClusterEndpoint{voter.address.host, voter.address.port};
  }
  return std::nullopt;
}

}  // namespace broker
