// When the detector wants to be asked. Whom it takes for gone is in tests/scenarios/controller.
#include <algorithm>
#include <optional>
#include <vector>

#include <catch2/catch.hpp>

#include "controller/metadata/failure_detector.h"

using namespace controller::metadata;
using namespace std::chrono_literals;

namespace {

// Broker 2 as the active controller's runtime watches it: a tick every 50 ms, and when something is due.
struct Watching {
  explicit Watching(Standing standing) {
    BrokerImage broker;
    broker.broker_id = id;
    broker.epoch = epoch;
    detector.watch(broker, standing, now);
  }

  // Ticks until there is a verdict.
  void run(bool may_fence_fast) {
    while (!verdict && ticks < 100'000) {
      const std::optional<Instant> due = detector.next_deadline();
      now = std::min(now + 50ms, due ? std::max(*due, now + 1ms) : Instant::max());
      ++ticks;
      REQUIRE(detector.on_tick(now) == FailureDetector::OwnClock::trusted);
      const std::vector<Verdict> found = detector.verdicts(now, [&](BrokerId) { return may_fence_fast; });
      if (!found.empty()) verdict = found.front();
      // Its machine does not answer.
      for (const ProbeOrder& order : detector.take_probes(now)) {
        ++probes;
        detector.on_probe(order.broker_id, order.epoch, answer, now);
      }
    }
    REQUIRE(verdict);
  }

  const BrokerId id{2};
  const BrokerEpoch epoch{7};
  Instant now{1h};
  FailureDetector detector{DetectorOptions{}, now};
  ProbeResult answer = ProbeResult::no_answer;
  std::optional<Verdict> verdict;
  int ticks = 0;
  int probes = 0;
};

}  // namespace

TEST_CASE("a lost stream is judged when it is due, not at the next tick") {
  Watching w(Standing::alive);
  w.now += 17ms;
  const Instant lost_at = w.now;
  w.detector.on_stream_lost(w.id, w.epoch, lost_at);
  w.run(true);
  REQUIRE(w.verdict->evidence == Evidence::lost_stream);
  REQUIRE(w.now == lost_at + DetectorOptions{}.lost_stream_timeout);
}

TEST_CASE("a verdict that is held back costs no more ticks than others until silence decides") {
  Watching w(Standing::alive);
  const Instant heard_at = w.now;
  w.now += 17ms;
  w.detector.on_stream_lost(w.id, w.epoch, w.now);
  w.run(false);
  REQUIRE(w.verdict->evidence == Evidence::silence);
  REQUIRE(w.now == heard_at + DetectorOptions{}.session_timeout);
  // One each 50 ms in 1.5 s, one for each probe, and those of the two deadlines.
  REQUIRE(w.ticks <= 30 + w.probes + 2);
}

TEST_CASE("a process that still accepts after a failover costs no more ticks than others either") {
  Watching w(Standing::suspected);
  w.answer = ProbeResult::connected;
  const Instant began = w.now;
  w.run(true);
  REQUIRE(w.verdict->evidence == Evidence::silence);
  REQUIRE(w.now == began + DetectorOptions{}.session_timeout - DetectorOptions{}.deposed_silence);
  REQUIRE(w.ticks <= 20 + w.probes + 2);
}
