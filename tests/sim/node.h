// A machine with a broker: what survives its processes (the disk, the clocks, the configuration), and the process that
// runs now, which is production's BrokerCore over the simulated disk and network. If the broker ends by itself, it is
// started again after a while, as a supervisor would.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "broker/broker_core.h"
#include "common/config/config.h"
#include "common/disk/simulated_disk.h"
#include "sim/memory.h"
#include "sim/wires.h"

namespace sim {

using common::model::BrokerId;

enum class Death {
  killed,      // SIGKILL: the kernel keeps what was written and closes the connections
  power_lost,  // the machine stops: what was not synced is in doubt, and nobody is told
};

class Node;

// Told of what happens in a process, for the invariants.
class NodeObserver {
 public:
  virtual ~NodeObserver() = default;
  virtual void on_started(Node& node) = 0;
  virtual void on_ended(Node& node) = 0;
  virtual void on_committed(Node& node, std::span<const controller::raft::Entry> entries) = 0;
  virtual void on_snapshot(Node& node, const common::model::Buffer& state, common::model::LogIndex end) = 0;
  virtual void on_leadership(Node& node, common::model::Term term) = 0;
  virtual void on_high_watermark(Node& node, broker::partition::Partition& partition) = 0;
  virtual void on_raft_sent(Node& node, const controller::raft::Message& message) = 0;
};

struct NodeOptions {
  common::config::BrokerConfig config;
  Host host = 0;  // of the machine; 0: the broker's id
  double repeat_chance = 0;  // of messages that receivers filter (R23)
  double clock_drift = 0;
  Duration sync_time = std::chrono::milliseconds(2);
  bool file_times = false;  // files know when they were changed last: of the age of records, and of producers (R82, R88)
  Duration restart_after = std::chrono::milliseconds(1500);  // an end on its own account
};

class Node {
 public:
  Node(World& world, Network& network, NodeOptions options, WireSite lookups, NodeObserver& observer);
  ~Node();

  [[nodiscard]] BrokerId id() const { return options_.config.node_id; }
  [[nodiscard]] Host host() const { return options_.host != 0 ? options_.host : id().value; }
  [[nodiscard]] const common::config::BrokerConfig& config() const { return options_.config; }

  void start();
  void die(Death death, common::disk::SimulatedDisk::Unsynced unsynced = common::disk::SimulatedDisk::Unsynced::lost);
  // SIGTERM: hands over, closes its logs, ends. Starts again by start() only.
  void shut_down();
  void pause();
  void resume();

  [[nodiscard]] bool is_running() const { return life_ != nullptr; }
  [[nodiscard]] bool is_paused() const;
  [[nodiscard]] bool is_leaving() const;
  // Clients are let in.
  [[nodiscard]] bool is_serving() const;
  [[nodiscard]] uint64_t lives() const { return lives_; }
  [[nodiscard]] const std::string& last_words() const { return last_words_; }
  [[nodiscard]] uint64_t ends_by_itself() const { return ends_by_itself_; }

  [[nodiscard]] std::shared_ptr<Process> process() const;
  [[nodiscard]] std::shared_ptr<Services> services() const;
  [[nodiscard]] broker::BrokerCore& core() const;
  [[nodiscard]] SimShard& controller_shard() const;
  [[nodiscard]] const std::vector<SimShard*>& shards() const;
  [[nodiscard]] const std::shared_ptr<ShardMemory>& memory(size_t shard) const;

  [[nodiscard]] common::disk::SimulatedDisk& disk() { return *disk_; }
  // Another disk in place of this one (wiped, an older image, a copy), which is given back. Only while nothing runs.
  std::unique_ptr<common::disk::SimulatedDisk> replace_disk(std::unique_ptr<common::disk::SimulatedDisk> disk);
  void wipe();
  // A disk for this machine with what is on another one's now.
  [[nodiscard]] std::unique_ptr<common::disk::SimulatedDisk> copy_of_disk(const Node& other);
  [[nodiscard]] bool has_failed_directory() const;
  // The disk in it is a copy of another broker's: nothing may come of it.
  void set_holds_foreign_disk(bool foreign) { holds_foreign_disk_ = foreign; }
  [[nodiscard]] bool holds_foreign_disk() const { return holds_foreign_disk_; }
  void set_disk_slowness(double factor) { slowness_ = factor; }
  void step_wall_clock(Duration by);
  void set_wall_clock_right();
  // How far ahead its wall clock ever was when it started: that is what its broker had to believe.
  [[nodiscard]] Duration most_ahead_at_start() const { return most_ahead_at_start_; }
  [[nodiscard]] World& world() const { return world_; }

  // Looks at what lives on a shard. Nothing may be changed there.
  template <class F>
  void for_each_partition(F f) const;

 private:
  struct Life;
  void end(bool has_power);
  void end_by_itself(const std::string& why);
  static common::Awaitable<void> run(Node& node, std::shared_ptr<Life> life);
  static common::Awaitable<void> leave(Node& node, std::shared_ptr<Life> life);
  common::disk::SimulatedDisk::Options disk_options(uint64_t seed);

  World& world_;
  Network& network_;
  const NodeOptions options_;
  WireSite lookups_;
  NodeObserver& observer_;
  Rng random_;
  std::unique_ptr<common::disk::SimulatedDisk> disk_;
  bool holds_foreign_disk_ = false;
  double slowness_ = 1;
  Duration wall_offset_{0};
  Duration most_ahead_at_start_{0};
  std::shared_ptr<Life> life_;
  bool wants_to_run_ = false;  // not killed by a fault, but perhaps ended by itself and about to start again
  uint64_t lives_ = 0;
  uint64_t ends_by_itself_ = 0;
  std::string last_words_;
};

template <class F>
void Node::for_each_partition(F f) const {
  if (!is_running() || core().directories() == nullptr) return;
  for (size_t i = 0; i < shards().size(); ++i) {
    Process::look(*shards()[i], [&] { core().part(i).replicas().for_each(f); });
  }
}

}  // namespace sim
