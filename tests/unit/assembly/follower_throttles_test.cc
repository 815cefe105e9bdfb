// What each follower may be sent (KIP-73).
#include "broker/follower_throttles.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;

TEST_CASE("each follower has a throttle of its own, and none once it is not named any more") {
  using common::model::BrokerId;
  broker::FollowerThrottles throttles;
  broker::replication::SendThrottle& first = throttles.of(BrokerId(1));
  throttles.set_rates({{BrokerId(1), 1000}, {BrokerId(2), 2000}});
  const common::model::Instant now = common::model::Instant{} + 1h;
  first.on_sent(1000, now);
  CHECK(first.ready_at() == now + 1s);
  CHECK(&throttles.of(BrokerId(1)) == &first);
  CHECK(throttles.of(BrokerId(2)).may_send(now));
  CHECK_FALSE(throttles.of(BrokerId(3)).is_set());
  throttles.set_rates({{BrokerId(2), 2000}});
  CHECK(first.may_send(now));
  CHECK_FALSE(first.is_set());
}
