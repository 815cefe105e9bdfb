// Who counts as slow. What becomes of its leaderships is in tests/scenarios/controller/slow_brokers.txt.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "controller/metadata/slow_brokers.h"

using namespace controller::metadata;
using namespace std::chrono_literals;

namespace {

constexpr int unknown = -1;

// Brokers 1, 2 and so on, with a heartbeat every 100 ms.
struct Watched {
  // Each of them tells how many milliseconds a write takes it, and a sync.
  void run(Duration length, const std::vector<int>& writes, const std::vector<int>& syncs = {}) {
    for (const Instant end = now + length; now < end; now += 100ms) {
      for (size_t i = 0; i < writes.size(); ++i) {
        Progress progress;
        if (writes[i] != unknown) progress.write_time = std::chrono::milliseconds(writes[i]);
        if (i < syncs.size() && syncs[i] != unknown) progress.sync_time = std::chrono::milliseconds(syncs[i]);
        const BrokerId id{static_cast<int32_t>(i + 1)};
        if (auto line = brokers.on_heartbeat(id, epoch, progress, now)) lines.push_back(*std::move(line));
      }
    }
  }
  [[nodiscard]] std::vector<int> slow() const {
    std::vector<int> ids;
    for (const BrokerId id : brokers.slow()) ids.push_back(id.value);
    return ids;
  }

  SlowBrokers brokers;
  BrokerEpoch epoch{7};
  Instant now{1h};
  std::vector<std::string> lines;
};

using Ids = std::vector<int>;

}  // namespace

TEST_CASE("a broker whose writes take far longer than its peers' for five seconds is slow") {
  Watched w;
  w.run(5s, {2, 800, 3});
  REQUIRE(w.slow() == Ids{});
  w.run(200ms, {2, 800, 3});
  REQUIRE(w.slow() == Ids{2});
  REQUIRE(w.brokers.is_slow(BrokerId{2}));
  REQUIRE_FALSE(w.brokers.is_slow(BrokerId{1}));
  REQUIRE(w.lines == std::vector<std::string>{"broker 2 is slow: a write takes 800 ms, on its peers 3 ms"});
}

TEST_CASE("where most are slow nobody is: it is the load, or the machine") {
  Watched w;
  w.run(2min, {900, 1200, 700});
  w.run(2min, {900, 2, 900});
  w.run(2min, {900, 2, 900, 900, 2});
  REQUIRE(w.slow() == Ids{});
  w.run(6s, {900, 2, 900, 3, 2});
  REQUIRE(w.slow() == Ids{1, 3});
}

TEST_CASE("ten times as long as the peers, and a quarter of a second at least") {
  Watched w;
  w.run(1min, {0, 249, 0});
  w.run(1min, {100, 999, 100});
  REQUIRE(w.slow() == Ids{});
  w.run(6s, {100, 1000, 100});
  REQUIRE(w.slow() == Ids{2});
}

TEST_CASE("what does not last for five seconds without interruption is no slowness") {
  Watched w;
  SECTION("spikes") {
    for (int i = 0; i < 10; ++i) {
      w.run(4s, {2, 4000, 3});
      w.run(1s, {2, 3, 3});
    }
  }
  SECTION("moments of which nothing is known") {
    for (int i = 0; i < 10; ++i) {
      w.run(4s, {2, 4000, 3});
      w.run(100ms, {2, unknown, 3});
    }
  }
  SECTION("silence") {
    for (int i = 0; i < 10; ++i) {
      w.run(4s, {2, 4000, 3});
      w.now += 1200ms;
    }
  }
  SECTION("a controller that stood still") {
    for (int i = 0; i < 10; ++i) {
      w.run(4s, {2, 4000, 3});
      w.brokers.on_own_pause();
    }
  }
  REQUIRE(w.slow() == Ids{});
}

TEST_CASE("one other broker is nobody to compare with") {
  Watched w;
  w.run(1min, {2, 900});
  w.run(1min, {2, 900, unknown});
  REQUIRE(w.slow() == Ids{});
}

TEST_CASE("peers that have nothing to write until the slow one has acknowledged are compared with all the same") {
  Watched w;
  for (int i = 0; i < 3; ++i) {
    w.run(1s, {2, 900, 3});
    w.run(2s, {unknown, 900, unknown});
  }
  REQUIRE(w.slow() == Ids{2});
}

TEST_CASE("what peers said before a broker took long does not make it slow") {
  Watched w;
  w.run(1s, {2, 3, 3});
  w.run(1min, {unknown, 900, unknown});
  REQUIRE(w.slow() == Ids{});
}

TEST_CASE("a peer that has fallen silent is not compared with") {
  Watched w;
  w.run(1s, {2, 3, 3});
  w.run(1min, {2, 900});  // broker 3 says no more
  REQUIRE(w.slow() == Ids{});
}

TEST_CASE("syncs are compared with syncs") {
  Watched w;
  w.run(1min, {2, 3, 3}, {unknown, 900, unknown});
  REQUIRE(w.slow() == Ids{});
  w.run(6s, {2, 3, 3}, {9, 900, 12});
  REQUIRE(w.slow() == Ids{2});
  REQUIRE(w.lines == std::vector<std::string>{"broker 2 is slow: a sync takes 900 ms, on its peers 12 ms"});
}

TEST_CASE("a slow broker is well after a minute below half of the limit") {
  Watched w;
  w.run(6s, {2, 800, 3});
  w.run(59s, {2, 100, 3});
  w.run(100ms, {2, 125, 3});
  w.run(1min, {2, 124, 3});
  REQUIRE(w.slow() == Ids{2});
  w.run(200ms, {2, 124, 3});
  REQUIRE(w.slow() == Ids{});
  REQUIRE(w.lines.back() == "broker 2 is no longer slow");
}

TEST_CASE("a slow broker that has nothing to write stays what it is") {
  Watched w;
  w.run(6s, {2, 800, 3});
  w.run(5min, {2, unknown, 3});
  REQUIRE(w.slow() == Ids{2});
  w.run(61s, {unknown, 3, unknown});  // nobody else need be known for that
  REQUIRE(w.slow() == Ids{});
}

TEST_CASE("a slow broker that has had nothing to write for ten minutes is given another try") {
  Watched w;
  w.run(6s, {2, 800, 3});
  w.run(9min, {2, unknown, 3});
  SECTION("ten minutes without a word") {
    w.run(59s, {2, unknown, 3});
    REQUIRE(w.slow() == Ids{2});
    w.run(2s, {2, unknown, 3});
    REQUIRE(w.slow() == Ids{});
    REQUIRE(w.lines.back() == "broker 2 is no longer taken for slow: it has written nothing for 10 minutes");
    w.run(6s, {2, 800, 3});
    REQUIRE(w.slow() == Ids{2});
  }
  SECTION("one more slow write, and they begin anew") {
    w.run(100ms, {2, 800, 3});
    w.run(9min, {2, unknown, 3});
    REQUIRE(w.slow() == Ids{2});
  }
  SECTION("one quick write, too: a minute of those decides") {
    w.run(100ms, {2, 3, 3});
    w.run(9min, {2, unknown, 3});
    REQUIRE(w.slow() == Ids{2});
  }
  SECTION("a controller that stood still does not know what was meanwhile") {
    w.brokers.on_own_pause();
    w.run(9min, {2, unknown, 3});
    REQUIRE(w.slow() == Ids{2});
  }
}

TEST_CASE("who looks slow is suspected at once, and until five seconds after") {
  Watched w;
  const auto suspects = [&] {
    std::vector<int> ids;
    for (const BrokerId id : w.brokers.suspects(w.now)) ids.push_back(id.value);
    return ids;
  };
  w.run(200ms, {2, 800, 3});
  REQUIRE(w.slow() == Ids{});
  REQUIRE(suspects() == Ids{2});
  w.run(4500ms, {2, unknown, 3});
  REQUIRE(suspects() == Ids{2});
  w.run(1s, {2, unknown, 3});
  REQUIRE(suspects() == Ids{});
  w.run(6s, {2, 800, 3});
  w.run(1min, {2, unknown, 3});
  REQUIRE(suspects() == Ids{2});  // it is slow
}

TEST_CASE("who registers anew, or is removed, has no history") {
  Watched w;
  w.run(6s, {2, 800, 3});
  REQUIRE(w.slow() == Ids{2});
  w.epoch = BrokerEpoch{8};
  w.run(4s, {2, 800, 3});
  REQUIRE(w.slow() == Ids{});
  w.run(2s, {2, 800, 3});
  REQUIRE(w.slow() == Ids{2});
  w.brokers.forget(BrokerId{2});
  REQUIRE(w.slow() == Ids{});
}

TEST_CASE("leaderships of slow brokers move from one of them a minute") {
  Watched w;
  REQUIRE(w.brokers.may_move(w.now));
  w.brokers.on_moved(w.now);
  REQUIRE_FALSE(w.brokers.may_move(w.now + 59s));
  REQUIRE(w.brokers.may_move(w.now + 60s));
}
