// How many bytes of answers may wait in memory for their clients to take them (R109). An answer is charged before its
// records are read and until its last byte reached the kernel; beyond the bound an answer gets smaller, down to what
// one batch needs, and then waits. Nothing is refused.
//
// Who has never taken an answer might never do. So answers are small at first and as large as what was taken before
// later on, and connections that have taken little share one half of the memory while those that are known to read
// have the other one: clients that ask and never read cannot hold those up.
//
// Lives on one shard.
#pragma once
#include <array>
#include <cstdint>

#include "common/shard.h"

namespace broker::server {

class ResponseBudget {
 public:
  // What is held back for an answer at least, if as much is wanted: a batch of usual size fits.
  static constexpr uint64_t least_answer = 1 << 20;

  ResponseBudget(common::Shard& shard, uint64_t limit_bytes);

  // What one answer holds. Returns it on destruction.
  class Charge {
   public:
    // `taken_bytes`: what the connection has taken so far.
    Charge(ResponseBudget& budget, uint64_t taken_bytes);
    ~Charge() { hold(0); }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    // Gives back what is held, waits for room, and holds as much of `wanted` as an answer may have now: that is
    // returned.
    common::Awaitable<uint64_t> reserve(uint64_t wanted);
    // The answer needs so much, as it turned out. Never waits: it exists.
    void hold(uint64_t bytes);

   private:
    ResponseBudget& budget_;
    const uint64_t taken_;
    uint64_t bytes_ = 0;
  };

  [[nodiscard]] uint64_t used() const { return used_[0] + used_[1]; }
  // Somebody waits for room.
  [[nodiscard]] bool is_short() const { return waiting_ > 0; }

 private:
  [[nodiscard]] uint64_t& used_by_those_like(uint64_t taken_bytes) { return used_[taken_bytes < least_answer ? 0 : 1]; }

  const uint64_t half_;
  std::array<uint64_t, 2> used_{};  // by connections that have taken little, by the others
  uint32_t waiting_ = 0;
  common::Event freed_;
};

}  // namespace broker::server
