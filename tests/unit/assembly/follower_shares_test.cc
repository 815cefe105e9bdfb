// What each leader may send to a follower that is throttled (KIP-73).
#include "broker/follower_shares.h"

#include <catch2/catch.hpp>

namespace follower_shares_test {

namespace meta = controller::metadata;
using broker::follower_shares;
using broker::replication::ThrottledReplicas;
using common::model::BrokerId;
using common::model::LogIndex;
using common::model::PartitionIndex;
using Shares = std::map<BrokerId, int64_t>;

struct Image {
  void apply(const meta::MetadataRecord& record) {
    REQUIRE(editor.apply(record, LogIndex(index)).has_value());
    editor.set_offset(LogIndex(index++));
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
  Shares shares() const { return follower_shares(editor.image(), throttled); }

  const meta::TopicId topic = common::model::Uuid::from_halves(9, 9);
  meta::ImageEditor editor{meta::MetadataImage{}};
  ThrottledReplicas throttled;
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

  image.throttled.set("orders", "0:4,1:4,2:4,3:4,4:5");
  CHECK(image.shares() == Shares{{BrokerId(4), 500}});  // 1 and 2; 5 has no rate
  image.set_rate(5, "7");
  CHECK(image.shares() == Shares{{BrokerId(4), 500}, {BrokerId(5), 7}});

  image.throttled.set("orders", "1:4,2:4");
  CHECK(image.shares() == Shares{{BrokerId(4), 1000}});
  image.throttled.set("orders", "*");
  image.set_rate(4, std::nullopt);
  CHECK(image.shares() == Shares{{BrokerId(5), 7}});
  image.throttled.set("orders", "");
  image.throttled.set("no such topic", "*");
  CHECK(image.shares().empty());
}

}  // namespace follower_shares_test
