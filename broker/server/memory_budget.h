// How many bytes of requests may be in memory at once (R109): beyond it reads wait, nothing is refused and nothing is
// allocated. A frame is charged as its bytes arrive, so that a client that only claims a large one holds nothing back.
// When the budget is used up, one frame at a time may go on regardless: without that, many half-read frames would wait
// for each other for ever, and a request larger than the whole budget would never pass.
//
// Lives on one shard.
#pragma once
#include <cstdint>
#include <deque>
#include <utility>

#include "common/shard.h"

namespace broker::server {

class MemoryBudget {
 public:
  MemoryBudget(common::Shard& shard, uint64_t limit_bytes) : limit_(limit_bytes), freed_(shard) {}

  // What one request holds. Returns it on destruction.
  class Charge {
   public:
    explicit Charge(MemoryBudget& budget) : budget_(&budget) {}
    // Takes over the leave to go beyond the limit, too.
    Charge(Charge&& o) noexcept : budget_(std::exchange(o.budget_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {
      if (budget_ != nullptr && budget_->beyond_ == &o) budget_->beyond_ = this;
    }
    Charge& operator=(Charge&&) = delete;
    ~Charge();
    // Waits until `bytes` more fit, or until this frame is the one that may go beyond the limit.
    common::Awaitable<void> grow(uint64_t bytes);
    // More than half of the budget is used: who waits for others should give back what it holds.
    [[nodiscard]] bool is_scarce() const { return budget_ != nullptr && budget_->used_ > budget_->limit_ / 2; }

   private:
    friend class MemoryBudget;
    MemoryBudget* budget_;
    uint64_t bytes_ = 0;
  };

  [[nodiscard]] uint64_t used() const { return used_; }
  [[nodiscard]] uint64_t limit() const { return limit_; }

 private:
  const uint64_t limit_;
  uint64_t used_ = 0;
  const Charge* beyond_ = nullptr;  // the one frame that may pass the limit
  common::Event freed_;
};

}  // namespace broker::server
