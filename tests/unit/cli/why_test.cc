// One sentence with the cause.
#include <catch2/catch.hpp>

#include "cli/why.h"

using namespace cli;
using common::model::PartitionIndex;

namespace {

ClusterFacts cluster(std::vector<int32_t> isr, std::optional<int32_t> leader, std::vector<int32_t> down = {}) {
  ClusterFacts facts;
  facts.controller = 2;
  for (const int32_t id : {1, 2, 3}) {
    BrokerFacts broker;
    broker.id = id;
    broker.fenced = std::find(down.begin(), down.end(), id) != down.end();
    facts.brokers.push_back(broker);
  }
  TopicFacts topic;
  topic.name = "t";
  topic.min_isr = 2;
  PartitionFacts p;
  p.replicas = {1, 2, 3};
  p.isr = std::move(isr);
  p.leader = leader;
  topic.partitions.push_back(p);
  facts.topics.push_back(topic);
  return facts;
}

GroupFacts group(std::string state, int members, std::optional<int64_t> committed, int64_t end, int64_t start = 0) {
  GroupFacts g;
  g.name = "g";
  g.state = std::move(state);
  for (int i = 0; i < members; ++i) {
    MemberFacts m;
    if (i == 0) m.assigned.push_back({"t", PartitionIndex(0)});
    g.members.push_back(m);
  }
  g.offsets.push_back({.partition = {"t", PartitionIndex(0)}, .committed = committed, .start = start, .end = end});
  return g;
}

}  // namespace

TEST_CASE("why a topic cannot be written") {
  CHECK(why_produce(cluster({1, 2, 3}, 1), "t").well);
  CHECK(why_produce(cluster({1, 2, 3}, 1), "u").sentence == "there is no topic u");
  const Reason below = why_produce(cluster({1}, 1, {2, 3}), "t");
  CHECK_FALSE(below.well);
  CHECK(
      below.sentence ==
      "acks=all is refused: partition 0 of t has 1 of the 2 copies in sync that min.insync.replicas asks for, because "
      "brokers 2,3 are down");
  CHECK(why_produce(cluster({1}, 1), "t").sentence.ends_with("because brokers 2,3 are catching up"));
  CHECK(why_produce(cluster({1, 2}, 1, {3}), "t").well);
}

TEST_CASE("why copies are missing") {
  CHECK(why_under_replicated(cluster({1, 2, 3}, 1)).well);
  const Reason down = why_under_replicated(cluster({1, 2}, 1, {3}));
  CHECK_FALSE(down.well);
  CHECK(down.sentence == "1 partition lacks a copy in sync, because broker 3 is down");
  CHECK(down.next_step.starts_with("start it: "));
  const Reason partly = why_under_replicated(cluster({1}, 1, {3}));
  CHECK(partly.sentence.ends_with("because broker 3 is down; others are catching up"));
  CHECK(why_under_replicated(cluster({1, 2}, 1)).sentence.ends_with("because broker 3 is catching up"));
  ClusterFacts lost = cluster({1, 2}, 1);
  lost.brokers[2].offline_dirs = {"/data"};
  CHECK(why_under_replicated(lost).sentence.ends_with("because broker 3 has lost its data directory /data"));
  ClusterFacts headless = cluster({1, 2, 3}, 1);
  headless.controller.reset();
  const Reason unknown = why_under_replicated(headless);
  CHECK_FALSE(unknown.well);
  CHECK(unknown.sentence.starts_with("it is not known which copies are in sync: there is no controller"));
}

TEST_CASE("why a topic has no leader") {
  ClusterFacts lost = cluster({}, std::nullopt, {1, 2});
  lost.topics[0].partitions[0].eligible = {1};
  const Reason reason = why_consume(lost, "t");
  CHECK(reason.sentence ==
        "no partition of t has a leader, because broker 1 is down, and only it is known to hold everything that was "
        "acknowledged");
  ClusterFacts headless = cluster({1, 2, 3}, std::nullopt);
  headless.controller.reset();
  CHECK(why_consume(headless, "t").sentence ==
        "no partition of t has a leader, because there is no controller to elect one");
}

TEST_CASE("why a topic waits for a disk, though all of its brokers are up (R46)") {
  ClusterFacts waiting = cluster({}, std::nullopt);
  waiting.topics[0].partitions[0].replicas = {3};
  const Reason reason = why_produce(waiting, "t");
  CHECK(reason.sentence ==
        "no partition of t has a leader, because no copy of partition 0 is in sync: what broker 3 held was not there, "
        "or damaged, when it started (the log there says which)");
  CHECK(reason.next_step ==
        "start it again once the disk is there; `naru partition elect t --unclean` gives up what only that copy holds");
  ClusterFacts failed = waiting;
  failed.brokers[2].offline_dirs = {"/data"};
  CHECK(why_consume(failed, "t").sentence ==
        "no partition of t has a leader, because no copy of partition 0 is in sync, and broker 3 has lost its data "
        "directory /data");
  // Somebody can be elected, and is about to be.
  CHECK(why_produce(cluster({3}, std::nullopt), "t").sentence == "no partition of t has a leader at this moment");
  ClusterFacts eligible = cluster({}, std::nullopt);
  eligible.topics[0].partitions[0].eligible = {2};
  CHECK(why_produce(eligible, "t").sentence == "no partition of t has a leader at this moment");
}

TEST_CASE("a full disk and a lost one") {
  ClusterFacts full = cluster({1, 2, 3}, 1);
  full.brokers[0].disk_free = 1 << 20;  // the broker knows better than we how much is too little for it
  CHECK(why_produce(full, "t").well);
  full.brokers[0].disk_free = 1 << 10;
  CHECK(why_produce(full, "t").sentence.starts_with("the disk of broker 1, which leads partition 0 of t, is full"));
  full.brokers[0].low_dirs = {"/data"};
  CHECK(why_produce(full, "t").sentence ==
        "broker 1, which leads partition 0 of t, is low on space: produces to what lies in /data are refused, and no "
        "replica in sync has more");
  full.brokers[0].offline_dirs = {"/data"};
  CHECK(why_produce(full, "t").sentence == "broker 1 leads partition 0 of t and has lost its data directory /data");
}

TEST_CASE("why a group does not move") {
  const ClusterFacts well = cluster({1, 2, 3}, 1);
  CHECK(why_group(well, group("Empty", 0, 5, 9)).sentence ==
        "group g has no members: nobody reads the 4 records behind which it is");
  CHECK(why_group(well, group("Empty", 0, 9, 9)).well);
  CHECK(why_group(well, group("PreparingRebalance", 2, 5, 9)).sentence ==
        "group g is rebalancing (PreparingRebalance): its 2 members wait until all have joined again");
  CHECK(why_group(well, group("Stable", 1, 5, 9, 7)).sentence ==
        "group g is at 5 in t-0, and records before 7 are deleted: it goes on as auto.offset.reset says");
  const Reason reads = why_group(well, group("Stable", 1, 5, 9));
  CHECK(reads.well);
  CHECK(reads.sentence == "group g reads on and is 4 records behind, most of them (4) in t-0");
  GroupFacts idle = group("Stable", 1, 5, 9);
  idle.members[0].assigned.clear();
  CHECK(why_group(well, idle).sentence == "no member of group g reads t-0, which is 4 records behind");
  CHECK_FALSE(why_group(cluster({1}, 1, {2, 3}), group("Stable", 1, 5, 9)).well);
  GroupFacts unknown = group("Dead", 0, std::nullopt, 0);
  unknown.error = common::model::ErrorCode::group_id_not_found;
  CHECK(why_group(well, unknown).sentence == "nobody has ever committed or joined as group g");
}
