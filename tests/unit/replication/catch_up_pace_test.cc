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
  size_t behind = 0;            // what the replica lacks
  size_t fed = 0;               // in all
  double writes_each_step = 5;  // of clients, every millisecond
  size_t write_bytes = 100;
  std::function<Duration(double)> wait;  // of a write, at so many bytes a second fed

  // Returns how long the slowest writes took in the last half.
  Duration run(Duration time) {
    Duration slow{};
    const Instant begin = now;
    double owed = 0;
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
    }
    return slow;
  }

 private:
  double recent_ = 0;
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

TEST_CASE("little is sent at once, without a measure or a rest") {
  CatchUpPace pace;
  Instant now = Instant{} + 1h;
  for (int i = 0; i < 1000; ++i, now += 50ms) {
    REQUIRE(pace.may_send(now));
    pace.on_sent(10'000, now);
  }
  CHECK_FALSE(pace.is_resting());
}
