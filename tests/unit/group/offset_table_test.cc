#include "broker/group/offset_table.h"

#include <catch2/catch.hpp>

using namespace broker::group;
using common::model::Instant;
using std::chrono::hours;
using std::chrono::seconds;

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

TEST_CASE("the expiry clock does not follow a step to the future") {
  ExpiryClock clock;
  const Instant start(hours(1));
  const TimestampMs noon(1'000'000'000);
  CHECK(clock.read(start, noon) == noon);
  CHECK(clock.read(start + seconds(10), TimestampMs(noon.value + 10'000)) == TimestampMs(noon.value + 10'000));
  const int64_t week = 7 * 86'400'000;
  CHECK(clock.read(start + seconds(20), TimestampMs(noon.value + week)) == TimestampMs(noon.value + 20'000));
  CHECK(clock.read(start + seconds(30), TimestampMs(noon.value - 5'000)) == TimestampMs(noon.value - 5'000));
}
