#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "common/model/random.h"
#include "controller/metadata/image.h"
#include "controller/metadata/topics.h"

using namespace controller::metadata;
using common::model::ErrorCode;

namespace {

const TopicId orders = Uuid::from_halves(1, 1);
const TopicId users = Uuid::from_halves(1, 2);

PartitionState three_replicas() {
  PartitionState state;
  state.replicas = state.isr = {BrokerId{1}, BrokerId{2}, BrokerId{3}};
  state.leader = BrokerId{1};
  return state;
}

RegisterBrokerRecord broker(int32_t id, int64_t epoch) {
  RegisterBrokerRecord r;
  r.broker_id = BrokerId{id};
  r.epoch = BrokerEpoch{epoch};
  r.listeners = {{"PLAINTEXT", "localhost", 9092, SecurityProtocol::plaintext}};
  return r;
}

MetadataImage after(const MetadataImage& image, std::vector<MetadataRecord> records, int64_t index) {
  auto applied = apply(image, records, LogIndex{index});
  REQUIRE(applied);
  return applied->image;
}

MetadataImage sample() {
  return after({},
               {ClusterRecord{Uuid::from_halves(7, 7)}, FeatureRecord{metadata_version_feature, 1}, broker(1, 4),
                broker(2, 5), UnfenceBrokerRecord{BrokerId{1}, BrokerEpoch{4}}, TopicRecord{orders, "orders"},
                PartitionRecord{orders, PartitionIndex{0}, three_replicas()},
                PartitionRecord{orders, PartitionIndex{1}, three_replicas()}, TopicRecord{users, "users"},
                PartitionRecord{users, PartitionIndex{0}, three_replicas()},
                ConfigRecord{{ResourceType::topic, "orders"}, "retention.ms", "1000"},
                ConfigRecord{{ResourceType::broker, ""}, "min.insync.replicas", "2"},
                ProducerIdsRecord{BrokerId{1}, BrokerEpoch{4}, ProducerId{1000}}},
               10);
}

}  // namespace

TEST_CASE("an image answers what its records said") {
  const MetadataImage image = sample();
  REQUIRE(image.offset() == LogIndex{10});
  REQUIRE(image.cluster_id() == Uuid::from_halves(7, 7));
  REQUIRE(image.topic_by_name("orders")->id == orders);
  REQUIRE(image.topic_by_id(users)->name == "users");
  REQUIRE(image.topic_by_name("nobody") == nullptr);
  REQUIRE(image.partition("orders", PartitionIndex{1})->leader == BrokerId{1});
  REQUIRE(image.partition(orders, PartitionIndex{2}) == nullptr);
  REQUIRE(image.partition_count() == 3);
  REQUIRE(image.is_active(BrokerId{1}));
  REQUIRE_FALSE(image.is_active(BrokerId{2}));  // registered brokers start fenced (R27)
  REQUIRE_FALSE(image.is_active(BrokerId{9}));
  REQUIRE(image.broker(BrokerId{2})->registered_at == LogIndex{10});
  REQUIRE(image.config(ResourceType::topic, "orders").at("retention.ms") == "1000");
  REQUIRE(image.config(ResourceType::topic, "users").empty());
  REQUIRE(image.topic_setting("orders", "min.insync.replicas") == "2");
  REQUIRE(image.topic_setting("orders", "cleanup.policy") == std::nullopt);
  REQUIRE(image.next_producer_id() == ProducerId{1000});
  std::vector<std::string> names;
  for (const auto& [name, id] : image.topic_names()) names.push_back(name);
  REQUIRE(names == std::vector<std::string>{"orders", "users"});
}

TEST_CASE("a change shares all that it leaves alone, and its delta names what it touched") {
  const MetadataImage before = sample();
  PartitionChangeRecord change{orders, PartitionIndex{1}};
  change.isr = {BrokerId{2}, BrokerId{3}};
  change.leader = LeaderChoice{BrokerId{2}};
  auto applied = apply(before, {change}, LogIndex{11});
  REQUIRE(applied);
  REQUIRE(applied->image.topic_by_id(users) == before.topic_by_id(users));
  REQUIRE(applied->image.partition(orders, PartitionIndex{0}) == before.partition(orders, PartitionIndex{0}));
  REQUIRE(before.partition(orders, PartitionIndex{1})->leader == BrokerId{1});
  REQUIRE(applied->image.partition(orders, PartitionIndex{1})->leader == BrokerId{2});
  REQUIRE(applied->delta.partitions == std::map<TopicId, std::set<PartitionIndex>>{{orders, {PartitionIndex{1}}}});
  REQUIRE(applied->delta.brokers.empty());
}

TEST_CASE("R36: a named leader raises the leader epoch, any change the partition epoch") {
  PartitionState state = three_replicas();
  PartitionChangeRecord shrink{orders, PartitionIndex{0}};
  shrink.isr = {BrokerId{1}};
  state = changed(state, shrink);
  REQUIRE(state.leader_epoch == LeaderEpoch{0});
  REQUIRE(state.partition_epoch == PartitionEpoch{1});
  PartitionChangeRecord again{orders, PartitionIndex{0}};
  again.leader = LeaderChoice{BrokerId{1}};
  state = changed(state, again);
  REQUIRE(state.leader_epoch == LeaderEpoch{1});
  REQUIRE(state.partition_epoch == PartitionEpoch{2});
}

TEST_CASE("records that do not fit are refused (R18)") {
  const MetadataImage image = sample();
  PartitionState stranger = three_replicas();
  stranger.isr = {BrokerId{4}};
  PartitionChangeRecord no_leader_in_isr{orders, PartitionIndex{0}};
  no_leader_in_isr.isr = {BrokerId{2}};
  const std::vector<std::pair<MetadataRecord, ErrorCode>> bad = {
      {TopicRecord{Uuid::from_halves(9, 9), "orders"}, ErrorCode::topic_already_exists},
      {RemoveTopicRecord{Uuid::from_halves(9, 9)}, ErrorCode::unknown_topic_id},
      {PartitionRecord{orders, PartitionIndex{3}, three_replicas()}, ErrorCode::invalid_partitions},
      {PartitionRecord{orders, PartitionIndex{2}, stranger}, ErrorCode::invalid_partitions},
      {no_leader_in_isr, ErrorCode::invalid_partitions},
      {PartitionChangeRecord{orders, PartitionIndex{7}}, ErrorCode::unknown_topic_or_partition},
      {FenceBrokerRecord{BrokerId{1}, BrokerEpoch{3}}, ErrorCode::stale_broker_epoch},
      {FenceBrokerRecord{BrokerId{8}, BrokerEpoch{3}}, ErrorCode::broker_id_not_registered},
      {broker(1, 4), ErrorCode::stale_broker_epoch},
      {ClusterRecord{Uuid::from_halves(1, 0)}, ErrorCode::inconsistent_cluster_id},
      {ProducerIdsRecord{BrokerId{1}, BrokerEpoch{4}, ProducerId{1000}}, ErrorCode::invalid_request},
  };
  for (const auto& [record, code] : bad) {
    const auto applied = apply(image, {record}, LogIndex{11});
    REQUIRE_FALSE(applied);
    CHECK(applied.error().code == code);
  }
}

TEST_CASE("removing a topic takes its settings along, and the name is free again") {
  const MetadataImage removed = after(sample(), {RemoveTopicRecord{orders}}, 11);
  REQUIRE(removed.topic_by_name("orders") == nullptr);
  REQUIRE(removed.config(ResourceType::topic, "orders").empty());
  REQUIRE(removed.partition_count() == 1);
  const MetadataImage again = after(removed, {TopicRecord{Uuid::from_halves(9, 9), "orders"}}, 12);
  REQUIRE(again.topic_by_name("orders")->partition_count() == 0);
}

TEST_CASE("a snapshot's records make the same image") {
  const MetadataImage image = sample();
  const auto copy = image_from_records(to_records(image), *image.offset());
  REQUIRE(copy);
  REQUIRE(*copy == image);
  REQUIRE_FALSE(*copy == after(image, {RemoveTopicRecord{users}}, 10));
}

TEST_CASE("the difference of two images equals the deltas of the way between them") {
  const MetadataImage first = sample();
  PartitionChangeRecord change{users, PartitionIndex{0}};
  change.leader = LeaderChoice{BrokerId{3}};
  auto second = apply(first, {RemoveTopicRecord{orders}, change, broker(3, 11)}, LogIndex{11});
  auto third = apply(second->image,
                     {TopicRecord{Uuid::from_halves(9, 9), "orders"},
                      PartitionRecord{Uuid::from_halves(9, 9), PartitionIndex{0}, three_replicas()},
                      UnregisterBrokerRecord{BrokerId{2}, BrokerEpoch{5}}, FeatureRecord{"x", 2}},
                     LogIndex{12});
  REQUIRE(second);
  REQUIRE(third);
  ImageDelta walked = second->delta;
  walked.merge(third->delta);
  const ImageDelta direct = difference(first, third->image);
  REQUIRE(direct.created_topics == walked.created_topics);
  REQUIRE(direct.deleted_topics == walked.deleted_topics);
  REQUIRE(direct.partitions == walked.partitions);
  REQUIRE(direct.brokers == walked.brokers);
  REQUIRE(direct.configs == walked.configs);
  REQUIRE(direct.features == walked.features);
  REQUIRE(direct.producer_ids == walked.producer_ids);
}

TEST_CASE("merging deltas: a topic created and deleted in between leaves no trace") {
  const MetadataImage first = sample();
  const TopicId brief = Uuid::from_halves(5, 5);
  auto made = apply(first, {TopicRecord{brief, "brief"}, PartitionRecord{brief, PartitionIndex{0}, three_replicas()}},
                    LogIndex{11});
  auto gone = apply(made->image, {RemoveTopicRecord{brief}}, LogIndex{12});
  ImageDelta delta = made->delta;
  delta.merge(gone->delta);
  REQUIRE(delta.empty());
}

TEST_CASE("a topic collides with another one whose name differs in its separators only") {
  common::model::SeededRandom random(7);
  // Names of a few words, or of so many separators that the search through their beginnings gives up.
  const size_t separators = GENERATE(size_t{3}, size_t{60});
  const auto name = [&](int ending) {
    std::string text = "team";
    for (size_t i = 0; i < separators; ++i) text += (random.next() & 1) == 0 ? '.' : '_';
    return text + std::to_string(ending);
  };
  std::set<std::string> names{"team", "teams"};
  for (int ending = 0; ending < 300; ++ending) names.insert(name(ending % 150));
  std::vector<MetadataRecord> records;
  for (const std::string& one : names) records.push_back(TopicRecord{Uuid::from_halves(2, records.size() + 1), one});
  const MetadataImage image = after({}, records, 1);
  const auto folded = [](std::string text) {
    std::replace(text.begin(), text.end(), '.', '_');
    return text;
  };
  size_t collisions = 0;
  for (int ending = 140; ending < 160; ++ending) {
    const std::string asked = name(ending);
    const auto found = colliding_topic(image, asked);
    const bool is_expected = std::any_of(names.begin(), names.end(), [&](const std::string& other) {
      return other != asked && folded(other) == folded(asked);
    });
    REQUIRE(found.has_value() == is_expected);
    if (!found) continue;
    ++collisions;
    REQUIRE(names.contains(*found));
    REQUIRE(*found != asked);
    REQUIRE(folded(*found) == folded(asked));
  }
  REQUIRE(collisions >= 5);
  REQUIRE_FALSE(colliding_topic(image, "team"));
  REQUIRE_FALSE(colliding_topic(image, "team."));
  REQUIRE_FALSE(colliding_topic({}, "team.orders"));
}
