// A repeated log line is written once per interval, with how many were left out: bad clients must not fill the log.
// Lives on one shard.
#pragma once
#include <cstdint>
#include <utility>

#include "common/model/types.h"

namespace common {

class RateLimit {
 public:
  explicit RateLimit(model::Duration interval) : interval_(interval) {}
  struct Grant {
    bool allowed = false;
    uint64_t suppressed = 0;  // since the last one allowed
  };
  Grant ask(model::Instant now) {
    if (asked_ && now < next_) {
      ++suppressed_;
      return {};
    }
    asked_ = true;
    next_ = now + interval_;
    return {.allowed = true, .suppressed = std::exchange(suppressed_, 0)};
  }

 private:
  model::Duration interval_;
  model::Instant next_{};
  bool asked_ = false;
  uint64_t suppressed_ = 0;
};

}  // namespace common
