// Time as an object of the node: two brokers in one test can disagree about it. Thread-safe.
#pragma once
#include <ctime>

#include "common/model/types.h"

namespace common {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual model::Instant now() const = 0;           // monotonic; timers use it (R22)
  virtual model::TimestampMs wall_now() const = 0;  // for record timestamps only
};

// The kernel's clocks. The one that goes on while the machine sleeps (suspended, hibernated): what others have decided
// in the meantime is as old as that, however little the CPU has run. Who waits on a kernel timer waits a span, not a
// point in time: timers stand still with the machine.
class SystemClock final : public Clock {
 public:
  model::Instant now() const override {
    timespec t{};
    ::clock_gettime(CLOCK_BOOTTIME, &t);
    return model::Instant(std::chrono::duration_cast<model::Duration>(std::chrono::seconds(t.tv_sec) +
                                                                      std::chrono::nanoseconds(t.tv_nsec)));
  }
  model::TimestampMs wall_now() const override {
    return model::TimestampMs(
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
  }
};

}  // namespace common
