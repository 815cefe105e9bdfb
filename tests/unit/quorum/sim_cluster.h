// Several nodes' controllers in one simulated process: production runtime, sessions and client over a fake quorum, and
// links that deliver after a millisecond. A killed node refuses connections; a frozen one answers nothing.
// Thread-compatible.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "controller/quorum/broker_session.h"
#include "controller/quorum/forwarding_client.h"
#include "controller/quorum/session_server.h"
#include "quorum/fake_quorum.h"
#include "quorum/sim_world.h"

namespace quorum_test {

using namespace std::chrono_literals;
using namespace controller::metadata;
using common::model::IncarnationId;
using quorum::ControllerLinks;
using quorum::ControllerRuntime;
using quorum::Reply;
using quorum::SessionDown;
using quorum::SessionEvents;
using quorum::SessionStream;
using quorum::SessionUp;

class AnyKey final : public ConfigSchema {
 public:
  Result<void> validate(const ConfigResource&, std::string_view, std::string_view) const override { return {}; }
  bool is_list(ResourceType, std::string_view) const override { return false; }
  std::optional<std::string> default_value(ResourceType, std::string_view) const override { return std::nullopt; }
};

// What a shard of the broker would do with the metadata.
class Follower final : public quorum::MetadataSubscriber {
 public:
  void on_image(quorum::ImagePtr image, quorum::DeltaPtr delta) override {
    if (seen) REQUIRE(*image->offset() > *seen->offset());
    const auto expected = difference(seen ? *seen : MetadataImage{}, *image);
    for (const auto& [id, indexes] : expected.partitions) REQUIRE(delta->partitions.contains(id));
    seen = std::move(image);
  }
  quorum::ImagePtr seen;
};

class SimCluster;

// The broker's end of a link, and its port at the controller.
class SimLinks final : public ControllerLinks {
 public:
  SimLinks(SimCluster& cluster, BrokerId self) : cluster_(cluster), self_(self) {}
  std::unique_ptr<SessionStream> open_session(BrokerId controller, SessionEvents events) override;
  void call(BrokerId controller, const ControllerRequest& request, const RequestOrigin& origin, Instant deadline,
            std::function<void(Result<Reply>)> done) override;

 private:
  SimCluster& cluster_;
  const BrokerId self_;
};

class SimProber final : public quorum::Prober {
 public:
  explicit SimProber(SimCluster& cluster) : cluster_(cluster) {}
  void probe(const ProbeOrder& order, std::function<void(ProbeResult)> done) override;

 private:
  SimCluster& cluster_;
};

struct SimNode {
  SimNode(SimCluster& cluster, BrokerId id, uint64_t life, std::optional<BrokerEpoch> previous_epoch);
  ~SimNode();

  SimCluster& cluster;
  const BrokerId id;
  SimShard shard;   // the controller's
  SimShard worker;  // a shard with partitions
  AnyKey schema;
  common::model::SeededRandom random;
  SimProber prober;
  std::string fatal;
  std::string rejected;
  ControllerRuntime runtime;
  quorum::SessionServer server;
  SimLinks links;
  std::unique_ptr<FakeRaft> raft;
  quorum::ForwardingClient client;
  quorum::BrokerSession session;
  Follower follower;
  std::shared_ptr<void> subscription;
};

class SimCluster {
 public:
  explicit SimCluster(int brokers) : shard_(100, world), quorum(shard_) {
    configure_test_logging();
    for (int id = 1; id <= brokers; ++id) start(id);
    quorum.elect(BrokerId{1});
    REQUIRE(run_until([&] { return active_brokers() == brokers; }));
  }

  common::Duration heartbeat_interval = std::chrono::milliseconds(100);  // of the nodes started from now on
  SimNode& start(int id, std::optional<BrokerEpoch> previous_epoch = std::nullopt, bool damaged_logs = false) {
    auto& node = nodes_[BrokerId{id}];
    node = std::make_unique<SimNode>(*this, BrokerId{id}, ++lives_, previous_epoch);
    if (damaged_logs) node->session.report_damaged_logs();
    node->session.start();
    node->session.set_ready();
    return *node;
  }
  // Who listens at the controllers' addresses, if it is somebody else: what it says to every hello.
  std::optional<common::model::Error> stranger_says;
  int strangers_met = 0;
  // SIGKILL: connections end, its port refuses.
  void kill(int id) {
    quorum.leave(BrokerId{id});
    nodes_.erase(BrokerId{id});
  }
  SimNode& node(int id) { return *nodes_.at(BrokerId{id}); }
  SimNode* find(BrokerId id) {
    const auto found = nodes_.find(id);
    return found != nodes_.end() ? found->second.get() : nullptr;
  }
  bool frozen(BrokerId id) const { return frozen_.contains(id); }
  // Nothing reaches or leaves the node any more, and nobody notices.
  void freeze(int id) { frozen_.insert(BrokerId{id}); }
  // What was under way is lost for good, and again nobody notices.
  void thaw(int id) { frozen_.erase(BrokerId{id}); }

  const MetadataImage& image_of(int id) { return *node(id).runtime.image(); }
  int active_brokers() {
    int count = 0;
    const auto& image = *nodes_.begin()->second->runtime.image();
    for (const auto& [id, broker] : image.brokers()) count += is_active(*broker) ? 1 : 0;
    return count;
  }
  template <class Condition>
  bool run_until(Condition condition, Duration limit = 20s) {
    return world.run_until(std::move(condition), limit);
  }
  template <class Answer>
  Answer ask(int id, ControllerRequest request, Duration timeout = 10s) {
    std::optional<ControllerAnswer> answer;
    node(id).client.ask(std::move(request), world.clock().now() + timeout, {},
                        [&](ControllerAnswer a) { answer = std::move(a); });
    REQUIRE(run_until([&] { return answer.has_value(); }, timeout + 1s));
    if (const auto* refused = std::get_if<Refused>(&*answer)) FAIL("refused: " << refused->error.message);
    return std::get<Answer>(*answer);
  }
  CreateTopicsAnswer::Topic create(int through, const std::string& name, std::vector<std::vector<int>> replicas) {
    CreateTopics r;
    CreateTopics::Topic t;
    t.name = name;
    int32_t index = 0;
    for (const auto& list : replicas) {
      std::vector<BrokerId> ids;
      for (const int i : list) ids.push_back(BrokerId{i});
      t.assignments.emplace_back(PartitionIndex{index++}, ids);
    }
    r.topics = {t};
    return ask<CreateTopicsAnswer>(through, r).topics.at(0);
  }

  SimWorld world;

 private:
  SimShard shard_;

 public:
  FakeQuorum quorum;

 private:
  std::map<BrokerId, std::unique_ptr<SimNode>> nodes_;
  std::set<BrokerId> frozen_;
  uint64_t lives_ = 0;
};

inline ControllerOptions sim_options(BrokerId id) {
  ControllerOptions options;
  options.node_id = id;
  options.replication_factor_default = 3;
  options.min_isr_default = 2;
  return options;
}

inline const Uuid sim_cluster_id = Uuid::from_halves(4, 2);

inline quorum::SessionOptions sim_session(BrokerId id, uint64_t life, std::optional<BrokerEpoch> previous_epoch,
                                          common::Duration heartbeat_interval = std::chrono::milliseconds(100)) {
  quorum::SessionOptions o;
  o.heartbeat_interval = heartbeat_interval;
  o.broker_id = id;
  o.directories = {Uuid::from_halves(100, static_cast<uint64_t>(id.value))};
  o.listeners = {{"PLAINTEXT", "sim", 9092, SecurityProtocol::plaintext}};
  o.cluster_endpoint = {"sim", static_cast<uint16_t>(id.value)};
  o.incarnation_id = Uuid::from_halves(200, life);
  o.previous_broker_epoch = previous_epoch;
  return o;
}

inline SimNode::SimNode(SimCluster& c, BrokerId node_id, uint64_t life, std::optional<BrokerEpoch> previous_epoch)
    : cluster(c),
      id(node_id),
      shard(node_id.value, c.world),
      worker(node_id.value + 1000, c.world),
      random(life),
      prober(c),
      runtime(
          shard, sim_options(node_id), schema, random, prober, common::Logger(fmt::format("n{}", node_id)),
          {.cluster_id = [] { return sim_cluster_id; }, .on_fatal = [this](const std::string& why) { fatal = why; }}),
      server(runtime, node_id, common::Logger()),
      links(c, node_id),
      client(shard, runtime, links, node_id, random),
      session(shard, runtime, server, links, sim_session(node_id, life, previous_epoch, c.heartbeat_interval),
              {.cluster_id = [] { return sim_cluster_id; },
               .progress = nullptr,
               .log_ends = nullptr,
               .on_registered = nullptr,
               .on_rejected = [this](const std::string& why) { rejected = why; }},
              common::Logger(fmt::format("s{}", node_id))) {
  raft = std::make_unique<FakeRaft>(c.quorum, node_id);
  runtime.attach(*raft);
  subscription = runtime.publisher().subscribe(worker, follower);
  c.quorum.join(node_id, runtime);
}
inline SimNode::~SimNode() = default;

inline void SimProber::probe(const ProbeOrder& order, std::function<void(ProbeResult)> done) {
  const Instant when = cluster_.world.clock().now() + 1ms;
  const auto result = cluster_.frozen(order.broker_id)            ? ProbeResult::no_answer
                      : cluster_.find(order.broker_id) == nullptr ? ProbeResult::refused
                                                                  : ProbeResult::connected;
  cluster_.world.at(when, [done = std::move(done), result] { done(result); });
}

// One session between two nodes. Each side holds it; events are delivered only to the life of a node that opened it.
struct SimStreamState {
  SimCluster& cluster;
  BrokerId client;
  BrokerId server;
  SessionEvents events;
  bool client_gone = false;
  bool ended = false;
  quorum::SessionServer::Session session = 0;
  SimNode* client_life = nullptr;
  SimNode* server_life = nullptr;

  bool client_alive() const { return !client_gone && cluster.find(client) == client_life; }
  bool server_alive() const { return cluster.find(server) == server_life && server_life != nullptr; }
  bool cut() const { return cluster.frozen(client) || cluster.frozen(server); }
};

class SimPort final : public quorum::SessionPort {
 public:
  explicit SimPort(std::shared_ptr<SimStreamState> state) : state_(std::move(state)) {}
  void send(uint64_t sequence, SessionDown message) override {
    state_->cluster.world.at(state_->cluster.world.clock().now() + 1ms,
                             [s = state_, sequence, message = std::move(message)] {
                               if (!s->cut() && s->client_alive() && !s->ended) s->events.on_message(sequence, message);
                             });
  }
  void close() override;

 private:
  std::shared_ptr<SimStreamState> state_;
};

inline void end_stream(const std::shared_ptr<SimStreamState>& s) {
  s->cluster.world.at(s->cluster.world.clock().now() + 1ms, [s] {
    if (s->cut() || std::exchange(s->ended, true)) return;
    if (s->server_alive() && s->session != 0) s->server_life->server.on_closed(s->session);
    if (s->client_alive()) {
      s->client_gone = true;
      const auto on_closed = s->events.on_closed;
      on_closed("ended");
    }
  });
}
inline void SimPort::close() {
  end_stream(state_);
}

class SimStream final : public SessionStream {
 public:
  explicit SimStream(std::shared_ptr<SimStreamState> state) : state_(std::move(state)) {}
  ~SimStream() override {
    state_->client_gone = true;
    end_stream(state_);  // also when the whole node is killed: the kernel closes its connections
  }
  void send(uint64_t sequence, SessionUp message) override {
    state_->cluster.world.at(state_->cluster.world.clock().now() + 1ms,
                             [s = state_, sequence, message = std::move(message)] {
                               if (s->cut() || s->ended) return;
                               if (!s->server_alive()) return end_stream(s);
                               s->server_life->server.on_message(s->session, sequence, message);
                             });
  }

 private:
  std::shared_ptr<SimStreamState> state_;
};

inline std::unique_ptr<SessionStream> SimLinks::open_session(BrokerId controller, SessionEvents events) {
  auto state = std::make_shared<SimStreamState>(SimStreamState{cluster_, self_, controller, std::move(events)});
  state->client_life = cluster_.find(self_);
  state->server_life = cluster_.find(controller);
  if (cluster_.stranger_says) {
    ++cluster_.strangers_met;
    SimPort(state).send(1, quorum::SessionRefused{*cluster_.stranger_says});
  } else if (state->server_life != nullptr) {
    state->session = state->server_life->server.open(std::make_shared<SimPort>(state));
  } else {
    end_stream(state);
  }
  return std::make_unique<SimStream>(std::move(state));
}

inline void SimLinks::call(BrokerId controller, const ControllerRequest& request, const RequestOrigin&,
                           Instant deadline, std::function<void(Result<Reply>)> done) {
  auto answered = std::make_shared<bool>(false);
  const auto answer = [answered, done, &world = cluster_.world](Result<Reply> reply) {
    if (std::exchange(*answered, true)) return;
    world.at(world.clock().now() + 1ms, [done, reply = std::move(reply)] { done(reply); });
  };
  SimNode* const life = cluster_.find(controller);
  cluster_.world.at(cluster_.world.clock().now() + 1ms, [this, life, controller, request, deadline, answer] {
    if (cluster_.frozen(controller)) return;
    if (life == nullptr || cluster_.find(controller) != life)
      return answer(fail(ErrorCode::network_exception, "refused"));
    life->runtime.handle(request, deadline, [answer](Reply reply) { answer(std::move(reply)); });
  });
  // A process that dies takes its answers with it; TCP says so.
  for (Duration d = 5ms; d < 2s; d += 5ms) {
    cluster_.world.at(cluster_.world.clock().now() + d, [this, life, controller, answer, answered] {
      if (!*answered && cluster_.find(controller) != life) answer(fail(ErrorCode::network_exception, "reset"));
    });
  }
}

}  // namespace quorum_test
