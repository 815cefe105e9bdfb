#include "sim/process.h"

#include <boost/asio/post.hpp>

namespace sim {

namespace asio = boost::asio;

namespace {

constexpr int64_t epoch_of_the_world_ms = 1'750'000'000'000;

}  // namespace

SimShard* SimShard::current = nullptr;

common::model::TimestampMs MachineClock::right_wall_time(const World& world) {
  const Duration since_start = world.now().time_since_epoch();
  return common::model::TimestampMs(epoch_of_the_world_ms +
                                    std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count());
}

common::model::TimestampMs MachineClock::wall_now() const {
  const Duration since_start = world_.now().time_since_epoch() + wall_offset_;
  return common::model::TimestampMs(epoch_of_the_world_ms +
                                    std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count());
}

Instant MachineClock::world_time(Instant when) const {
  const Duration left = when - now();
  if (left <= Duration(0)) return world_.now();
  // Rounded up: a timer never fires early.
  return world_.now() + Duration(static_cast<int64_t>(static_cast<double>(left.count()) / (1.0 + drift_)) + 1);
}

Process::Process(World& world, std::shared_ptr<MachineClock> clock, uint32_t number)
    : world_(world), clock_(std::move(clock)), number_(number) {}
Process::~Process() = default;

SimShard& Process::add_shard(int id) {
  shards_.push_back(std::make_unique<SimShard>(id, *this));
  return *shards_.back();
}

void Process::resume() {
  paused_ = false;
  for (const EventId id : std::exchange(deferred_, {})) world_.reschedule(id);
}

void Process::end() {
  alive_ = false;
  resume();  // what waited is dropped in its turn
}

void Process::drop_shards() {
  for (const auto& shard : shards_) shard->drop_work();
  shards_.clear();
}

void Process::run_ready() {
  const size_t count = shards_.size();
  for (bool any = alive_; any;) {
    any = false;
    const size_t first = count > 1 ? world_.schedule.next() % count : 0;
    for (size_t i = 0; i < count && alive_; ++i) {
      SimShard& shard = *shards_[(first + i) % count];
      any = shard.run_one() || any;
    }
    any = any && alive_;
  }
}

SimShard::SimShard(int id, Process& process)
    : Shard(id, process.clock()),
      process_(process),
      guard_(io_.get_executor()) {}
SimShard::~SimShard() = default;

void SimShard::post(std::function<void()> f) {
  asio::post(io_, std::move(f));
}

common::TimerHandle SimShard::call_at(Instant when, std::function<void()> f) {
  World& world = process_.world();
  const Instant fires =
      process_.clock().world_time(when) + world.rarely_late(Rare::late_timers, std::chrono::milliseconds(30));
  const EventId id = world.at(fires, &process_, std::move(f), this);
  struct Cancel {
    World* world;
    EventId id;
    void operator()() const { world->cancel(id); }
  };
  static_assert(sizeof(Cancel) <= 16);
  return common::TimerHandle(Cancel{&world, id});
}

bool SimShard::run_one() {
  SimShard* const before = std::exchange(current, this);
  const bool ran = io_.poll_one() > 0;
  current = before;
  return ran;
}

}  // namespace sim
