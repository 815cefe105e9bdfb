#include "api/broker_fixture.h"
#include "broker/api/partition_work.h"
#include "common/net/networks.h"
#include "kafka/add_raft_voter.h"
#include "kafka/alter_partition_reassignments.h"
#include "kafka/describe_acls.h"
#include "kafka/describe_cluster.h"
#include "kafka/describe_quorum.h"
#include "kafka/describe_topic_partitions.h"
#include "kafka/elect_leaders.h"
#include "kafka/find_coordinator.h"
#include "kafka/list_partition_reassignments.h"
#include "kafka/metadata.h"
#include "kafka/remove_raft_voter.h"
#include "kafka/unregister_broker.h"

using namespace broker::api;
using namespace broker::api::test;
using kafka::MetadataRequest;
using kafka::MetadataResponse;

namespace {

MetadataRequest for_topics(const std::vector<std::string>& names) {
  MetadataRequest request;
  request.topics.emplace();
  for (const std::string& name : names) request.topics->emplace_back().name = name;
  return request;
}

MetadataRequest for_all() {
  MetadataRequest request;
  request.topics.reset();
  return request;
}

std::vector<std::string> names_of(const MetadataResponse& response) {
  std::vector<std::string> names;
  for (const auto& topic : response.topics) names.push_back(topic.name.value_or("(null)"));
  return names;
}

}  // namespace

TEST_CASE("Metadata answers every version from the image") {
  BrokerFixture broker;
  const TopicId id = broker.create_topic("orders", 2, {2, 3});
  broker.context.active_controller = [] { return BrokerId(3); };
  for (int16_t version = 0; version <= 13; ++version) {
    INFO("version " << version);
    const auto response = broker.ask<MetadataResponse>(for_topics({"orders"}), version);
    REQUIRE(response.brokers.size() == 3);
    REQUIRE(response.brokers[1].host == "10.0.0.2");
    REQUIRE(response.brokers[1].port == 9093);
    if (version >= 1) REQUIRE(response.brokers[1].rack == "rack2");
    if (version >= 1) REQUIRE(response.controller_id == 3);
    if (version >= 2) REQUIRE(response.cluster_id == broker.cluster_id.to_string());
    REQUIRE(response.topics.size() == 1);
    REQUIRE(response.topics[0].error_code == ErrorCode::none);
    if (version >= 10) REQUIRE(response.topics[0].topic_id == id);
    REQUIRE(response.topics[0].partitions.size() == 2);
    const auto& partition = response.topics[0].partitions[1];
    REQUIRE(partition.partition_index == 1);
    REQUIRE(partition.leader_id == 2);
    if (version >= 7) REQUIRE(partition.leader_epoch == 0);
    REQUIRE(partition.replica_nodes == std::vector<int32_t>{2, 3});
  }
}

TEST_CASE("Metadata: all topics, none, and by id") {
  BrokerFixture broker;
  broker.create_topic("b", 1);
  const TopicId a = broker.create_topic("a", 1);
  REQUIRE(names_of(broker.ask<MetadataResponse>(for_topics({}), 0)) == std::vector<std::string>{"a", "b"});
  REQUIRE(names_of(broker.ask<MetadataResponse>(for_topics({}), 1)).empty());
  REQUIRE(names_of(broker.ask<MetadataResponse>(for_all(), 1)) == std::vector<std::string>{"a", "b"});
  MetadataRequest by_id = for_topics({});
  by_id.topics->emplace_back().topic_id = a;
  by_id.topics->emplace_back().topic_id = TopicId::from_halves(5, 5);
  const auto response = broker.ask<MetadataResponse>(by_id, 12);
  REQUIRE(response.topics.at(0).name == "a");
  REQUIRE(response.topics.at(1).error_code == ErrorCode::unknown_topic_id);
  REQUIRE_FALSE(response.topics.at(1).name.has_value());
  REQUIRE(broker.controller.requests.empty());
}

TEST_CASE("Metadata answers once who is named often (R109)") {
  BrokerFixture broker;
  const TopicId id = broker.create_topic("a", 2);
  broker.create_topic("b", 1);
  const auto response = broker.ask<MetadataResponse>(for_topics({"b", "a", "b", "none", "a", "none"}), 4);
  REQUIRE(names_of(response) == std::vector<std::string>{"b", "a", "none"});
  MetadataRequest by_id;
  by_id.topics.emplace();
  for (const TopicId& asked : {id, TopicId::from_halves(1, 1), id, TopicId::from_halves(1, 1)}) {
    auto& topic = by_id.topics->emplace_back();
    topic.topic_id = asked;
    topic.name = fmt::format("{}", by_id.topics->size());  // says nothing beside an id
  }
  const auto found = broker.ask<MetadataResponse>(by_id, 12);
  REQUIRE(names_of(found) == std::vector<std::string>{"a", "(null)"});
}

TEST_CASE("Metadata: a leader that is gone, and replicas that are away") {
  BrokerFixture broker;
  broker.create_topic("orders", 1, {2, 3});
  broker.fence(2);
  const auto response = broker.ask<MetadataResponse>(for_topics({"orders"}), 9);
  REQUIRE(response.brokers.size() == 2);
  const auto& partition = response.topics.at(0).partitions.at(0);
  REQUIRE(partition.error_code == ErrorCode::leader_not_available);
  REQUIRE(partition.leader_id == -1);
  REQUIRE(partition.offline_replicas == std::vector<int32_t>{2});
  REQUIRE(partition.replica_nodes == std::vector<int32_t>{2, 3});

  BrokerFixture other;
  other.create_topic("orders", 1, {2, 3});
  other.fence(3);
  const auto old = other.ask<MetadataResponse>(for_topics({"orders"}), 0).topics.at(0).partitions.at(0);
  REQUIRE(old.error_code == ErrorCode::replica_not_available);
  REQUIRE(old.replica_nodes == std::vector<int32_t>{2});
}

TEST_CASE("Metadata: the controller is always a broker of the list") {
  BrokerFixture broker;
  broker.context.active_controller = [] { return BrokerId(3); };
  broker.fence(3);
  REQUIRE(broker.ask<MetadataResponse>(for_all(), 1).controller_id == 1);
  broker.fence(1);
  REQUIRE(broker.ask<MetadataResponse>(for_all(), 1).controller_id == 2);
}

TEST_CASE("Metadata: who asks for a leader that has just died hears of its successor, if there is one soon") {
  BrokerFixture broker;
  const TopicId topic = broker.create_topic("orders", 1, {2, 3});
  common::Event changed(*broker.context.shard);
  broker.context.image_changed = &changed;
  const auto leader = [&](const std::string& name) {
    return broker.ask<MetadataResponse>(for_topics({name}), 9).topics.at(0).partitions.at(0).leader_id;
  };
  broker.context.lost_peers[BrokerId(2)] = broker.context.shard->now();
  SECTION("the successor") {
    meta::PartitionChangeRecord change{topic, PartitionIndex(0)};
    change.leader = meta::LeaderChoice{BrokerId(3)};
    const auto timer = broker.context.shard->call_at(broker.context.shard->now() + std::chrono::milliseconds(30), [&] {
      broker.apply(change);
      changed.pulse();
    });
    REQUIRE(leader("orders") == 3);
  }
  SECTION("nobody takes over: perhaps only the connection broke") {
    REQUIRE(leader("orders") == 2);
  }
  SECTION("other topics are answered at once") {
    broker.create_topic("other", 1, {3, 1});
    bool waited = false;
    const auto timer = broker.context.shard->call_at(broker.context.shard->now() + std::chrono::milliseconds(30),
                                                     [&] { waited = true; });
    REQUIRE(leader("other") == 3);
    REQUIRE_FALSE(waited);
  }
}

// A client that has heard of the new leader elsewhere meanwhile must not hear of the old one again.
TEST_CASE("Metadata and FindCoordinator behind other requests tell what is so when those are answered (R87)") {
  BrokerFixture broker;
  const TopicId orders = broker.create_topic("orders", 1, {2, 3});
  const TopicId offsets = broker.create_topic("__consumer_offsets", 1, {2, 3});
  const auto to_broker_3 = [&](const TopicId& topic) {
    meta::PartitionChangeRecord change{topic, PartitionIndex(0)};
    change.leader = meta::LeaderChoice{BrokerId(3)};
    broker.apply(change);
  };
  const auto metadata =
      broker.ask_behind_others<MetadataResponse>(for_topics({"orders"}), 4, [&] { to_broker_3(orders); });
  CHECK(metadata.topics.at(0).partitions.at(0).leader_id == 3);
  kafka::FindCoordinatorRequest find;
  find.key = "a group";
  const auto coordinator =
      broker.ask_behind_others<kafka::FindCoordinatorResponse>(find, 2, [&] { to_broker_3(offsets); });
  CHECK(coordinator.node_id == 3);
}

TEST_CASE("Metadata: a broker that advertises nothing is found where its peers or the client found it") {
  BrokerFixture broker;
  broker.change_listeners = [](meta::RegisterBrokerRecord& record) { record.listeners.front().host = ""; };
  broker.register_broker(1);
  broker.register_broker(2);
  const auto response = broker.ask<MetadataResponse>(for_all(), 1);
  REQUIRE(response.brokers.at(0).host == "10.0.0.1");  // the address that the client reached
  REQUIRE(response.brokers.at(1).host == "10.1.0.2");  // of its cluster endpoint
}

TEST_CASE("Metadata: other brokers are found in the network by which the client came") {
  BrokerFixture broker;
  broker.change_listeners = [](meta::RegisterBrokerRecord& record) {
    record.listeners.front().host = "";
    const auto networks = record.broker_id == BrokerId(2) ? std::vector<std::string>{"172.20.0.2/16", "10.0.0.2/24"}
                                                          : std::vector<std::string>{"172.20.0.3/16", "192.168.7.3/24"};
    for (const std::string& network : networks) {
      record.listeners.push_back({.name = "PLAINTEXT", .host = network, .port = record.listeners.front().port});
    }
  };
  for (const int id : {1, 2, 3}) broker.register_broker(id);
  const auto response = broker.ask<MetadataResponse>(for_all(), 1);  // by 10.0.0.1
  REQUIRE(response.brokers.at(0).host == "10.0.0.1");
  REQUIRE(response.brokers.at(1).host == "10.0.0.2");
  REQUIRE(response.brokers.at(1).port == 9093);
  REQUIRE(response.brokers.at(2).host == "10.1.0.3");  // not in there: of its cluster endpoint
}

TEST_CASE("Metadata: nobody else is where the client reached us, whatever networks his host has inside") {
  BrokerFixture broker;
  const auto with = [&](int id, uint16_t port, const std::vector<std::string>& networks) {
    broker.change_listeners = [=](meta::RegisterBrokerRecord& record) {
      record.listeners.front() = {.name = "PLAINTEXT", .host = "", .port = port};
      for (const std::string& network : networks)
        record.listeners.push_back({.name = "PLAINTEXT", .host = network, .port = port});
    };
    broker.register_broker(id);
  };
  with(1, 9092, {"10.0.0.1/24"});
  with(2, 9092, {"10.0.0.1/24", "10.0.0.2/24"});
  with(3, 9092, {"10.0.0.1/24"});
  const auto hosts = broker.ask<MetadataResponse>(for_all(), 1).brokers;  // by 10.0.0.1:9092
  REQUIRE(hosts.at(1).host == "10.0.0.2");
  REQUIRE(hosts.at(2).host == "10.1.0.3");  // of its cluster endpoint
  with(3, 9094, {"10.0.0.1/24"});           // on our host
  REQUIRE(broker.ask<MetadataResponse>(for_all(), 1).brokers.at(2).host == "10.0.0.1");
}

TEST_CASE("Neighbours share a network, in IPv4 and IPv6") {
  using common::net::is_neighbour;
  REQUIRE(is_neighbour("172.18.200.9", "172.18.0.3/16"));
  REQUIRE_FALSE(is_neighbour("172.19.0.9", "172.18.0.3/16"));
  REQUIRE(is_neighbour("fd00:1::9", "fd00:1::3/64"));
  REQUIRE_FALSE(is_neighbour("fd00:2::9", "fd00:1::3/64"));
  REQUIRE_FALSE(is_neighbour("fd00:1::9", "172.18.0.3/16"));
  REQUIRE_FALSE(is_neighbour("10.0.0.1", "10.0.0.1"));  // an address without a network
  REQUIRE_FALSE(is_neighbour("10.0.0.1", ""));
  REQUIRE(common::net::address_of_interface("172.18.0.3/16") == "172.18.0.3");
  REQUIRE(common::net::address_of_interface("kafka-1").empty());
  for (const std::string& network : common::net::interface_networks()) {
    CAPTURE(network);
    REQUIRE(is_neighbour(common::net::address_of_interface(network), network));
  }
}

TEST_CASE("Metadata creates missing topics where both sides allow it") {
  BrokerFixture broker;
  broker.controller.effect = [&](const meta::ControllerRequest& request) {
    for (const auto& topic : std::get<meta::CreateTopics>(request).topics) broker.create_topic(topic.name, 1);
  };
  broker.controller.answer = [&](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    meta::CreateTopicsAnswer answer;
    for (const auto& topic : std::get<meta::CreateTopics>(request).topics)
      answer.topics.push_back({.name = topic.name});
    return answer;
  };
  SECTION("at once, each name once") {
    const auto response = broker.ask<MetadataResponse>(for_topics({"fresh", "fresh", "bad name"}), 4);
    REQUIRE(response.topics.size() == 2);
    REQUIRE(response.topics.at(0).error_code == ErrorCode::none);
    REQUIRE(response.topics.at(0).partitions.size() == 1);
    REQUIRE(response.topics.at(1).error_code == ErrorCode::invalid_topic_exception);
    const auto asked = broker.asked_controller<meta::CreateTopics>();
    REQUIRE(asked.topics.size() == 1);
    REQUIRE_FALSE(asked.topics[0].partition_count.has_value());
  }
  SECTION("internal topics get the settings they need") {
    broker.config.offsets_partitions = 7;
    broker.ask<MetadataResponse>(for_topics({"__consumer_offsets"}), 4);
    const auto asked = broker.asked_controller<meta::CreateTopics>();
    REQUIRE(asked.topics.at(0).partition_count == 7);
    REQUIRE(asked.topics[0].configs.at(0) ==
            std::pair<std::string, std::optional<std::string>>("cleanup.policy", "compact"));
  }
  SECTION("not against the client's will") {
    MetadataRequest request = for_topics({"fresh"});
    request.allow_auto_topic_creation = false;
    REQUIRE(broker.ask<MetadataResponse>(request, 4).topics.at(0).error_code == ErrorCode::unknown_topic_or_partition);
    REQUIRE(broker.controller.requests.empty());
  }
  SECTION("not against the broker's") {
    broker.config.auto_create_topics = false;
    REQUIRE(broker.ask<MetadataResponse>(for_topics({"fresh"}), 1).topics.at(0).error_code ==
            ErrorCode::unknown_topic_or_partition);
    REQUIRE(broker.controller.requests.empty());
  }
}

TEST_CASE("Metadata waits for what a topic that is to be made still lacks") {
  BrokerFixture broker;
  SECTION("brokers that are still to register are worth waiting for") {
    broker.controller.answer = [](const meta::ControllerRequest&) -> meta::ControllerAnswer {
      meta::CreateTopicsAnswer answer;
      answer.topics.push_back({.name = "fresh", .error = {ErrorCode::invalid_replication_factor, "too few"}});
      return answer;
    };
    broker.config.default_replication_factor = 3;
    broker.config.voters.resize(3);
    REQUIRE(broker.ask<MetadataResponse>(for_topics({"fresh"}), 1).topics.at(0).error_code ==
            ErrorCode::invalid_replication_factor);  // all three are there
    broker.config.voters.resize(4);
    REQUIRE(broker.ask<MetadataResponse>(for_topics({"fresh"}), 1).topics.at(0).error_code ==
            ErrorCode::leader_not_available);
    broker.config.default_replication_factor = 5;  // more than there will ever be
    REQUIRE(broker.ask<MetadataResponse>(for_topics({"fresh"}), 1).topics.at(0).error_code ==
            ErrorCode::invalid_replication_factor);
  }
  SECTION("so are those that are registered and not in service yet") {
    common::Event changed(*broker.context.shard);
    broker.context.image_changed = &changed;
    for (int id = 1; id <= 3; ++id) broker.fence(id);
    bool was_in_service_when_asked = false;
    broker.controller.effect = nullptr;
    broker.controller.answer = [&](const meta::ControllerRequest&) -> meta::ControllerAnswer {
      was_in_service_when_asked = broker.context.image->is_active(BrokerId(2));
      broker.fence(2);
      meta::CreateTopicsAnswer answer;
      answer.topics.push_back({.name = "fresh", .error = {ErrorCode::invalid_replication_factor, "all are fenced"}});
      return answer;
    };
    const auto timer = broker.context.shard->call_at(broker.context.shard->now() + std::chrono::milliseconds(30), [&] {
      broker.register_broker(2);
      changed.pulse();
    });
    REQUIRE(broker.ask<MetadataResponse>(for_topics({"fresh"}), 1).topics.at(0).error_code ==
            ErrorCode::leader_not_available);
    REQUIRE(was_in_service_when_asked);
  }
  SECTION("and waited for, for a while, before the controller is asked") {
    common::Event changed(*broker.context.shard);
    broker.context.image_changed = &changed;
    broker.config.default_replication_factor = 3;
    broker.config.voters.resize(4);
    size_t registered_when_asked = 0;
    broker.controller.answer = [&](const meta::ControllerRequest&) -> meta::ControllerAnswer {
      registered_when_asked = broker.context.image->brokers().size();
      meta::CreateTopicsAnswer answer;
      answer.topics.push_back({.name = "fresh", .error = {ErrorCode::invalid_partitions, "seen"}});
      return answer;
    };
    const auto timer = broker.context.shard->call_at(broker.context.shard->now() + std::chrono::milliseconds(30), [&] {
      broker.register_broker(4);
      changed.pulse();
    });
    REQUIRE(broker.ask<MetadataResponse>(for_topics({"fresh"}), 1).topics.at(0).error_code ==
            ErrorCode::invalid_partitions);
    REQUIRE(registered_when_asked == 4);
  }
  SECTION("a controller that cannot be reached means: try again") {
    REQUIRE(broker.ask<MetadataResponse>(for_topics({"fresh"}), 1).topics.at(0).error_code ==
            ErrorCode::leader_not_available);
  }
}

TEST_CASE("R33: who may have been replaced names itself as nobody's leader, and sends those who ask elsewhere") {
  BrokerFixture broker;
  broker.create_topic("mine", 1, {1, 2, 3});
  broker.create_topic("theirs", 1, {2, 1, 3});
  broker.create_topic("__consumer_offsets", 1, {1, 2, 3});
  bool may_be_replaced = true;
  broker.context.may_be_replaced = [&] { return may_be_replaced; };
  for (int16_t version = 0; version <= 13; ++version) {
    INFO("version " << version);
    const server::Outcome outcome = broker.send(for_topics({"mine", "theirs"}), version);
    REQUIRE(outcome.is_last);
    const auto response = broker.read<MetadataResponse>(outcome, version);
    REQUIRE(response.brokers.size() == 3);
    const auto& mine = response.topics.at(0).partitions.at(0);
    REQUIRE(mine.error_code == ErrorCode::leader_not_available);
    REQUIRE(mine.leader_id == -1);
    REQUIRE(response.topics.at(1).partitions.at(0).leader_id == 2);
  }
  REQUIRE(broker.send(for_topics({"theirs"}), 13).is_last);  // who leads that by now is not known here either
  REQUIRE_FALSE(broker.send(for_topics({}), 13).is_last);    // brokers only: among them is one to ask

  kafka::DescribeTopicPartitionsRequest describe;
  describe.topics.push_back({"mine"});
  const auto described = broker.ask<kafka::DescribeTopicPartitionsResponse>(describe, 0);
  REQUIRE(described.topics.at(0).partitions.at(0).leader_id == -1);

  kafka::FindCoordinatorRequest find;
  find.key = "group";
  const server::Outcome nobody = broker.send(find, 3);
  REQUIRE(nobody.is_last);
  REQUIRE(broker.read<kafka::FindCoordinatorResponse>(nobody, 3).error_code == ErrorCode::coordinator_not_available);

  may_be_replaced = false;
  const server::Outcome again = broker.send(for_topics({"mine"}), 13);
  REQUIRE_FALSE(again.is_last);
  REQUIRE(broker.read<MetadataResponse>(again, 13).topics.at(0).partitions.at(0).leader_id == 1);
  REQUIRE(broker.ask<kafka::FindCoordinatorResponse>(find, 3).node_id == 1);
}

TEST_CASE("authorized operations are told when asked for") {
  BrokerFixture broker;
  broker.create_topic("orders", 1);
  MetadataRequest request = for_topics({"orders"});
  REQUIRE(broker.ask<MetadataResponse>(request, 8).topics.at(0).topic_authorized_operations == INT32_MIN);
  request.include_topic_authorized_operations = true;
  request.include_cluster_authorized_operations = true;
  const auto response = broker.ask<MetadataResponse>(request, 8);
  REQUIRE(response.topics.at(0).topic_authorized_operations == 3576);
  REQUIRE(response.cluster_authorized_operations == 8096);
}

TEST_CASE("a kept topic is told to who asks for those, and is there for nobody else") {
  BrokerFixture broker;
  const TopicId orders = broker.create_topic("orders", 2);
  broker.create_topic("users", 1);
  broker.config.auto_create_topics = true;
  broker.apply(meta::ConfigRecord{{meta::ResourceType::topic, "orders"}, std::string(meta::kept_key), "7000+60000"});

  CHECK(names_of(broker.ask<MetadataResponse>(for_all(), 12)) == std::vector<std::string>{"users"});
  // Whoever writes to it still does not make another one of its name.
  MetadataRequest by_name = for_topics({"orders"});
  by_name.allow_auto_topic_creation = true;
  CHECK(broker.ask<MetadataResponse>(by_name, 12).topics.at(0).error_code == ErrorCode::unknown_topic_or_partition);
  CHECK(broker.controller.requests.empty());
  MetadataRequest by_id;
  by_id.topics.emplace().emplace_back().topic_id = orders;
  CHECK(broker.ask<MetadataResponse>(by_id, 12).topics.at(0).error_code == ErrorCode::unknown_topic_id);
  CHECK(find_target(*broker.context.image, "orders", 0).error == ErrorCode::unknown_topic_or_partition);
  CHECK(find_target(*broker.context.image, orders, 0).error == ErrorCode::unknown_topic_id);

  kafka::DescribeClusterRequest request;
  CHECK(broker.ask<kafka::DescribeClusterResponse>(request, 2).kept_topics.empty());
  request.include_kept_topics = true;
  const auto response = broker.ask<kafka::DescribeClusterResponse>(request, 2);
  REQUIRE(response.kept_topics.size() == 1);
  CHECK(response.kept_topics[0].name == "orders");
  CHECK(response.kept_topics[0].topic_id == orders);
  CHECK(response.kept_topics[0].partitions == 2);
  CHECK(response.kept_topics[0].deleted_at_ms == 7000);
  CHECK(response.kept_topics[0].keep_ms == 60'000);
}

TEST_CASE("DescribeCluster") {
  BrokerFixture broker;
  broker.fence(2);
  kafka::DescribeClusterRequest request;
  for (int16_t version = 0; version <= 2; ++version) {
    const auto response = broker.ask<kafka::DescribeClusterResponse>(request, version);
    REQUIRE(response.error_code == ErrorCode::none);
    REQUIRE(response.cluster_id == broker.cluster_id.to_string());
    REQUIRE(response.brokers.size() == 2);
  }
  request.include_fenced_brokers = true;
  const auto fenced = broker.ask<kafka::DescribeClusterResponse>(request, 2);
  REQUIRE(fenced.brokers.size() == 3);
  REQUIRE(fenced.brokers[1].is_fenced);
  request.endpoint_type = 2;
  REQUIRE(broker.ask<kafka::DescribeClusterResponse>(request, 2).error_code == ErrorCode::mismatched_endpoint_type);
  request.endpoint_type = 9;
  request.include_fenced_brokers = false;
  REQUIRE(broker.ask<kafka::DescribeClusterResponse>(request, 1).error_code == ErrorCode::unsupported_endpoint_type);
}

TEST_CASE("DescribeTopicPartitions goes page by page") {
  BrokerFixture broker;
  broker.create_topic("b", 3);
  broker.create_topic("a", 2);
  kafka::DescribeTopicPartitionsRequest request;
  request.response_partition_limit = 2;
  std::vector<std::string> seen;
  for (int page = 0; page < 10; ++page) {
    const auto response = broker.ask<kafka::DescribeTopicPartitionsResponse>(request, 0);
    for (const auto& topic : response.topics) {
      for (const auto& partition : topic.partitions) {
        seen.push_back(fmt::format("{}-{}", topic.name.value_or("?"), partition.partition_index));
      }
    }
    if (!response.next_cursor) break;
    request.cursor = {.topic_name = response.next_cursor->topic_name,
                      .partition_index = response.next_cursor->partition_index};
  }
  REQUIRE(seen == std::vector<std::string>{"a-0", "a-1", "b-0", "b-1", "b-2"});
  request.cursor.reset();
  request.topics.push_back({"none"});
  REQUIRE(broker.ask<kafka::DescribeTopicPartitionsResponse>(request, 0).topics.at(0).error_code ==
          ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("DescribeTopicPartitions refuses a negative cursor") {
  BrokerFixture broker;
  kafka::DescribeTopicPartitionsRequest request;
  request.cursor = {.topic_name = "a", .partition_index = -1};
  REQUIRE(broker.send(request, 0).kind == server::Outcome::Kind::close);
}

TEST_CASE("DescribeQuorum speaks of __cluster_metadata") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest&) -> meta::ControllerAnswer {
    meta::DescribeQuorumAnswer answer;
    answer.leader = BrokerId(2);
    answer.term = common::model::Term(9);
    answer.high_watermark = LogIndex(100);
    answer.voters.push_back({.broker_id = BrokerId(2), .log_end = LogIndex(101)});
    answer.nodes.push_back({.broker_id = BrokerId(2), .endpoint = {.host = "h", .port = 5}});
    return answer;
  };
  kafka::DescribeQuorumRequest request;
  auto& topic = request.topics.emplace_back();
  topic.topic_name = "__cluster_metadata";
  topic.partitions.push_back({0});
  topic.partitions.push_back({1});
  topic.partitions.push_back({0});  // answered already (R109)
  request.topics.push_back(request.topics.front());
  for (int16_t version = 0; version <= 2; ++version) {
    const auto response = broker.ask<kafka::DescribeQuorumResponse>(request, version);
    REQUIRE(response.error_code == ErrorCode::none);
    REQUIRE(response.topics.size() == 1);
    REQUIRE(response.topics[0].partitions.size() == 2);
    const auto& partition = response.topics.at(0).partitions.at(0);
    REQUIRE(partition.leader_id == 2);
    REQUIRE(partition.leader_epoch == 9);
    REQUIRE(partition.high_watermark == 100);
    REQUIRE(partition.current_voters.at(0).log_end_offset == 101);
    REQUIRE(response.topics.at(0).partitions.at(1).error_code == ErrorCode::unknown_topic_or_partition);
    REQUIRE(response.nodes.size() == (version >= 2 ? 1 : 0));
  }
  broker.controller.answer = nullptr;
  REQUIRE(broker.ask<kafka::DescribeQuorumResponse>(request, 0).error_code == ErrorCode::broker_not_available);
}

TEST_CASE("AddRaftVoter and RemoveRaftVoter translate both ways") {
  const auto directory = common::model::Uuid::from_halves(4, 4);
  kafka::AddRaftVoterRequest add;
  add.voter_id = 4;
  add.voter_directory_id = directory;
  add.listeners.push_back({.name = "CONTROLLER", .host = "h", .port = 9093});
  for (int16_t version = 0; version <= 1; ++version) {
    BrokerFixture broker;
    broker.controller.answer = [](const meta::ControllerRequest&) -> meta::ControllerAnswer {
      return meta::AddRaftVoterAnswer{};
    };
    add.cluster_id = broker.cluster_id.to_string();
    const auto response = broker.ask<kafka::AddRaftVoterResponse>(add, version);
    REQUIRE(response.error_code == ErrorCode::none);
    REQUIRE_FALSE(response.error_message);
    const auto asked = broker.asked_controller<meta::AddRaftVoter>();
    REQUIRE(asked.broker_id == BrokerId(4));
    REQUIRE(asked.directory_id == directory);
    REQUIRE(asked.endpoint == meta::ClusterEndpoint{"h", 9093});
  }
  kafka::RemoveRaftVoterRequest remove;
  remove.cluster_id.reset();
  remove.voter_id = 4;
  remove.voter_directory_id = directory;
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest&) -> meta::ControllerAnswer {
    return meta::RemoveRaftVoterAnswer{{ErrorCode::voter_not_found, "node 4 is not a voter"}};
  };
  const auto response = broker.ask<kafka::RemoveRaftVoterResponse>(remove, 0);
  REQUIRE(response.error_code == ErrorCode::voter_not_found);
  REQUIRE(response.error_message == "node 4 is not a voter");
  REQUIRE(broker.asked_controller<meta::RemoveRaftVoter>().directory_id == directory);
}

TEST_CASE("AddRaftVoter and RemoveRaftVoter refuse what cannot be meant, without asking the controller") {
  BrokerFixture broker;
  kafka::AddRaftVoterRequest add;
  add.voter_id = 4;
  add.voter_directory_id = common::model::Uuid::from_halves(4, 4);
  add.cluster_id = "another";
  REQUIRE(broker.ask<kafka::AddRaftVoterResponse>(add, 1).error_code == ErrorCode::inconsistent_cluster_id);
  add.cluster_id.reset();
  add.voter_directory_id = {};
  REQUIRE(broker.ask<kafka::AddRaftVoterResponse>(add, 1).error_code == ErrorCode::invalid_request);
  kafka::RemoveRaftVoterRequest remove;
  remove.cluster_id = "another";
  remove.voter_id = 4;
  remove.voter_directory_id = common::model::Uuid::from_halves(4, 4);
  REQUIRE(broker.ask<kafka::RemoveRaftVoterResponse>(remove, 0).error_code == ErrorCode::inconsistent_cluster_id);
  remove.cluster_id.reset();
  remove.voter_id = -1;
  REQUIRE(broker.ask<kafka::RemoveRaftVoterResponse>(remove, 0).error_code == ErrorCode::invalid_request);
  REQUIRE(broker.controller.requests.empty());
}

TEST_CASE("UnregisterBroker translates both ways") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    if (std::get<meta::UnregisterBroker>(request).broker_id == BrokerId(4)) return meta::UnregisterBrokerAnswer{};
    return meta::UnregisterBrokerAnswer{{ErrorCode::broker_id_not_registered, "Broker ID 5 is not registered"}};
  };
  const auto gone = broker.ask<kafka::UnregisterBrokerResponse>(kafka::UnregisterBrokerRequest{.broker_id = 4}, 0);
  CHECK(gone.error_code == ErrorCode::none);
  CHECK_FALSE(gone.error_message.has_value());
  const auto unknown = broker.ask<kafka::UnregisterBrokerResponse>(kafka::UnregisterBrokerRequest{.broker_id = 5}, 0);
  CHECK(unknown.error_code == ErrorCode::broker_id_not_registered);
  CHECK(unknown.error_message == "Broker ID 5 is not registered");
}

TEST_CASE("ElectLeaders translates both ways") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    meta::ElectLeadersAnswer answer;
    const auto& partitions = std::get<meta::ElectLeaders>(request).partitions;
    if (partitions) {
      for (const auto& one : *partitions) answer.partitions.push_back({one, {ErrorCode::election_not_needed, ""}});
    }
    return answer;
  };
  kafka::ElectLeadersRequest request;
  request.topic_partitions->push_back({"orders", {1, 0}});
  for (int16_t version = 0; version <= 2; ++version) {
    const auto response = broker.ask<kafka::ElectLeadersResponse>(request, version);
    const auto& result = response.replica_election_results.at(0);
    REQUIRE(result.topic == "orders");
    REQUIRE(result.partition_result.at(0).partition_id == 1);
    REQUIRE(result.partition_result.at(0).error_code == ErrorCode::election_not_needed);
    REQUIRE(result.partition_result.at(0).error_message == "ELECTION_NOT_NEEDED");
  }
  request.topic_partitions.reset();
  REQUIRE(broker.ask<kafka::ElectLeadersResponse>(request, 2).replica_election_results.empty());
  request.election_type = 5;
  REQUIRE(broker.ask<kafka::ElectLeadersResponse>(request, 2).error_code == ErrorCode::invalid_request);
}

TEST_CASE("AlterPartitionReassignments translates both ways") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    meta::AlterPartitionReassignmentsAnswer answer;
    for (const auto& one : std::get<meta::AlterPartitionReassignments>(request).partitions) {
      const bool known = one.partition.topic == "orders";
      answer.partitions.push_back(
          {one.partition, {known ? ErrorCode::none : ErrorCode::unknown_topic_or_partition, known ? "" : "no"}});
    }
    return answer;
  };
  kafka::AlterPartitionReassignmentsRequest request;
  request.topics.push_back({"orders", {{1, std::vector<int32_t>{2, 3}}, {0, std::nullopt}}});
  request.topics.push_back({"nothing", {{0, std::vector<int32_t>{1}}}});
  for (int16_t version = 0; version <= 1; ++version) {
    const auto response = broker.ask<kafka::AlterPartitionReassignmentsResponse>(request, version);
    REQUIRE(response.error_code == ErrorCode::none);
    REQUIRE(response.responses.size() == 2);
    REQUIRE(response.responses[0].partitions.at(1).partition_index == 0);
    REQUIRE(response.responses[0].partitions.at(1).error_code == ErrorCode::none);
    REQUIRE(response.responses[1].partitions.at(0).error_code == ErrorCode::unknown_topic_or_partition);
    REQUIRE(response.responses[1].partitions.at(0).error_message == "no");
    const auto& asked = std::get<meta::AlterPartitionReassignments>(broker.controller.requests.back());
    REQUIRE(asked.factor_change == meta::FactorChange::allowed);
    REQUIRE(asked.partitions.at(0).replicas == std::vector<BrokerId>{BrokerId(2), BrokerId(3)});
    REQUIRE_FALSE(asked.partitions.at(1).replicas);
  }
  request.allow_replication_factor_change = false;
  REQUIRE_FALSE(broker.ask<kafka::AlterPartitionReassignmentsResponse>(request, 1).allow_replication_factor_change);
  REQUIRE(std::get<meta::AlterPartitionReassignments>(broker.controller.requests.back()).factor_change ==
          meta::FactorChange::refused);
  broker.controller.answer = nullptr;
  const auto refused = broker.ask<kafka::AlterPartitionReassignmentsResponse>(request, 1);
  REQUIRE(refused.error_code == ErrorCode::broker_not_available);
  REQUIRE(refused.error_message);
}

TEST_CASE("names that no topic can have are not carried to the controller (R109)") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    if (const auto* elect = std::get_if<meta::ElectLeaders>(&request)) {
      meta::ElectLeadersAnswer answer;
      for (const auto& one : *elect->partitions) answer.partitions.push_back({one, {ErrorCode::none, ""}});
      return answer;
    }
    meta::AlterPartitionReassignmentsAnswer answer;
    for (const auto& one : std::get<meta::AlterPartitionReassignments>(request).partitions) {
      answer.partitions.push_back({one.partition, {ErrorCode::none, ""}});
    }
    return answer;
  };
  const std::string name(32'000, 'n');
  kafka::ElectLeadersRequest elect;
  elect.topic_partitions->push_back({name, {1, 0}});
  elect.topic_partitions->push_back({"orders", {0}});
  const auto elected = broker.ask<kafka::ElectLeadersResponse>(elect, 2);
  REQUIRE(std::get<meta::ElectLeaders>(broker.controller.requests.back()).partitions->size() == 1);
  REQUIRE(elected.replica_election_results.size() == 2);
  REQUIRE(elected.replica_election_results[0].topic == "orders");
  REQUIRE(elected.replica_election_results[0].partition_result.at(0).error_code == ErrorCode::none);
  REQUIRE(elected.replica_election_results[1].topic == name);
  REQUIRE(elected.replica_election_results[1].partition_result.size() == 2);
  REQUIRE(elected.replica_election_results[1].partition_result[0].error_code == ErrorCode::unknown_topic_or_partition);

  kafka::AlterPartitionReassignmentsRequest alter;
  alter.topics.push_back({name, {{1, std::nullopt}, {0, std::nullopt}}});
  alter.topics.push_back({"orders", {{0, std::nullopt}}});
  const auto altered = broker.ask<kafka::AlterPartitionReassignmentsResponse>(alter, 1);
  REQUIRE(std::get<meta::AlterPartitionReassignments>(broker.controller.requests.back()).partitions.size() == 1);
  REQUIRE(altered.responses.at(0).partitions.size() == 2);
  REQUIRE(altered.responses[0].partitions[1].error_code == ErrorCode::unknown_topic_or_partition);
  REQUIRE(altered.responses.at(1).partitions.at(0).error_code == ErrorCode::none);
}

TEST_CASE("ListPartitionReassignments lists what is being moved") {
  BrokerFixture broker;
  const TopicId id = broker.create_topic("orders", 2, {1, 2});
  meta::DescribeQuorumAnswer quorum;
  broker.controller.answer = [&](const meta::ControllerRequest&) -> meta::ControllerAnswer { return quorum; };
  kafka::ListPartitionReassignmentsRequest request;
  REQUIRE(broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0).topics.empty());
  meta::PartitionChangeRecord change;
  change.topic_id = id;
  change.partition = PartitionIndex(1);
  change.replicas = std::vector<BrokerId>{BrokerId(1), BrokerId(2), BrokerId(3)};
  change.adding = std::vector<BrokerId>{BrokerId(3)};
  broker.apply(change);
  const auto all = broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0);
  REQUIRE(all.topics.at(0).partitions.at(0).partition_index == 1);
  REQUIRE(all.topics.at(0).partitions.at(0).adding_replicas == std::vector<int32_t>{3});
  request.topics.emplace().push_back({"orders", {0}});
  REQUIRE(broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0).topics.empty());
  // Named often, answered once (R109).
  request.topics = {{"orders", {1, 0, 1, 1}}, {"orders", {1}}};
  const auto once = broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0);
  REQUIRE(once.topics.size() == 1);
  REQUIRE(once.topics[0].partitions.size() == 1);
  request.topics = {{"orders", {0}}, {"orders", {1}}};
  REQUIRE(broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0).topics.size() == 1);

  // Never what is older than the request.
  quorum.high_watermark = broker.context.image->offset()->next();
  REQUIRE(broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0).error_code == ErrorCode::none);
  quorum.high_watermark = quorum.high_watermark.next();
  const auto behind = broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0);
  REQUIRE(behind.error_code == ErrorCode::request_timed_out);
  REQUIRE(behind.error_message);
  broker.controller.effect = [&](const meta::ControllerRequest&) {
    change.adding = std::vector<BrokerId>{};
    change.replicas = std::vector<BrokerId>{BrokerId(1), BrokerId(2)};
    broker.apply(change);
  };
  request.topics.reset();
  REQUIRE(broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0).topics.empty());
  broker.controller.effect = nullptr;
  broker.controller.answer = nullptr;
  REQUIRE(broker.ask<kafka::ListPartitionReassignmentsResponse>(request, 0).error_code ==
          ErrorCode::broker_not_available);
}

TEST_CASE("DescribeAcls says that there is no authorizer") {
  BrokerFixture broker;
  kafka::DescribeAclsRequest request;
  for (int16_t version = 0; version <= 3; ++version) {
    REQUIRE(broker.ask<kafka::DescribeAclsResponse>(request, version).error_code == ErrorCode::security_disabled);
  }
}

TEST_CASE("FindCoordinator names the leader of the group's partition, and creates the topic first") {
  BrokerFixture broker;
  kafka::FindCoordinatorRequest request;
  request.key = "peter-consumer01";
  kafka::FindCoordinatorRequest many;
  many.coordinator_keys = {"peter-consumer01", "peter-consumer02"};
  REQUIRE(broker.ask<kafka::FindCoordinatorResponse>(request, 0).error_code == ErrorCode::coordinator_not_available);
  REQUIRE(broker.asked_controller<meta::CreateTopics>().topics.at(0).name == "__consumer_offsets");
  broker.create_topic("__consumer_offsets", 50, {2});
  for (int16_t version = 0; version <= 6; ++version) {
    INFO("version " << version);
    const auto response = broker.ask<kafka::FindCoordinatorResponse>(version < 4 ? request : many, version);
    if (version < 4) {
      REQUIRE(response.error_code == ErrorCode::none);
      REQUIRE(response.node_id == 2);
      REQUIRE(response.host == "10.0.0.2");
      REQUIRE(response.port == 9093);
      if (version >= 1) REQUIRE_FALSE(response.error_message.has_value());
    } else {
      REQUIRE(response.coordinators.size() == 2);
      REQUIRE(response.coordinators[1].key == "peter-consumer02");
      REQUIRE(response.coordinators[1].node_id == 2);
    }
  }
  broker.fence(2);
  const auto gone = broker.ask<kafka::FindCoordinatorResponse>(many, 6);
  REQUIRE(gone.coordinators.at(0).error_code == ErrorCode::coordinator_not_available);
  REQUIRE(gone.coordinators[0].node_id == -1);
}

TEST_CASE("FindCoordinator offers groups only, and says so") {
  BrokerFixture broker;
  kafka::FindCoordinatorRequest request;
  request.key = "transactional";
  request.key_type = 1;
  const auto response = broker.ask<kafka::FindCoordinatorResponse>(request, 3);
  REQUIRE(response.error_code == ErrorCode::invalid_request);
  REQUIRE_FALSE(response.error_message.value_or("").empty());
  // librdkafka, up to version 2 here, would try again for ever on that.
  const auto old = broker.ask<kafka::FindCoordinatorResponse>(request, 1);
  REQUIRE(old.error_code == ErrorCode::transactional_id_authorization_failed);
  REQUIRE_FALSE(old.error_message.value_or("").empty());
  REQUIRE(broker.controller.requests.empty());
}
