// The verdict on a cluster, and lag.
#include <catch2/catch.hpp>

#include "cli/facts.h"
#include "cli/group_facts.h"
#include "cli/limits.h"

using namespace cli;

namespace {
PartitionFacts partition(std::optional<int32_t> leader, std::vector<int32_t> replicas, std::vector<int32_t> isr) {
  PartitionFacts p;
  p.leader = leader;
  p.replicas = std::move(replicas);
  p.isr = std::move(isr);
  return p;
}
ClusterFacts three_brokers() {
  ClusterFacts cluster;
  cluster.controller = 2;
  cluster.voters = {1, 2, 3};
  for (const int id : {1, 2, 3}) {
    BrokerFacts broker;
    broker.id = id;
    cluster.brokers.push_back(broker);
  }
  TopicFacts topic;
  topic.name = "t";
  topic.min_isr = 2;
  topic.partitions = {partition(1, {1, 2, 3}, {1, 2, 3}), partition(2, {2, 3, 1}, {1, 2, 3})};
  cluster.topics.push_back(topic);
  return cluster;
}
}  // namespace

TEST_CASE("a refusal says what it means, and which command helps on") {
  using common::model::ErrorCode;
  const Problem unknown = refused("cannot grow topic t", ErrorCode::unknown_topic_or_partition,
                                  "This server does not host this topic-partition.");
  CHECK(unknown.message == "cannot grow topic t: UNKNOWN_TOPIC_OR_PARTITION (no such topic or partition)");
  CHECK(unknown.next_step == "`naru topic list` shows what there is");
  CHECK(unknown.exit == Exit::refused);
  CHECK(refused("x", ErrorCode::unknown_topic_or_partition, "There is no topic t.")
            .message.ends_with("(There is no topic t.)"));
  CHECK(refused("x", ErrorCode::group_id_not_found).next_step == "`naru group list` shows what there is");
  CHECK(refused("x", ErrorCode::request_timed_out).exit == Exit::unreachable);
  CHECK(refused("x", ErrorCode::invalid_config, "no").next_step.empty());
}

TEST_CASE("a whole cluster is healthy") {
  CHECK(assess(three_brokers(), 3).healthy());
  CHECK(assess(three_brokers(), 0).healthy());
}

TEST_CASE("each thing that is wrong is said") {
  ClusterFacts cluster = three_brokers();
  SECTION("a fenced broker") {
    cluster.brokers[2].fenced = true;
    CHECK(assess(cluster, 0).reasons == std::vector<std::string>{"down 1: broker 3"});
  }
  SECTION("a voter that never registered") {
    cluster.brokers.pop_back();
    CHECK(assess(cluster, 0).reasons == std::vector<std::string>{"down 1: broker 3"});
  }
  SECTION("a data directory that has failed") {
    cluster.brokers[0].offline_dirs = {"/data/2"};
    CHECK(assess(cluster, 0).reasons == std::vector<std::string>{"broker 1 has lost /data/2"});
  }
  SECTION("fewer than asked for") {
    CHECK(assess(cluster, 4).reasons == std::vector<std::string>{"3 of 4 brokers are there"});
  }
  SECTION("no controller") {
    cluster.controller.reset();
    CHECK(assess(cluster, 0).reasons.front().starts_with("no controller"));
  }
  SECTION("partitions") {
    cluster.topics[0].partitions[0] = partition(std::nullopt, {1, 2, 3}, {1});
    const Health health = assess(cluster, 0);
    REQUIRE(health.reasons.size() == 3);
    CHECK(health.reasons[0].starts_with("without leader 1"));
    CHECK(health.reasons[1].starts_with("too few in sync 1: "));
    CHECK(health.reasons[2] == "under-replicated 1: copies of brokers 2,3 not in sync");
    cluster.topics[0].partitions[0].isr = {1, 2};
    CHECK(assess(cluster, 0).reasons.back() == "under-replicated 1: the copies of broker 3 not in sync");
  }
  SECTION("min.insync.replicas counts no more than there are replicas") {
    cluster.topics[0].partitions = {partition(1, {1}, {1})};
    CHECK(assess(cluster, 0).healthy());
  }
}

TEST_CASE("what the loss of one more broker would do") {
  ClusterFacts cluster = three_brokers();
  const auto texts = [&] {
    std::vector<std::string> all;
    for (const Finding& finding : find_limits(cluster)) all.push_back(finding.text);
    return all;
  };
  const std::string well = "any one broker may be lost, and everything goes on";
  CHECK(texts() == std::vector<std::string>{well});
  SECTION("one is down already") {
    cluster.brokers[2].fenced = true;
    for (PartitionFacts& p : cluster.topics[0].partitions) p.isr = {1, 2};
    const auto findings = find_limits(cluster);
    REQUIRE(findings.size() == 2);
    CHECK(findings[0].text == "no copy in sync to spare at the moment, so one more dead broker stops writes: t");
    CHECK(findings[1].text.starts_with("no voter to spare"));
    CHECK(findings[1].state == FindingState::bad);
  }
  SECTION("five voters survive two") {
    for (const int id : {4, 5}) {
      cluster.voters.push_back(id);
      cluster.brokers.push_back(cluster.brokers[0]);
      cluster.brokers.back().id = id;
    }
    cluster.brokers[4].fenced = true;
    CHECK(texts() == std::vector<std::string>{well});
  }
  SECTION("as many copies needed as there are") {
    cluster.topics[0].min_isr = 3;
    CHECK(texts().front().starts_with("min.insync.replicas is the number of copies"));
  }
  SECTION("one copy") {
    cluster.topics[0].partitions = {partition(1, {1}, {1})};
    CHECK(texts() == std::vector<std::string>{"one copy only, gone with its broker: t"});
  }
}

TEST_CASE("who is what is only said where somebody can know") {
  ClusterFacts cluster = three_brokers();
  cluster.brokers[1].voter = true;
  cluster.brokers[2].voter = true;
  cluster.brokers[2].fenced = true;
  CHECK(role_of(cluster.brokers[0], cluster) == "observer");
  CHECK(role_of(cluster.brokers[1], cluster) == "controller");
  CHECK(role_of(cluster.brokers[2], cluster) == "voter");
  CHECK(state_of(cluster.brokers[0], cluster) == "up");
  CHECK(state_of(cluster.brokers[2], cluster) == "down");
  // Without a controller nobody tells the voters, and what brokers last heard of each other may be old.
  cluster.controller.reset();
  for (BrokerFacts& broker : cluster.brokers) broker.voter = false;
  cluster.brokers[0].answers = true;
  for (const BrokerFacts& broker : cluster.brokers) CHECK(role_of(broker, cluster).empty());
  CHECK(state_of(cluster.brokers[0], cluster) == "up");
  CHECK(state_of(cluster.brokers[1], cluster).empty());
}

TEST_CASE("lag: from what is committed, or from the log's start where that is later") {
  GroupOffset offset;
  CHECK_FALSE(offset.lag());
  offset.committed = 10;
  CHECK_FALSE(offset.lag());
  offset.end = 25;
  CHECK(offset.lag() == 15);
  offset.start = 20;
  CHECK(offset.lag() == 5);
  offset.committed = 30;
  CHECK(offset.lag() == 0);
}
