#include "broker/replication/catch_up_pace.h"

#include <algorithm>
#include <cmath>

namespace broker::replication {

void CatchUpPace::on_committed(Duration waited, Instant now) {
  advance(now);
  samples_.push_back(waited);
}

void CatchUpPace::on_appended(size_t bytes, Instant now) {
  advance(now);
  appended_ += bytes;
}

bool CatchUpPace::may_send(Instant now) {
  advance(now);
  return tokens_ > 0 && !resting_;
}

void CatchUpPace::on_sent(size_t bytes, Instant now) {
  advance(now);
  tokens_ -= static_cast<double>(bytes);
  sent_ += bytes;
}

Instant CatchUpPace::ready_at() const {
  const Instant counted = counted_at_.value_or(Instant{});
  Instant at = counted;
  if (tokens_ <= 0) at += Duration(static_cast<int64_t>(std::ceil((1 - tokens_) / rate_ * 1e9)));
  if (resting_ && window_end_) at = std::max(at, *window_end_);
  return at;
}

void CatchUpPace::advance(Instant now) {
  if (!counted_at_) {
    counted_at_ = now;
    window_end_ = now + options_.window;
    return;
  }
  if (now <= *counted_at_) return;
  const double seconds = std::chrono::duration<double>(now - *counted_at_).count();
  // What was not used while feeding rested does not come all at once afterwards.
  const bool idle = sent_ == 0 && !was_fed_ && !resting_;
  const double most = std::max(static_cast<double>(options_.turn_bytes), rate_ * 0.02);
  const double cap = idle ? std::max(options_.burst, most) : most;
  tokens_ = std::max(tokens_, std::min(cap, tokens_ + rate_ * seconds));
  counted_at_ = now;
  if (now >= *window_end_) end_window(now);
}

void CatchUpPace::end_window(Instant now) {
  std::optional<Duration> slow;
  if (samples_.size() >= options_.samples_least) {
    const auto nth = samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() * 95 / 100);
    std::nth_element(samples_.begin(), nth, samples_.end());
    slow = *nth;
  }
  const double seconds = std::chrono::duration<double>(now - *window_end_ + options_.window).count();
  append_rate_ += (static_cast<double>(appended_) / seconds - append_rate_) / 4;
  const bool fed = sent_ >= options_.matters_bytes;
  judge(slow, fed);
  was_fed_ = fed;
  if (resting_) {
    // The first window still feels what was sent before it; the second is the measure.
    resting_ = ++windows_rested_ < 2;
    windows_fed_ = 0;
  } else if (fed && ++windows_fed_ >= options_.windows_between_rests) {
    resting_ = true;
    windows_rested_ = 0;
  }
  sent_ = 0;
  samples_.clear();
  appended_ = 0;
  window_end_ = now + options_.window;
}

void CatchUpPace::judge(std::optional<Duration> slow, bool fed) {
  const double floor = std::max(options_.rate_least, append_rate_ * 1.5);
  if (!fed) {
    // A moment without: the measure.
    if (slow && !was_fed_) {
      const auto now = static_cast<double>(slow->count());
      undisturbed_ = undisturbed_ ? *undisturbed_ + (now - *undisturbed_) / 4 : now;
    }
  } else if (slow && undisturbed_ && static_cast<double>(slow->count()) > *undisturbed_ * options_.slower) {
    rate_ *= 0.6;
  } else if (!slow || undisturbed_) {
    rate_ *= 1.2;  // nobody writes here, or nobody notices
  }
  rate_ = std::clamp(rate_, floor, std::max(floor, options_.rate_most));
}

}  // namespace broker::replication
