// What is said of a start and of a cluster.
#include <algorithm>

#include <catch2/catch.hpp>

#include "broker/http/health.h"

using namespace broker::http;
namespace metadata = controller::metadata;
using common::model::BrokerId;
using common::model::LogIndex;
using common::model::PartitionIndex;

namespace {

bool ok(const std::vector<Check>& checks) {
  return std::ranges::all_of(checks, &Check::ok);
}
const Check& named(const std::vector<Check>& checks, const std::string& name) {
  return *std::ranges::find(checks, name, &Check::name);
}

}  // namespace

TEST_CASE("ready means recovered, registered and in service, and says how far it is") {
  using Stage = StartProgress::Stage;
  ReadinessFacts facts{
      .stage = Stage::recovering, .logs_found = 40, .logs_opened = 7, .scanned_bytes = 1000, .in_service = false};
  CHECK_FALSE(ok(decide_readiness(facts)));
  CHECK(named(decide_readiness(facts), "logs recovered").detail == "7 of 40 logs open, 1000 bytes checked");
  CHECK(named(decide_readiness(facts), "quorum found").detail == "no leader of the metadata quorum is known");
  CHECK_FALSE(named(decide_readiness(facts), "quorum found").ok);
  facts.has_controller = true;
  CHECK(named(decide_readiness(facts), "quorum found").ok);
  facts.stage = Stage::serving;
  CHECK_FALSE(ok(decide_readiness(facts)));
  facts.in_service = true;
  CHECK(ok(decide_readiness(facts)));
  facts.has_controller = false;  // an election
  CHECK(ok(decide_readiness(facts)));
  facts.stage = Stage::leaving;
  CHECK_FALSE(ok(decide_readiness(facts)));
}

TEST_CASE("a cluster is well while somebody controls it and every partition is led and in sync") {
  metadata::ImageEditor editor{metadata::MetadataImage()};
  const auto add = [&](metadata::MetadataRecord record) { REQUIRE(editor.apply(record, LogIndex(1))); };
  metadata::RegisterBrokerRecord broker;
  broker.broker_id = BrokerId(1);
  add(broker);
  add(metadata::UnfenceBrokerRecord{BrokerId(1), {}});
  const common::model::TopicId topic = common::model::TopicId::from_halves(1, 2);
  add(metadata::TopicRecord{topic, "orders"});
  metadata::PartitionRecord partition{.topic_id = topic, .partition = PartitionIndex(0), .state = {}};
  partition.state.replicas = {BrokerId(1)};
  partition.state.isr = {BrokerId(1)};
  partition.state.leader = BrokerId(1);
  add(partition);
  CHECK(ok(decide_health(editor.image(), BrokerId(1))));
  CHECK_FALSE(named(decide_health(editor.image(), std::nullopt), "controller").ok);
  metadata::PartitionChangeRecord change{.topic_id = topic, .partition = PartitionIndex(0)};
  change.leader = metadata::LeaderChoice{};
  add(change);
  add(metadata::FenceBrokerRecord{BrokerId(1), {}});
  const auto checks = decide_health(editor.image(), BrokerId(1));
  CHECK(named(checks, "partitions led").detail == "1 of 1 have no leader, for example orders-0");
  CHECK(named(checks, "brokers").detail == "fenced: 1");
}
