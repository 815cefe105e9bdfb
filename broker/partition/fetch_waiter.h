// Lets one fetch sleep until any of its partitions, on any shard, has something for it (long poll). The fetch makes one
// on its own shard, registers it with Partition::watch on each partition's shard, and waits on ready(); whoever has
// news wakes it, once. Dropping it is enough to unregister.
//
// wake(): any thread. The rest: the shard that made it.
#pragma once
#include <atomic>
#include <memory>

#include "common/shard.h"

namespace broker::partition {

class FetchWaiter : public std::enable_shared_from_this<FetchWaiter> {
 public:
  static std::shared_ptr<FetchWaiter> make(common::Shard& shard) {
    return std::shared_ptr<FetchWaiter>(new FetchWaiter(shard));
  }

  void wake() {
    if (woken_.exchange(true, std::memory_order_acq_rel)) return;
    shard_.post([self = shared_from_this()] { self->ready_.set(); });
  }
  [[nodiscard]] bool is_woken() const { return woken_.load(std::memory_order_acquire); }
  // co_await until(waiter->ready(), deadline)
  [[nodiscard]] common::Event& ready() { return ready_; }

 private:
  explicit FetchWaiter(common::Shard& shard) : shard_(shard), ready_(shard) {}
  common::Shard& shard_;
  common::Event ready_;
  std::atomic<bool> woken_{false};
};

}  // namespace broker::partition
