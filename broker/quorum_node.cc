#include "broker/quorum_node.h"

#include <future>

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

raft::Config times(const BrokerConfig& config) {
  raft::Config times;
  times.leader_silence = config.quorum_fetch_timeout;
  times.check_quorum = config.quorum_fetch_timeout * 3 / 2;  // R8
  times.election = config.quorum_election_timeout;
  times.election_max = std::max<common::Duration>(config.quorum_election_backoff_max, config.quorum_election_timeout);
  return times;
}

}  // namespace

QuorumNode::QuorumNode(Options options) : options_(std::move(options)), pool_({.sync_threads = 1, .read_threads = 1}) {
  common::Shard& shard = *options_.shard;
  disk_ = common::disk::make_kernel_disk(pool_, [&shard](std::function<void()> f) { shard.post(std::move(f)); });
  const common::Logger log = options_.log.with("quorum");
  service_ = std::make_unique<quorum::RaftService>(shard, log);
  options_.server->add(*service_);
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
  driver_ = std::make_unique<quorum::RaftDriver>(std::move(driver), shard, *disk_, *options_.random, *service_,
                                                 *options_.listener, log);
}

void QuorumNode::start() {
  started_ = true;
  driver_->start([this](Result<quorum::QuorumIdentity> identity) {
    if (!identity) return options_.on_refused(identity.error().message);
    identity_ = std::move(*identity);
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

void QuorumNode::stop() {
  if (!std::exchange(started_, false)) return;
  std::promise<void> done;
  driver_->stop([&done] { done.set_value(); });
  done.get_future().wait();
}

}  // namespace broker
