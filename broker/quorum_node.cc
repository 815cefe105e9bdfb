#include "broker/quorum_node.h"

namespace broker {

namespace quorum = controller::quorum;
namespace raft = controller::raft;
using common::config::BrokerConfig;
using common::model::Result;

namespace {

std::vector<quorum::ConfiguredPeer> configured_peers(const BrokerConfig& config) {
  std::vector<quorum::ConfiguredPeer> peers;
  for (const common::config::Voter& voter : config.voters) {
    peers.push_back({.id = voter.id, .endpoint = {voter.address.host, voter.address.port}});
  }
  if (!peers.empty()) return peers;
  for (const common::config::HostPort& server : config.bootstrap_servers) {
    peers.push_back({.id = std::nullopt, .endpoint = {server.host, server.port}});
  }
  return peers;
}

// Says which property names the directory that a refusal is about.
std::string with_property(const BrokerConfig& config, const std::string& why) {
  if (!config.given.contains("metadata.log.dir") || why.find(config.metadata_log_dir) == std::string::npos) return why;
  return fmt::format("metadata.log.dir={}: {}", config.metadata_log_dir, why);
}

raft::Config times(const BrokerConfig& config) {
  raft::Config times;
  times.leader_silence = config.quorum_fetch_timeout;
  times.check_quorum = config.quorum_fetch_timeout * 3 / 2;  // R8
  times.election = config.quorum_election_timeout;
  times.election_max = std::max<common::Duration>(config.quorum_election_backoff_max, config.quorum_election_timeout);
  return times;
}

}  // namespace

QuorumNode::QuorumNode(Options options) : options_(std::move(options)) {
  const BrokerConfig& config = *options_.config;
  quorum::RaftDriverOptions driver;
  driver.node_id = config.node_id;
  driver.metadata_log_dir = config.metadata_log_dir;
  driver.voters = configured_peers(config);
  driver.endpoint = options_.endpoint;
  driver.cluster_id = options_.known_clusters.empty() ? config.cluster_id : std::optional(options_.known_clusters.front());
  driver.data_directories_have_cluster = !options_.known_clusters.empty();
  driver.raft = times(config);
  driver.snapshot_bytes = static_cast<uint64_t>(config.metadata_snapshot_bytes);
  driver.snapshot_interval = config.metadata_snapshot_interval;
  driver_ = std::make_unique<quorum::RaftDriver>(std::move(driver), *options_.shard, *options_.disk, *options_.random,
                                                 *options_.wire, *options_.listener, options_.log.with("quorum"));
}

void QuorumNode::start() {
  started_ = true;
  driver_->start([this](Result<quorum::QuorumIdentity> identity) {
    if (!identity) return options_.on_refused(with_property(*options_.config, identity.error().message));
    identity_ = std::move(*identity);
    if (const std::string shown = identity_.cluster_uuid.to_string(); shown != identity_.cluster_id) {
      options_.log.warn("the cluster's id '{}' (naru.cluster.id) is no id as Kafka makes them: clients see {}",
                        identity_.cluster_id, shown);
    }
    known_.store(true, std::memory_order_release);
    options_.on_cluster_known();
  });
}

common::model::Uuid QuorumNode::cluster_id() const {
  return known_.load(std::memory_order_acquire) ? identity_.cluster_uuid : common::model::Uuid{};
}

std::string QuorumNode::cluster_name() const {
  return known_.load(std::memory_order_acquire) ? identity_.cluster_id : std::string();
}

common::Awaitable<void> QuorumNode::stop(common::Shard& here) {
  if (!std::exchange(started_, false)) co_return;
  const auto done = std::make_shared<common::Event>(here);
  driver_->stop([done, &here] { here.post([done] { done->set(); }); });
  co_await common::until(*done);
}

}  // namespace broker
