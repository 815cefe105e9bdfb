#include "partition/sim_cluster.h"

#include <algorithm>

#include <catch2/catch.hpp>

namespace sim {

using namespace std::chrono_literals;
using broker::partition::Directories;
using broker::partition::DirectoriesOptions;
using broker::partition::IsrRecorded;
using broker::partition::Recovery;
using broker::partition::ReplicaManager;
using broker::partition::ReplicaManagerOptions;
using common::log::LogDirectory;
using common::model::ErrorCode;
using common::model::LogIndex;
using common::model::PartitionIndex;
using common::model::Result;
using common::model::Uuid;

namespace {
const Uuid cluster_id = Uuid::from_halves(1, 1);
const std::string directory = "data";

class AnyKey final : public metadata::ConfigSchema {
 public:
  metadata::Result<void> validate(const metadata::ConfigResource&, std::string_view, std::string_view) const override {
    return {};
  }
  bool is_list(metadata::ResourceType, std::string_view) const override { return false; }
  std::optional<std::string> default_value(metadata::ResourceType, std::string_view) const override {
    return std::nullopt;
  }
};

class FixedSettings final : public broker::partition::TopicSettingsSource {
 public:
  explicit FixedSettings(TopicSettings settings) : settings_(std::move(settings)) {}
  TopicSettings settings_of(const metadata::MetadataImage&, std::string_view) const override { return settings_; }

 private:
  TopicSettings settings_;
};
}  // namespace

// ---- network ----

// One stream: two ends, frames in order with a delay, broken as a whole.
struct Cluster::Pipe {
  BrokerId follower;
  BrokerId leader;
  bool is_broken = false;
  common::Shard* follower_shard = nullptr;
  common::Shard* leader_shard = nullptr;
  replication::ToLeaderEvents* to_leader_events = nullptr;      // the follower's end listens here; null: it let go
  replication::ToFollowerEvents* to_follower_events = nullptr;  // the leader's end
  bool follower_writing = false;
  bool leader_writing = false;
  Instant last_up, last_down;  // order is kept
};

class MemoryTransport final : public replication::FetchTransport {
 public:
  MemoryTransport(Cluster& cluster, Node& node) : cluster_(cluster), node_(node) {}

  std::unique_ptr<replication::ConnectionToLeader> connect(common::Shard& shard, const replication::Endpoint& leader,
                                                           const replication::FollowerHello& hello,
                                                           replication::ToLeaderEvents& events) override;
  using Pipe = Cluster::Pipe;

  static void break_pipe(Cluster& cluster, const std::shared_ptr<Pipe>& pipe, const std::string& why) {
    if (pipe->is_broken) return;
    pipe->is_broken = true;
    const replication::Broken broken{replication::BreakKind::ended, why};
    // Each end learns of it a little later, if it still is there.
    cluster.world().after(cluster.world().between(10us, 2ms), [pipe, broken] {
      if (pipe->to_leader_events == nullptr) return;
      pipe->follower_shard->post([pipe, broken] {
        if (auto* e = std::exchange(pipe->to_leader_events, nullptr)) e->on_broken(broken);
      });
    });
    cluster.world().after(cluster.world().between(10us, 2ms), [pipe, broken] {
      if (pipe->to_follower_events == nullptr) return;
      pipe->leader_shard->post([pipe, broken] {
        if (auto* e = std::exchange(pipe->to_follower_events, nullptr)) e->on_broken(broken);
      });
    });
  }

  // Delivers `f` on the other side, in order; waits while the pair is cut.
  static void send(Cluster& cluster, const std::shared_ptr<Pipe>& pipe, Instant& last, std::function<void()> f) {
    World& world = cluster.world();
    const Duration delay = world.chance(3) ? world.between(1ms, 30ms) : world.between(20us, 500us);
    last = std::max(world.now() + delay, last + Duration(1));
    deliver(cluster, pipe, last, std::move(f));
  }
  static void deliver(Cluster& cluster, const std::shared_ptr<Pipe>& pipe, Instant when, std::function<void()> f) {
    cluster.world().at(when, [&cluster, pipe, f = std::move(f)] {
      if (pipe->is_broken) return;
      if (cluster.is_cut(pipe->follower, pipe->leader)) return break_pipe(cluster, pipe, "cut");
      f();
    });
  }

 private:
  Cluster& cluster_;
  Node& node_;
};

namespace {

class FollowerEnd final : public replication::ConnectionToLeader {
 public:
  FollowerEnd(Cluster& cluster, std::shared_ptr<MemoryTransport::Pipe> pipe)
      : cluster_(cluster), pipe_(std::move(pipe)) {}
  ~FollowerEnd() override {
    pipe_->to_leader_events = nullptr;
    MemoryTransport::break_pipe(cluster_, pipe_, "closed by the follower");
  }
  bool can_write() override { return !pipe_->follower_writing; }
  void write(replication::FollowerFrame frame) override {
    pipe_->follower_writing = true;
    MemoryTransport::send(cluster_, pipe_, pipe_->last_up, [pipe = pipe_, frame = std::move(frame)] {
      if (pipe->to_leader_events != nullptr) {
        pipe->follower_shard->post([pipe] {
          pipe->follower_writing = false;
          if (pipe->to_leader_events != nullptr) pipe->to_leader_events->on_writable();
        });
      }
      if (pipe->to_follower_events == nullptr) return;
      pipe->leader_shard->post([pipe, frame] {
        if (pipe->to_follower_events != nullptr) pipe->to_follower_events->on_frame(frame);
      });
    });
  }

 private:
  Cluster& cluster_;
  std::shared_ptr<MemoryTransport::Pipe> pipe_;
};

class LeaderEnd final : public replication::ConnectionToFollower {
 public:
  LeaderEnd(Cluster& cluster, std::shared_ptr<MemoryTransport::Pipe> pipe)
      : cluster_(cluster), pipe_(std::move(pipe)) {}
  ~LeaderEnd() override {
    pipe_->to_follower_events = nullptr;
    if (!rejected_) MemoryTransport::break_pipe(cluster_, pipe_, "closed by the leader");
  }
  bool can_write() override { return !pipe_->leader_writing; }
  void write(replication::LeaderFrame frame) override {
    send([frame = std::move(frame)](replication::ToLeaderEvents& events) { events.on_frame(frame); });
  }
  void accept(const replication::LeaderHello& hello) override {
    send([hello](replication::ToLeaderEvents& events) { events.on_connected(hello); });
  }
  void reject(const replication::LeaderHello& hello, const std::string& why) override {
    rejected_ = true;
    send([hello](replication::ToLeaderEvents& events) { events.on_connected(hello); });
    pipe_->last_down += Duration(1);
    MemoryTransport::deliver(cluster_, pipe_, pipe_->last_down, [&cluster = cluster_, pipe = pipe_, why] {
      MemoryTransport::break_pipe(cluster, pipe, why);
    });
  }

 private:
  template <class F>
  void send(F f) {
    pipe_->leader_writing = true;
    MemoryTransport::send(cluster_, pipe_, pipe_->last_down, [pipe = pipe_, f = std::move(f)] {
      if (pipe->to_follower_events != nullptr) {
        pipe->leader_shard->post([pipe] {
          pipe->leader_writing = false;
          if (pipe->to_follower_events != nullptr) pipe->to_follower_events->on_writable();
        });
      } else {
        pipe->leader_writing = false;
      }
      if (pipe->to_leader_events == nullptr) return;
      pipe->follower_shard->post([pipe, f] {
        if (pipe->to_leader_events != nullptr) f(*pipe->to_leader_events);
      });
    });
  }

  Cluster& cluster_;
  std::shared_ptr<MemoryTransport::Pipe> pipe_;
  bool rejected_ = false;
};

}  // namespace

// ---- a process ----

class Proposals final : public broker::partition::AlterPartitionSender {
 public:
  Proposals(Cluster& cluster, Node& node, common::Shard& shard) : cluster_(cluster), node_(node), shard_(shard) {}
  void send(IsrProposal proposal, Done done) override;

 private:
  Cluster& cluster_;
  Node& node_;
  common::Shard& shard_;
};

struct Node::OnShard {
  std::unique_ptr<SimShard> shard;
  std::unique_ptr<common::log::TailCache> cache;
  std::unique_ptr<Proposals> proposals;
  std::unique_ptr<ReplicaManager> manager;
  std::unique_ptr<replication::ReplicationLeader> leader;
  std::unique_ptr<replication::ReplicationFollower> follower;
  std::unique_ptr<broker::cleaner::CleanerTurns> turns;
  std::unique_ptr<broker::cleaner::LogCleaner> cleaner;
};

struct Node::Process {
  std::vector<OnShard> shards;
  std::unique_ptr<MemoryTransport> transport;
  std::unique_ptr<FixedSettings> settings;
  std::unique_ptr<Directories> directories;
  std::optional<BrokerEpoch> epoch;
  size_t metadata_position = 0;  // in Cluster::published_
  metadata::ImagePtr image;
  std::vector<metadata::LogEnd> log_ends;
  std::optional<metadata::ReplicaTrouble> trouble;  // not said yet
};

Node::Node(Cluster& cluster, BrokerId id)
    : cluster_(cluster), id_(id), disk_([&] {
        SimulatedDisk::Options o;
        o.seed = cluster.world_.below(1'000'000) + 1;
        o.scheduler = [this](Duration delay, std::function<void()> f) {
          cluster_.world_.after(delay, [this, life = life_, f = std::move(f)] {
            if (life != life_ || !process_) return;
            process_->shards[0].shard->post(f);
          });
        };
        return o;
      }()) {}

Node::~Node() {
  if (process_) die(Death::killed);
}

std::optional<BrokerEpoch> Node::epoch() const {
  return process_ ? process_->epoch : std::nullopt;
}

void Node::start() {
  REQUIRE_FALSE(process_);
  ++life_;
  World& world = cluster_.world_;
  auto process = std::make_unique<Process>();
  process->transport = std::make_unique<MemoryTransport>(cluster_, *this);
  process->settings = std::make_unique<FixedSettings>(cluster_.options_.settings);
  for (int s = 0; s < shards_; ++s) {
    OnShard on;
    on.shard = std::make_unique<SimShard>(s, world.clock());
    world.add(*on.shard);
    process->shards.push_back(std::move(on));
  }
  std::optional<BrokerEpoch> previous = open_directory(*process);
  if (open_logs(*process) == broker::partition::Claims::given_up) previous.reset();  // R72
  for (auto& on : process->shards) make_streams(*process, on);
  process_ = std::move(process);
  std::vector<common::Shard*> shards;
  std::vector<ReplicaManager*> managers;
  for (auto& on : process_->shards) {
    shards.push_back(on.shard.get());
    managers.push_back(on.manager.get());
  }
  process_->directories->start(shards, managers);
  for (auto& on : process_->shards) {
    on.shard->post([&on] {
      on.manager->add_listener(*on.leader);
      on.manager->add_listener(*on.follower);
      on.manager->set_stream_activity([&on] { return on.leader->spoken_at(); });
      on.manager->start();
      if (on.cleaner) on.cleaner->start();
    });
  }
  register_at_controller(previous);
  deliver_metadata();
}

// The epoch of the life before, if it ended in a way that vouches for everything.
std::optional<BrokerEpoch> Node::open_directory(Process& process) {
  const common::Logger logger(fmt::format("b{}", id_));
  auto opened = LogDirectory::open(disk_, directory, logger);
  REQUIRE(opened.has_value());
  if (!(*opened)->identity()) {
    REQUIRE((*opened)->give_identity({"sim", id_, Uuid::from_halves(5, static_cast<uint64_t>(id_.value))}).has_value());
  }
  std::optional<BrokerEpoch> previous = (*opened)->previous_broker_epoch();
  if ((*opened)->previous_end() == common::log::PreviousEnd::unknown) previous.reset();
  std::vector<std::unique_ptr<LogDirectory>> all;
  all.push_back(std::move(*opened));
  DirectoriesOptions d;
  d.home = process.shards[0].shard.get();
  d.disk = &disk_;
  d.random = &cluster_.world_.random();
  d.logger = logger;
  d.high_watermark_interval = 500ms;
  d.recovery_point_interval = 2s;
  process.directories = std::make_unique<Directories>(d, std::move(all));
  return previous;
}

broker::partition::Claims Node::open_logs(Process& process) {
  auto claims = broker::partition::Claims::kept;
  for (int s = 0; s < shards_; ++s) {
    OnShard& on = process.shards[static_cast<size_t>(s)];
    on.cache = std::make_unique<common::log::TailCache>(64 << 10);
    on.proposals = std::make_unique<Proposals>(cluster_, *this, *on.shard);
    ReplicaManagerOptions m;
    m.shard = on.shard.get();
    m.shard_index = s;
    m.shard_count = shards_;
    m.self = id_;
    m.disk = &disk_;
    m.tail_cache = on.cache.get();
    m.directories = process.directories.get();
    m.settings = process.settings.get();
    m.sender = on.proposals.get();
    m.logger = common::Logger(fmt::format("b{}", id_));
    m.lag_time_max = 2s;
    m.on_trouble = [&process](metadata::ReplicaTrouble trouble) { process.trouble = std::move(trouble); };
    m.tick_interval = 200ms;
    on.manager = std::make_unique<ReplicaManager>(m);
    const auto report = on.manager->open_logs(process.directories->found(s, shards_));
    REQUIRE(report.has_value());
    REQUIRE(report->failed.empty());
    if (report->corrupt > 0) claims = broker::partition::Claims::given_up;
  }
  REQUIRE(process.directories->begin_run(claims).has_value());
  return claims;
}

// Replication in both directions, and the cleaner.
void Node::make_streams(Process& process, OnShard& on) {
  const common::Logger logger(fmt::format("b{}", id_));
  const int s = static_cast<int>(&on - process.shards.data());
  replication::ReplicationLeaderOptions l;
  l.shard = on.shard.get();
  l.cluster_id = cluster_id;
  l.self = id_;
  l.shard_index = s;
  l.shards = shards_;
  l.find = [manager = on.manager.get()](const TopicIdPartition& id) { return manager->find_or_null(id); };
  l.fetch.partition_bytes = 2000;
  l.fetch.credit_bytes = 8000;
  l.logger = logger;
  on.leader = std::make_unique<replication::ReplicationLeader>(l);
  replication::ReplicationFollowerOptions f;
  f.shard = on.shard.get();
  f.cluster_id = cluster_id;
  f.self = id_;
  f.shard_index = s;
  f.shards = shards_;
  f.transport = process.transport.get();
  f.endpoint_of = [](BrokerId id) { return replication::Endpoint{"sim", static_cast<uint16_t>(id.value)}; };
  f.logger = logger;
  on.follower = std::make_unique<replication::ReplicationFollower>(f);
  if (!cluster_.options_.cleaner) return;
  on.turns = std::make_unique<broker::cleaner::CleanerTurns>(*on.shard, 1);
  broker::cleaner::LogCleanerOptions c;
  c.shard = on.shard.get();
  c.replicas = on.manager.get();
  c.turns = on.turns.get();
  c.random = &cluster_.world_.random();
  c.logger = logger;
  c.limits = *cluster_.options_.cleaner;
  on.cleaner = std::make_unique<broker::cleaner::LogCleaner>(std::move(c));
}

// Again and again, until the controller hears it.
void Node::register_at_controller(std::optional<BrokerEpoch> previous) {
  metadata::RegisterBroker r;
  r.broker_id = id_;
  r.cluster_id = cluster_id;
  r.incarnation_id = Uuid::from_halves(static_cast<uint64_t>(id_.value), life_);
  r.directories = {Uuid::from_halves(5, static_cast<uint64_t>(id_.value))};
  r.listeners = {{.name = "PLAINTEXT", .host = "sim", .port = static_cast<uint16_t>(id_.value)}};
  r.cluster_endpoint = {"sim", static_cast<uint16_t>(id_.value)};
  r.features = {
      {metadata::metadata_version_feature, {metadata::metadata_version_latest, metadata::metadata_version_latest}}};
  r.previous_broker_epoch = previous;
  const auto attempt = std::make_shared<std::function<void()>>();
  const std::weak_ptr<std::function<void()>> weak = attempt;
  *attempt = [this, r, life = life_, weak] {
    if (life != life_ || !process_) return;
    if (!cluster_.reaches_controller(id_)) return cluster_.world_.after(100ms, [again = weak.lock()] { (*again)(); });
    const auto answer = cluster_.call(r);
    const auto* registered = std::get_if<metadata::RegisterBrokerAnswer>(&answer);
    if (registered == nullptr || registered->error.code != ErrorCode::none) {
      cluster_.world_.after(100ms, [again = weak.lock()] { (*again)(); });
      return;
    }
    process_->epoch = registered->broker_epoch;
    for (auto& on : process_->shards) {
      on.shard->post([&on, epoch = registered->broker_epoch] {
        on.manager->set_broker_epoch(epoch);
        on.leader->set_broker_epoch(epoch);
        on.follower->set_broker_epoch(epoch);
      });
    }
    process_->directories->note_broker_epoch(registered->broker_epoch);
    heartbeat();
  };
  World& world = cluster_.world_;
  world.after(world.between(1ms, 100ms), [attempt] { (*attempt)(); });
}

void Node::heartbeat() {
  cluster_.world_.after(100ms, [this, life = life_] {
    if (life != life_ || !process_) return;
    if (!cluster_.reaches_controller(id_)) return heartbeat();
    metadata::BrokerHeartbeat h;
    h.broker_id = id_;
    h.broker_epoch = *process_->epoch;
    if (process_->image) h.metadata_offset = process_->image->offset();
    h.ready = true;
    h.log_ends = std::exchange(process_->log_ends, {});
    h.trouble = std::exchange(process_->trouble, std::nullopt);
    const auto answer = cluster_.call(h);
    const auto* beat = std::get_if<metadata::BrokerHeartbeatAnswer>(&answer);
    REQUIRE(beat != nullptr);
    REQUIRE(beat->error == ErrorCode::none);
    for (const metadata::LogEndQuery& query : beat->log_end_queries) {
      if (!process_->image || process_->image->offset() < query.metadata_offset) continue;
      const auto replica = partition(query.partition);
      if (!replica || replica->leader_epoch() < query.leader_epoch) continue;
      process_->log_ends.push_back(
          {query.partition, query.leader_epoch, replica->last_record_epoch(), replica->log_end_offset()});
    }
    heartbeat();
  });
}

// Images come in order, each a little late; several may be merged into one.
void Node::deliver_metadata() {
  World& world = cluster_.world_;
  const Duration delay = world.chance(5) ? world.between(10ms, 300ms) : world.between(100us, 5ms);
  world.after(delay, [this, life = life_] {
    if (life != life_ || !process_) return;
    if (cluster_.reaches_controller(id_) && process_->metadata_position < cluster_.published_.size()) {
      metadata::ImageDelta merged;
      const size_t upto = process_->metadata_position + 1 +
                          cluster_.world_.below(cluster_.published_.size() - process_->metadata_position);
      for (; process_->metadata_position < upto; ++process_->metadata_position) {
        merged.merge(*cluster_.published_[process_->metadata_position].second);
      }
      const metadata::ImagePtr image = cluster_.published_[upto - 1].first;
      const auto delta = std::make_shared<const metadata::ImageDelta>(std::move(merged));
      process_->image = image;
      for (auto& on : process_->shards) {
        on.shard->post([&on, image, delta] {
          on.manager->on_image(image, delta);
          if (!delta->brokers.empty()) on.follower->on_brokers_changed();
        });
      }
    }
    deliver_metadata();
  });
}

void Node::die(Death death) {
  REQUIRE(process_);
  if (death == Death::killed) {
    disk_.kill();
  } else {
    disk_.crash(cluster_.world_.chance(50) ? SimulatedDisk::Unsynced::lost : SimulatedDisk::Unsynced::torn);
  }
  std::unique_ptr<Process> process = std::move(process_);
  ++life_;
  for (auto& pipe : cluster_.pipes_) {
    const auto p = pipe.lock();
    if (!p || (p->follower != id_ && p->leader != id_)) continue;
    if (p->follower == id_) p->to_leader_events = nullptr;
    if (p->leader == id_) p->to_follower_events = nullptr;
    MemoryTransport::break_pipe(cluster_, p, "the process died");
  }
  // Coroutines that wait are ended, so that nothing leaks; whoever hears of it knows that the process is dead.
  for (auto& on : process->shards) {
    on.shard->post([&on] {
      on.cleaner.reset();
      on.follower.reset();
      on.leader.reset();
      on.manager->for_each(
          [](const std::shared_ptr<Partition>& p) { p->release_log(ErrorCode::not_leader_or_follower).reset(); });
      on.manager.reset();
    });
  }
  for (auto& on : process->shards) on.shard->run();
  process->directories.reset();
  for (auto& on : process->shards) {
    cluster_.world_.remove(*on.shard);
    on.shard->drop_all();
  }
}

std::shared_ptr<Partition> Node::partition(const TopicIdPartition& id) const {
  if (!process_) return nullptr;
  return process_->shards[static_cast<size_t>(broker::partition::home_shard(id.topic_id, id.partition, shards_))]
      .manager->find_or_null(id);
}

uint64_t Node::compactions() const {
  uint64_t sum = 0;
  if (!process_) return sum;
  for (const auto& on : process_->shards) sum += on.cleaner ? on.cleaner->runs_done() : 0;
  return sum;
}

common::Shard& Node::shard_of(const TopicIdPartition& id) const {
  return *process_->shards[static_cast<size_t>(broker::partition::home_shard(id.topic_id, id.partition, shards_))]
              .shard;
}

void Node::on_shard_of(const TopicIdPartition& id, std::function<void()> f) {
  shard_of(id).post(std::move(f));
}

std::unique_ptr<replication::ConnectionToLeader> MemoryTransport::connect(common::Shard& shard,
                                                                          const replication::Endpoint& leader,
                                                                          const replication::FollowerHello& hello,
                                                                          replication::ToLeaderEvents& events) {
  auto pipe = std::make_shared<Pipe>();
  pipe->follower = node_.id();
  pipe->leader = BrokerId(leader.port);
  pipe->follower_shard = &shard;
  pipe->to_leader_events = &events;
  pipe->follower_writing = true;
  std::erase_if(cluster_.pipes_, [](const auto& p) { return p.expired(); });
  cluster_.pipes_.push_back(pipe);
  send(cluster_, pipe, pipe->last_up, [&cluster = cluster_, pipe, hello] {
    Node& node = cluster.node(pipe->leader);
    if (!node.is_alive()) return break_pipe(cluster, pipe, "refused");
    pipe->follower_shard->post([pipe] {
      pipe->follower_writing = false;
      if (pipe->to_leader_events != nullptr) pipe->to_leader_events->on_writable();
    });
    auto& shards = node.process_->shards;
    const auto wanted = static_cast<size_t>(hello.leader_shard);
    auto& on = shards[wanted < shards.size() ? wanted : 0];
    pipe->leader_shard = on.shard.get();
    pipe->leader_shard->post([&cluster, pipe, hello, acceptor = on.leader.get()] {
      if (pipe->is_broken) return;
      auto* events = acceptor->on_follower(hello, std::make_unique<LeaderEnd>(cluster, pipe));
      if (events != nullptr) pipe->to_follower_events = events;
    });
  });
  return std::make_unique<FollowerEnd>(cluster_, pipe);
}

// ---- the controller ----

void Proposals::send(IsrProposal proposal, Done done) {
  World& world = cluster_.world_;
  // The process may have died, and this object with it, when a message arrives: the node tells.
  if (world.chance(5) || !cluster_.reaches_controller(node_.id())) {  // lost on the way there
    world.after(20ms, [this, &node = node_, life = node_.life(), done = std::move(done)] {
      if (life != node.life()) return;
      shard_.post([done] { done(common::model::fail(ErrorCode::network_exception)); });
    });
    return;
  }
  world.after(
      world.between(100us, 10ms),
      [this, &node = node_, proposal = std::move(proposal), life = node_.life(), done = std::move(done)] {
        if (life != node.life()) return;
        metadata::AlterPartition request;
        request.broker_id = node_.id();
        request.broker_epoch = *node_.epoch();
        metadata::AlterPartition::Partition p{.topic_id = proposal.partition.topic_id,
                                              .partition = proposal.partition.partition,
                                              .leader_epoch = proposal.leader_epoch,
                                              .partition_epoch = proposal.propose.expected,
                                              .isr = {},
                                              .recovery_state = metadata::RecoveryState::recovered};
        for (const auto& m : proposal.propose.isr) p.isr.push_back({m.id, m.epoch});
        request.partitions.push_back(std::move(p));
        const auto answer = cluster_.call(request);
        Result<IsrRecorded> result = common::model::fail(ErrorCode::unknown_server_error);
        if (const auto* a = std::get_if<metadata::AlterPartitionAnswer>(&answer)) {
          if (a->error != ErrorCode::none) {
            result = common::model::fail(a->error);
          } else if (a->partitions.at(0).error != ErrorCode::none) {
            result = common::model::fail(a->partitions[0].error);
          } else {
            IsrRecorded r;
            r.leader_epoch = a->partitions[0].leader_epoch;
            r.partition.partition_epoch = a->partitions[0].partition_epoch;
            r.partition.isr.assign(a->partitions[0].isr.begin(), a->partitions[0].isr.end());
            result = std::move(r);
          }
        }
        if (cluster_.world_.chance(5))
          result = common::model::fail(ErrorCode::request_timed_out);  // lost on the way back
        cluster_.world_.after(cluster_.world_.between(100us, 10ms),
                              [this, &node, life, done, result = std::move(result)] {
                                if (life != node.life()) return;
                                shard_.post([done, result] { done(result); });
                              });
      });
}

Cluster::Cluster(World& world, ClusterOptions options) : world_(world), options_(std::move(options)) {
  schema_ = std::make_unique<AnyKey>();
  controller_options_.node_id = BrokerId(0);
  controller_options_.replication_factor_default = 3;
  controller_options_.min_isr_default = 2;
  metadata::ActivationStart start;
  start.next_index = LogIndex(0);
  start.cluster_id = cluster_id;
  controller_ =
      std::make_unique<metadata::ControllerState>(controller_options_, *schema_, world.random(), start, world.now());
  commit(controller_->bootstrap());
  for (int i = 1; i <= options_.brokers; ++i) {
    const BrokerId id(i);
    nodes_[id] = std::make_unique<Node>(*this, id);
  }
  for (auto& [id, node] : nodes_) node->start();
  tick();
}

Cluster::~Cluster() = default;

void Cluster::tick() {
  world_.after(20ms, [this] {
    for (const auto& decision : controller_->on_tick(world_.now())) commit(decision);
    // A process that is gone refuses connections; the network that is simulated here is not the controller's.
    for (const metadata::ProbeOrder& probe : controller_->take_probes(world_.now())) {
      const bool alive = node(probe.broker_id).is_alive();
      controller_->on_probe(probe.broker_id, probe.epoch,
                            alive ? metadata::ProbeResult::connected : metadata::ProbeResult::refused, world_.now());
    }
    tick();
  });
}

metadata::ControllerAnswer Cluster::call(const metadata::ControllerRequest& request) {
  const metadata::Decision decision = controller_->handle(request, world_.now());
  commit(decision);
  return decision.answer;
}

void Cluster::commit(const metadata::Decision& decision) {
  for (const std::string& line : decision.log) controller_log.push_back(line);
  if (decision.records.empty()) return;
  const metadata::MetadataImage before = published_.empty() ? metadata::MetadataImage() : *published_.back().first;
  auto applied = metadata::apply(before, decision.records, decision.index);
  REQUIRE(applied.has_value());
  published_.emplace_back(std::make_shared<const metadata::MetadataImage>(std::move(applied->image)),
                          std::make_shared<const metadata::ImageDelta>(std::move(applied->delta)));
}

TopicIdPartition Cluster::create_topic(const std::string& name) {
  metadata::CreateTopics r;
  metadata::CreateTopics::Topic topic;
  topic.name = name;
  topic.partition_count = 1;
  topic.replication_factor = 3;
  r.topics.push_back(topic);
  const auto answer = call(r);
  const auto* created = std::get_if<metadata::CreateTopicsAnswer>(&answer);
  REQUIRE(created != nullptr);
  INFO(created->topics.at(0).error.message);
  REQUIRE(created->topics.at(0).error.code == ErrorCode::none);
  return {created->topics[0].topic_id, PartitionIndex(0)};
}

std::vector<Node*> Cluster::nodes() {
  std::vector<Node*> all;
  for (auto& [id, node] : nodes_) all.push_back(node.get());
  return all;
}

void Cluster::cut(BrokerId a, BrokerId b) {
  cut_.insert(std::minmax(a, b));
}
void Cluster::heal_all() {
  cut_.clear();
}
bool Cluster::is_cut(BrokerId a, BrokerId b) const {
  return cut_.contains(std::minmax(a, b));
}

void Cluster::break_streams(BrokerId a, BrokerId b) {
  for (auto& pipe : pipes_) {
    const auto p = pipe.lock();
    if (p && ((p->follower == a && p->leader == b) || (p->follower == b && p->leader == a))) {
      MemoryTransport::break_pipe(*this, p, "broken");
    }
  }
}

bool Cluster::is_whole(const TopicIdPartition& id) const {
  if (!cut_.empty()) return false;
  for (const auto& [broker, node] : nodes_) {
    if (!node->is_alive()) return false;
  }
  return state(id).leader && state(id).isr.size() == nodes_.size();
}

}  // namespace sim
