// The real file system. Reads ask the page cache first (preadv2 with RWF_NOWAIT), syncs run on pool threads with one
// fdatasync for all who asked meanwhile, and descriptors are kept in an LRU list of bounded length, so that idle partitions
// hold none that others need.
// A DiskPool is thread-safe and shared by the disks of all shards; each shard makes a KernelDisk of its own.
#pragma once
#include <atomic>
#include <memory>

#include "common/disk/disk.h"

namespace common::disk {

// Threads for what may take long. Three kinds, so that a read never waits behind a sync, nor either of them behind what
// is removed: by one thread. Where processors are scarce, those that read and remove yield to all others.
class DiskPool {
 public:
  struct Options {
    int sync_threads = 2;
    int read_threads = 2;
  };
  explicit DiskPool(Options options);
  ~DiskPool();  // finishes what is queued
  // The process ends: removals that have not begun are left to the next start, which finds what is to go. They count as
  // done.
  void leave_removals() { leaves_removals_ = true; }
  [[nodiscard]] bool leaves_removals() const { return leaves_removals_; }
  void run_sync(std::function<void()> job);
  void run_sync_next(std::function<void()> job);  // before what waits
  void run_read(std::function<void()> job);
  void run_removal(std::function<void()> job);

 private:
  class Workers;
  std::atomic<bool> leaves_removals_ = false;
  std::unique_ptr<Workers> sync_;
  std::unique_ptr<Workers> read_;
  std::unique_ptr<Workers> removal_;
};

struct KernelDiskOptions {
  size_t descriptors_max = 512;  // kept open at a time by this disk
};

// `pool` must outlive the disk. Files may be dropped while their syncs run; their callbacks still come.
std::unique_ptr<Disk> make_kernel_disk(DiskPool& pool, Poster poster, KernelDiskOptions options = {});

}  // namespace common::disk
