// Simulated time: one queue of events for all machines, on one OS thread. The clock jumps to the next event; work takes
// no time. Everything that happens comes from here, in an order that the seed alone decides.
//
// An event belongs to a process (or to nobody): it is dropped when that life is over, and waits while it is paused.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "common/model/random.h"
#include "common/model/types.h"
#include "sim/buggify.h"

namespace sim {

using common::model::Duration;
using common::model::Instant;

class Process;
class SimShard;

// Small and fast; streams of one seed that do not disturb each other, so that leaving out one fault does not change the
// others.
class Rng final : public common::model::Random {
 public:
  Rng(uint64_t seed, std::string_view purpose);
  uint64_t next() override;
  [[nodiscard]] bool chance(double probability);
  [[nodiscard]] Duration between(Duration low, Duration high);
  [[nodiscard]] int64_t range(int64_t low, int64_t high);  // both included

 private:
  uint64_t state_;
};

struct EventId {
  uint32_t slot = 0;
  uint32_t generation = 0;
};

class World {
 public:
  explicit World(uint64_t seed, uint32_t rare = 0);
  ~World() { running = nullptr; }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] uint64_t seed() const { return seed_; }
  [[nodiscard]] uint64_t events() const { return events_; }

  // `owner` may be null: an event of the world itself. `shard`, if any, is one of the owner's, and current meanwhile.
  EventId at(Instant when, Process* owner, std::function<void()> f, SimShard* shard = nullptr);
  EventId after(Duration delay, Process* owner, std::function<void()> f) { return at(now_ + delay, owner, std::move(f)); }
  void cancel(EventId id);

  // The next event, if there is one until `limit`; else the clock moves there. `after_event` hooks run after each.
  bool step(Instant limit);
  // Called after every event with the process that it belonged to, if any.
  std::function<void(Process*)> after_event;

  // Part of the trace: two runs of a seed must agree on it.
  void note(uint64_t what) { hash_ = (hash_ ^ what) * 0x100000001b3ull; }
  [[nodiscard]] uint64_t hash() const { return hash_; }

  // Whether to do here what is done seldom: of what is armed, one time in four.
  [[nodiscard]] bool rarely(Rare which) { return is_armed(rare_, which) && choices_.chance(0.25); }
  [[nodiscard]] Duration rarely_late(Rare which, Duration at_most) {
    return rarely(which) ? choices_.between(Duration(0), at_most) : Duration(0);
  }

  Rng schedule;  // which shard runs next
  static const World* running;  // for the words of a crash

 private:
  friend class Process;
  struct Slot {
    std::function<void()> f;
    Process* owner = nullptr;
    SimShard* shard = nullptr;
    uint32_t generation = 0;
  };
  struct Entry {
    int64_t when;
    uint64_t sequence;
    uint32_t slot;
    uint32_t generation;
    friend bool operator<(const Entry& a, const Entry& b) {  // std::push_heap keeps the largest in front
      return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
    }
  };
  void push(Instant when, uint32_t slot);
  void reschedule(EventId id);  // now, unless it was cancelled
  void release(uint32_t slot);

  const uint64_t seed_;
  const uint32_t rare_;
  Rng choices_;
  Instant now_{};
  uint64_t sequence_ = 0;
  uint64_t events_ = 0;
  uint64_t hash_ = 0xcbf29ce484222325ull;
  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  // Those that are over, too: they hold next to nothing, and an event that is still to be dropped may be theirs.
  std::vector<std::shared_ptr<Process>> processes_;
};

}  // namespace sim
