// Several controllers in simulated time: production shells over a quorum without Raft.
#include "controller/quorum/metadata_codec.h"
#include "quorum/sim_cluster.h"

using namespace quorum_test;

namespace {

const PartitionState& partition(SimCluster& cluster, int through, const std::string& topic, int index) {
  const PartitionImage* found = cluster.image_of(through).partition(topic, PartitionIndex{index});
  REQUIRE(found != nullptr);
  return *found;
}

Duration since(SimCluster& cluster, Instant then) {
  return cluster.world.clock().now() - then;
}

}  // namespace

TEST_CASE("three brokers register, come into service, and agree") {
  SimCluster cluster(3);
  REQUIRE(
      cluster.run_until([&] { return cluster.node(2).session.in_service() && cluster.node(3).session.in_service(); }));
  cluster.world.run_for(1s);
  for (const int id : {1, 2, 3}) {
    REQUIRE(cluster.image_of(id) == cluster.image_of(1));
    REQUIRE(cluster.image_of(id).cluster_id() == sim_cluster_id);
    REQUIRE(cluster.node(id).session.epoch() == cluster.image_of(1).broker(BrokerId{id})->epoch);
    REQUIRE_FALSE(cluster.node(id).session.isolated());
    REQUIRE(*cluster.node(id).follower.seen == cluster.image_of(id));
  }
}

TEST_CASE("a topic created through any broker is there when the answer comes, on the asker and on its leaders") {
  SimCluster cluster(3);
  const int through = GENERATE(1, 2);
  const auto made = cluster.create(through, "orders", {{3, 1, 2}, {1, 2, 3}});
  REQUIRE(made.error.code == ErrorCode::none);
  REQUIRE(made.partition_count == 2);
  for (const int id : {through, 3, 1}) REQUIRE(cluster.node(id).follower.seen->topic_by_id(made.topic_id) != nullptr);
  REQUIRE(cluster.create(through, "orders", {{1}}).error.code == ErrorCode::topic_already_exists);
}

TEST_CASE("a killed broker is fenced, and its leaders move, within 100 ms") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{2, 3, 1}});
  cluster.world.run_for(1s);
  const Instant killed = cluster.world.clock().now();
  cluster.kill(2);
  REQUIRE(cluster.run_until([&] { return partition(cluster, 3, "t", 0).leader == BrokerId{3}; }));
  REQUIRE(since(cluster, killed) <= 100ms);
  REQUIRE(partition(cluster, 3, "t", 0).isr == std::vector{BrokerId{3}, BrokerId{1}});
}

TEST_CASE("the active controller is killed: the next one fences its broker at once and goes on") {
  SimCluster cluster(3);
  cluster.create(2, "t", {{1, 2, 3}});
  cluster.world.run_for(1s);
  cluster.kill(1);
  cluster.world.run_for(100ms);  // an election takes its time
  const Instant elected = cluster.world.clock().now();
  cluster.quorum.elect(BrokerId{2});
  REQUIRE(cluster.run_until([&] { return partition(cluster, 3, "t", 0).leader == BrokerId{2}; }));
  REQUIRE(since(cluster, elected) <= 100ms);
  cluster.world.run_for(3s);
  REQUIRE(cluster.image_of(2).is_active(BrokerId{2}));
  REQUIRE(cluster.image_of(2).is_active(BrokerId{3}));
  REQUIRE(cluster.create(3, "u", {{3, 2}}).error.code == ErrorCode::none);
}

TEST_CASE("a silent broker is fenced after its session, and the others stay") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{3, 2, 1}});
  cluster.world.run_for(1s);
  const Instant frozen = cluster.world.clock().now();
  cluster.freeze(3);
  REQUIRE(cluster.run_until([&] { return partition(cluster, 1, "t", 0).leader == BrokerId{2}; }));
  REQUIRE(since(cluster, frozen) >= 1300ms);
  REQUIRE(since(cluster, frozen) <= 1700ms);
  REQUIRE(cluster.image_of(1).is_active(BrokerId{2}));
  REQUIRE(cluster.node(3).session.isolated());  // R33
}

TEST_CASE("R33: a broker whose session has ended knows it long before it is isolated") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  const auto has_lost = [&] { return cluster.node(3).session.has_lost_session(); };
  REQUIRE_FALSE(has_lost());
  cluster.kill(1);
  cluster.world.run_for(100ms);
  REQUIRE_FALSE(has_lost());  // there is a new one by then, most times
  REQUIRE(cluster.run_until([&] { return has_lost(); }, 300ms));
  REQUIRE_FALSE(cluster.node(3).session.isolated());
  cluster.quorum.elect(BrokerId{2});
  REQUIRE(cluster.run_until([&] { return !has_lost(); }, 1s));
  cluster.world.run_for(1s);
  REQUIRE_FALSE(has_lost());
}

TEST_CASE("a broker whose file asks for slower heartbeats than the controller's session allows beats faster") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{3, 2, 1}});
  cluster.world.run_for(1s);
  cluster.kill(3);
  cluster.heartbeat_interval = 2s;  // Kafka's default; the controller waits 1.5 s
  cluster.start(3);
  REQUIRE(cluster.run_until([&] { return cluster.node(3).session.in_service(); }));
  const auto epoch = cluster.node(3).session.epoch();
  for (int i = 0; i < 100; ++i) {
    cluster.world.run_for(100ms);
    REQUIRE(cluster.image_of(1).is_active(BrokerId{3}));
  }
  REQUIRE(cluster.node(3).session.epoch() == epoch);
}

TEST_CASE(
    "R33: isolation ends when the broker has applied what the controller has made of it, not when it is answered") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{3, 2, 1}});
  cluster.world.run_for(1s);
  cluster.freeze(3);
  cluster.quorum.hold_delivery(BrokerId{3}, true);
  REQUIRE(cluster.run_until([&] { return partition(cluster, 1, "t", 0).leader == BrokerId{2}; }));
  REQUIRE(cluster.node(3).session.isolated());  // and has been since before somebody else led

  cluster.thaw(3);
  REQUIRE(cluster.run_until([&] { return !cluster.node(3).session.in_service(); }, 3s));  // an answer has come
  cluster.world.run_for(500ms);
  REQUIRE(partition(cluster, 3, "t", 0).leader == BrokerId{3});  // as far as it knows
  REQUIRE(cluster.node(3).session.isolated());
  cluster.quorum.hold_delivery(BrokerId{3}, false);
  REQUIRE(cluster.run_until([&] { return !cluster.node(3).session.isolated(); }, 1s));
  REQUIRE(partition(cluster, 3, "t", 0).leader == BrokerId{2});
}

TEST_CASE("R33: a broker that is heard and answered but cannot follow the metadata isolates itself") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{3, 2, 1}});
  cluster.world.run_for(1s);
  cluster.quorum.hold_delivery(BrokerId{3}, true);
  cluster.world.run_for(5s);
  REQUIRE_FALSE(cluster.node(3).session.isolated());  // nothing has changed, so it is still what it believes
  cluster.quorum.elect(BrokerId{2});
  REQUIRE(cluster.run_until([&] { return cluster.node(3).session.isolated(); }, 3s));
  // R32: it says so, and is relieved of its duties until it has caught up.
  REQUIRE(cluster.run_until([&] { return partition(cluster, 1, "t", 0).leader == BrokerId{2}; }, 5s));
  REQUIRE(cluster.image_of(1).broker(BrokerId{3})->fenced);
  cluster.world.run_for(5s);
  REQUIRE(cluster.image_of(1).broker(BrokerId{3})->fenced);
  cluster.quorum.hold_delivery(BrokerId{3}, false);
  REQUIRE(cluster.run_until([&] { return !cluster.node(3).session.isolated(); }, 1s));
  REQUIRE(cluster.run_until([&] { return cluster.node(3).session.in_service(); }, 1s));
}

TEST_CASE("R33: what a controller said that has been deposed counts no more for the broker in its process") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  REQUIRE_FALSE(cluster.node(1).session.isolated());
  cluster.quorum.depose();
  REQUIRE(cluster.node(1).session.isolated());
  REQUIRE_FALSE(cluster.node(2).session.isolated());
  cluster.quorum.elect(BrokerId{2});
  REQUIRE(cluster.run_until([&] { return !cluster.node(1).session.isolated(); }, 1s));
}

TEST_CASE("R16: an answer is held until its record commits, and fails when the controller is deposed before") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  cluster.quorum.hold_commits(true);
  cluster.quorum.drop_uncommitted_at_elections(GENERATE(true, false));
  CreateTopics r;
  CreateTopics::Topic t;
  t.name = "t";
  t.partition_count = 1;
  r.topics = {t};
  std::optional<ControllerAnswer> direct;
  std::optional<ControllerAnswer> asked;
  cluster.node(1).runtime.handle(r, cluster.world.clock().now() + 10s, [&](Reply reply) { direct = reply.answer; });
  r.topics[0].name = "u";
  cluster.node(3).client.ask(r, cluster.world.clock().now() + 10s, {},
                             [&](ControllerAnswer a) { asked = std::move(a); });
  cluster.world.run_for(300ms);
  REQUIRE_FALSE(direct);
  REQUIRE_FALSE(asked);
  REQUIRE(cluster.image_of(1).topic_by_name("t") == nullptr);
  const controller::quorum::ControllerMeasures measures = cluster.node(1).runtime.measures();
  CHECK(measures.waiting >= 2);
  CHECK(measures.requests >= 2);
  CHECK(measures.processing.count() == measures.requests);
  CHECK(measures.lateness.count() > 0);

  cluster.quorum.hold_commits(false);
  cluster.quorum.elect(BrokerId{2});
  cluster.world.run_for(1ms);
  REQUIRE(direct);
  REQUIRE(std::get<Refused>(*direct).error.code == ErrorCode::not_controller);
  REQUIRE(std::get<Refused>(*direct).may_have_happened);
  // The client asks the next controller, and takes its own topic for what it is if it was created after all.
  REQUIRE(cluster.run_until([&] { return asked.has_value(); }));
  const auto& topic = std::get<CreateTopicsAnswer>(*asked).topics.at(0);
  REQUIRE(topic.error.code == ErrorCode::none);
  REQUIRE(cluster.image_of(3).topic_by_name("u")->id == topic.topic_id);
}

TEST_CASE("R10, R16: a leader whose log takes no batch gives up, also where nobody can take over") {
  const int brokers = GENERATE(1, 3);
  SimCluster cluster(brokers);
  cluster.world.run_for(1s);
  cluster.quorum.refuse_next_proposal();
  CreateTopics r;
  CreateTopics::Topic t;
  t.name = "t";
  t.partition_count = 1;
  t.replication_factor = 1;
  r.topics = {t};
  std::optional<ControllerAnswer> answer;
  cluster.node(1).runtime.handle(r, cluster.world.clock().now() + 10s, [&](Reply reply) { answer = reply.answer; });
  REQUIRE(cluster.run_until([&] { return answer.has_value(); }));
  REQUIRE(std::get<Refused>(*answer).error.code == ErrorCode::not_controller);
  REQUIRE(cluster.run_until([&] { return cluster.quorum.leader() != BrokerId{1}; }, 1s));
  // The next term begins with a controller again, with or without another broker.
  if (brokers == 1) cluster.quorum.elect(BrokerId{1});
  const int next = brokers == 1 ? 1 : cluster.quorum.leader()->value;
  REQUIRE(cluster.run_until([&] { return cluster.node(next).runtime.active(); }, 1s));
  answer.reset();
  cluster.node(next).runtime.handle(r, cluster.world.clock().now() + 10s, [&](Reply reply) { answer = reply.answer; });
  REQUIRE(cluster.run_until([&] { return answer.has_value(); }));
  REQUIRE(std::get<CreateTopicsAnswer>(*answer).topics.at(0).error.code == ErrorCode::none);
}

TEST_CASE("R10: nothing is decided while leadership is handed over, and all of it if that fails") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  const size_t before = cluster.quorum.size();
  cluster.quorum.room = quorum::Room::none;
  std::vector<std::optional<ControllerAnswer>> answers(2);
  for (int i = 0; i < 2; ++i) {
    CreateTopics r;
    CreateTopics::Topic t;
    t.name = fmt::format("t{}", i);
    t.partition_count = 1;
    t.replication_factor = 1;
    r.topics = {t};
    cluster.node(2).client.ask(r, cluster.world.clock().now() + 10s, {},
                               [&answers, i](ControllerAnswer a) { answers[i] = std::move(a); });
  }
  cluster.kill(3);  // what would be fenced at once
  cluster.world.run_for(400ms);
  REQUIRE_FALSE(answers[0]);
  REQUIRE(cluster.quorum.size() == before);
  const bool takes_over = GENERATE(false, true);
  cluster.quorum.room = quorum::Room::enough;
  if (takes_over) cluster.quorum.elect(BrokerId{2});
  REQUIRE(cluster.run_until([&] { return answers[0] && answers[1]; }));
  for (const auto& answer : answers)
    REQUIRE(std::get<CreateTopicsAnswer>(*answer).topics.at(0).error.code == ErrorCode::none);
  REQUIRE(cluster.run_until([&] { return !cluster.image_of(2).is_active(BrokerId{3}); }));
  REQUIRE(cluster.quorum.leader() == BrokerId{takes_over ? 2 : 1});
}

TEST_CASE("R10: what waited for the end of a hand-over for longer than its client is not carried out after all") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{1, 2, 3}});
  cluster.quorum.room = quorum::Room::none;
  DeleteTopics r;
  DeleteTopics::Topic t;
  t.name = "t";
  r.topics = {t};
  std::optional<ControllerAnswer> late;
  std::optional<ControllerAnswer> in_time;
  cluster.node(2).client.ask(r, cluster.world.clock().now() + 100ms, {},
                             [&](ControllerAnswer a) { late = std::move(a); });
  cluster.world.run_for(400ms);
  REQUIRE(late);
  REQUIRE(std::get<Refused>(*late).error.code == ErrorCode::request_timed_out);
  cluster.quorum.room = quorum::Room::enough;
  cluster.world.run_for(1s);
  REQUIRE(cluster.image_of(1).topic_by_name("t") != nullptr);
  cluster.node(2).client.ask(r, cluster.world.clock().now() + 10s, {},
                             [&](ControllerAnswer a) { in_time = std::move(a); });
  REQUIRE(cluster.run_until([&] { return in_time.has_value(); }));
  REQUIRE(cluster.image_of(1).topic_by_name("t") == nullptr);
}

TEST_CASE("a question that nobody has answered ends with whoever asks") {
  SimCluster cluster(3);
  SimNode& node = cluster.node(2);
  auto client = std::make_unique<quorum::ForwardingClient>(node.shard, node.runtime, node.links, node.id, node.random);
  cluster.freeze(1);
  bool is_answered = false;
  DeleteTopics r;
  DeleteTopics::Topic t;
  t.name = "t";
  r.topics = {t};
  client->ask(r, cluster.world.clock().now() + 100ms, {}, [&](const ControllerAnswer&) { is_answered = true; });
  client.reset();
  cluster.world.run_for(1s);
  REQUIRE_FALSE(is_answered);
}

TEST_CASE("requests of clients are told to come later while too many changes wait, and the controller stays") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{1, 2, 3}});
  cluster.quorum.room = quorum::Room::scarce;
  std::optional<ControllerAnswer> answer;
  CreateTopics r;
  CreateTopics::Topic t;
  t.name = "u";
  t.partition_count = 1;
  r.topics = {t};
  cluster.node(2).client.ask(r, cluster.world.clock().now() + 10s, {},
                             [&](ControllerAnswer a) { answer = std::move(a); });
  REQUIRE(cluster.run_until([&] { return answer.has_value(); }));
  REQUIRE(std::get<Refused>(*answer).error.code == ErrorCode::throttling_quota_exceeded);
  REQUIRE_FALSE(std::get<Refused>(*answer).may_have_happened);
  const AllocateProducerIds needed{BrokerId{2}, *cluster.node(2).session.epoch()};  // of brokers: goes on
  REQUIRE(cluster.ask<AllocateProducerIdsAnswer>(2, needed).error == ErrorCode::none);
  cluster.world.run_for(3s);
  for (const int id : {1, 2, 3}) REQUIRE_FALSE(cluster.node(id).session.isolated());
  REQUIRE(cluster.quorum.leader() == BrokerId{1});
}

TEST_CASE("R16: a controller that is deposed while it proposes answers what it proposed, once") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  CreateTopics r;
  CreateTopics::Topic t;
  t.name = "t";
  t.partition_count = 1;
  r.topics = {t};
  std::vector<ControllerAnswer> answers;
  cluster.quorum.depose_in_next_proposal();
  cluster.node(1).runtime.handle(r, cluster.world.clock().now() + 10s,
                                 [&](Reply reply) { answers.push_back(reply.answer); });
  REQUIRE(answers.size() == 1);
  REQUIRE(std::get<Refused>(answers[0]).error.code == ErrorCode::not_controller);
  REQUIRE(std::get<Refused>(answers[0]).may_have_happened);
  REQUIRE_FALSE(cluster.node(1).runtime.active());
  cluster.quorum.elect(BrokerId{2});
  cluster.world.run_for(1s);
  REQUIRE(answers.size() == 1);
}

TEST_CASE("a request that would be an entry too large for the metadata log is refused, and nothing else happens") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{1, 2, 3}});
  AlterConfigs r;
  AlterConfigs::Resource resource;
  resource.resource = {ResourceType::topic, "t"};
  resource.changes.push_back({"k", ConfigOperation::set, std::string(5 << 20, 'v')});
  r.resources = {resource};
  std::optional<ControllerAnswer> answer;
  cluster.node(1).runtime.handle(r, cluster.world.clock().now() + 10s, [&](Reply reply) { answer = reply.answer; });
  REQUIRE(cluster.run_until([&] { return answer.has_value(); }));
  REQUIRE(std::get<Refused>(*answer).error.code == ErrorCode::policy_violation);
  REQUIRE(cluster.node(1).runtime.active());
  REQUIRE(cluster.create(1, "u", {{1, 2, 3}}).error.code == ErrorCode::none);
}

TEST_CASE("requests whose answer was lost are asked again and count as done") {
  SimCluster cluster(4);
  cluster.create(1, "old", {{1, 2, 3}});
  cluster.create(1, "older", {{1, 2, 3}});
  cluster.create(1, "grown", {{1, 2, 3}});
  cluster.kill(4);
  REQUIRE(cluster.run_until([&] { return !cluster.image_of(3).is_active(BrokerId{4}); }));
  cluster.world.run_for(1s);
  cluster.quorum.hold_commits(true);
  const Instant deadline = cluster.world.clock().now() + 10s;
  DeleteTopics remove;
  DeleteTopics::Topic old;
  old.name = "old";
  DeleteTopics::Topic older;  // by its id
  older.topic_id = cluster.image_of(3).topic_by_name("older")->id;
  DeleteTopics::Topic unheard_of;
  unheard_of.topic_id = Uuid::from_halves(4, 4);
  remove.topics = {old, older, unheard_of};
  CreatePartitions grow;
  CreatePartitions::Topic grown;
  grown.name = "grown";
  grown.count = 3;
  grow.topics = {grown};
  std::optional<ControllerAnswer> removed;
  std::optional<ControllerAnswer> added;
  cluster.node(3).client.ask(remove, deadline, {}, [&](ControllerAnswer a) { removed = std::move(a); });
  cluster.node(3).client.ask(grow, deadline, {}, [&](ControllerAnswer a) { added = std::move(a); });
  std::optional<ControllerAnswer> unregistered;
  cluster.node(3).client.ask(UnregisterBroker{BrokerId{4}}, deadline, {},
                             [&](ControllerAnswer a) { unregistered = std::move(a); });
  cluster.world.run_for(100ms);
  cluster.quorum.hold_commits(false);
  cluster.quorum.elect(BrokerId{2});  // all commit under the new leader; the answers are lost
  REQUIRE(cluster.run_until([&] { return removed && added && unregistered; }));
  REQUIRE(std::get<DeleteTopicsAnswer>(*removed).topics.at(0).error.code == ErrorCode::none);
  REQUIRE(std::get<DeleteTopicsAnswer>(*removed).topics.at(0).name == "old");
  REQUIRE(std::get<DeleteTopicsAnswer>(*removed).topics.at(1).error.code == ErrorCode::none);
  REQUIRE(std::get<DeleteTopicsAnswer>(*removed).topics.at(1).name == "older");
  REQUIRE(std::get<DeleteTopicsAnswer>(*removed).topics.at(2).error.code == ErrorCode::unknown_topic_id);
  REQUIRE(std::get<CreatePartitionsAnswer>(*added).topics.at(0).error.code == ErrorCode::none);
  REQUIRE(std::get<UnregisterBrokerAnswer>(*unregistered).error.code == ErrorCode::none);
  REQUIRE(cluster.image_of(3).topic_by_name("old") == nullptr);
  REQUIRE(cluster.image_of(3).broker(BrokerId{4}) == nullptr);
  REQUIRE(cluster.image_of(3).topic_by_name("grown")->partition_count() == 3);
}

TEST_CASE("a deletion of a kept topic whose answer was lost counts as done, for whoever may know of it") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{1, 2, 3}});
  const TopicId id = cluster.image_of(3).topic_by_name("t")->id;
  DeleteTopics remove;
  DeleteTopics::Topic named;
  named.name = "t";
  remove.topics = {named};
  remove.keep = 1h;
  REQUIRE(cluster.ask<DeleteTopicsAnswer>(3, remove).topics.at(0).error.code == ErrorCode::none);
  REQUIRE(cluster.run_until([&] { return cluster.image_of(3).is_kept(id); }));

  cluster.world.run_for(1s);
  cluster.quorum.hold_commits(true);
  const Instant deadline = cluster.world.clock().now() + 10s;
  remove.keep = 0ms;
  std::optional<ControllerAnswer> removed;
  cluster.node(3).client.ask(remove, deadline, {}, [&](ControllerAnswer a) { removed = std::move(a); });
  DeleteTopics by_id;  // as Kafka's clients ask: to them it is not there
  by_id.topics.emplace_back().topic_id = id;
  std::optional<ControllerAnswer> of_kafka;
  cluster.node(3).client.ask(by_id, deadline, {}, [&](ControllerAnswer a) { of_kafka = std::move(a); });
  cluster.world.run_for(100ms);
  cluster.quorum.hold_commits(false);
  cluster.quorum.elect(BrokerId{2});  // it commits under the new leader; the answers are lost
  REQUIRE(cluster.run_until([&] { return of_kafka && removed; }));
  CHECK(std::get<DeleteTopicsAnswer>(*of_kafka).topics.at(0).error.code == ErrorCode::unknown_topic_id);
  CHECK(std::get<DeleteTopicsAnswer>(*removed).topics.at(0).error.code == ErrorCode::none);
  CHECK(cluster.image_of(3).topic_by_id(id) == nullptr);
}

TEST_CASE("a broker that was never registered cannot be unregistered") {
  SimCluster cluster(3);
  const auto answer = cluster.ask<UnregisterBrokerAnswer>(3, UnregisterBroker{BrokerId{9}});
  REQUIRE(answer.error.code == ErrorCode::broker_id_not_registered);
}

TEST_CASE("who waits for the answer of a paused controller asks the next one, and hears the first one no more") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  CreateTopics r;
  CreateTopics::Topic t;
  t.name = "t";
  t.assignments.emplace_back(PartitionIndex{0}, std::vector{BrokerId{3}, BrokerId{2}});
  r.topics = {t};
  std::vector<ControllerAnswer> answers;
  const Instant asked_at = cluster.world.clock().now();
  cluster.freeze(1);
  cluster.node(3).client.ask(r, asked_at + 30s, {}, [&](ControllerAnswer a) { answers.push_back(std::move(a)); });
  cluster.world.run_for(500ms);
  REQUIRE(answers.empty());
  cluster.quorum.elect(BrokerId{2});
  REQUIRE(cluster.run_until([&] { return !answers.empty(); }, 5s));
  REQUIRE(std::get<CreateTopicsAnswer>(answers.front()).topics.at(0).error.code == ErrorCode::none);
  cluster.thaw(1);
  cluster.world.run_for(31s);
  REQUIRE(answers.size() == 1);
}

TEST_CASE("without a controller a call ends at its deadline") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  cluster.quorum.depose();
  const Instant asked_at = cluster.world.clock().now();
  std::optional<ControllerAnswer> answer;
  cluster.node(2).client.ask(AllocateProducerIds{}, asked_at + 500ms, {},
                             [&](ControllerAnswer a) { answer = std::move(a); });
  REQUIRE(cluster.run_until([&] { return answer.has_value(); }));
  REQUIRE(since(cluster, asked_at) == 500ms);
  REQUIRE(std::get<Refused>(*answer).error.code == ErrorCode::request_timed_out);
  REQUIRE_FALSE(std::get<Refused>(*answer).may_have_happened);
}

TEST_CASE("controlled shutdown: leaders move first, then the broker may go") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{3, 2, 1}, {2, 3, 1}});
  cluster.world.run_for(1s);
  std::optional<bool> in_good_order;
  const Instant asked_at = cluster.world.clock().now();
  cluster.node(3).session.shut_down(asked_at + 5s, [&](bool good) { in_good_order = good; });
  REQUIRE(cluster.run_until([&] { return partition(cluster, 2, "t", 0).leader == BrokerId{2}; }));
  REQUIRE(since(cluster, asked_at) <= 20ms);
  REQUIRE(cluster.run_until([&] { return in_good_order.has_value(); }));
  REQUIRE(*in_good_order);
  REQUIRE(since(cluster, asked_at) <= 30ms);
  REQUIRE(cluster.image_of(1).broker(BrokerId{3})->fenced);
}

TEST_CASE("a shutdown that nobody answers ends at its deadline") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  cluster.freeze(3);
  std::optional<bool> in_good_order;
  cluster.node(3).session.shut_down(cluster.world.clock().now() + 700ms, [&](bool good) { in_good_order = good; });
  REQUIRE(cluster.run_until([&] { return in_good_order.has_value(); }, 1s));
  REQUIRE_FALSE(*in_good_order);
}

TEST_CASE("a restarted broker registers with a new epoch, comes into service and gets its leaders back") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{3, 2, 1}});
  cluster.world.run_for(1s);
  const auto epoch = cluster.node(3).session.epoch();
  cluster.kill(3);
  cluster.world.run_for(300ms);
  cluster.start(3, epoch);
  REQUIRE(cluster.run_until([&] { return cluster.node(3).session.in_service(); }, 1s));
  REQUIRE(*cluster.node(3).session.epoch() > *epoch);

  // It catches up; the leader asks for it to be in the ISR again.
  const PartitionState p = partition(cluster, 1, "t", 0);
  REQUIRE(p.leader == BrokerId{2});
  AlterPartition r;
  r.broker_id = BrokerId{2};
  r.broker_epoch = *cluster.node(2).session.epoch();
  AlterPartition::Partition a;
  a.topic_id = cluster.image_of(1).topic_by_name("t")->id;
  a.leader_epoch = p.leader_epoch;
  a.partition_epoch = p.partition_epoch;
  for (const int id : {1, 2, 3}) a.isr.push_back({BrokerId{id}, cluster.node(id).session.epoch()});
  r.partitions = {a};
  const auto answer = cluster.ask<AlterPartitionAnswer>(2, r);
  REQUIRE(answer.partitions.at(0).error == ErrorCode::none);
  REQUIRE(cluster.run_until([&] { return partition(cluster, 2, "t", 0).leader == BrokerId{3}; }, 3s));
}

TEST_CASE("a broker that found its logs damaged does not claim that it ended well, however it did (R44, R72)") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{3}});
  const auto restart = [&](bool damaged_logs) {
    const auto epoch = cluster.node(3).session.epoch();
    cluster.kill(3);
    cluster.world.run_for(300ms);
    cluster.start(3, epoch, damaged_logs);
    REQUIRE(cluster.run_until([&] { return cluster.node(3).session.in_service(); }, 1s));
    cluster.world.run_for(1s);
  };
  restart(false);
  REQUIRE(partition(cluster, 1, "t", 0).leader == BrokerId{3});
  restart(true);
  REQUIRE(partition(cluster, 1, "t", 0).leader == std::nullopt);
  REQUIRE(partition(cluster, 1, "t", 0).last_known_elr == std::vector{BrokerId{3}});  // asked where it ends (R46)
}

TEST_CASE("a broker's trouble with its disks is known to each controller, and ends when it is over (R81)") {
  SimCluster cluster(3);
  const auto made = cluster.create(1, "t", {{3, 2, 1}, {2, 3, 1}});
  cluster.world.run_for(1s);
  cluster.node(3).session.set_trouble(
      {.failed = {}, .low_on_space = {{made.topic_id, PartitionIndex{0}}}, .damaged = {}});
  REQUIRE(cluster.run_until([&] { return partition(cluster, 1, "t", 0).leader == BrokerId{2}; }, 1s));
  REQUIRE(partition(cluster, 1, "t", 0).isr.size() == 3);

  cluster.quorum.elect(BrokerId{2});  // knows nothing of it, and must not give the leadership back
  cluster.world.run_for(5s);
  REQUIRE(partition(cluster, 2, "t", 0).leader == BrokerId{2});
  cluster.node(3).session.set_trouble({});
  REQUIRE(cluster.run_until([&] { return partition(cluster, 2, "t", 0).leader == BrokerId{3}; }, 5s));
}

TEST_CASE("a process on a copy of a live broker's disk never takes its place") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  const auto epoch = cluster.node(3).session.epoch();
  // The same broker id and directories, in another process.
  SimNode twin(cluster, BrokerId{3}, 77, epoch);
  // Its links speak for broker 3 as well; it cannot register while the first one lives.
  RegisterBroker r;
  r.broker_id = BrokerId{3};
  r.cluster_id = sim_cluster_id;
  r.incarnation_id = Uuid::from_halves(200, 77);
  r.directories = {Uuid::from_halves(100, 3)};
  r.listeners = {{"PLAINTEXT", "twin", 9092, SecurityProtocol::plaintext}};
  r.features = {{metadata_version_feature, {1, 1}}};
  std::optional<ControllerAnswer> answer;
  cluster.node(1).runtime.handle(r, {}, [&](Reply reply) { answer = reply.answer; });
  REQUIRE(cluster.run_until([&] { return answer.has_value(); }));
  REQUIRE(std::get<RegisterBrokerAnswer>(*answer).error.code == ErrorCode::duplicate_broker_registration);
  REQUIRE(cluster.image_of(1).broker(BrokerId{3})->epoch == *epoch);
}

TEST_CASE("R18: a node that cannot read a committed entry halts") {
  SimCluster cluster(1);
  raft::Entry entry{Term{1}, LogIndex{1000}, raft::EntryKind::data, Buffer::copy_of("not metadata")};
  const std::vector<raft::Entry> entries = {entry};
  cluster.node(1).runtime.on_committed(entries);
  REQUIRE_FALSE(cluster.node(1).fatal.empty());
  REQUIRE_FALSE(cluster.node(1).runtime.active());
}

TEST_CASE("R18: a node halts at a committed record that does not fit, instead of skipping it") {
  SimCluster cluster(1);
  const LogIndex next = cluster.image_of(1).offset()->next();
  const Buffer stranger = quorum::encode_records({RemoveTopicRecord{common::model::Uuid::from_halves(6, 6)}});
  const std::vector<raft::Entry> entries = {{Term{1}, next, raft::EntryKind::data, stranger}};
  cluster.node(1).runtime.on_committed(entries);
  REQUIRE_FALSE(cluster.node(1).fatal.empty());
  REQUIRE_FALSE(cluster.node(1).runtime.active());
}

TEST_CASE("R33: a controller that no majority confirms answers, and confirms no broker, its own process's included") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  cluster.quorum.hold_reads();
  cluster.world.run_for(1s);
  for (const int id : {1, 2, 3}) REQUIRE_FALSE(cluster.node(id).session.isolated());
  cluster.world.run_for(1s);
  for (const int id : {1, 2, 3}) {
    REQUIRE(cluster.node(id).session.isolated());
    REQUIRE(cluster.node(id).session.in_service());  // it is answered all the time
  }
  cluster.quorum.fail_reads();
  REQUIRE(cluster.run_until([&] { return !cluster.node(1).session.isolated(); }, 1s));
}

TEST_CASE("R17: the quorum is described only once a majority has confirmed the leadership") {
  SimCluster cluster(3);
  cluster.quorum.hold_reads();
  std::optional<ControllerAnswer> answer;
  cluster.node(1).runtime.handle(DescribeQuorum{}, cluster.world.clock().now() + 10s,
                                 [&](Reply reply) { answer = reply.answer; });
  cluster.world.run_for(1s);
  REQUIRE_FALSE(answer);
  cluster.quorum.fail_reads();
  REQUIRE(answer);
  REQUIRE(std::get<Refused>(*answer).error.code == ErrorCode::not_controller);
}

namespace {

class RecordingPort final : public quorum::SessionPort {
 public:
  void send(uint64_t, quorum::SessionDown message) override { sent.push_back(std::move(message)); }
  void close() override { closed = true; }
  std::vector<quorum::SessionDown> sent;
  bool closed = false;
};

quorum::SessionHello hello_to(SimCluster& cluster, int node) {
  quorum::SessionHello hello;
  hello.cluster_id = cluster.image_of(1).cluster_id();
  hello.broker_id = BrokerId{2};
  hello.to_node = BrokerId{node};
  return hello;
}

}  // namespace

TEST_CASE("R112: a session is refused that means another node, another cluster or another version") {
  SimCluster cluster(3);
  const auto refusal = [&](const quorum::SessionHello& hello) {
    auto port = std::make_shared<RecordingPort>();
    const auto session = cluster.node(1).server.open(port);
    cluster.node(1).server.on_message(session, 1, hello);
    REQUIRE(port->sent.size() == 1);
    const auto* refused = std::get_if<quorum::SessionRefused>(&port->sent[0]);
    REQUIRE(port->closed == (refused != nullptr));
    const ErrorCode code = refused != nullptr ? refused->error.code : ErrorCode::none;
    cluster.node(1).server.on_closed(session);
    return code;
  };
  REQUIRE(refusal(hello_to(cluster, 1)) == ErrorCode::none);
  REQUIRE(refusal(hello_to(cluster, 3)) == ErrorCode::invalid_request);
  quorum::SessionHello stranger = hello_to(cluster, 1);
  stranger.cluster_id = common::model::Uuid::from_halves(6, 6);
  REQUIRE(refusal(stranger) == ErrorCode::inconsistent_cluster_id);
  quorum::SessionHello newer = hello_to(cluster, 1);
  newer.version_min = newer.version_max = 9;
  REQUIRE(refusal(newer) == ErrorCode::unsupported_version);
}

TEST_CASE("R112: somebody else at the controller's address ends no broker that knows its cluster") {
  SimCluster cluster(3);
  cluster.world.run_for(1s);
  cluster.stranger_says = common::model::Error{ErrorCode::inconsistent_cluster_id, "this is cluster B"};
  cluster.quorum.elect(BrokerId{2});
  REQUIRE(cluster.run_until([&] { return cluster.strangers_met >= 6; }));
  for (const int id : {1, 2, 3}) REQUIRE(cluster.node(id).rejected.empty());

  // One that knows nothing yet takes its word for it.
  cluster.quorum.hold_delivery(BrokerId{4}, true);
  cluster.start(4);
  REQUIRE(cluster.run_until([&] { return !cluster.node(4).rejected.empty(); }));
  REQUIRE(cluster.node(4).rejected == "this is cluster B");

  cluster.stranger_says.reset();
  REQUIRE(
      cluster.run_until([&] { return !cluster.node(1).session.isolated() && !cluster.node(3).session.isolated(); }));
}

TEST_CASE("a heartbeat of a stream that was replaced counts for nothing, also when the newer one has ended") {
  SimCluster cluster(3);
  const auto older_port = std::make_shared<RecordingPort>();
  const auto newer_port = std::make_shared<RecordingPort>();
  quorum::SessionServer& server = cluster.node(1).server;
  const auto older = server.open(older_port);
  server.on_message(older, 1, hello_to(cluster, 1));
  const auto newer = server.open(newer_port);
  server.on_message(newer, 1, hello_to(cluster, 1));
  server.on_closed(newer);
  server.on_message(older, 2, BrokerHeartbeat{});
  cluster.world.run_for(100ms);
  REQUIRE(older_port->sent.size() == 1);  // its welcome
  const auto third_port = std::make_shared<RecordingPort>();
  server.on_message(server.open(third_port), 1, hello_to(cluster, 1));
  REQUIRE(third_port->sent.size() == 1);
}

TEST_CASE("a process that calls itself by the id of a registered one does not end its session (R26)") {
  SimCluster cluster(3);
  quorum::SessionServer& server = cluster.node(1).server;
  const auto port = std::make_shared<RecordingPort>();
  quorum::SessionHello registered = hello_to(cluster, 1);
  registered.incarnation_id = cluster.image_of(1).broker(BrokerId{2})->incarnation_id;
  server.on_message(server.open(port), 1, registered);
  REQUIRE(port->sent.size() == 1);

  const auto twin_port = std::make_shared<RecordingPort>();
  const auto twin = server.open(twin_port);
  server.on_message(twin, 1, hello_to(cluster, 1));
  REQUIRE(twin_port->sent.size() == 1);
  REQUIRE_FALSE(port->closed);

  // Whoever comes twice leaves its own older session, and no other.
  const auto again_port = std::make_shared<RecordingPort>();
  server.on_message(server.open(again_port), 1, hello_to(cluster, 1));
  REQUIRE(twin_port->closed);
  REQUIRE_FALSE(port->closed);
  const auto newer_port = std::make_shared<RecordingPort>();
  server.on_message(server.open(newer_port), 1, registered);
  REQUIRE(port->closed);
  REQUIRE(again_port->closed);
}

TEST_CASE("R23: a session message that comes twice counts once") {
  SimCluster cluster(3);
  auto port = std::make_shared<RecordingPort>();
  const auto session = cluster.node(1).server.open(port);
  cluster.node(1).server.on_message(session, 1, hello_to(cluster, 1));
  cluster.node(1).server.on_message(session, 1, hello_to(cluster, 1));
  REQUIRE(port->sent.size() == 1);
  cluster.node(1).server.on_closed(session);
}

TEST_CASE("a stream that says hello as two brokers is refused, and leaves no session of the first one") {
  SimCluster cluster(3);
  quorum::SessionServer& server = cluster.node(1).server;
  const auto port = std::make_shared<RecordingPort>();
  const auto session = server.open(port);
  server.on_message(session, 1, hello_to(cluster, 1));
  quorum::SessionHello as_another = hello_to(cluster, 1);
  as_another.broker_id = BrokerId{3};
  server.on_message(session, 2, as_another);
  REQUIRE(port->sent.size() == 2);
  REQUIRE(std::holds_alternative<quorum::SessionRefused>(port->sent[1]));
  REQUIRE(port->closed);
  server.on_closed(session);
  const auto next_port = std::make_shared<RecordingPort>();
  const auto next = server.open(next_port);
  server.on_message(next, 1, hello_to(cluster, 1));
  REQUIRE(next_port->sent.size() == 1);
  REQUIRE_FALSE(next_port->closed);
  server.on_closed(next);
}

TEST_CASE("a snapshot brings a node to the same image") {
  SimCluster cluster(3);
  cluster.create(1, "t", {{1, 2, 3}});
  cluster.world.run_for(1s);
  const Buffer snapshot = cluster.node(1).runtime.make_snapshot();
  const LogIndex end = cluster.image_of(1).offset()->next();
  SimCluster other(1);
  other.node(1).runtime.on_snapshot(snapshot, end);
  REQUIRE(other.image_of(1) == cluster.image_of(1));
  other.world.run_for(10ms);
  REQUIRE(*other.node(1).follower.seen == cluster.image_of(1));
}

TEST_CASE("the quorum is described by the controller, through any broker") {
  SimCluster cluster(3);
  const auto answer = cluster.ask<DescribeQuorumAnswer>(3, DescribeQuorum{});
  REQUIRE(answer.leader == BrokerId{1});
  // By id, whatever the order in which they joined.
  REQUIRE(answer.voters.size() == 3);
  for (int id = 1; id <= 3; ++id) REQUIRE(answer.voters[static_cast<size_t>(id) - 1].broker_id == BrokerId{id});
}
