// The machines of one run: brokers, and the hosts that clients are on, on one network.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "sim/kafka_wire.h"
#include "sim/node.h"
#include "sim/options.h"

namespace sim {

// A host with client programs on it; never fails.
struct ClientHost {
  ClientHost(World& world, Host number);
  Host host;
  std::shared_ptr<Process> process;
  SimShard* shard;
};

class Cluster {
 public:
  Cluster(const Options& options, NodeObserver& observer);
  ~Cluster();

  void start_all();
  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  [[nodiscard]] Node& node(BrokerId id) const { return *nodes_[static_cast<size_t>(id.value) - 1]; }
  [[nodiscard]] bool has_node(BrokerId id) const { return id.value >= 1 && id.value <= static_cast<int>(nodes_.size()); }
  // A second machine with that broker's configuration but for its address, to be started with a copy of its disk. Made
  // when it is first asked for.
  [[nodiscard]] Node& twin_of(BrokerId id);
  [[nodiscard]] const std::map<BrokerId, std::unique_ptr<Node>>& twins() const { return twins_; }
  // Of all machines with that id the one whose process is registered under that epoch and serves; null: none.
  [[nodiscard]] Node* registered(BrokerId id, common::model::BrokerEpoch epoch) const;
  // Where the other brokers reach it.
  [[nodiscard]] static controller::raft::Endpoint peer_address(BrokerId id);
  ClientHost& add_client_host();
  [[nodiscard]] ClientConnection::Site site_of(const ClientHost& client);

  // The broker that leads the quorum by its own account and serves; null: none.
  [[nodiscard]] Node* active_controller() const;
  // The newest committed metadata that any running broker has.
  [[nodiscard]] controller::metadata::ImagePtr newest_image() const;
  // The newest committed metadata that anybody ever had, also if whoever knew it is dead.
  [[nodiscard]] const controller::metadata::ImagePtr& committed_image() const { return committed_image_; }
  void set_committed_image(controller::metadata::ImagePtr image) { committed_image_ = std::move(image); }

 private:
  [[nodiscard]] common::config::BrokerConfig config_of(int id, Host host) const;
  [[nodiscard]] NodeOptions options_of(BrokerId id, Host host) const;
  [[nodiscard]] Node* at(Host host) const;
  void hurry(common::config::BrokerConfig& c) const;

  const Options options_;
  World world_;
  Network network_;
  NodeObserver& observer_;
  WireSite lookups_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<BrokerId, std::unique_ptr<Node>> twins_;
  std::vector<std::unique_ptr<ClientHost>> clients_;
  controller::metadata::ImagePtr committed_image_;
};

}  // namespace sim
