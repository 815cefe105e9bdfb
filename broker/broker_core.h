// All of a broker but its sockets and threads: directories, quorum, controller half, replicas, streams, coordinators and
// the contexts of its request handlers, put together over whatever disk, network and shards it is given. broker.cc gives
// it the kernel's and gRPC's; the simulator gives it its own, so that what runs there is what runs in production.
//
// Order: open_directories(), make_controller() (then others may reach the raft and controller wires), start(), serving;
// leave(), end_streams(), (no more calls from outside), close_logs(). All on the home shard, the first of the given ones,
// unless said otherwise; the coroutines run there. It dies when no shard runs any more.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/config_schema.h"
#include "broker/follower_throttles.h"
#include "broker/http/parts.h"
#include "broker/quorum_node.h"
#include "broker/shard_parts.h"
#include "common/log/log_directories.h"
#include "controller/quorum/controller_node.h"

namespace broker {

// What a broker stands on. Everything outlives it.
struct BrokerHost {
  common::model::Random* random = nullptr;  // of the home shard; fresh in every life
  common::Shard* controller_shard = nullptr;
  std::vector<common::Shard*> shards;
  // A disk that calls back on `shard`.
  std::function<std::unique_ptr<common::disk::Disk>(common::Shard& shard)> make_disk;
  common::disk::Disk* metadata_disk = nullptr;  // on the controller's shard, with threads of its own (R78)
  controller::quorum::RaftWire* raft_wire = nullptr;
  controller::quorum::ControllerWire* controller_wire = nullptr;
  replication::FetchTransport* fetch_transport = nullptr;
  partition::PartitionListener* partition_listener = nullptr;  // may be null; called on every shard
  // What hears the metadata log first. Absent: the controller's runtime itself.
  std::function<controller::quorum::RaftListener*(controller::quorum::RaftListener& runtime)> listen;
  // What is configured for brokers has changed in the metadata. May be absent; on the home shard.
  std::function<void(const controller::metadata::MetadataImage& image)> on_broker_configs;
  // This broker cannot take part and should end (any shard); ends on its own account, and must end at once (R18).
  std::function<void(const std::string& why)> on_refused;
  std::function<void(const std::string& why)> on_fatal;
};

class BrokerCore {
 public:
  BrokerCore(const common::config::BrokerConfig& config, BrokerHost host, common::Logger log);
  ~BrokerCore();
  BrokerCore(const BrokerCore&) = delete;
  BrokerCore& operator=(const BrokerCore&) = delete;

  // Locked, identified, how their last run ended. Nothing is written to a log yet.
  [[nodiscard]] common::model::Result<void> open_directories();
  // The controller half and the quorum, silent until start(). `listeners` as advertised to clients.
  void make_controller(std::vector<controller::metadata::Listener> listeners);
  // Finds or forms the cluster, recovers the logs, registers. Ends when clients may be let in, or with an error: with
  // an empty message if end_start() was called.
  [[nodiscard]] common::Awaitable<common::model::Result<void>> start();
  // start() ends soon. Any shard.
  void end_start();

  // Hands leaderships over (R31). After a start that succeeded.
  [[nodiscard]] common::Awaitable<void> leave();
  // Coordinators, replication and quorum end. Also after a start that failed.
  [[nodiscard]] common::Awaitable<void> end_streams();
  // The last: logs closed, clean markers written (R70).
  [[nodiscard]] common::Awaitable<void> close_logs();

  // After start().
  [[nodiscard]] api::BrokerContext& context(size_t shard) { return parts_[shard]->context(); }
  [[nodiscard]] const ShardParts& part(size_t shard) const { return *parts_[shard]; }
  [[nodiscard]] partition::PartitionRouter& router() { return *router_; }
  [[nodiscard]] const partition::Directories* directories() const { return directories_.get(); }
  // After make_controller().
  [[nodiscard]] controller::quorum::ControllerNode& controller() { return *controller_; }
  [[nodiscard]] QuorumNode& quorum() { return *quorum_; }
  // Who takes the streams of followers, by shard; from the beginning, refusing until the logs are open.
  [[nodiscard]] replication::FollowerAcceptor& acceptor(size_t shard);
  // What may be looked at from outside. After start().
  [[nodiscard]] http::BrokerParts looked_at();
  [[nodiscard]] const http::StartProgress& start_progress() const { return start_progress_; }  // any thread
  [[nodiscard]] bool is_serving() const { return serving_; }  // any thread

 private:
  class LateAcceptor;
  class ShardPulse;

  void collect_shared_parts();
  void make_groups();
  void make_directories();
  common::Awaitable<common::model::Result<void>> find_cluster();
  common::Awaitable<common::model::Result<void>> open_logs();
  common::Awaitable<common::model::Result<void>> open_logs_of(ShardParts& part, int index);
  void take_back_what_returned();
  common::model::Result<void> give_identities();
  common::Awaitable<void> connect_shards(std::vector<partition::ReplicaManager*> managers);
  common::Awaitable<common::model::Result<void>> register_broker();
  common::Awaitable<bool> until_or_ended(std::function<bool()> condition);
  template <class F>
  common::Awaitable<void> run_on(common::Shard& shard, F f);
  void refuse(const std::string& why);
  void wake();

  [[nodiscard]] common::Shard& home() const { return *host_.shards.front(); }
  [[nodiscard]] common::model::Uuid cluster_id() const;
  [[nodiscard]] std::optional<common::model::BrokerEpoch> epoch() const { return controller_->epoch(); }
  [[nodiscard]] controller::quorum::SessionOptions session_options(std::vector<controller::metadata::Listener> listeners);
  [[nodiscard]] controller::quorum::SessionHooks session_hooks();
  void on_registered(common::model::BrokerEpoch epoch);
  void on_trouble(int shard, controller::metadata::ReplicaTrouble trouble);
  static common::Awaitable<void> answer_log_ends(
      BrokerCore* self, std::vector<controller::metadata::LogEndQuery> queries,
      std::function<void(std::vector<controller::metadata::LogEnd>)> answer);

  const common::config::BrokerConfig& config_;
  const BrokerHost host_;
  const common::Logger log_;
  ConfiguredTopics topics_;
  TableSchema schema_;
  std::unique_ptr<common::model::SeededRandom> controller_random_;
  common::Event progress_;  // pulsed when something that start() waits for may have happened
  std::optional<std::string> refusal_;
  bool ending_ = false;

  std::unique_ptr<common::disk::Disk> start_disk_;  // of the home shard; directories are opened with it
  std::vector<std::unique_ptr<common::log::LogDirectory>> opened_;
  std::vector<common::log::MadeWay> stale_;  // of opened_: what is worth less than the same in another of them
  std::vector<common::model::DirectoryId> directory_ids_;
  std::optional<common::model::BrokerEpoch> previous_epoch_;

  std::unique_ptr<controller::quorum::ControllerNode> controller_;
  std::unique_ptr<QuorumNode> quorum_;
  std::vector<std::unique_ptr<LateAcceptor>> acceptors_;
  std::unique_ptr<group::GroupService> groups_;
  std::unique_ptr<cleaner::CleanerTurns> cleaner_turns_;
  replication::SendThrottle send_throttle_;
  FollowerThrottles follower_throttles_;
  SharedParts shared_;
  std::vector<std::unique_ptr<ShardParts>> parts_;
  std::unique_ptr<partition::Directories> directories_;
  std::unique_ptr<partition::PartitionRouter> router_;
  std::unique_ptr<ShardPulse> pulse_;
  std::vector<std::shared_ptr<void>> subscriptions_;  // by shard; each dies on its shard
  std::map<int, controller::metadata::ReplicaTrouble> troubles_;  // by shard; on the controller's
  partition::Claims claims_ = partition::Claims::kept;            // R72
  std::map<std::string, common::model::Error> failed_directories_;  // while logs were opened (R76)
  std::atomic<bool> serving_{false};
  http::StartProgress start_progress_;
};

}  // namespace broker
