#include <catch2/catch.hpp>

#include "common/log/epoch_cache.h"

using namespace common::log;

namespace {

EpochCache cache(std::initializer_list<std::pair<int, int>> entries) {
  EpochCache c;
  for (const auto& [epoch, start] : entries) c.assign(LeaderEpoch(epoch), Offset(start));
  return c;
}
std::string text(const EpochCache& c) {
  std::string out;
  for (const EpochStart& e : c.entries())
    out += fmt::format("{}{}@{}", out.empty() ? "" : " ", e.epoch, e.start_offset);
  return out;
}

}  // namespace

TEST_CASE("the end of an epoch is where the next one begins (R60)") {
  const EpochCache c = cache({{2, 0}, {5, 10}, {7, 30}});
  struct Row {
    int asked;
    int epoch;
    int end;
  };
  const auto row = GENERATE(
      values<Row>({{2, 2, 10}, {3, 2, 10}, {4, 2, 10}, {5, 5, 30}, {6, 5, 30}, {7, 7, 44}, {9, 7, 44}, {1, 1, 0}}));
  REQUIRE(c.end_offset_for(LeaderEpoch(row.asked), Offset(44)) == EpochEnd{LeaderEpoch(row.epoch), Offset(row.end)});
  REQUIRE_FALSE(EpochCache().end_offset_for(LeaderEpoch(1), Offset(44)));
}

TEST_CASE("the newest word about an offset counts") {
  EpochCache c = cache({{2, 0}, {5, 10}, {7, 30}});
  REQUIRE(c.assign(LeaderEpoch(7), Offset(40)) == Changed::no);
  REQUIRE(c.assign(LeaderEpoch(8), Offset(30)) == Changed::yes);  // epoch 7 never wrote
  REQUIRE(text(c) == "2@0 5@10 8@30");
  REQUIRE(c.assign(LeaderEpoch(9), Offset(5)) == Changed::yes);
  REQUIRE(text(c) == "2@0 9@5");
}

TEST_CASE("truncation cleans epochs even if no record is cut (R66)") {
  EpochCache c = cache({{2, 0}, {5, 10}, {7, 30}});
  REQUIRE(c.truncate_from_end(Offset(31)) == Changed::no);
  REQUIRE(c.truncate_from_end(Offset(30)) == Changed::yes);
  REQUIRE(text(c) == "2@0 5@10");
  REQUIRE(c.truncate_from_start(Offset(4)) == Changed::yes);
  REQUIRE(text(c) == "2@4 5@10");
  REQUIRE(c.truncate_from_start(Offset(10)) == Changed::yes);
  REQUIRE(text(c) == "5@10");
  REQUIRE(c.truncate_from_start(Offset(3)) == Changed::no);
  REQUIRE(c.epoch_at(Offset(9)) == std::nullopt);
  REQUIRE(c.epoch_at(Offset(10)) == LeaderEpoch(5));
}

TEST_CASE("the epoch of a batch is contradicted by what is known of its offset, and by nothing else (R79)") {
  const EpochCache c = cache({{2, 4}, {5, 10}, {7, 30}});
  REQUIRE_FALSE(c.contradiction(Offset(3), LeaderEpoch(99)));  // before all that is known
  REQUIRE_FALSE(c.contradiction(Offset(9), LeaderEpoch(2)));
  REQUIRE(c.contradiction(Offset(9), LeaderEpoch(5)));
  REQUIRE(c.contradiction(Offset(10), LeaderEpoch(2)));
  REQUIRE_FALSE(c.contradiction(Offset(1000), LeaderEpoch(7)));
  REQUIRE(c.contradiction(Offset(1000), LeaderEpoch(8)));
  // A part says the same of its offsets.
  REQUIRE(text(c.within(Offset(0), Offset(4))).empty());
  REQUIRE(text(c.within(Offset(12), Offset(30))) == "5@10");
  REQUIRE(text(c.within(Offset(9), Offset(31))) == "2@4 5@10 7@30");
  REQUIRE(text(c.within(Offset(50), Offset(60))) == "7@30");
}
