// Three controllers over real gRPC and TCP, their shells on one thread, above a quorum without Raft.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

#include <catch2/catch.hpp>

#include "controller/quorum/controller_node.h"
#include "controller/quorum/grpc_controller_wire.h"
#include "controller/quorum/grpc_server.h"
#include "quorum/sim_cluster.h"

using namespace quorum_test;
using controller::quorum::ControllerNode;
using controller::quorum::ControllerNodeOptions;
using controller::quorum::GrpcServer;

namespace {

// Not where outgoing connections come from, whose ports are the kernel's choice: one of those, or one to a port at
// which nobody listens just then, could have the very port of a node that is to come back.
const std::string host = "127.0.0.3";

struct Node {
  Node(common::Shard& s, FakeQuorum& q, int id, uint16_t port, std::map<int, uint16_t>& ports, uint64_t life,
       std::optional<BrokerEpoch> previous_epoch)
      : shard(s), quorum(q), broker_id(id), random(life), server({.host = host, .port = port}) {
    ControllerNodeOptions options;
    options.controller = sim_options(broker_id);
    options.session = sim_session(broker_id, life, previous_epoch);
    options.configured_endpoint = [&ports](BrokerId b) -> std::optional<ClusterEndpoint> {
      return ClusterEndpoint{host, ports.at(b.value)};
    };
    options.session.cluster_endpoint = {host, port};
    controller::quorum::SessionHooks session_hooks;
    session_hooks.cluster_id = [] { return sim_cluster_id; };
    node = std::make_unique<ControllerNode>(
        s, std::move(options), wire, schema, random,
        controller::quorum::RuntimeHooks{.cluster_id = [] { return sim_cluster_id; }, .on_fatal = nullptr},
        std::move(session_hooks), common::Logger(fmt::format("b{}", id)));
    server.add(wire.service());
    REQUIRE(server.start());
    on_shard([&] {
      raft = std::make_unique<FakeRaft>(quorum, broker_id);
      node->attach(*raft);
      quorum.join(broker_id, node->listener());
    });
    node->start();
    node->set_ready();
  }
  // As a process that ends: connections break, the port refuses.
  ~Node() {
    if (!node) return;
    on_shard([&] { quorum.leave(broker_id); });
    node->close();
    server.stop();
    on_shard([&] { node.reset(); });
  }
  // Without a word to the brokers, its own among them.
  void end_with_open_sessions() {
    server.stop();
    on_shard([&] {
      quorum.leave(broker_id);
      node.reset();
    });
  }
  template <class F>
  void on_shard(F f) {
    std::promise<void> done;
    shard.post([&] {
      f();
      done.set_value();
    });
    done.get_future().get();
  }

  common::Shard& shard;
  FakeQuorum& quorum;
  const BrokerId broker_id;
  AnyKey schema;
  common::model::SeededRandom random;
  controller::quorum::GrpcControllerWire wire;
  GrpcServer server;
  std::unique_ptr<FakeRaft> raft;
  std::unique_ptr<ControllerNode> node;
};

uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  REQUIRE(::inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1);
  socklen_t size = sizeof(address);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

class Cluster {
 public:
  Cluster() {
    configure_test_logging();
    for (int id = 1; id <= 3; ++id) ports_[id] = free_port();
    for (int id = 1; id <= 3; ++id) start(id);
    node(1).on_shard([&] { quorum_.elect(BrokerId{1}); });
    wait("all in service",
         [&] { return node(1).node->in_service() && node(2).node->in_service() && node(3).node->in_service(); });
  }
  ~Cluster() {
    nodes_.clear();
    common::stop_shard(*shard_);
  }
  void start(int id, std::optional<BrokerEpoch> previous_epoch = std::nullopt) {
    nodes_[id] = std::make_unique<Node>(*shard_, quorum_, id, ports_[id], ports_, ++lives_, previous_epoch);
  }
  void kill(int id) { nodes_.erase(id); }
  // What others are configured with for it is an address at which nobody is.
  void configure_elsewhere(int id) {
    const uint16_t port = free_port();
    node(id).on_shard([&] { ports_[id] = port; });
  }
  Node& node(int id) { return *nodes_.at(id); }
  void elect(int id) {
    node(id).on_shard([&] { quorum_.elect(BrokerId{id}); });
  }

  ImagePtr image(int id) {
    ImagePtr image;
    node(id).on_shard([&] { image = node(id).node->publisher().image(); });
    return image;
  }
  // Polls without sleeping blindly: each look is a round through the shard's queue.
  template <class Condition>
  void wait(const char* what, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) FAIL("timed out: " << what);
      std::promise<void> turn;
      shard_->post([&] {
        auto timer = std::make_shared<common::TimerHandle>();  // lives and dies on the shard
        *timer = shard_->call_at(shard_->now() + 1ms, [timer, &turn] { turn.set_value(); });
      });
      turn.get_future().get();
    }
  }
  ControllerAnswer ask(int id, ControllerRequest request) {
    std::promise<ControllerAnswer> answer;
    shard_->spawn("test call", call(*shard_, node(id).node->client(), std::move(request), answer));
    return answer.get_future().get();
  }

 private:
  static common::Awaitable<void> call(common::Shard& shard, controller::quorum::ControllerClient& client,
                                      ControllerRequest request, std::promise<ControllerAnswer>& answer) {
    ControllerAnswer got = co_await client.call(shard, std::move(request), shard.now() + 60s);
    answer.set_value(std::move(got));
  }

  common::SystemClock clock_;
  std::unique_ptr<common::Shard> shard_ = common::make_thread_shard(0, clock_, "controller");
  FakeQuorum quorum_{*shard_};
  std::map<int, uint16_t> ports_;
  std::map<int, std::unique_ptr<Node>> nodes_;
  uint64_t lives_ = 0;
};

CreateTopics topic_on(const std::string& name, std::vector<int> replicas) {
  CreateTopics r;
  CreateTopics::Topic t;
  t.name = name;
  std::vector<BrokerId> ids;
  for (const int i : replicas) ids.push_back(BrokerId{i});
  t.assignments.emplace_back(PartitionIndex{0}, ids);
  r.topics = {t};
  return r;
}

}  // namespace

TEST_CASE("over gRPC: register, create through a non-controller, kill a broker, kill the controller, restart") {
  Cluster cluster;
  const auto made = std::get<CreateTopicsAnswer>(cluster.ask(3, topic_on("t", {2, 3, 1}))).topics.at(0);
  REQUIRE(made.error.code == ErrorCode::none);
  REQUIRE(cluster.image(3)->topic_by_id(made.topic_id) != nullptr);

  const auto epoch = cluster.node(2).node->epoch();
  cluster.kill(2);
  cluster.wait("leader moves to 3",
               [&] { return cluster.image(1)->partition("t", PartitionIndex{0})->leader == BrokerId{3}; });
  cluster.start(2, epoch);
  cluster.wait("2 is back", [&] { return cluster.node(2).node->in_service(); });
  REQUIRE(*cluster.node(2).node->epoch() > *epoch);

  cluster.kill(1);
  cluster.elect(2);
  cluster.wait("1 is fenced", [&] { return cluster.image(2)->broker(BrokerId{1})->fenced; });
  cluster.wait("3 has the new controller", [&] { return cluster.node(3).node->leader() == BrokerId{2}; });
  const auto more = std::get<CreateTopicsAnswer>(cluster.ask(3, topic_on("u", {3, 2}))).topics.at(0);
  REQUIRE(more.error.code == ErrorCode::none);
  REQUIRE(cluster.image(3)->is_active(BrokerId{3}));
}

TEST_CASE("over gRPC: where a broker has registered comes before what is configured (R112)") {
  Cluster cluster;
  cluster.configure_elsewhere(2);
  cluster.kill(1);
  cluster.elect(2);
  cluster.wait("1 is fenced", [&] { return cluster.image(2)->broker(BrokerId{1})->fenced; });
  cluster.wait("3 has the new controller", [&] { return cluster.node(3).node->leader() == BrokerId{2}; });
  const ControllerAnswer answer = cluster.ask(3, topic_on("t", {3, 2}));
  REQUIRE(std::holds_alternative<CreateTopicsAnswer>(answer));
  REQUIRE(std::get<CreateTopicsAnswer>(answer).topics.at(0).error.code == ErrorCode::none);
}

TEST_CASE("over gRPC: a controller may end while its own broker's session with it stands") {
  Cluster cluster;
  cluster.node(1).end_with_open_sessions();
  cluster.node(1).on_shard([] {});  // comes after what the end has left to do
  cluster.elect(2);
  cluster.wait("3 has the new controller", [&] { return cluster.node(3).node->leader() == BrokerId{2}; });
  cluster.kill(1);
}

TEST_CASE("over gRPC: a large request and its answer pass, and many at once") {
  Cluster cluster;
  CreateTopics many;
  for (int i = 0; i < 1000; ++i) {
    CreateTopics::Topic t;
    t.name = fmt::format("topic-{}", i);
    t.partition_count = 3;
    many.topics.push_back(t);
  }
  const auto answer = std::get<CreateTopicsAnswer>(cluster.ask(2, many));
  REQUIRE(answer.topics.size() == 1000);
  for (const auto& t : answer.topics) REQUIRE(t.error.code == ErrorCode::none);
  REQUIRE(cluster.image(2)->partition_count() == 3000);
}
