// The jobs of a log go on by path when the log is gone, and another one may get the path: whoever takes the directory
// away closes this first. Thread-safe.
#pragma once
#include <functional>
#include <mutex>

#include "common/disk/disk.h"
#include "common/model/mutant.h"

namespace common::log {

class JobGate {
 public:
  // Nothing any more once it is closed.
  [[nodiscard]] disk::IoResult<void> run(const std::function<disk::IoResult<void>()>& job) {
    std::lock_guard lock(mutex_);
    if (is_closed_ && !model::mutant<"R42-a-job-outlives-its-directory">())
      return disk::io_failure(disk::IoFault::failed, "the log is gone");
    return job();
  }
  // Waits for the job that runs: on the disk's pool only.
  void close() {
    std::lock_guard lock(mutex_);
    is_closed_ = true;
  }

 private:
  std::mutex mutex_;
  bool is_closed_ = false;
};

}  // namespace common::log
