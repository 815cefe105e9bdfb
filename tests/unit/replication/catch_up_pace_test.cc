// The pace of replicas that catch up, against a made-up disk: the more is fed, the longer clients' writes take.
#include <functional>

#include <catch2/catch.hpp>

#include "broker/replication/catch_up_pace.h"

using namespace broker::replication;
using namespace std::chrono_literals;

namespace {

struct Bench {
  CatchUpPace pace;
  Instant now = Instant{} + 1h;
  size_t behind = 0;              // what the replica lacks
  size_t fed = 0;                 // in all
  double writes_each_step = 5;    // of clients, every millisecond; they wait for other replicas
  double answered_each_step = 0;  // the same, of those that wait for nobody
  size_t write_bytes = 100;
  std::function<Duration(double)> wait;    // of a write, at so many bytes a second fed
  std::function<Duration(double)> answer;  // the same, of one that waits for nobody
  std::function<Duration(double)> turn;    // how late the shard is; none: nobody looks

  // Returns how long the slowest writes took in the last half.
  Duration run(Duration time) {
    Duration slow{};
    const Instant begin = now;
    double owed = 0;
    double owed_alone = 0;
    for (; now < begin + time; now += 1ms) {
      size_t step = 0;
      while (behind > 0 && pace.may_send(now)) {
        const size_t bytes = std::min(behind, pace.turn_bytes());
        pace.on_sent(bytes, now);
        behind -= bytes;
        step += bytes;
      }
      fed += step;
      recent_ = recent_ * 0.98 + static_cast<double>(step) * 1000 * 0.02;
      for (owed += writes_each_step; owed >= 1; --owed) {
        pace.on_appended(write_bytes, now);
        const Duration waited = wait(recent_);
        pace.on_committed(waited, now);
        if (now - begin > time / 2) slow = std::max(slow, waited);
      }
      if (turn && pace.is_feeding() && ++steps_ % 5 == 0) pace.on_turn(turn(recent_), now);
      for (owed_alone += answered_each_step; owed_alone >= 1; --owed_alone) {
        pace.on_appended(write_bytes, now);
        const Duration took = answer(recent_);
        pace.on_answered(took, now);
        if (now - begin > time / 2) slow = std::max(slow, took);
      }
    }
    return slow;
  }

 private:
  double recent_ = 0;
  int steps_ = 0;
};

}  // namespace

TEST_CASE("a replica that catches up gets what clients do not notice, and no more") {
  Bench bench;
  bench.wait = [](double rate) {
    return Duration(static_cast<int64_t>(1e6 * (1 + rate / 40e6)));
  };  // 1 ms, 2 at 40 MB/s
  const Duration alone = bench.run(2s);
  REQUIRE(alone == 1ms);
  bench.behind = size_t{1} << 40;
  const Duration beside = bench.run(60s);
  CHECK(beside <= alone * 3 / 2);
  CHECK(bench.fed / 60 > 3'000'000);  // and it is not starved either
}

TEST_CASE("writes that wait for no other replica are noticed too: one broker becomes three") {
  Bench bench;
  bench.writes_each_step = 0;
  bench.answered_each_step = 5;
  bench.answer = [](double rate) {
    return Duration(static_cast<int64_t>(50e3 + 1e6 * rate / 40e6));
  };  // 50 us, and 1 ms more at 40 MB/s
  REQUIRE(bench.run(2s) == 50us);
  bench.behind = size_t{1} << 50;
  CHECK(bench.run(60s) <= 1ms);
  CHECK(bench.fed / 60 > 2'000'000);
}

TEST_CASE("what a client cannot notice of an answer that takes some microseconds does not slow a replica down") {
  Bench bench;
  bench.writes_each_step = 0;
  bench.answered_each_step = 5;
  bench.answer = [](double rate) { return rate > 0 ? 120us : 40us; };
  bench.run(2s);
  bench.behind = size_t{1} << 50;
  bench.run(10s);
  CHECK(bench.pace.rate() > 200e6);
}

TEST_CASE("beside writes that wait for nobody counts how late a shard gets to its turns") {
  Bench bench;
  bench.writes_each_step = 0;
  bench.answered_each_step = 5;
  bench.answer = [](double) { return 50us; };
  bench.turn = [](double rate) { return Duration(static_cast<int64_t>(60e3 + 1e6 * rate / 40e6)); };
  bench.run(2s);
  bench.behind = size_t{1} << 50;
  bench.run(30s);
  CHECK(bench.pace.rate() < 60e6);  // half a millisecond late is 20 MB/s
  CHECK(bench.fed / 30 > 4'000'000);
  // Those who wait for replicas say themselves what they notice.
  bench.answered_each_step = 0;
  bench.writes_each_step = 5;
  bench.wait = [](double) { return 2ms; };
  bench.run(10s);
  CHECK(bench.pace.rate() > 200e6);
}

TEST_CASE("writes of both kinds are each compared with their own") {
  Bench bench;
  bench.writes_each_step = 0;
  bench.answered_each_step = 5;
  bench.answer = [](double) { return 50us; };
  bench.run(2s);
  bench.behind = size_t{1} << 50;
  // The first partitions have their copies, and their writes wait for those; that is not what feeding does.
  bench.writes_each_step = 5;
  bench.wait = [](double) { return 2ms; };
  bench.run(10s);
  CHECK(bench.pace.rate() > 200e6);
  // One kind that minds is enough.
  bench.wait = [](double rate) { return rate > 4e6 ? 5ms : 2ms; };
  bench.run(10s);
  CHECK(bench.pace.rate() < 16e6);
}

TEST_CASE("where too little is written to tell, a replica is not fed as if nobody wrote") {
  Bench bench;
  bench.writes_each_step = 0;
  bench.answered_each_step = 0;
  bench.behind = size_t{1} << 50;
  bench.run(5s);
  const double alone = bench.pace.rate();
  bench.answered_each_step = 0.05;  // five in a window
  bench.answer = [](double) { return 50us; };
  bench.run(5s);
  CHECK(alone > 1e9);
  CHECK(bench.pace.rate() <= CatchUpPaceOptions{}.rate_untold);
  CHECK(bench.pace.rate() > 16e6);
}

TEST_CASE("where nobody writes, a replica gets all it takes") {
  Bench bench;
  bench.writes_each_step = 0;
  bench.behind = size_t{4} << 30;
  bench.run(10s);
  CHECK(bench.behind == 0);
}

TEST_CASE("a replica gets more than what is written, whatever that costs, or it would never arrive") {
  Bench bench;
  bench.write_bytes = 2000;  // 10 MB/s
  bench.wait = [](double rate) { return rate > 0 ? Duration(10ms) : Duration(1ms); };
  bench.run(2s);
  bench.behind = size_t{1} << 40;
  bench.run(20s);
  const size_t before = bench.fed;
  bench.run(20s);
  CHECK(bench.fed - before > 20 * 10'000'000 * size_t{11} / 10);
}

TEST_CASE("what was counted and not sent is given back, and nothing is saved up by that") {
  CatchUpPaceOptions options;
  options.burst = 500;
  CatchUpPace pace(options);
  const Instant now = Instant{} + 1h;
  REQUIRE(pace.may_send(now));
  pace.on_sent(600, now);
  CHECK_FALSE(pace.may_send(now));
  pace.give_back(200);
  CHECK(pace.may_send(now));
  pace.give_back(5000);
  pace.on_sent(500, now);
  CHECK_FALSE(pace.may_send(now));
}

TEST_CASE("little is sent at once, without a measure or a rest") {
  CatchUpPace pace;
  Instant now = Instant{} + 1h;
  for (int i = 0; i < 1000; ++i, now += 50ms) {
    REQUIRE(pace.may_send(now));
    pace.on_sent(10'000, now);
  }
  CHECK_FALSE(pace.is_resting());
}
