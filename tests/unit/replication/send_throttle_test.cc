// What an operator allows replicas that are moved to take (KIP-73): the rate, whom it concerns, and a stream under it.
#include <catch2/catch.hpp>

#include "broker/replication/send_throttle.h"

using namespace broker::replication;
using namespace std::chrono_literals;

TEST_CASE("a throttle lets through its rate, whoever sends, and saves nothing up") {
  SendThrottle throttle;
  Instant now = Instant{} + 1h;
  CHECK(throttle.may_send(now));
  throttle.on_sent(1 << 20, now);
  CHECK(throttle.may_send(now));  // nobody has set one

  throttle.set_rate(1000);
  size_t sent = 0;
  for (int ms = 0; ms < 10'000; ++ms, now += 1ms) {
    if (!throttle.may_send(now)) continue;
    throttle.on_sent(100, now);
    sent += 100;
  }
  CHECK(sent == 10'000);

  now += 1h;
  throttle.on_sent(500, now);
  CHECK_FALSE(throttle.may_send(now + 499ms));
  CHECK(throttle.may_send(now + 500ms));
  CHECK(throttle.ready_at() == now + 500ms);
}

TEST_CASE("another rate forgives what was sent under the one before") {
  SendThrottle throttle;
  const Instant now = Instant{} + 1h;
  throttle.set_rate(0);  // Kafka allows it; a byte a second
  throttle.on_sent(1 << 20, now);
  CHECK_FALSE(throttle.may_send(now + 200h));
  throttle.set_rate(0);  // said again by another shard
  CHECK_FALSE(throttle.may_send(now + 200h));
  throttle.set_rate(1000);
  CHECK(throttle.may_send(now));
  throttle.on_sent(1 << 20, now);
  throttle.set_rate(SendThrottle::unlimited);
  CHECK(throttle.may_send(now));
}

TEST_CASE("what was paid for and not sent is given back, and nothing is saved up by that") {
  SendThrottle throttle;
  const Instant now = Instant{} + 1h;
  throttle.give_back(1000);  // nobody has set one
  throttle.set_rate(1000);
  throttle.on_sent(1000, now);
  throttle.give_back(750);
  CHECK(throttle.ready_at() == now + 250ms);
  throttle.set_rate(1);  // under which the rest of it would be worth more
  throttle.give_back(1 << 20);
  CHECK(throttle.may_send(now));
  throttle.on_sent(1, now);
  CHECK(throttle.ready_at() == now + 1s);
}

TEST_CASE("a topic names by partition and broker whom the throttle concerns") {
  ThrottledReplicas replicas;
  const BrokerId two(2);
  CHECK(replicas.empty());
  replicas.set("orders", "0:1,1:2, 3:2");
  CHECK_FALSE(replicas.contain("orders", PartitionIndex(0), two));
  CHECK(replicas.contain("orders", PartitionIndex(0), BrokerId(1)));
  CHECK(replicas.contain("orders", PartitionIndex(1), two));
  CHECK(replicas.contain("orders", PartitionIndex(3), two));
  CHECK_FALSE(replicas.contain("other", PartitionIndex(1), two));

  replicas.set("other", "*");
  CHECK(replicas.contain("other", PartitionIndex(17), two));
  replicas.set("other", "");
  CHECK_FALSE(replicas.contain("other", PartitionIndex(17), two));
  for (const char* wrong : {"none", "1", "1:", ":2", "1:2:3", "x:2", ","}) replicas.set("orders", wrong);
  CHECK(replicas.empty());
}
