// How long a deleted topic can be restored for certain.
#include <catch2/catch.hpp>

#include "cli/topic_restore.h"

using namespace cli;
using std::chrono::milliseconds;

TEST_CASE("the time that is left counts from the deletion, and never below nothing") {
  DeletedTopic topic{.name = "t", .deleted_at_ms = 10'000, .keep = milliseconds(5000)};
  CHECK(time_left(topic, 12'000) == milliseconds(3000));
  CHECK(time_left(topic, 20'000) == milliseconds(0));  // a controller that took over keeps it longer
  CHECK(time_left(topic, 9'000) == milliseconds(5000));  // by another clock
  topic.deleted_at_ms.reset();
  CHECK(time_left(topic, 12'000) == milliseconds(5000));
}
