// Time as an object of the node: two brokers in one test can disagree about it. Thread-safe.
#pragma once
#include "common/model/types.h"

namespace common {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual model::Instant now() const = 0;           // monotonic; timers use it (R22)
  virtual model::TimestampMs wall_now() const = 0;  // for record timestamps only
};

// The kernel's clocks.
class SystemClock final : public Clock {
 public:
  model::Instant now() const override {
    return model::Instant(
        std::chrono::duration_cast<model::Duration>(std::chrono::steady_clock::now().time_since_epoch()));
  }
  model::TimestampMs wall_now() const override {
    return model::TimestampMs(
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
  }
};

}  // namespace common
