// The wall clock as far as it may be believed. Whoever deletes by age must neither follow a clock that is set wrong nor
// stay behind one that has been set right (R82, R88), and cannot tell the two apart when it happens. So belief goes on
// at the pace of the monotonic clock from what the wall clock said first, and gives in only to what lasts: where the
// wall clock has been ahead for half a day, or behind, belief follows it by the least that it was meanwhile. Whoever
// sets a clock wrong has that long to notice; whoever sets it right waits a day at most.
//
// Until then either may be the right one. So what is written down is taken from the later of the two, and what is
// compared with it from the earlier: no age is found larger than it is.
//
// Thread-compatible.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "common/model/mutant.h"
#include "common/model/types.h"

namespace common {

class BelievedClock {
 public:
  static constexpr model::Duration patience = std::chrono::hours(12);

  // To be called again and again, or a clock that was right for a while is not seen to be. The first reading is
  // believed: before it nothing ran that could have noticed a step.
  void look(model::Instant now, model::TimestampMs wall) {
    const int64_t offset = wall.value - ms_of(now);
    if (!believed_) {
      believed_ = offset;
      return begin_period(now, offset);
    }
    least_ = std::min(least_, offset);
    most_ = std::max(most_, offset);
    if (now - period_began_ < patience) return;
    believed_ = std::clamp(*believed_, least_, most_);
    begin_period(now, offset);
  }

  // What times that were written down are compared with, whoever did it. `now` and `wall` are of one moment.
  [[nodiscard]] model::TimestampMs to_compare(model::Instant now, model::TimestampMs wall) const {
    if (!believed_ || model::mutant<"R82-believes-a-clock-step">()) return wall;
    return std::min(wall, model::TimestampMs(*believed_ + ms_of(now)));
  }
  // What is written down, to be compared later.
  [[nodiscard]] model::TimestampMs to_record(model::Instant now, model::TimestampMs wall) const {
    if (!believed_ || model::mutant<"R88-records-what-a-wrong-clock-says">()) return wall;
    return std::max(wall, model::TimestampMs(*believed_ + ms_of(now)));
  }

 private:
  static int64_t ms_of(model::Instant now) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  }

  void begin_period(model::Instant now, int64_t offset) {
    period_began_ = now;
    least_ = most_ = offset;
  }

  // How far the wall clock is ahead of the monotonic one, in ms: as believed, and as read in this period.
  std::optional<int64_t> believed_;
  model::Instant period_began_;
  int64_t least_ = 0;
  int64_t most_ = 0;
};

}  // namespace common
