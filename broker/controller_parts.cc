#include "broker/controller_parts.h"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace broker {

namespace metadata = controller::metadata;
namespace quorum = controller::quorum;
using common::config::BrokerConfig;
using common::model::BrokerId;

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
  options.min_isr_default = static_cast<int16_t>(config.topic_defaults.min_insync_replicas);
  options.unclean_election_default = config.topic_defaults.unclean_leader_election ? Enabled::yes : Enabled::no;
  options.auto_leader_rebalance = config.auto_leader_rebalance ? Enabled::yes : Enabled::no;
  options.detector.heartbeat_interval = config.heartbeat_interval;
  options.detector.session_timeout = config.session_timeout;
  return options;
}

ControllerParts::ControllerParts(common::Shard& shard, common::model::Random& random, Options options)
    : shard_(shard),
      options_(std::move(options)),
      prober_(shard),
      runtime_(shard, controller_options(*options_.config), schema_, random, prober_, options_.log,
               {.cluster_id = options_.cluster_id, .on_fatal = options_.on_fatal}),
      sessions_(runtime_, options_.config->node_id, options_.log),
      service_(shard, runtime_, sessions_),
      links_(shard, {.self = options_.config->node_id,
                     .cluster_id = options_.cluster_id,
                     .endpoint = [this](BrokerId id) { return endpoint_of(id); }}),
      client_(shard, runtime_, links_, options_.config->node_id, random) {}

ControllerParts::~ControllerParts() = default;

void ControllerParts::attach(quorum::Raft& raft) {
  raft_ = &raft;
  runtime_.attach(raft);
  runtime_.when_leader_changes([this] {
    const auto leader = runtime_.leader();
    leader_.store(leader ? leader->value : -1, std::memory_order_release);
  });
}

std::optional<BrokerId> ControllerParts::leader() const {
  const int32_t id = leader_.load(std::memory_order_acquire);
  return id < 0 ? std::nullopt : std::optional(BrokerId(id));
}

void ControllerParts::start_session(quorum::SessionOptions options, quorum::SessionHooks hooks) {
  session_ = std::make_unique<quorum::BrokerSession>(shard_, runtime_, sessions_, links_, std::move(options),
                                                     std::move(hooks), options_.log);
  session_->start();
}

// A registration is newest; before there is one, the voters and the configuration tell (R112).
std::optional<metadata::ClusterEndpoint> ControllerParts::endpoint_of(BrokerId id) const {
  if (const auto& image = runtime_.image(); image != nullptr) {
    if (const metadata::BrokerImage* broker = image->broker(id)) return broker->cluster_endpoint;
  }
  if (raft_ != nullptr) {
    const controller::raft::QuorumStatus status = raft_->describe();
    if (const controller::raft::Voter* voter = status.voters.find(id); voter != nullptr && !voter->endpoint.host.empty()) {
      return metadata::ClusterEndpoint{voter->endpoint.host, voter->endpoint.port};
    }
  }
  for (const common::config::Voter& voter : options_.config->voters) {
    if (voter.id == id) return metadata::ClusterEndpoint{voter.address.host, voter.address.port};
  }
  return std::nullopt;
}

}  // namespace broker
