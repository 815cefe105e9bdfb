#include "sim/cluster.h"

#include <algorithm>
#include <charconv>

#include "sim/buggify.h"

namespace sim {

using namespace std::chrono_literals;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

constexpr Host first_twin = 100;
constexpr Host first_client = 1000;
constexpr uint16_t client_port = 9092;
constexpr uint16_t peer_port = 19092;

std::string host_name(int id) {
  return "n" + std::to_string(id);
}

Host resolve(const std::string& name) {
  int id = -1;
  if (name.empty() || name.front() != 'n') return -1;
  std::from_chars(name.data() + 1, name.data() + name.size(), id);
  return id;
}

NetworkOptions network_options(const Options& o) {
  NetworkOptions n;
  n.delay_max = o.network_delay_max;
  n.slow_chance = o.slow_message_chance;
  n.slow_max = 100ms;
  return n;
}

}  // namespace

ClientHost::ClientHost(World& world, Host number)
    : host(number),
      process(std::make_shared<Process>(world, std::make_shared<MachineClock>(world, Instant(1h), 0),
                                        static_cast<uint32_t>(number))),
      shard(&process->add_shard(0)) {}

controller::raft::Endpoint Cluster::peer_address(BrokerId id) {
  return {host_name(id.value), peer_port};
}

// In a run of minutes: no waits of hours, and nothing that only they would show.
void Cluster::hurry(common::config::BrokerConfig& c) const {
  c.topic_defaults.retention_age.reset();
  c.given["log.retention.ms"] = "-1";
  c.offsets_segment_bytes = std::max(options_.segment_bytes, 1 << 20);  // it is set on the topic, and checked there
  c.group_initial_rebalance_delay = milliseconds(500);
  if (options_.compacted) c.cleaner_backoff = milliseconds(1000);
}

common::config::BrokerConfig Cluster::config_of(int id, Host host) const {
  common::config::BrokerConfig c;
  c.node_id = BrokerId(id);
  c.listeners = {{.name = "PLAINTEXT", .host = host_name(host), .port = client_port}};
  c.peer_listeners = {{.name = "CONTROLLER", .host = host_name(host), .port = peer_port}};
  for (int v = 1; v <= options_.voters; ++v) c.voters.push_back({BrokerId(v), {host_name(v), peer_port}});
  c.log_dirs = {"/data"};
  c.metadata_log_dir = "/meta";
  c.metadata_snapshot_bytes = options_.metadata_snapshot_bytes;
  c.shards = options_.shards;
  c.tail_cache_bytes = options_.tail_cache_bytes;
  c.replica_fetch_max_bytes = options_.replica_fetch_bytes;
  c.replica_fetch_response_max_bytes = options_.replica_fetch_response_bytes;
  c.num_partitions = options_.partitions;
  c.default_replication_factor = static_cast<int16_t>(options_.replication_factor);
  c.topic_defaults.min_insync_replicas = options_.min_isr;
  c.topic_defaults.segment_bytes = options_.segment_bytes;
  if (options_.synced) c.topic_defaults.flush_messages = 1;
  // Topics' settings are resolved from what was given as text.
  c.given = {{"min.insync.replicas", std::to_string(options_.min_isr)},
             {"log.segment.bytes", std::to_string(options_.segment_bytes)}};
  if (options_.synced) c.given["log.flush.interval.messages"] = "1";
  c.auto_create_topics = false;
  c.offsets_partitions = options_.offsets_partitions;
  c.offsets_replication_factor = static_cast<int16_t>(options_.replication_factor);
  c.given["offsets.topic.replication.factor"] = std::to_string(options_.replication_factor);
  c.low_space_bytes = 0;
  c.low_space_percent = 0;
  if (options_.days <= 0) hurry(c);
  if (options_.checkpoints_often) {
    c.high_watermark_checkpoint_interval = milliseconds(500);
    c.recovery_point_checkpoint_interval = milliseconds(1000);
  }
  configure_rarely(c, options_.rare);
  return c;
}

Cluster::Cluster(const Options& options, NodeObserver& observer)
    : options_(options),
      world_(options.seed, options.rare),
      network_(world_, network_options(options)),
      observer_(observer) {
  lookups_.resolve = resolve;
  lookups_.services = [this](Host host) -> std::shared_ptr<Services> {
    const Node* node = at(host);
    return node != nullptr ? node->services() : nullptr;
  };
  Rng rng(options.seed, "machines");
  for (int id = 1; id <= options.brokers; ++id) {
    NodeOptions o = options_of(BrokerId(id), id);
    o.clock_drift = options.clock_drift * (static_cast<double>(rng.range(-1000, 1000)) / 1000.0);
    nodes_.push_back(std::make_unique<Node>(world_, network_, std::move(o), lookups_, observer));
  }
}

NodeOptions Cluster::options_of(BrokerId id, Host host) const {
  NodeOptions o;
  o.config = config_of(id.value, host);
  o.host = host;
  o.repeat_chance = options_.repeat_chance;
  o.sync_time = options_.sync_time;
  o.file_times = options_.days > 0;
  return o;
}

Node* Cluster::at(Host host) const {
  if (has_node(BrokerId(host))) return &node(BrokerId(host));
  const auto twin = twins_.find(BrokerId(host - first_twin));
  return twin != twins_.end() ? twin->second.get() : nullptr;
}

Node& Cluster::twin_of(BrokerId id) {
  auto& twin = twins_[id];
  if (!twin) {
    twin = std::make_unique<Node>(world_, network_, options_of(id, first_twin + id.value), lookups_, observer_);
  }
  return *twin;
}

Node* Cluster::registered(BrokerId id, common::model::BrokerEpoch epoch) const {
  const auto is_it = [epoch](const Node& n) { return n.is_serving() && n.core().controller().epoch() == epoch; };
  if (is_it(node(id))) return &node(id);
  const auto twin = twins_.find(id);
  return twin != twins_.end() && is_it(*twin->second) ? twin->second.get() : nullptr;
}

Cluster::~Cluster() {
  for (const auto& client : clients_) {
    client->process->end();
    client->process->drop_shards();
  }
}

void Cluster::start_all() {
  for (const auto& node : nodes_) node->start();
}

ClientHost& Cluster::add_client_host() {
  clients_.push_back(std::make_unique<ClientHost>(world_, first_client + static_cast<Host>(clients_.size())));
  network_.machine(clients_.back()->host).listener = nullptr;
  return *clients_.back();
}

ClientConnection::Site Cluster::site_of(const ClientHost& client) {
  ClientConnection::Site site;
  site.network = &network_;
  site.process = client.process;
  site.shard = client.shard;
  site.host = client.host;
  site.serve = [this, name = "c" + std::to_string(client.host), turn = std::make_shared<size_t>(0)](
                   Host to, std::shared_ptr<Pipe> pipe,
                   std::function<void(Buffer)> answer) -> std::shared_ptr<ServedConnection> {
    Node& there = node(BrokerId(to));
    if (!there.is_serving()) return nullptr;
    const size_t shard = (*turn)++ % there.shards().size();
    return ServedConnection::accept(*there.shards()[shard], there.core().context(shard), there.memory(shard),
                                    std::move(pipe), name, std::move(answer));
  };
  return site;
}

Node* Cluster::active_controller() const {
  Node* newest = nullptr;
  common::model::Term term(-1);
  for (const auto& node : nodes_) {
    if (!node->is_serving() || node->is_paused()) continue;
    const quorum::Raft& raft = node->core().quorum().raft();
    if (raft.is_leader() && raft.term() > term) {
      newest = node.get();
      term = raft.term();
    }
  }
  return newest;
}

controller::metadata::ImagePtr Cluster::newest_image() const {
  controller::metadata::ImagePtr newest;
  for (const auto& node : nodes_) {
    if (!node->is_serving()) continue;
    const auto& image = node->core().controller().publisher().image();
    if (image->offset() && (!newest || *image->offset() > *newest->offset())) newest = image;
  }
  return newest;
}

}  // namespace sim
