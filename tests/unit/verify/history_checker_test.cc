// The checker is checked: for each anomaly a history that must fail, and good ones that look bad.
#include <catch2/catch.hpp>

#include "cli/verify/history_checker.h"

using namespace cli::verify;
using Consumers = HistoryChecker::Consumers;

namespace {
// Sends, acknowledges and finally finds records 0..n-1 at offsets 0..n-1 of partition 0.
void ordinary(HistoryChecker& history, Value n) {
  for (Value v = 0; v < n; ++v) {
    history.sent(0, v);
    history.acknowledged(0, v, v);
  }
}
void found(HistoryChecker& history, std::vector<Value> values) {
  for (size_t i = 0; i < values.size(); ++i) history.final_read(0, static_cast<int64_t>(i), values[i]);
}
Verdict only(HistoryChecker& history, Anomaly anomaly, int64_t count = 1, Consumers consumers = Consumers::none) {
  const Verdict verdict = history.finish(consumers);
  for (const std::string& example : verdict.examples) UNSCOPED_INFO(example);
  CHECK(verdict.count(anomaly) == count);
  CHECK(verdict.anomalies.size() == 1);
  CHECK_FALSE(verdict.clean());
  return verdict;
}
}  // namespace

TEST_CASE("an ordinary history is clean") {
  HistoryChecker history;
  ordinary(history, 3);
  history.assigned(0, 0);
  for (Value v = 0; v < 3; ++v) history.polled(0, 0, v, v);
  found(history, {0, 1, 2});
  const Verdict verdict = history.finish(Consumers::read_to_end);
  CHECK(verdict.clean());
  CHECK(verdict.sent == 3);
  CHECK(verdict.acknowledged == 3);
  CHECK(verdict.found == 3);
  CHECK(verdict.polled == 3);
  CHECK(verdict.unknown == 0);
}

TEST_CASE("lost: acknowledged and absent") {
  HistoryChecker history;
  ordinary(history, 3);
  found(history, {0, 1});
  only(history, Anomaly::lost);
}

TEST_CASE("what retention took is forgotten, and nothing else") {
  HistoryChecker history;
  constexpr Value n = 1000;
  ordinary(history, n);
  history.sent(0, n);
  history.failed(0, n, Failure::unknown);
  const size_t pages_before = history.bytes();
  history.log_start(0, 900);
  history.forget_below(0, 900);
  CHECK(history.bytes() + 6 * 128 * sizeof(Value) < pages_before);  // 900 / 128 whole pages of offsets
  history.assigned(0, 0);
  history.polled(0, 0, 900, 900);

  SECTION("the rest is there") {
    for (Value v = 900; v < n; ++v) history.final_read(0, v, v);
    CHECK(history.finish(Consumers::none).clean());
  }
  SECTION("one of the rest is lost") {
    for (Value v = 900; v < n - 1; ++v) history.final_read(0, v, v);
    only(history, Anomaly::lost);
  }
  SECTION("what was forgotten is there once more") {
    for (Value v = 900; v < n; ++v) history.final_read(0, v, v);
    history.final_read(0, n, 5);
    CHECK_FALSE(history.finish(Consumers::none).clean());
  }
}

TEST_CASE("not lost: never acknowledged, whether it appears or not") {
  HistoryChecker history;
  history.sent(0, 0);
  history.failed(0, 0, Failure::unknown);
  history.sent(0, 1);
  history.failed(0, 1, Failure::unknown);
  history.sent(0, 2);
  found(history, {1});
  const Verdict verdict = history.finish(Consumers::none);
  CHECK(verdict.clean());
  CHECK(verdict.unknown == 3);
}

TEST_CASE("duplicated: one record at two offsets") {
  HistoryChecker history;
  ordinary(history, 2);
  found(history, {0, 1, 1});
  only(history, Anomaly::duplicated);
}

TEST_CASE("duplicated: also of a record whose outcome was unknown") {
  HistoryChecker history;
  history.sent(0, 0);
  history.failed(0, 0, Failure::unknown);
  found(history, {0, 0});
  only(history, Anomaly::duplicated);
}

TEST_CASE("divergent: acknowledged at an offset that holds another record") {
  HistoryChecker history;
  ordinary(history, 2);
  history.sent(0, 7);
  history.final_read(0, 0, 0);
  history.final_read(0, 1, 7);
  const Verdict verdict = history.finish(Consumers::none);
  CHECK(verdict.count(Anomaly::divergent) == 1);
  CHECK(verdict.count(Anomaly::lost) == 1);
}

TEST_CASE("divergent: consumers saw different records at one offset over time") {
  HistoryChecker history;
  history.sent(0, 0);
  history.sent(0, 1);
  history.assigned(0, 0);
  history.polled(0, 0, 0, 0);
  history.assigned(0, 0);
  history.polled(0, 0, 0, 1);
  CHECK(history.finish(Consumers::none).count(Anomaly::divergent) == 1);
}

TEST_CASE("reordered: a later record at a smaller offset") {
  HistoryChecker history;
  for (Value v = 0; v < 3; ++v) history.sent(0, v);
  found(history, {0, 2, 1});
  only(history, Anomaly::reordered);
}

TEST_CASE("not reordered: other partitions have their own order, and unknown ones may be missing between") {
  HistoryChecker history;
  for (Value v = 0; v < 4; ++v) history.sent(0, v);
  history.sent(1, 0);
  history.final_read(0, 0, 1);
  history.final_read(1, 0, 0);
  history.final_read(0, 1, 3);
  CHECK(history.finish(Consumers::none).clean());
}

TEST_CASE("phantom: read and never sent, or definitely refused") {
  HistoryChecker history;
  history.sent(0, 0);
  history.failed(0, 0, Failure::definite);
  found(history, {0, 9});
  only(history, Anomaly::phantom, 2);
}

TEST_CASE("real time: acknowledged below what was acknowledged before it was sent") {
  HistoryChecker history;
  history.sent(0, 0);
  history.acknowledged(0, 0, 5);
  history.sent(0, 1);
  history.acknowledged(0, 1, 3);
  history.final_read(0, 3, 1);
  history.final_read(0, 5, 0);
  const Verdict verdict = history.finish(Consumers::none);
  CHECK(verdict.count(Anomaly::real_time) == 1);
}

TEST_CASE("real time: records in flight together may land in any order of acknowledgement") {
  HistoryChecker history;
  history.sent(0, 0);
  history.sent(0, 1);
  history.acknowledged(0, 1, 1);
  history.acknowledged(0, 0, 0);
  found(history, {0, 1});
  CHECK(history.finish(Consumers::none).clean());
}

TEST_CASE("unseen: there, and no consumer was given it") {
  HistoryChecker history;
  ordinary(history, 2);
  history.assigned(0, 0);
  history.polled(0, 0, 0, 0);
  found(history, {0, 1});
  only(history, Anomaly::unseen, 1, Consumers::read_to_end);
}

TEST_CASE("skipped: a jump without a rebalance; after one it is allowed, in both directions") {
  HistoryChecker history;
  ordinary(history, 6);
  history.assigned(0, 0);
  history.polled(0, 0, 0, 0);
  history.polled(0, 0, 2, 2);
  history.assigned(0, 0);
  history.polled(0, 0, 4, 4);
  history.assigned(0, 0);
  history.polled(0, 0, 1, 1);
  history.polled(0, 0, 2, 2);
  history.assigned(1, 0);
  history.polled(1, 0, 3, 3);
  found(history, {0, 1, 2, 3, 4, 5});
  only(history, Anomaly::skipped);
}

TEST_CASE("many anomalies: all counted, a few told") {
  HistoryChecker history;
  ordinary(history, 1000);
  const Verdict verdict = history.finish(Consumers::none);
  CHECK(verdict.count(Anomaly::lost) == 1000);
  CHECK(verdict.examples.size() == 20);
}

TEST_CASE("gaps: the partition that waited longest, and a gap that is still open") {
  GapMeter gaps;
  gaps.expect(0, 0);
  gaps.expect(1, 0);
  gaps.acknowledged(0, 10);
  gaps.acknowledged(1, 30);
  gaps.acknowledged(0, 35);
  const GapMeter::Gap first = gaps.mark(40);
  CHECK(first.longest == 30);
  CHECK(first.partition == 1);
  // Partition 0 stays silent over the mark: the whole of it counts.
  gaps.acknowledged(1, 45);
  gaps.acknowledged(0, 135);
  CHECK(gaps.mark(140).longest == 100);
  CHECK(gaps.mark(500).longest == 455);
}
