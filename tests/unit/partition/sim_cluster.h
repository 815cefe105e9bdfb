// Three brokers' replicas with their real managers, logs, fetch sessions and metadata images, over simulated disks and
// a simulated network, under one real ControllerState that never fails. Brokers are killed, lose power, pause and are
// cut off from each other.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/cleaner/log_cleaner.h"
#include "broker/partition/replica_manager.h"
#include "broker/replication/replication_follower.h"
#include "broker/replication/replication_leader.h"
#include "common/disk/simulated_disk.h"
#include "controller/metadata/controller_state.h"
#include "partition/sim_world.h"

namespace sim {

using broker::partition::IsrProposal;
using broker::partition::Partition;
using broker::partition::TopicSettings;
using common::disk::SimulatedDisk;
using common::model::BrokerEpoch;
using common::model::BrokerId;
using common::model::TopicIdPartition;
namespace metadata = controller::metadata;
namespace replication = broker::replication;

struct ClusterOptions {
  int brokers = 3;
  TopicSettings settings;
  std::optional<broker::cleaner::CleanerLimits> cleaner;  // none: no cleaner runs
};

class Cluster;

// One broker: what survives its processes, and the present process.
class Node {
 public:
  Node(Cluster& cluster, BrokerId id);
  ~Node();

  void start();
  enum class Death { killed, lost_power };
  void die(Death death);
  [[nodiscard]] bool is_alive() const { return process_ != nullptr; }
  [[nodiscard]] BrokerId id() const { return id_; }
  [[nodiscard]] std::optional<BrokerEpoch> epoch() const;
  [[nodiscard]] uint64_t life() const { return life_; }
  // Logs that were compacted in this life.
  [[nodiscard]] uint64_t compactions() const;

  // The replica here, if there is one. Use it inside on_shard() only.
  [[nodiscard]] std::shared_ptr<Partition> partition(const TopicIdPartition& id) const;
  void on_shard_of(const TopicIdPartition& id, std::function<void()> f);
  [[nodiscard]] common::Shard& shard_of(const TopicIdPartition& id) const;

  [[nodiscard]] SimulatedDisk& disk() { return disk_; }

 private:
  friend class Cluster;
  friend class MemoryTransport;
  struct Process;
  struct OnShard;

  std::optional<BrokerEpoch> open_directory(Process& process);
  broker::partition::Claims open_logs(Process& process);
  void make_streams(Process& process, OnShard& on);
  void register_at_controller(std::optional<BrokerEpoch> previous);
  void heartbeat();
  void deliver_metadata();

  Cluster& cluster_;
  const BrokerId id_;
  static constexpr int shards_ = 1;  // callbacks of a simulated disk go to one thread
  SimulatedDisk disk_;
  std::unique_ptr<Process> process_;
  uint64_t life_ = 0;
};

class Cluster {
 public:
  Cluster(World& world, ClusterOptions options);
  ~Cluster();

  TopicIdPartition create_topic(const std::string& name);
  [[nodiscard]] const metadata::MetadataImage& image() const { return controller_->image(); }
  [[nodiscard]] const metadata::PartitionImage& state(const TopicIdPartition& id) const {
    return *image().partition(id.topic_id, id.partition);
  }
  [[nodiscard]] Node& node(BrokerId id) { return *nodes_.at(id); }
  [[nodiscard]] std::vector<Node*> nodes();
  World& world() { return world_; }

  // No frame passes between the two until healed.
  void cut(BrokerId a, BrokerId b);
  void heal_all();
  [[nodiscard]] bool is_cut(BrokerId a, BrokerId b) const;
  // The broker and the controller do not hear of each other until then: a leader that is fenced does not know it, and
  // its proposals go nowhere.
  void isolate_from_controller(BrokerId id, Instant until) { isolated_until_[id] = until; }
  [[nodiscard]] bool reaches_controller(BrokerId id) const {
    const auto found = isolated_until_.find(id);
    return found == isolated_until_.end() || found->second <= world_.now();
  }
  // Breaks the streams between the two; they may reconnect at once.
  void break_streams(BrokerId a, BrokerId b);
  // All full ISRs, all alive, nothing cut.
  [[nodiscard]] bool is_whole(const TopicIdPartition& id) const;
  std::vector<std::string> controller_log;

 private:
  friend class Node;
  friend class MemoryTransport;
  friend class Proposals;

  metadata::ControllerAnswer call(const metadata::ControllerRequest& request);
  void commit(const metadata::Decision& decision);
  void tick();

  World& world_;
  const ClusterOptions options_;
  metadata::ControllerOptions controller_options_;
  std::unique_ptr<metadata::ConfigSchema> schema_;
  std::unique_ptr<metadata::ControllerState> controller_;
  std::vector<std::pair<metadata::ImagePtr, metadata::DeltaPtr>> published_;  // by position
  std::set<std::pair<BrokerId, BrokerId>> cut_;
  std::map<BrokerId, Instant> isolated_until_;
  struct Pipe;
  std::vector<std::weak_ptr<Pipe>> pipes_;
  std::map<BrokerId, std::unique_ptr<Node>> nodes_;
};

}  // namespace sim
