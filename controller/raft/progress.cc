#include "controller/raft/progress.h"

#include <algorithm>

namespace controller::raft {

bool Progress::may_send_entries(const Config& config) const {
  switch (state_) {
    case State::probe:
      return !awaiting_;
    case State::replicate:
      return inflight_.size() < config.inflight_messages_max && inflight_bytes_ < config.inflight_bytes_max;
    case State::snapshot:
      return false;
  }
  return false;
}

void Progress::on_sent(LogIndex end, size_t bytes) {
  if (state_ == State::probe) {
    awaiting_ = true;
  } else if (end > next_) {
    inflight_.push_back({end, bytes});
    inflight_bytes_ += bytes;
    next_ = end;
  }
}

void Progress::on_contact(uint64_t round, Instant now) {
  has_answered_ = true;
  is_gone_ = false;
  last_contact_ = std::max(last_contact_, now);
  acked_round_ = std::max(acked_round_, round);
}

bool Progress::on_accepted(const AppendResponse& response, LogIndex log_end, Instant now) {
  const LogIndex before = matched_;
  note_matched(std::min(response.matched, log_end), log_end, now);
  while (!inflight_.empty() && inflight_.front().end <= response.matched) {
    inflight_bytes_ -= inflight_.front().bytes;
    inflight_.pop_front();
  }
  if (state_ == State::probe) {
    // `held` may lie behind `next`: an answer to an older message. Then the probe is still to be answered.
    if (response.held >= next_) {
      state_ = State::replicate;
      clear_inflight();
      next_ = std::min(response.held, log_end);
    }
    awaiting_ = false;
  }
  if (state_ == State::snapshot && response.held >= snapshot_->meta.position.end) probe_from(response.held);
  next_ = std::max(next_, matched_);
  return matched_ > before;
}

void Progress::note_matched(LogIndex matched, LogIndex log_end, Instant now) {
  matched_ = std::max(matched_, matched);
  if (matched_ >= log_end) {
    last_caught_up_ = now;
  } else if (last_answer_at_ != Instant{} && matched_ >= end_at_last_answer_) {
    last_caught_up_ = std::max(last_caught_up_.value_or(last_answer_at_), last_answer_at_);
  }
  end_at_last_answer_ = log_end;
  last_answer_at_ = now;
}

void Progress::probe_from(LogIndex next) {
  state_ = State::probe;
  next_ = std::max(next, matched_);
  awaiting_ = false;
  clear_inflight();
  snapshot_.reset();
}

void Progress::begin_snapshot(const Snapshot& snapshot) {
  state_ = State::snapshot;
  snapshot_ = snapshot;
  snapshot_offset_ = 0;
  awaiting_ = false;
  clear_inflight();
}

void Progress::on_piece_stored(uint64_t next_offset) {
  if (state_ != State::snapshot) return;
  snapshot_offset_ = std::min(next_offset, snapshot_->meta.size_bytes);
  awaiting_ = false;
}

void Progress::on_snapshot_installed(LogIndex end, LogIndex log_end, Instant now) {
  note_matched(std::min(end, log_end), log_end, now);
  if (state_ == State::snapshot) probe_from(end);
}

void Progress::clear_inflight() {
  inflight_.clear();
  inflight_bytes_ = 0;
}

}  // namespace controller::raft
