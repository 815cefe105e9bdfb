// Simulated time for a few brokers in one thread: a clock that jumps to the next event, shards whose timers follow it,
// and one queue of events. The same seed gives the same run.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "common/model/random.h"
#include "common/shard.h"

namespace sim {

using common::Duration;
using common::Instant;
using common::model::TimestampMs;

class SimClock final : public common::Clock {
 public:
  Instant now() const override { return now_; }
  TimestampMs wall_now() const override {
    const Duration since = now_.time_since_epoch() + wall_step_;
    return TimestampMs(1'700'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
  }
  void set(Instant now) { now_ = now; }
  void step_wall(Duration by) { wall_step_ += by; }

 private:
  Duration wall_step_{0};
  Instant now_ = Instant{} + std::chrono::hours(1);
};

struct OwnedLoop {
  mutable boost::asio::io_context io{1};
};

class SimShard final : private OwnedLoop, public common::Shard {
 public:
  SimShard(int id, const SimClock& clock) : common::Shard(id, clock) {}
  ~SimShard() override { drop_all(); }

  bool is_current() const override { return OwnedLoop::io.get_executor().running_in_this_thread(); }
  void post(std::function<void()> f) override { boost::asio::post(OwnedLoop::io, std::move(f)); }
  boost::asio::io_context& io_context() override { return OwnedLoop::io; }
  common::TimerHandle call_at(Instant when, std::function<void()> f) override {
    const std::pair key(when, ++sequence_);
    timers_->emplace(key, std::move(f));
    return common::TimerHandle([timers = std::weak_ptr(timers_), key] {
      if (const auto t = timers.lock()) t->erase(key);
    });
  }

  // Everything that is due; true if anything ran.
  bool run() {
    bool any = false;
    for (;;) {
      if (OwnedLoop::io.stopped()) OwnedLoop::io.restart();
      if (OwnedLoop::io.poll() > 0) {
        any = true;
        continue;
      }
      if (timers_->empty() || timers_->begin()->first.first > now()) return any;
      auto f = std::move(timers_->begin()->second);
      timers_->erase(timers_->begin());
      post(std::move(f));
    }
  }
  [[nodiscard]] std::optional<Instant> next_timer() const {
    if (timers_->empty()) return std::nullopt;
    return timers_->begin()->first.first;
  }
  // What is queued never runs.
  void drop_all() { timers_->clear(); }

 private:
  using Timers = std::map<std::pair<Instant, uint64_t>, std::function<void()>>;
  std::shared_ptr<Timers> timers_ = std::make_shared<Timers>();
  uint64_t sequence_ = 0;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  SimClock& clock() { return clock_; }
  [[nodiscard]] Instant now() const { return clock_.now(); }
  uint64_t below(uint64_t bound) { return random_.below(bound); }
  bool chance(int percent) { return static_cast<int>(below(100)) < percent; }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<int64_t>(below(static_cast<uint64_t>((high - low).count()) + 1)));
  }
  common::model::Random& random() { return random_; }

  void at(Instant when, std::function<void()> f) { events_.emplace(std::pair(when, ++sequence_), std::move(f)); }
  void after(Duration delay, std::function<void()> f) { at(now() + delay, std::move(f)); }

  void add(SimShard& shard) { shards_.push_back(&shard); }
  void remove(SimShard& shard) { std::erase(shards_, &shard); }

  // Runs until `until`; `check` after every step that did anything.
  void run_until(Instant until, const std::function<void()>& check) {
    for (;;) {
      settle();
      check();
      std::optional<Instant> next;
      if (!events_.empty()) next = events_.begin()->first.first;
      for (const SimShard* shard : shards_) {
        if (const auto t = shard->next_timer(); t && (!next || *t < *next)) next = t;
      }
      if (!next || *next > until) break;
      if (*next > now()) clock_.set(*next);
      if (!events_.empty() && events_.begin()->first.first <= now()) {
        auto f = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        f();
      }
    }
    clock_.set(until);
  }
  void settle() {
    for (bool any = true; any;) {
      any = false;
      for (SimShard* shard : std::vector(shards_)) any = shard->run() || any;
    }
  }

 private:
  common::model::SeededRandom random_;
  SimClock clock_;
  std::map<std::pair<Instant, uint64_t>, std::function<void()>> events_;
  std::vector<SimShard*> shards_;
  uint64_t sequence_ = 0;
};

}  // namespace sim
