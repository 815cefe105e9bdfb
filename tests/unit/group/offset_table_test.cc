#include "broker/group/offset_table.h"

#include <catch2/catch.hpp>

#include "common/model/random.h"

using namespace broker::group;

namespace {

const TopicPartition t0{"t", PartitionIndex(0)};

StoredOffset at(int64_t offset) {
  StoredOffset value;
  value.offset = Offset(offset);
  return value;
}

}  // namespace

TEST_CASE("a transaction's offsets count when it is committed, in the order of the log") {
  OffsetTable table;
  const ProducerId producer(7);
  table.put(t0, at(1));
  table.put_in_transaction(producer, t0, at(2));
  CHECK(table.is_in_transaction(t0));
  CHECK(table.find(t0)->offset == Offset(1));

  SECTION("committed") {
    table.end_transaction(producer, TransactionEnd::committed);
    CHECK(table.find(t0)->offset == Offset(2));
  }
  SECTION("aborted") {
    table.end_transaction(producer, TransactionEnd::aborted);
    CHECK(table.find(t0)->offset == Offset(1));
  }
  SECTION("a plain commit that came later in the log wins over it") {
    table.put(t0, at(3));
    table.end_transaction(producer, TransactionEnd::committed);
    CHECK(table.find(t0)->offset == Offset(3));
  }
  SECTION("a tombstone takes it along") {
    table.erase(t0);
    table.end_transaction(producer, TransactionEnd::committed);
    CHECK(table.find(t0) == nullptr);
    CHECK(table.holds_nothing());
  }
  CHECK_FALSE(table.is_in_transaction(t0));
}

TEST_CASE("a removal names what is committed and what is on its way") {
  OffsetTable table;
  const TopicPartition u1{"u", PartitionIndex(1)};
  table.put(t0, at(1));
  table.on_write_planned(u1);
  table.on_write_planned(u1);
  CHECK(table.all_partitions() == std::vector<TopicPartition>{t0, u1});
  CHECK(table.partitions_of("u") == std::vector<TopicPartition>{u1});
  table.on_write_done(u1);
  CHECK(table.is_on_the_way(u1));
  table.on_write_done(u1);
  CHECK(table.all_partitions() == std::vector<TopicPartition>{t0});
}

TEST_CASE("the partitions of one topic, wherever they are, in order and none of its neighbours'") {
  OffsetTable table;
  const auto of = [](const char* topic, int32_t index) { return TopicPartition{topic, PartitionIndex(index)}; };
  table.put(of("t", 2), at(1));
  table.put(of("s", 7), at(1));
  table.on_write_planned(of("t", 0));
  table.on_write_planned(of("t-long", 9));
  table.put_in_transaction(ProducerId(7), of("t", 1), at(1));
  table.put_in_transaction(ProducerId(7), of("t", 2), at(1));
  table.put_in_transaction(ProducerId(8), of("t-long", 3), at(1));
  table.put_in_transaction(ProducerId(8), of("a", 3), at(1));
  CHECK(table.partitions_of("t") == std::vector<TopicPartition>{of("t", 0), of("t", 1), of("t", 2)});
  CHECK(table.partitions_of("t-long") == std::vector<TopicPartition>{of("t-long", 3), of("t-long", 9)});
  CHECK(table.partitions_of("t-") == std::vector<TopicPartition>{});
}

TEST_CASE("the partitions of a topic are those of all that are its own") {
  const uint64_t seed = GENERATE(range(uint64_t{1}, uint64_t{100}));
  INFO("seed " << seed);
  common::model::SeededRandom random(seed);
  const std::vector<std::string> topics{"", "t", "t-", "t-long", "s", "u"};
  OffsetTable table;
  for (uint64_t i = random.below(40); i > 0; --i) {
    const auto index = static_cast<int32_t>(random.below(6)) - 1;  // whoever commits may name any number
    const TopicPartition partition{topics[random.below(topics.size())], PartitionIndex(index)};
    const ProducerId producer(static_cast<int64_t>(random.below(3)));
    switch (random.below(6)) {
      case 0:
        table.erase(partition);
        break;
      case 1:
        table.on_write_planned(partition);
        break;
      case 2:
        table.put_in_transaction(producer, partition, at(1));
        break;
      case 3:
        table.end_transaction(producer, random.below(2) == 0 ? TransactionEnd::committed : TransactionEnd::aborted);
        break;
      default:
        table.put(partition, at(1));
    }
  }
  for (const std::string& topic : topics) {
    std::vector<TopicPartition> expected = table.all_partitions();
    std::erase_if(expected, [&](const TopicPartition& partition) { return partition.topic != topic; });
    CHECK(table.partitions_of(topic) == expected);
  }
}

// 20,000 questions over 60,000 partitions: who copies them all for each would be at it for many minutes.
TEST_CASE("who asks for one topic's partitions does not pay for those of others") {
  constexpr int32_t count = 20'000;
  OffsetTable table;
  for (int32_t i = 0; i < count; ++i) {
    const std::string topic = "topic-" + std::to_string(i % 1000);
    table.put({topic, PartitionIndex(i / 1000)}, at(i));
    table.on_write_planned({topic, PartitionIndex(i / 1000)});
    table.put_in_transaction(ProducerId(i % 10), {topic, PartitionIndex(i / 1000)}, at(i));
  }
  size_t found = 0;
  for (int32_t i = 0; i < count; ++i) {
    found += table.partitions_of("topic-" + std::to_string(i % 1000)).size();
    found += table.partitions_of("nobody-" + std::to_string(i)).size();
  }
  CHECK(found == 20 * size_t{count});
}
