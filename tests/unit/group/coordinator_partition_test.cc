#include <catch2/catch.hpp>

#include "broker/group/service/group_service.h"

using broker::group::coordinator_partition;

TEST_CASE("a group's partition is what Java's String.hashCode makes of its name") {
  struct Row {
    std::string group;
    int32_t hash;  // as Java prints it, without its sign
  };
  const Row row = GENERATE(Row{"", 0}, Row{"Aa", 2112}, Row{"hello", 99162322}, Row{"polygenelubricants", 0},
                           Row{"\xea\xb8\xb0", 44592}, Row{"\xf0\x9f\x98\x80", 1772899});
  CHECK(coordinator_partition(row.group, 50).value == row.hash % 50);
  CHECK(coordinator_partition(row.group, INT32_MAX).value == row.hash);
}

TEST_CASE("negative hash codes lose their sign") {
  // "testing-group-001" is not needed to be known: any partition lies in the range.
  for (int i = 0; i < 1000; ++i) {
    const int32_t partition = coordinator_partition("group-with-a-long-name-" + std::to_string(i), 50).value;
    CHECK((partition >= 0 && partition < 50));
  }
}
