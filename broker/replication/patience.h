// How long a stream may be silent before it counts as broken.
//
// Why it exists: frames arrive whole, so on a slow link one that is under way looks like silence. A stream that is ended
// for it would begin the same frame again, for ever. So every silence doubles the patience, and a time without one
// restores it. Failover does not wait for it: sessions with the controller see who is gone.
//
// Pure; thread-compatible, lives with its stream.
#pragma once
#include <algorithm>

#include "common/model/types.h"

namespace broker::replication {

class Patience {
 public:
  using Duration = common::model::Duration;
  using Instant = common::model::Instant;
  static constexpr int most_times = 16;
  static constexpr int restored_after = 30;  // times the least

  explicit Patience(Duration least) : least_(least), current_(least) {}
  [[nodiscard]] Duration current() const { return current_; }
  void on_silence(Instant now) {
    current_ = std::min(current_ * 2, least_ * most_times);
    grown_at_ = now;
  }
  void on_heard(Instant now) {
    if (current_ > least_ && now - grown_at_ > least_ * restored_after) current_ = least_;
  }

 private:
  const Duration least_;
  Duration current_;
  Instant grown_at_;
};

}  // namespace broker::replication
