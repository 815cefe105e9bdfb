// What the leader knows of one peer, voter or observer: how far its log agrees, what is on its way to it, when it was
// heard. Thread-compatible.
#pragma once
#include <deque>

#include "controller/raft/config.h"
#include "controller/raft/messages.h"

namespace controller::raft {

class Progress {
 public:
  enum class State : uint8_t {
    probe,      // we do not know where its log agrees: one append at a time
    replicate,  // appends follow each other without waiting
    snapshot,   // it needs entries that we no longer have
  };

  Progress(LogIndex next, Instant now) : next_(next), last_contact_(now) {}

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] LogIndex matched() const { return state_lost_ ? LogIndex(0) : matched_; }
  [[nodiscard]] LogIndex next() const { return next_; }
  [[nodiscard]] bool state_lost() const { return state_lost_; }
  [[nodiscard]] bool has_answered() const { return has_answered_; }
  [[nodiscard]] Instant last_contact() const { return last_contact_; }
  // Its process has ended, by all evidence, since it was last heard.
  [[nodiscard]] bool is_gone() const { return is_gone_; }
  [[nodiscard]] std::optional<Instant> last_caught_up() const { return last_caught_up_; }
  [[nodiscard]] uint64_t acked_round() const { return acked_round_; }

  // Whether an append with entries may be sent now.
  [[nodiscard]] bool may_send_entries(const Config& config) const;
  void on_sent(LogIndex end, size_t bytes);
  // The committed end that it was last told.
  void on_told(LogIndex committed) { told_ = committed; }
  [[nodiscard]] LogIndex told() const { return told_; }
  // Every valid answer of the current term.
  void on_contact(uint64_t round, Instant now);
  // Returns whether `matched` grew. `log_end` is the leader's own.
  bool on_accepted(const AppendResponse& response, LogIndex log_end, Instant now);
  // Goes on from `next`, one append at a time.
  void probe_from(LogIndex next);
  // A probe or piece may have been lost: it may be sent again.
  void allow_resend() { awaiting_ = false; }
  void mark_gone() { is_gone_ = true; }
  // It has less than it acknowledged in this term (R21): from now on it counts for nothing.
  void mark_state_lost() { state_lost_ = true; }
  [[nodiscard]] LogIndex acknowledged() const { return matched_; }

  // --- snapshot
  void begin_snapshot(const Snapshot& snapshot);
  [[nodiscard]] const std::optional<Snapshot>& snapshot() const { return snapshot_; }
  [[nodiscard]] uint64_t snapshot_offset() const { return snapshot_offset_; }
  [[nodiscard]] bool may_send_piece() const { return state_ == State::snapshot && !awaiting_; }
  void on_piece_sent() { awaiting_ = true; }
  void on_piece_stored(uint64_t next_offset);
  void on_snapshot_installed(LogIndex end, LogIndex log_end, Instant now);

  void shift(Duration by) { last_contact_ += by; }

 private:
  struct Sent {
    LogIndex end;
    size_t bytes = 0;
  };
  void note_matched(LogIndex matched, LogIndex log_end, Instant now);
  void clear_inflight();

  State state_ = State::probe;
  LogIndex matched_;       // durable there and equal to ours; never falls within a term
  LogIndex next_;          // never below matched_
  LogIndex told_;          // committed, as it was told
  bool awaiting_ = false;  // probe and snapshot: something is unanswered
  bool has_answered_ = false;
  bool state_lost_ = false;
  bool is_gone_ = false;
  std::deque<Sent> inflight_;
  size_t inflight_bytes_ = 0;
  uint64_t acked_round_ = 0;
  Instant last_contact_;
  std::optional<Instant> last_caught_up_;
  LogIndex end_at_last_answer_;  // our log end when it last answered, for "caught up" between answers (as R52)
  Instant last_answer_at_{};
  std::optional<Snapshot> snapshot_;
  uint64_t snapshot_offset_ = 0;
};

}  // namespace controller::raft
