#include "common/believed_clock.h"

#include <chrono>
#include <cmath>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using common::BelievedClock;
using common::model::Duration;
using common::model::Instant;
using common::model::TimestampMs;

namespace {

// A machine whose clocks are looked at every minute. What is right is known here alone.
struct Machine {
  explicit Machine(Duration wrong_at_start = 0s) : wall_wrong(wrong_at_start) { look(); }

  void pass(Duration time) {
    for (const Instant end = now + time; now < end;) {
      now += 1min;
      look();
    }
  }
  // All that runs on it stands still; the monotonic clock goes on.
  void sleep(Duration time) {
    now += time;
    look();
  }
  // Likewise, but neither machine nor monotonic clock can know: the hypervisor stopped it, and sets the wall clock.
  void be_stopped(Duration time) {
    unnoticed += time;
    look();
  }
  void look() { clock.look(now, wall()); }

  [[nodiscard]] Duration since_start() const { return now.time_since_epoch() + unnoticed; }
  [[nodiscard]] TimestampMs right() const { return at(since_start()); }
  [[nodiscard]] TimestampMs wall() const {
    const double seconds = std::chrono::duration<double>(now.time_since_epoch()).count();
    return at(since_start() + wall_wrong + Duration(static_cast<int64_t>(seconds * drift * 1e9)));
  }
  static TimestampMs at(Duration since) {
    return TimestampMs(1'700'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
  }
  // How far what is compared, and what is written down, is ahead of the right time.
  [[nodiscard]] Duration compares() const { return ahead(clock.to_compare(now, wall())); }
  [[nodiscard]] Duration records() const { return ahead(clock.to_record(now, wall())); }
  [[nodiscard]] Duration ahead(TimestampMs said) const {
    return std::chrono::milliseconds(said.value - right().value);
  }

  Instant now{100h};
  Duration unnoticed{0};
  Duration wall_wrong{0};
  double drift = 0;
  BelievedClock clock;
};

}  // namespace

TEST_CASE("a clock that nobody has looked at is believed") {
  const BelievedClock clock;
  CHECK(clock.to_compare(Instant(1h), TimestampMs(5)) == TimestampMs(5));
  CHECK(clock.to_record(Instant(1h), TimestampMs(5)) == TimestampMs(5));
}

TEST_CASE("a clock that is set forward makes nothing older, and right again leaves nothing behind (R82)") {
  const Duration lasts = GENERATE(Duration(1min), Duration(11h));
  Machine m;
  m.pass(20h);
  m.wall_wrong = 24h;
  m.pass(lasts);
  CHECK(m.compares() == 0s);
  m.wall_wrong = 0s;
  m.pass(1min);
  CHECK(m.compares() == 0s);
  CHECK(m.records() == 0s);
  m.pass(100h);
  CHECK(m.compares() == 0s);
}

TEST_CASE("a clock that is set back stops no time: right again it is believed at once (R82, R88)") {
  const Duration lasts = GENERATE(Duration(1min), Duration(11h));
  Machine m;
  m.pass(20h);
  m.wall_wrong = -24h;
  m.pass(lasts);
  CHECK(m.compares() == -24h);  // nothing goes; and the clock may be the one that is right
  CHECK(m.records() == 0s);     // nor is old tomorrow what was written now
  m.wall_wrong = 0s;
  m.pass(1min);
  CHECK(m.compares() == 0s);
  CHECK(m.records() == 0s);
}

TEST_CASE("who starts with a clock that is behind is late for a day at most once it is right") {
  const Duration behind = GENERATE(Duration(1h), Duration(24h), Duration(24h * 365 * 50));
  Machine m(-behind);
  m.pass(5min);
  m.wall_wrong = 0s;
  m.pass(BelievedClock::patience - 1min);
  CHECK(m.compares() == -behind);  // it may be that it is ahead now, and was right
  CHECK(m.records() == 0s);        // and if not, this is how old it will be
  m.pass(BelievedClock::patience + 1min);
  CHECK(m.compares() == 0s);
}

TEST_CASE("who starts with a clock that is ahead believes it until it is right, and no longer") {
  Machine m(24h);
  m.pass(5min);
  CHECK(m.compares() == 24h);
  m.wall_wrong = 0s;
  m.pass(1min);
  CHECK(m.compares() == 0s);
  m.pass(24h);
  CHECK(m.records() == 0s);
  // By then it is forgotten, and another step is one.
  m.wall_wrong = 24h;
  m.pass(1h);
  CHECK(m.compares() == 0s);
}

TEST_CASE("of a clock that is set again and again, what it has kept to is believed") {
  Machine m(-1h);
  m.wall_wrong = 0s;
  m.pass(BelievedClock::patience - 1h);
  m.wall_wrong = 24h;
  m.pass(2h);
  CHECK(m.compares() <= 0s);
  m.pass(BelievedClock::patience - 2h);
  CHECK(m.compares() <= 0s);
  m.wall_wrong = 0s;
  m.pass(2 * BelievedClock::patience);
  CHECK(m.compares() == 0s);
}

TEST_CASE("a clock that is set to and fro all day makes nothing older") {
  Machine m;
  for (int hour = 0; hour < 100; ++hour) {
    m.wall_wrong = hour % 2 == 0 ? 1h : -1h;
    m.pass(1h);
    CHECK(m.compares() <= 0s);
    CHECK(m.records() >= 0s);
  }
}

TEST_CASE("the time that a machine has slept has passed") {
  Machine m;
  m.pass(1h);
  m.sleep(200h);
  CHECK(m.compares() == 0s);
  CHECK(m.records() == 0s);
  // A clock that is wrong when it wakes is not believed because much time has passed.
  m.wall_wrong = 24h;
  m.sleep(200h);
  CHECK(m.compares() == 0s);
}

TEST_CASE("where a hypervisor has stopped the machine, its wall clock is believed within a day") {
  Machine m;
  m.pass(1h);
  m.be_stopped(48h);
  CHECK(m.compares() == -48h);
  CHECK(m.records() == 0s);
  m.pass(2 * BelievedClock::patience);
  CHECK(m.compares() == 0s);
}

TEST_CASE("a clock that drifts is followed") {
  const double drift = GENERATE(0.0005, -0.0005, 0.01, -0.01);
  Machine m;
  m.drift = drift;
  const auto most = std::chrono::duration_cast<Duration>(2 * BelievedClock::patience * std::abs(drift)) + 1s;
  for (int day = 0; day < 20; ++day) {
    m.pass(24h);
    const Duration wrong = m.ahead(m.wall());
    CHECK(m.compares() <= wrong);
    CHECK(m.compares() >= wrong - most);
    CHECK(m.records() >= wrong);
    CHECK(m.records() <= wrong + most);
  }
}
