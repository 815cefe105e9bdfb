#include "controller/quorum/confirmation.h"

#include <algorithm>

#include "common/model/mutant.h"

namespace controller::quorum {

using common::model::mutant;

void Confirmation::on_answer(Instant sent, LogIndex as_of, std::optional<LogIndex> applied, Instant now) {
  if (mutant<"R33-any-answer-confirms">()) as_of = applied.value_or(LogIndex{0});
  // What would be worth nothing by the time it counts need not be kept.
  while (!waiting_.empty() && sent - waiting_.front().sent > window_) waiting_.pop_front();
  if (!waiting_.empty()) as_of = std::max(as_of, waiting_.back().as_of);
  if (!waiting_.empty() && waiting_.back().as_of == as_of) {
    waiting_.back().sent = std::max(waiting_.back().sent, sent);
  } else {
    waiting_.push_back({sent, as_of});
  }
  newest_ = std::max(newest_.value_or(as_of), as_of);
  confirm(applied);
  if (is_behind(applied)) {
    if (!stalled_since_) stalled_since_ = now;
  } else {
    stalled_since_.reset();
  }
}

void Confirmation::on_applied(std::optional<LogIndex> applied, Instant now) {
  confirm(applied);
  stalled_since_.reset();
  if (is_behind(applied)) stalled_since_ = now;
}

bool Confirmation::is_behind(std::optional<LogIndex> applied) const {
  return newest_ && (!applied || *applied < *newest_);
}

void Confirmation::confirm(std::optional<LogIndex> applied) {
  while (!waiting_.empty() && applied && *applied >= waiting_.front().as_of) {
    confirmed_at_ = confirmed_at_ ? std::max(*confirmed_at_, waiting_.front().sent) : waiting_.front().sent;
    waiting_.pop_front();
  }
}

void Confirmation::on_doubt() {
  waiting_.clear();
  confirmed_at_.reset();
}

}  // namespace controller::quorum
