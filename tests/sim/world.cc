#include "sim/world.h"

#include <algorithm>
#include <utility>

#include "sim/process.h"

namespace sim {
namespace {

uint64_t mix(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  return hash;
}

}  // namespace

Rng::Rng(uint64_t seed, std::string_view purpose) : state_(mix(seed ^ hash_of(purpose))) {}

uint64_t Rng::next() {
  state_ += 0x9e3779b97f4a7c15ull;
  uint64_t x = state_;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

bool Rng::chance(double probability) {
  return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
}

Duration Rng::between(Duration low, Duration high) {
  return Duration(range(low.count(), high.count()));
}

int64_t Rng::range(int64_t low, int64_t high) {
  return low >= high ? low : low + static_cast<int64_t>(next() % (static_cast<uint64_t>(high - low) + 1));
}

const World* World::running = nullptr;

World::World(uint64_t seed, uint32_t rare)
    : schedule(seed, "schedule"), seed_(seed), rare_(rare), choices_(seed, "choices") {
  running = this;
}

void World::push(Instant when, uint32_t slot) {
  heap_.push_back({when.time_since_epoch().count(), ++sequence_, slot, slots_[slot].generation});
  std::push_heap(heap_.begin(), heap_.end());
}

EventId World::at(Instant when, Process* owner, std::function<void()> f, SimShard* shard) {
  uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.f = std::move(f);
  slot.owner = owner;
  slot.shard = shard;
  if (owner != nullptr && owner->is_new_to_world()) processes_.push_back(owner->shared_from_this());
  push(std::max(when, now_), index);
  return {index, slot.generation};
}

void World::reschedule(EventId id) {
  if (slots_[id.slot].generation == id.generation) push(now_, id.slot);
}

// What the event held dies last: it may hold the handle that cancels it.
void World::release(uint32_t index) {
  Slot& slot = slots_[index];
  const auto f = std::exchange(slot.f, nullptr);
  ++slot.generation;
  free_.push_back(index);
}

void World::cancel(EventId id) {
  if (id.slot < slots_.size() && slots_[id.slot].generation == id.generation) release(id.slot);
}

bool World::step(Instant limit) {
  while (!heap_.empty()) {
    const Entry next = heap_.front();
    if (Instant(Duration(next.when)) > limit) break;
    std::pop_heap(heap_.begin(), heap_.end());
    heap_.pop_back();
    if (slots_[next.slot].generation != next.generation) continue;  // cancelled
    Process* const owner = slots_[next.slot].owner;
    SimShard* const shard = slots_[next.slot].shard;
    if (owner != nullptr) {
      if (!owner->is_alive()) {
        release(next.slot);
        continue;
      }
      if (owner->is_paused()) {
        now_ = std::max(now_, Instant(Duration(next.when)));
        owner->defer({next.slot, next.generation});  // can still be cancelled
        continue;
      }
    }
    now_ = std::max(now_, Instant(Duration(next.when)));
    auto f = std::move(slots_[next.slot].f);
    release(next.slot);
    ++events_;
    const uint64_t number = owner == nullptr ? 0 : owner->number();
    note(static_cast<uint64_t>(next.when) ^ (number << 48));
    SimShard* const before = std::exchange(SimShard::current, shard != nullptr ? shard : SimShard::current);
    f();
    SimShard::current = before;
    f = nullptr;
    if (owner != nullptr) owner->run_ready();
    if (after_event) after_event(owner);
    return true;
  }
  now_ = std::max(now_, limit);
  return false;
}

}  // namespace sim
