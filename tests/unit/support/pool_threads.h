// For tests that take all descriptors from their process: the sanitizers look at what a thread begins with through a
// pipe, and report where none is to be had.
#pragma once
#include <functional>
#include <latch>

#include "common/disk/kernel_disk.h"

namespace test_support {

// Returns once each thread of a pool with these options has begun.
inline void await_threads(common::disk::DiskPool& pool, const common::disk::DiskPool::Options& options = {}) {
  using common::disk::DiskPool;
  const auto await = [&](int threads, void (DiskPool::*run)(std::function<void()>)) {
    std::latch all(threads + 1);
    std::latch gone(threads);
    for (int i = 0; i < threads; ++i) {
      (pool.*run)([&] {
        all.arrive_and_wait();
        gone.count_down();
      });
    }
    all.arrive_and_wait();
    gone.wait();
  };
  await(options.sync_threads, &DiskPool::run_sync);
  await(options.read_threads, &DiskPool::run_read);
  await(1, &DiskPool::run_removal);
}

}  // namespace test_support
