// Which replicas a move's throttle names.
#include <catch2/catch.hpp>

#include "cli/move_throttle.h"

using namespace cli;

TEST_CASE("a throttle names each partition that is moved with all that may lead it") {
  const std::vector<Move> moves = {{.topic = "t", .partition = 1, .from = {1, 2}, .to = {2, 3}},
                                   {.topic = "u", .partition = 0, .from = {4}, .to = {5}},
                                   {.topic = "t", .partition = 0, .from = {1}, .to = {1, 2}}};
  CHECK(throttled_replicas(moves, "t") == "0:1,0:2,1:1,1:2,1:3");
  CHECK(throttled_replicas(moves, "u") == "0:4,0:5");
  CHECK(throttled_replicas(moves, "v").empty());
}

TEST_CASE("a topic that is throttled as a whole is not throttled by a move") {
  for (const char* list : {"*", "*,0:1,0:2", "0:1, *"}) CHECK(is_for_good(list));
  for (const char* list : {"", "0:1,0:2,3:1", ",", "0:*"}) CHECK_FALSE(is_for_good(list));
}
