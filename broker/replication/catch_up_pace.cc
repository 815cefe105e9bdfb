#include "broker/replication/catch_up_pace.h"

#include <algorithm>
#include <cmath>

namespace broker::replication {

void CatchUpPace::on_committed(Duration waited, Instant now) {
  advance(now);
  committed_.samples.push_back(waited);
}

void CatchUpPace::on_answered(Duration took, Instant now) {
  advance(now);
  answered_.samples.push_back(took);
}

void CatchUpPace::on_turn(Duration late, Instant now) {
  advance(now);
  turns_.samples.push_back(late);
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

void CatchUpPace::give_back(size_t bytes) {
  tokens_ = std::min(tokens_ + static_cast<double>(bytes), std::max(tokens_, options_.burst));
  sent_ -= std::min(sent_, bytes);
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
  const double seconds = std::chrono::duration<double>(now - *window_end_ + options_.window).count();
  append_rate_ += (static_cast<double>(appended_) / seconds - append_rate_) / 4;
  const bool fed = sent_ >= options_.matters_bytes;
  judge(fed);
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
  appended_ = 0;
  window_end_ = now + options_.window;
}

// The slow ones of a window; the next begins without any.
std::optional<Duration> CatchUpPace::take_slow(Writes& writes) const {
  std::vector<Duration>& samples = writes.samples;
  std::optional<Duration> slow;
  if (!samples.empty() && samples.size() >= writes.least) {
    const auto nth = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() * 95 / 100);
    std::nth_element(samples.begin(), nth, samples.end());
    slow = *nth;
  }
  samples.clear();
  return slow;
}

CatchUpPace::Word CatchUpPace::hear(Writes& writes, bool fed) const {
  const std::optional<Duration> slow = take_slow(writes);
  if (!slow) return Word::nothing;
  const auto taken = static_cast<double>(slow->count());
  std::optional<double>& undisturbed = writes.undisturbed;
  // A moment without: the measure.
  if (!fed && !was_fed_) undisturbed = undisturbed ? *undisturbed + (taken - *undisturbed) / 4 : taken;
  if (!undisturbed) return Word::unmeasured;
  const double most =
      std::max(*undisturbed * options_.slower, *undisturbed + static_cast<double>(writes.unnoticed.count()));
  return taken > most ? Word::slow : Word::fine;
}

void CatchUpPace::judge(bool fed) {
  const double floor = std::max(options_.rate_least, append_rate_ * 1.5);
  const bool is_answered_alone = !answered_.samples.empty();
  Word word = std::max(hear(committed_, fed), hear(answered_, fed));
  if (const Word turns = hear(turns_, fed); is_answered_alone) word = std::max(word, turns);
  const bool is_untold = word == Word::nothing && appended_ > 0;
  if (!fed || word == Word::unmeasured) {
    // Nothing is to be learnt for the rate.
  } else if (word == Word::slow) {
    rate_ *= 0.6;
  } else if (is_untold && rate_ > options_.rate_untold) {
    rate_ = std::max(options_.rate_untold, rate_ * 0.6);
  } else {
    // Nobody writes here, or nobody notices.
    rate_ = is_untold ? std::min(options_.rate_untold, rate_ * 1.2) : rate_ * 1.2;
  }
  rate_ = std::clamp(rate_, floor, std::max(floor, options_.rate_most));
}

}  // namespace broker::replication
