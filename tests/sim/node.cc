#include "sim/node.h"

#include <algorithm>

#include "sim/disk_view.h"

namespace sim {

using common::disk::SimulatedDisk;
using common::model::Buffer;
using common::model::LogIndex;
using common::model::Term;
namespace raft = controller::raft;

namespace {

// Hears the metadata log before the controller's runtime does.
class Overheard final : public quorum::RaftListener {
 public:
  Overheard(Node& node, NodeObserver& observer, quorum::RaftListener& next)
      : node_(node), observer_(observer), next_(next) {}
  void on_snapshot(Buffer state, LogIndex end) override {
    observer_.on_snapshot(node_, state, end);
    next_.on_snapshot(std::move(state), end);
  }
  void on_committed(std::span<const raft::Entry> entries) override {
    observer_.on_committed(node_, entries);
    next_.on_committed(entries);
  }
  void on_leadership_gained(Term term, LogIndex start) override {
    observer_.on_leadership(node_, term);
    next_.on_leadership_gained(term, start);
  }
  void on_leadership_lost(Term term) override { next_.on_leadership_lost(term); }
  void on_leader_changed(std::optional<BrokerId> leader, Term term) override { next_.on_leader_changed(leader, term); }
  Buffer make_snapshot() override { return next_.make_snapshot(); }
  void on_halted(const std::string& reason) override { next_.on_halted(reason); }

 private:
  Node& node_;
  NodeObserver& observer_;
  quorum::RaftListener& next_;
};

class Watched final : public broker::partition::PartitionListener {
 public:
  Watched(Node& node, NodeObserver& observer) : node_(node), observer_(observer) {}
  void on_high_watermark(broker::partition::Partition& partition) override {
    observer_.on_high_watermark(node_, partition);
  }

 private:
  Node& node_;
  NodeObserver& observer_;
};

}  // namespace

// The process that runs now. The core dies before the loops that its work waits in.
struct Node::Life {
  Life(Node& node, std::shared_ptr<Process> p, uint64_t seed)
      : process(std::move(p)), random(seed, "life"), watched(node, node.observer_) {}
  ~Life() {
    start_over.reset();
    for (const auto& each : memory) each->let_go();
    core.reset();
    overheard.reset();
    metadata_disk.reset();
    process->drop_shards();
  }
  std::shared_ptr<Process> process;
  Rng random;
  Watched watched;
  SimShard* controller_shard = nullptr;
  std::vector<SimShard*> shards;
  std::vector<std::shared_ptr<ShardMemory>> memory;  // of each shard
  std::unique_ptr<SimRaftWire> raft_wire;
  std::unique_ptr<SimControllerWire> controller_wire;
  std::unique_ptr<SimFetchTransport> fetch_transport;
  std::unique_ptr<common::disk::Disk> metadata_disk;
  std::unique_ptr<Overheard> overheard;
  std::unique_ptr<broker::BrokerCore> core;
  std::shared_ptr<Services> services = std::make_shared<Services>();
  bool serving = false;
  bool leaving = false;
  std::optional<common::Event> start_over;  // on the first shard
};

Node::Node(World& world, Network& network, NodeOptions options, WireSite lookups, NodeObserver& observer)
    : world_(world),
      network_(network),
      options_(std::move(options)),
      lookups_(std::move(lookups)),
      observer_(observer),
      random_(world.seed(), "node " + std::to_string(host())),
      disk_(std::make_unique<SimulatedDisk>(disk_options(random_.next()))) {}

Node::~Node() {
  if (life_) end(true);
}

SimulatedDisk::Options Node::disk_options(uint64_t seed) {
  SimulatedDisk::Options options;
  options.seed = seed;
  options.sync_time = options_.sync_time;
  if (options_.file_times) {
    options.wall_now = [this] {
      const auto offset = std::chrono::duration_cast<std::chrono::milliseconds>(wall_offset_).count();
      return common::model::TimestampMs(MachineClock::right_wall_time(world_).value + offset);
    };
  }
  options.scheduler = [this](Duration delay, std::function<void()> f) {
    const Duration jitter(static_cast<int64_t>(random_.next() % 100'000));
    world_.after(Duration(static_cast<int64_t>(static_cast<double>(delay.count()) * slowness_)) + jitter,
                 life_ ? life_->process.get() : nullptr, std::move(f));
  };
  return options;
}

void Node::start() {
  NARU_CHECK(!life_, "node {} runs already", id());
  wants_to_run_ = true;
  ++lives_;
  most_ahead_at_start_ = std::max(most_ahead_at_start_, wall_offset_);
  const uint64_t seed = random_.next();
  auto clock = std::make_shared<MachineClock>(world_, Instant(std::chrono::hours(1 + lives_)), options_.clock_drift);
  clock->step_wall(wall_offset_);
  auto process = std::make_shared<Process>(world_, std::move(clock), static_cast<uint32_t>(host()));
  life_ = std::make_shared<Life>(*this, process, seed);
  Life& life = *life_;
  const int shards = std::max(1, options_.config.shards);
  for (int i = 0; i < shards; ++i) {
    life.shards.push_back(&process->add_shard(i));
    life.memory.push_back(
        std::make_shared<ShardMemory>(*life.shards.back(), options_.config, static_cast<size_t>(shards)));
  }
  life.controller_shard = &process->add_shard(shards);
  life.start_over.emplace(*life.shards.front());

  WireSite site = lookups_;
  site.network = &network_;
  site.process = process;
  site.host = host();
  site.repeat_chance = options_.repeat_chance;
  life.raft_wire = std::make_unique<SimRaftWire>(site, *life.controller_shard);
  life.raft_wire->overhear([this](const raft::Message& message) { observer_.on_raft_sent(*this, message); });
  life.controller_wire = std::make_unique<SimControllerWire>(site, *life.controller_shard);
  life.fetch_transport = std::make_unique<SimFetchTransport>(site);
  life.metadata_disk = make_disk_view(*disk_, process, *life.controller_shard);

  broker::BrokerHost host;
  host.random = &life.random;
  host.controller_shard = life.controller_shard;
  for (SimShard* shard : life.shards) host.shards.push_back(shard);
  host.make_disk = [this, process = std::weak_ptr(process)](common::Shard& shard) {
    return make_disk_view(*disk_, process.lock(), shard);
  };
  host.metadata_disk = life.metadata_disk.get();
  host.raft_wire = life.raft_wire.get();
  host.controller_wire = life.controller_wire.get();
  host.fetch_transport = life.fetch_transport.get();
  host.partition_listener = &life.watched;
  host.listen = [this](quorum::RaftListener& runtime) -> quorum::RaftListener* {
    life_->overheard = std::make_unique<Overheard>(*this, observer_, runtime);
    return life_->overheard.get();
  };
  host.on_refused = [this](const std::string& why) { end_by_itself(why); };
  host.on_fatal = [this](const std::string& why) { end_by_itself("fatal: " + why); };
  life.core = std::make_unique<broker::BrokerCore>(options_.config, std::move(host),
                                                   common::Logger(fmt::format("b{}", this->host())));

  Network::Machine& machine = network_.machine(this->host());
  machine.has_power = true;
  observer_.on_started(*this);
  world_.at(world_.now(), process.get(),
            [this, life = std::weak_ptr(life_)] {
              if (const auto now = life.lock()) now->shards.front()->spawn("node", run(*this, now));
            });
}

// As broker.cc does it, without ports and signals.
common::Awaitable<void> Node::run(Node& node, std::shared_ptr<Life> held) {
  const std::weak_ptr<Life> weak(held);
  Life& life = *held;
  held.reset();  // a frame that waits on one of its loops must not keep the life
  broker::BrokerCore& core = *life.core;
  if (auto opened = core.open_directories(); !opened) {
    node.end_by_itself(opened.error().message);
    co_return;
  }
  std::vector<controller::metadata::Listener> listeners;
  for (const auto& l : node.options_.config.listeners) listeners.push_back({.name = l.name, .host = l.host, .port = l.port});
  core.make_controller(std::move(listeners));
  // The port is bound: others may come.
  life.services->raft = life.raft_wire.get();
  life.services->controller = life.controller_wire.get();
  life.services->shards = life.shards;
  life.services->controller_shard = life.controller_shard;
  life.services->acceptor = [&core](size_t shard) { return &core.acceptor(shard); };
  node.network_.machine(node.host()).listener = life.process;
  auto started = co_await core.start();
  life.start_over->set();
  if (life.leaving) co_return;
  if (!started) {
    node.end_by_itself(started.error().message);
    co_return;
  }
  life.serving = true;
}

void Node::end_by_itself(const std::string& why) {
  if (!life_) return;
  last_words_ = why;
  ++ends_by_itself_;
  // At once: what the process still does after this counts for nothing (the rest of the call that led here runs on,
  // but neither disk nor network take part any more).
  life_->process->end();
  world_.at(world_.now(), nullptr, [this, life = std::weak_ptr(life_)] {
    if (life_ && life_ == life.lock()) {
      end(true);
      world_.after(options_.restart_after, nullptr, [this, lives = lives_] {
        if (wants_to_run_ && !life_ && lives_ == lives) start();
      });
    }
  });
}

void Node::end(bool has_power) {
  const std::shared_ptr<Life> life = std::exchange(life_, nullptr);
  life->process->end();
  *life->services = {};
  Network::Machine& machine = network_.machine(host());
  machine.listener.reset();
  machine.has_power = has_power;
  network_.process_ended(life->process.get(), has_power);
  observer_.on_ended(*this);
}

void Node::die(Death death, SimulatedDisk::Unsynced unsynced) {
  wants_to_run_ = false;
  if (life_) {
    end(death == Death::killed);
  } else {
    network_.machine(host()).has_power = death == Death::killed;
  }
  if (death == Death::killed) {
    disk_->kill();
  } else {
    disk_->crash(unsynced, random_.chance(0.5) ? 512 : 4096);
  }
}

void Node::shut_down() {
  if (!life_ || life_->leaving) return;
  wants_to_run_ = false;
  life_->leaving = true;
  world_.at(world_.now(), life_->process.get(), [this, life = std::weak_ptr(life_)] {
    if (const auto now = life.lock()) now->shards.front()->spawn("node leaves", leave(*this, now));
  });
}

common::Awaitable<void> Node::leave(Node& node, std::shared_ptr<Life> held) {
  Life& life = *held;
  held.reset();
  broker::BrokerCore& core = *life.core;
  core.end_start();
  co_await common::until(*life.start_over);
  if (life.serving) co_await core.leave();
  life.serving = false;
  co_await core.end_streams();
  co_await core.close_logs();
  node.world_.at(node.world_.now(), nullptr, [&node, process = std::weak_ptr(life.process)] {
    if (!node.life_ || node.life_->process != process.lock()) return;
    node.end(true);
    node.disk_->kill();
  });
}

void Node::pause() {
  if (life_) life_->process->pause();
}
void Node::resume() {
  if (life_) life_->process->resume();
}
bool Node::is_paused() const {
  return life_ && life_->process->is_paused();
}
bool Node::is_leaving() const {
  return life_ && life_->leaving;
}
bool Node::is_serving() const {
  return life_ && life_->serving && life_->process->is_alive();
}
std::shared_ptr<Process> Node::process() const {
  return life_ ? life_->process : nullptr;
}
std::shared_ptr<Services> Node::services() const {
  return life_ ? life_->services : nullptr;
}
broker::BrokerCore& Node::core() const {
  return *life_->core;
}
SimShard& Node::controller_shard() const {
  return *life_->controller_shard;
}
const std::vector<SimShard*>& Node::shards() const {
  return life_->shards;
}

const std::shared_ptr<ShardMemory>& Node::memory(size_t shard) const {
  return life_->memory[shard];
}

std::unique_ptr<SimulatedDisk> Node::replace_disk(std::unique_ptr<SimulatedDisk> disk) {
  NARU_CHECK(!life_, "node {} runs", id());
  return std::exchange(disk_, std::move(disk));
}

// Everything that was written is on it, and the machine has not been up since: what is copied is read through the cache.
std::unique_ptr<SimulatedDisk> Node::copy_of_disk(const Node& other) {
  auto copy = other.disk_->clone(disk_options(random_.next()));
  copy->crash(SimulatedDisk::Unsynced::kept);
  return copy;
}

void Node::wipe() {
  replace_disk(std::make_unique<SimulatedDisk>(disk_options(random_.next())));
}

bool Node::has_failed_directory() const {
  if (!life_ || core().directories() == nullptr) return false;
  const auto& all = core().directories()->all();
  return std::any_of(all.begin(), all.end(), [](const auto& directory) { return directory->failure().has_value(); });
}

void Node::step_wall_clock(Duration by) {
  wall_offset_ += by;
  if (life_) life_->process->clock().step_wall(by);
}

void Node::set_wall_clock_right() {
  step_wall_clock(-wall_offset_);
}

}  // namespace sim
