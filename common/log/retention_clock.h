// The wall clock as retention may believe it: while the process runs it never advances faster than time itself (plus a
// little, so that a clock corrected forward is caught up with slowly). A step forward by a day must not delete a day of
// data (R82). Thread-compatible.
#pragma once
#include <algorithm>
#include <chrono>
#include <optional>

#include "common/model/mutant.h"
#include "common/model/types.h"

namespace common::log {

class RetentionClock {
 public:
  // The first reading is believed: before it nothing ran that could have noticed a step.
  model::TimestampMs read(model::Instant monotonic, model::TimestampMs wall) {
    if (!last_) {
      last_ = Reading{monotonic, wall};
      return wall;
    }
    const int64_t elapsed_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(monotonic - last_->monotonic).count();
    const int64_t latest = last_->believed.value + elapsed_ms + elapsed_ms / 10;
    const bool believes = common::model::mutant<"R82-retention-believes-a-clock-step">();
    last_ = Reading{monotonic, model::TimestampMs(believes ? wall.value : std::min(wall.value, latest))};
    return last_->believed;
  }

 private:
  struct Reading {
    model::Instant monotonic;
    model::TimestampMs believed;
  };
  std::optional<Reading> last_;
};

}  // namespace common::log
