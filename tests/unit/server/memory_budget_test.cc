#include "broker/server/memory_budget.h"

#include <memory>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

using broker::server::MemoryBudget;
using common::Awaitable;

namespace {

struct Fixture {
  boost::asio::io_context io;
  common::SystemClock clock;
  std::unique_ptr<common::Shard> shard = common::make_manual_shard(0, clock, io);
  MemoryBudget budget{*shard, 100};

  using Held = std::shared_ptr<MemoryBudget::Charge>;
  static Awaitable<void> grow(MemoryBudget& budget, uint64_t bytes, Held& result) {
    MemoryBudget::Charge charge(budget);
    co_await charge.grow(bytes);
    result = std::make_shared<MemoryBudget::Charge>(std::move(charge));  // as a request takes over its frame's
  }
  void take(uint64_t bytes, Held& result) {
    shard->spawn("take", grow(budget, bytes, result));
    run();
  }
  void run() {
    io.restart();
    io.poll();
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "reads wait for memory, and what ends makes room") {
  Held first, second;
  take(60, first);
  REQUIRE(first);
  Held large;
  take(500, large);  // one may go beyond
  REQUIRE(large);
  take(50, second);
  CHECK_FALSE(second);
  large.reset();
  first.reset();
  run();
  CHECK(second);
  CHECK(budget.used() == 50);
}

TEST_CASE_METHOD(Fixture, "the leave to go beyond the limit is given back") {
  for (int i = 0; i < 3; ++i) {
    Held large;
    take(500, large);
    REQUIRE(large);
    CHECK(budget.used() == 500);
  }
  CHECK(budget.used() == 0);
}
