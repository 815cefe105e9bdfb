// What each leader may send to a follower that is throttled (KIP-73).
#include "broker/follower_shares.h"

#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace follower_shares_test {

namespace meta = controller::metadata;
using broker::FollowerShares;
using broker::replication::ThrottledReplicas;
using common::model::BrokerId;
using common::model::LogIndex;
using common::model::PartitionIndex;
using Shares = std::map<BrokerId, int64_t>;

struct Image {
  void apply(const meta::MetadataRecord& record) {
    auto applied = meta::apply(now, {record}, LogIndex(index++));
    REQUIRE(applied.has_value());
    now = std::move(applied->image);
    delta.merge(applied->delta);
  }
  // As of a shard that has just been started.
  Shares anew() const {
    FollowerShares fresh;
    fresh.follow(now, meta::difference({}, now), throttled);
    return fresh.shares();
  }
  void set_rate(int broker, std::optional<std::string> rate) {
    apply(meta::ConfigRecord{{meta::ResourceType::broker, std::to_string(broker)},
                             "follower.replication.throttled.rate",
                             std::move(rate)});
  }
  // The topic's next partition, led by the first of the ISR.
  void add(std::vector<int> replicas, std::vector<int> isr) {
    meta::PartitionState state;
    for (const int id : replicas) state.replicas.emplace_back(id);
    for (const int id : isr) state.isr.emplace_back(id);
    state.leader = state.isr.front();
    apply(meta::PartitionRecord{topic, PartitionIndex(partitions++), state});
  }
  // The list is a setting of the topic.
  void name(const std::string& of, const std::string& list) {
    throttled.set(of, list);
    delta.configs.insert({meta::ResourceType::topic, of});
  }
  // By following what has changed since it was last asked.
  Shares shares() {
    const Shares before = followed.shares();
    const bool is_another = followed.follow(now, std::exchange(delta, {}), throttled);
    CHECK(is_another == (followed.shares() != before));
    CHECK(followed.shares() == anew());
    return followed.shares();
  }

  const meta::TopicId topic = common::model::Uuid::from_halves(9, 9);
  meta::MetadataImage now;
  meta::ImageDelta delta;
  ThrottledReplicas throttled;
  FollowerShares followed;
  int index = 0;
  int partitions = 0;
};

TEST_CASE("who leads something that a throttled follower lacks has a part of its rate, and nobody else") {
  Image image;
  image.apply(meta::TopicRecord{image.topic, "orders"});
  image.add({1, 4}, {1});
  image.add({2, 4}, {2});
  image.add({2, 4}, {2});
  image.add({3, 4}, {3, 4});  // has all of it
  image.add({3, 5}, {3});
  image.set_rate(4, "1000");
  CHECK(image.shares().empty());  // the topic names nobody

  image.name("orders", "0:4,1:4,2:4,3:4,4:5");
  CHECK(image.shares() == Shares{{BrokerId(4), 500}});  // 1 and 2; 5 has no rate
  image.set_rate(5, "7");
  CHECK(image.shares() == Shares{{BrokerId(4), 500}, {BrokerId(5), 7}});

  image.name("orders", "1:4,2:4");
  CHECK(image.shares() == Shares{{BrokerId(4), 1000}});
  image.name("orders", "*");
  image.set_rate(4, std::nullopt);
  CHECK(image.shares() == Shares{{BrokerId(5), 7}});
  image.name("orders", "");
  image.name("no such topic", "*");
  CHECK(image.shares().empty());
}

TEST_CASE("shares follow what comes into sync, is led by another broker, or goes") {
  Image image;
  image.apply(meta::TopicRecord{image.topic, "orders"});
  image.set_rate(4, "1000");
  image.name("orders", "*");
  for (int i = 0; i < 3; ++i) image.add({1, 4}, {1});
  image.add({2, 4}, {2});
  CHECK(image.shares() == Shares{{BrokerId(4), 500}});

  const auto change = [&](int partition, auto fill) {
    meta::PartitionChangeRecord record{image.topic, PartitionIndex(partition)};
    fill(record);
    image.apply(record);
  };
  change(3, [](auto& r) { r.isr = std::vector{BrokerId(2), BrokerId(4)}; });
  CHECK(image.shares() == Shares{{BrokerId(4), 1000}});
  for (const int partition : {0, 1}) {
    change(partition, [](auto& r) { r.isr = std::vector{BrokerId(1), BrokerId(4)}; });
    CHECK(image.shares() == Shares{{BrokerId(4), 1000}});
  }
  change(2, [](auto& r) { r.isr = std::vector{BrokerId(1), BrokerId(4)}; });
  CHECK(image.shares().empty());
  change(1, [](auto& r) { r.isr = std::vector{BrokerId(1)}; });
  image.set_rate(4, "300");
  CHECK(image.shares() == Shares{{BrokerId(4), 300}});
  image.apply(meta::RemoveTopicRecord{image.topic});
  CHECK(image.shares().empty());
}

}  // namespace follower_shares_test
