// A broker's whole controller half, put together: runtime, sessions on both sides, forwarded calls, probes. What is
// missing is Raft, which is attached, and the network, which is given.
//
//   GrpcControllerWire wire;  ControllerNode node(..., wire, ...);
//   RaftDriver raft(..., node.listener(), ...);  node.attach(raft);
//   grpc_server.add(wire.service());  grpc_server.start();  node.start();  ...recovery...  node.set_ready();
// At the end: shut_down(), close(), stop the server, end Raft, stop the controller's shard, let the node die.
//
// Any thread, unless a method says otherwise.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "controller/quorum/broker_session.h"
#include "controller/quorum/controller_client.h"
#include "controller/quorum/controller_wire.h"

namespace controller::quorum {

struct ControllerNodeOptions {
  metadata::ControllerOptions controller;
  SessionOptions session;
  // What the voters or the configuration say about a node that has not registered, or cannot be reached where it did.
  // Called on the controller's shard.
  std::function<std::optional<metadata::ClusterEndpoint>(BrokerId)> configured_endpoint;
};

class ControllerNode {
 public:
  // `shard` is the controller's; all references outlive the node. Hooks are called on that shard.
  ControllerNode(common::Shard& shard, ControllerNodeOptions options, ControllerWire& wire,
                 const metadata::ConfigSchema& schema, common::model::Random& random, RuntimeHooks runtime_hooks, SessionHooks session_hooks,
                 common::Logger log);
  ~ControllerNode();
  ControllerNode(const ControllerNode&) = delete;
  ControllerNode& operator=(const ControllerNode&) = delete;

  // For the Raft driver; it calls on the controller's shard.
  [[nodiscard]] RaftListener& listener();
  // Before Raft calls its listener.
  void attach(Raft& raft);

  // BrokerSession's, from any thread.
  void report_damaged_logs();
  void start();
  void set_ready();
  void ask_to_be_fenced();
  void set_trouble(metadata::ReplicaTrouble trouble);
  void report_lost(BrokerId id);
  // `done` is called on the controller's shard.
  void shut_down(Instant deadline, std::function<void(bool)> done);
  // If this node leads the quorum, hands leadership over first (R10). `done` on the controller's shard.
  void hand_over(std::function<void()> done);
  void close();

  [[nodiscard]] ControllerClient& client();
  [[nodiscard]] MetadataPublisher& publisher();
  [[nodiscard]] std::optional<BrokerEpoch> epoch() const;
  [[nodiscard]] bool isolated() const;
  [[nodiscard]] bool behind() const;
  [[nodiscard]] bool has_lost_session() const;
  // R33: isolated, and somebody else may lead what this broker believes to lead. Not so while every voter that could
  // have decided it is known to be dead.
  [[nodiscard]] bool may_be_replaced() const;
  [[nodiscard]] bool in_service() const;
  // Who leads the quorum, as far as this node knows.
  [[nodiscard]] std::optional<BrokerId> leader() const;
  // On the controller's shard.
  [[nodiscard]] ControllerMeasures measures() const;
  // `f` is called on the controller's shard when leader() has changed. Before Raft starts.
  void when_leader_changes(std::function<void()> f);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace controller::quorum
