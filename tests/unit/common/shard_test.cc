#include <atomic>
#include <future>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "common/shard.h"

using namespace common;
using namespace std::chrono_literals;

namespace {

Awaitable<void> cross(Shard& here, Shard& home, std::promise<bool>& done) {
  const int seen = co_await on(here, home, [&]() -> Awaitable<int> { co_return home.is_current() ? 1 : 0; });
  done.set_value(seen == 1 && here.is_current() && !home.is_current());
}

Awaitable<void> wait_for(Event& event, std::optional<Instant> deadline, std::promise<bool>& done) {
  done.set_value(co_await until(event, deadline));
}

Awaitable<void> look_after_a_turn(Shard& shard, const int& links, std::promise<int>& done) {
  co_await yield_to(shard);
  done.set_value(links);
}

}  // namespace

TEST_CASE("work crosses to another shard and comes back") {
  SystemClock clock;
  auto a = make_thread_shard(0, clock, "a");
  auto b = make_thread_shard(1, clock, "b");
  std::promise<bool> done;
  a->spawn("cross", cross(*a, *b, done));
  REQUIRE(done.get_future().get());
}

TEST_CASE("what a shard's own work leads to is done before the loop turns") {
  SystemClock clock;
  int links = 0;
  std::promise<int> done;
  auto shard = make_thread_shard(0, clock, "a");  // ends before what its thread touches
  shard->post([&] {
    shard->post([&] {
      ++links;
      shard->post([&] {
        ++links;
        shard->post([&] { ++links; });
      });
    });
    shard->spawn("look", look_after_a_turn(*shard, links, done));
  });
  REQUIRE(done.get_future().get() == 3);
}

TEST_CASE("what the loop is given stands behind what its thread has posted before, however deep (R87)") {
  SystemClock clock;
  for (int depth = 0; depth <= 20; ++depth) {
    int posted = 0;
    std::promise<int> seen;
    std::function<void(int)> go_down;
    auto shard = make_thread_shard(0, clock, "a");  // ends before what its thread touches
    go_down = [&](int left) {
      if (left > 0) return shard->post([&, left] { go_down(left - 1); });
      shard->post([&] { ++posted; });
      boost::asio::post(shard->io_context(), [&] { seen.set_value(posted); });  // as hop() does
    };
    shard->post([&] { go_down(depth); });
    INFO(depth);
    REQUIRE(seen.get_future().get() == 1);
  }
}

TEST_CASE("work that is left when a shard ends may post to it as it goes") {
  struct Posts {
    Posts(Shard& to, int& count) : shard(to), gone(count) {}
    ~Posts() {
      shard.post([] {});
      ++gone;
    }
    Shard& shard;
    int& gone;
  };
  SystemClock clock;
  int gone = 0;
  std::promise<void> begun;
  auto shard = make_thread_shard(0, clock, "a");
  Shard& ends = *shard;
  ends.post([&] {
    ends.post([left = std::make_shared<Posts>(ends, gone)] {});  // by its own thread, which has another queue
    ends.io_context().stop();
    begun.set_value();
  });
  begun.get_future().wait();
  stop_shard(ends);
  ends.post([left = std::make_shared<Posts>(ends, gone)] {});
  shard.reset();
  REQUIRE(gone == 2);
}

TEST_CASE("work that leads to work without end keeps nobody out") {
  SystemClock clock;
  std::atomic<bool> is_enough = false;
  std::promise<void> let_in;
  std::promise<void> fired;
  TimerHandle timer;
  std::function<void()> again;
  auto shard = make_thread_shard(0, clock, "a");  // ends before what its thread touches
  again = [&] {
    if (!is_enough) shard->post(again);
  };
  shard->post([&] {
    timer = shard->call_at(shard->now() + 1ms, [&] { fired.set_value(); });
    again();
  });
  REQUIRE(fired.get_future().wait_for(1min) == std::future_status::ready);
  shard->post([&] { let_in.set_value(); });
  REQUIRE(let_in.get_future().wait_for(1min) == std::future_status::ready);
  is_enough = true;
}

TEST_CASE("a timer that is set after the machine has slept does not wait for those from before") {
  struct Jumping final : Clock {
    Instant now() const override { return kernel.now() + slept.load(); }
    model::TimestampMs wall_now() const override { return kernel.wall_now(); }
    SystemClock kernel;
    std::atomic<Duration> slept{Duration::zero()};
  } clock;
  TimerHandle before;
  TimerHandle after;
  std::atomic<int> fired = 0;
  std::promise<int> done;
  auto shard = make_thread_shard(0, clock, "a");  // ends before what its thread touches
  shard->post([&] {
    before = shard->call_at(shard->now() + 1h, [&] { ++fired; });
    clock.slept = 2h;
    after = shard->call_at(shard->now() + 1ms, [&] { done.set_value(fired); });
  });
  REQUIRE(done.get_future().get() == 1);  // in their order
}

TEST_CASE("an event wakes who waits, and a deadline ends the wait") {
  SystemClock clock;
  auto shard = make_thread_shard(0, clock, "a");
  Event event(*shard);
  std::promise<bool> timed_out;
  std::promise<bool> woken;
  shard->spawn("wait", wait_for(event, clock.now() + 1ms, timed_out));
  REQUIRE_FALSE(timed_out.get_future().get());
  shard->spawn("wait", wait_for(event, std::nullopt, woken));
  shard->post([&] { event.set(); });
  REQUIRE(woken.get_future().get());
  stop_shard(*shard);
}

TEST_CASE("timers fire in order and a dropped handle never fires") {
  SystemClock clock;
  auto shard = make_thread_shard(0, clock, "a");
  std::vector<int> fired;
  std::vector<TimerHandle> handles;
  std::promise<void> done;
  shard->post([&] {
    const Instant now = clock.now();
    handles.push_back(shard->call_at(now + 3ms, [&] {
      fired.push_back(3);
      done.set_value();
    }));
    handles.push_back(shard->call_at(now + 1ms, [&] { fired.push_back(1); }));
    shard->call_at(now + 2ms, [&] { fired.push_back(2); }).cancel();
  });
  done.get_future().get();
  stop_shard(*shard);
  REQUIRE(fired == std::vector{1, 3});
}
