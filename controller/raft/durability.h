// What the disk has, and which messages wait for it. Every operation handed to storage has a token; storage finishes
// them in order, but for a hard state that overtakes what a full disk keeps waiting. A message may leave only when the
// hard state it was said under is durable (R1); how far the log is durable is what a node acknowledges, and what a
// leader counts for itself (R2). Thread-compatible.
#pragma once
#include <deque>
#include <vector>

#include "controller/raft/effects.h"
#include "controller/raft/messages.h"

namespace controller::raft {

class Durability {
 public:
  explicit Durability(LogIndex durable_end) : durable_end_(durable_end) {}

  // A token for an operation; the log's end after it where it moves.
  PersistToken issue_hard_state();
  PersistToken issue_append(LogIndex end);
  PersistToken issue_truncate(LogIndex end);
  PersistToken issue_install(LogIndex end);
  PersistToken issue_other();

  void complete(PersistToken token);
  // The hard state of `token`, and with it every earlier one, is durable; operations before it may not be.
  void complete_hard_state(PersistToken token);

  [[nodiscard]] LogIndex durable_end() const { return durable_end_; }
  // Keeps `message` until the hard state is durable, or passes it on at once.
  void send(Message message, std::vector<Message>& out);
  void release(std::vector<Message>& out);
  // What was said in an older term is not said any more.
  void forget_held() { held_.clear(); }

 private:
  struct Pending {
    PersistToken token = 0;
    std::optional<LogIndex> end;  // the log is durable up to here when it completes
  };
  struct HeldMessage {
    PersistToken needs = 0;
    Message message;
  };
  PersistToken issue(std::optional<LogIndex> end);

  LogIndex durable_end_;  // never above the log's end
  PersistToken issued_ = 0;
  PersistToken completed_ = 0;
  PersistToken hard_state_ = 0;  // of the last hard state
  PersistToken hard_state_completed_ = 0;  // of the last durable one; never behind completed_
  std::deque<Pending> pending_;
  std::deque<HeldMessage> held_;
};

}  // namespace controller::raft
