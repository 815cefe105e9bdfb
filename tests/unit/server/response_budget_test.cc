#include "broker/server/response_budget.h"

#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

using broker::server::ResponseBudget;
using common::Awaitable;

namespace {

constexpr uint64_t mib = 1 << 20;
constexpr uint64_t limit = 64 * mib;

struct Answer {
  Answer(ResponseBudget& budget, uint64_t taken) : charge(budget, taken) {}
  ResponseBudget::Charge charge;
  uint64_t granted = 0;  // 0: still waits
};

struct Fixture {
  boost::asio::io_context io;
  common::SystemClock clock;
  std::unique_ptr<common::Shard> shard = common::make_manual_shard(0, clock, io);
  ResponseBudget budget{*shard, limit};

  static Awaitable<void> reserve(std::shared_ptr<Answer> answer, uint64_t wanted) {
    answer->granted = co_await answer->charge.reserve(wanted);
  }
  // An answer of a connection that has taken `taken` bytes before.
  std::shared_ptr<Answer> ask(uint64_t wanted, uint64_t taken) {
    auto answer = std::make_shared<Answer>(budget, taken);
    shard->spawn("answer", reserve(answer, wanted));
    run();
    return answer;
  }
  void run() {
    io.restart();
    io.poll();
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "answers are small at first, then as large as what was taken, and never all that is left") {
  CHECK(ask(50 * mib, 0)->granted == mib);
  CHECK(ask(1000, 0)->granted == 1000);
  CHECK(ask(50 * mib, 5 * mib)->granted == 5 * mib);
  CHECK(ask(50 * mib, 1000 * mib)->granted == limit / 4);
  CHECK(budget.used() == 0);
}

TEST_CASE_METHOD(Fixture, "those that never read hold one half of the memory at most, and the others go on (R109)") {
  std::vector<std::shared_ptr<Answer>> stuck;
  for (int i = 0; i < 200; ++i) stuck.push_back(ask(50 * mib, 0));
  CHECK(budget.used() == limit / 2);
  CHECK(budget.is_short());
  CHECK_FALSE(stuck.back()->granted);
  auto known = ask(50 * mib, 1000 * mib);
  CHECK(known->granted == limit / 4);
  known->charge.hold(10 * mib);  // what it read
  CHECK(budget.used() == limit / 2 + 10 * mib);
  known.reset();
  stuck.front().reset();
  run();
  CHECK(budget.used() == limit / 2);  // the next one has its place
  stuck.clear();
  run();
  CHECK(budget.used() == 0);
  CHECK_FALSE(budget.is_short());
}

TEST_CASE_METHOD(Fixture, "a batch that is larger than all the memory passes, alone") {
  auto large = ask(mib, 0);
  large->charge.hold(10 * limit);
  auto next = ask(mib, 0);
  CHECK_FALSE(next->granted);
  CHECK(ask(mib, limit)->granted == mib);
  large.reset();
  run();
  CHECK(next->granted == mib);
}

TEST_CASE_METHOD(Fixture, "what an answer does not need is there for the next one at once") {
  auto first = ask(mib, 0);
  first->charge.hold(limit / 2);
  auto next = ask(mib, 0);
  REQUIRE_FALSE(next->granted);
  first->charge.hold(limit / 2 - mib);
  run();
  CHECK(next->granted == mib);
}
