// Which log is compacted, when, and how much of it: Kafka's rules.
#include <catch2/catch.hpp>

#include "broker/cleaner/policy.h"
#include "broker/cleaner/turns.h"
#include "partition/sim_world.h"

using namespace broker::cleaner;
using namespace std::chrono_literals;
using broker::partition::CleaningFacts;
using common::log::group_segments;
using common::log::SegmentFacts;

namespace {

// Segments of ten offsets each, all of `size` bytes, a minute apart.
CleaningFacts facts_of(size_t segments, uint64_t size = 100) {
  CleaningFacts facts;
  for (size_t i = 0; i < segments; ++i) {
    const auto base = static_cast<int64_t>(i) * 10;
    SegmentFacts s;
    s.base = Offset(base);
    s.end = Offset(base + 10);
    s.size_bytes = size;
    s.first_timestamp = TimestampMs(base * 6000);
    s.largest_timestamp = TimestampMs(base * 6000 + 59'000);
    s.last_append = TimestampMs(0);
    facts.segments.push_back(s);
  }
  facts.stable_end = Offset(1000);
  return facts;
}
constexpr TimestampMs now(10'000'000);

}  // namespace

TEST_CASE("a log is compacted once more than min.cleanable.dirty.ratio of it is dirty") {
  CleaningFacts facts = facts_of(4);
  auto dirty = look_at(facts, now);
  REQUIRE(dirty);
  CHECK(dirty->ratio == 1.0);
  CHECK(dirty->end == Offset(40));
  facts.cleaned_offset = Offset(20);
  CHECK_FALSE(look_at(facts, now));  // half is not more than half
  CHECK(dirt_of(facts, now).ratio == 0.5);
  facts.cleaned_offset = Offset(10);
  dirty = look_at(facts, now);
  REQUIRE(dirty);
  CHECK(dirty->ratio == 0.75);
  CHECK(dirty->first_dirty == Offset(10));
  facts.cleaned_offset = Offset(40);
  facts.settings.min_dirty_ratio = 0;
  CHECK_FALSE(look_at(facts, now));
  CHECK_FALSE(look_at(facts_of(0), now));
  CHECK(dirt_of(facts_of(0), now).ratio == 0);
}

TEST_CASE("nothing above the high watermark or the last stable offset is compacted") {
  CleaningFacts facts = facts_of(4);
  facts.stable_end = Offset(39);
  CHECK(look_at(facts, now)->end == Offset(30));
  facts.stable_end = Offset(9);
  CHECK_FALSE(look_at(facts, now));
}

TEST_CASE("what lies below the log start counts for nothing") {
  CleaningFacts facts = facts_of(4);
  facts.log_start_offset = Offset(25);
  const auto dirty = look_at(facts, now);
  REQUIRE(dirty);
  CHECK(dirty->first_dirty == Offset(25));
  CHECK(dirty->ratio == 1.0);
}

TEST_CASE("min.compaction.lag.ms keeps young segments as they are") {
  CleaningFacts facts = facts_of(4);
  facts.settings.min_lag = 2min;
  CHECK(look_at(facts, TimestampMs(3 * 60'000 + 59'000))->end == Offset(20));
  CHECK(look_at(facts, TimestampMs(100 * 60'000))->end == Offset(40));
  CHECK_FALSE(look_at(facts, TimestampMs(60'000)));
  // A timestamp from the far future, or none at all.
  facts.segments[1].largest_timestamp = TimestampMs(INT64_MAX);
  CHECK(look_at(facts, now)->end == Offset(10));
  facts.segments[1].largest_timestamp = TimestampMs(-1);
  facts.segments[1].last_append = now;
  CHECK(look_at(facts, now)->end == Offset(10));
}

TEST_CASE("max.compaction.lag.ms compacts whatever the ratio, and first") {
  CleaningFacts facts = facts_of(4);
  facts.cleaned_offset = Offset(30);
  CHECK_FALSE(look_at(facts, now));
  facts.settings.max_lag = 10min;
  CHECK_FALSE(look_at(facts, TimestampMs(13 * 60'000)));
  const auto overdue = look_at(facts, TimestampMs(13 * 60'000 + 1));
  REQUIRE(overdue);
  CHECK(overdue->is_overdue);
  Dirty dirty;
  dirty.ratio = 1;
  CHECK(goes_before(*overdue, dirty));
  CHECK_FALSE(goes_before(dirty, *overdue));
  Dirty less;
  less.ratio = 0.6;
  CHECK(goes_before(dirty, less));
}

TEST_CASE("neighbours are joined as long as sizes, indexes and offsets fit one segment") {
  auto segments = facts_of(6).segments;
  CHECK(group_segments(segments, {.segment_bytes = 1000, .index_bytes = 1000}) == std::vector<size_t>{6});
  CHECK(group_segments(segments, {.segment_bytes = 250, .index_bytes = 1000}) == std::vector<size_t>{2, 2, 2});
  segments[1].size_bytes = 5000;  // larger than any should be: alone
  CHECK(group_segments(segments, {.segment_bytes = 250, .index_bytes = 1000}) == std::vector<size_t>{1, 1, 2, 2});
  segments[1].size_bytes = 100;
  for (auto& s : segments) s.index_bytes = 400;
  CHECK(group_segments(segments, {.segment_bytes = 1000, .index_bytes = 1000}) == std::vector<size_t>{2, 2, 2});
  for (auto& s : segments) s.index_bytes = 0;
  segments[5].end = Offset(int64_t{INT32_MAX} + 1);
  CHECK(group_segments(segments, {.segment_bytes = 1000, .index_bytes = 1000}) == std::vector<size_t>{5, 1});
  CHECK(group_segments({}, {.segment_bytes = 1000, .index_bytes = 1000}).empty());
}

TEST_CASE("turns are given in the order asked for, as many at a time as allowed") {
  sim::World world(1);
  sim::SimShard home(0, world.clock());
  sim::SimShard other(1, world.clock());
  world.add(home);
  world.add(other);
  CleanerTurns turns(home, 2);
  std::string order;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    sim::SimShard& asker = name == 'b' ? other : home;
    turns.ask(asker, [&order, name, &asker] {
      CHECK(asker.is_current());
      order += name;
    });
  }
  world.settle();
  CHECK((order == "ab" || order == "ba"));
  turns.give_back();
  world.settle();
  CHECK(order.substr(2) == "c");
  turns.give_back();
  turns.give_back();
  world.settle();
  CHECK(order.substr(2) == "cd");
}

TEST_CASE("how many turns there are at a time may change while some are given (log.cleaner.threads)") {
  sim::World world(1);
  sim::SimShard home(0, world.clock());
  world.add(home);
  CleanerTurns turns(home, 0);
  std::string order;
  for (const char name : {'a', 'b', 'c', 'd'}) turns.ask(home, [&order, name] { order += name; });
  world.settle();
  CHECK(order.empty());
  turns.set_at_a_time(2);
  turns.set_at_a_time(2);  // each shard says it
  world.settle();
  CHECK(order == "ab");
  turns.set_at_a_time(1);
  turns.give_back();
  world.settle();
  CHECK(order == "ab");
  turns.give_back();
  world.settle();
  CHECK(order == "abc");
}
