// One sync for everybody who asked while the previous one ran, and no sync ever again after one has failed (R76).
// Thread-compatible: lives with its file.
#pragma once
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "common/disk/disk.h"

namespace common::disk {

class GroupCommit {
 public:
  // True: the caller starts a sync now and reports its end by finish().
  [[nodiscard]] bool request(Done<void> done) {
    waiting_.push_back(std::move(done));
    return !std::exchange(is_running_, true) && begin();
  }
  // Answers those whose sync this was. True: others asked meanwhile, start the next one.
  [[nodiscard]] bool finish(const IoResult<void>& result) {
    if (!result && result.error().fault != IoFault::exhausted) failure_ = result.error();
    for (Done<void>& done : std::exchange(served_, {})) done(result);
    if (waiting_.empty()) {
      is_running_ = false;
      return false;
    }
    return begin();
  }
  [[nodiscard]] const std::optional<IoError>& failure() const { return failure_; }
  void fail(const IoError& error) { failure_ = error; }

 private:
  bool begin() {
    served_ = std::exchange(waiting_, {});
    return true;
  }
  std::vector<Done<void>> waiting_;
  std::vector<Done<void>> served_;
  bool is_running_ = false;
  std::optional<IoError> failure_;
};

}  // namespace common::disk
