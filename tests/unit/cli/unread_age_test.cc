// How old what a group has not read is.
#include "cli/unread_age.h"

#include <catch2/catch.hpp>

using namespace cli;
using std::chrono::milliseconds;

TEST_CASE("the lag in time is the age of the first record that is not read") {
  const SystemTime now(milliseconds(100'000));
  GroupOffset offset;
  offset.committed = 7;
  offset.end = 10;
  CHECK_FALSE(lag_time(offset, now));  // nobody told
  offset.unread_since = 97'500;
  CHECK(lag_time(offset, now) == milliseconds(2500));
  offset.unread_since = 100'001;  // a clock that is ahead
  CHECK(lag_time(offset, now) == milliseconds(0));
  offset.committed = 10;
  CHECK(lag_time(offset, now) == milliseconds(0));
  offset.committed.reset();
  CHECK_FALSE(lag_time(offset, now));
}

TEST_CASE("a group is as far behind as the partition that is furthest behind") {
  const SystemTime now(milliseconds(100'000));
  GroupFacts group;
  CHECK_FALSE(lag_time(group, now));
  GroupOffset offset;
  offset.committed = 1;
  offset.end = 1;
  group.offsets.push_back(offset);
  CHECK(lag_time(group, now) == milliseconds(0));
  offset.end = 2;
  group.offsets.push_back(offset);  // not known
  CHECK(lag_time(group, now) == milliseconds(0));
  for (const int64_t since : {99'000, 40'000, 98'000}) {
    offset.unread_since = since;
    group.offsets.push_back(offset);
  }
  CHECK(lag_time(group, now) == milliseconds(60'000));
}
