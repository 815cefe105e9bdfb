// Simulated time for shells: shards whose timers and posts run from one queue, in order, on the test's thread. Work
// takes no time; the clock jumps to the next event. Thread-compatible.
#pragma once
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "common/logging.h"
#include "common/shard.h"

namespace quorum_test {

using common::Duration;
using common::Instant;

// Quiet, unless NARU_TEST_LOG is set.
inline void configure_test_logging() {
  static const bool done = [] {
    const auto level = std::getenv("NARU_TEST_LOG") != nullptr ? common::LogLevel::debug : common::LogLevel::off;
    common::configure_logging(level, common::LogFormat::text);
    return true;
  }();
  (void)done;
}

class SimClock final : public common::Clock {
 public:
  Instant now() const override { return now_; }
  common::model::TimestampMs wall_now() const override {
    return common::model::TimestampMs{
        1'700'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count()};
  }
  Instant now_{std::chrono::hours(1)};
};

class SimWorld {
 public:
  using Key = std::pair<Instant, uint64_t>;

  SimClock& clock() { return clock_; }
  Key at(Instant when, std::function<void()> f) {
    const Key key(std::max(when, clock_.now_), ++sequence_);
    queue_.emplace(key, std::move(f));
    return key;
  }
  void cancel(const Key& key) { queue_.erase(key); }

  void run_for(Duration d) {
    const Instant end = clock_.now_ + d;
    run_until([] { return false; }, end);
    clock_.now_ = end;
  }
  // Returns whether `condition` came true by `end`.
  template <class Condition>
  bool run_until(Condition condition, Instant end) {
    while (!condition()) {
      if (queue_.empty() || queue_.begin()->first.first > end) return false;
      auto next = queue_.extract(queue_.begin());
      clock_.now_ = next.key().first;
      next.mapped()();
    }
    return true;
  }
  template <class Condition>
  bool run_until(Condition condition, Duration limit = std::chrono::seconds(20)) {
    return run_until(std::move(condition), clock_.now_ + limit);
  }

 private:
  SimClock clock_;
  std::map<Key, std::function<void()>> queue_;
  uint64_t sequence_ = 0;
};

class SimShard final : public common::Shard {
 public:
  SimShard(int id, SimWorld& world) : Shard(id, world.clock()), world_(world), alive_(std::make_shared<bool>(true)) {}

  bool is_current() const override { return true; }
  void post(std::function<void()> f) override {
    world_.at(now(), [f = std::move(f), alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) f();
    });
  }
  common::TimerHandle call_at(Instant when, std::function<void()> f) override {
    auto done = std::make_shared<bool>(false);
    const auto key = world_.at(when, [f = std::move(f), done, alive = std::weak_ptr(alive_)] {
      *done = true;
      if (!alive.expired()) f();
    });
    return common::TimerHandle([&world = world_, key, done] {
      if (!*done) world.cancel(key);
    });
  }
  boost::asio::io_context& io_context() override { return io_; }

 private:
  SimWorld& world_;
  std::shared_ptr<bool> alive_;
  boost::asio::io_context io_;
};

}  // namespace quorum_test
