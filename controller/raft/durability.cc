#include "controller/raft/durability.h"

#include <algorithm>

#include "common/model/mutant.h"

namespace controller::raft {

using common::model::mutant;

PersistToken Durability::issue(std::optional<LogIndex> end) {
  pending_.push_back({++issued_, end});
  return issued_;
}

PersistToken Durability::issue_hard_state() {
  return hard_state_ = issue(std::nullopt);
}
PersistToken Durability::issue_append(LogIndex end) {
  return issue(end);
}
PersistToken Durability::issue_other() {
  return issue(std::nullopt);
}

PersistToken Durability::issue_truncate(LogIndex end) {
  // What is being cut is no longer in the log, whether it reached the disk or not.
  durable_end_ = std::min(durable_end_, end);
  for (Pending& p : pending_)
    if (p.end) p.end = std::min(*p.end, end);
  return issue(std::nullopt);
}

PersistToken Durability::issue_install(LogIndex end) {
  // The old log stays in force until the snapshot is durable; then only the snapshot counts.
  return issue(end);
}

void Durability::complete(PersistToken token) {
  NARU_CHECK(token <= issued_, "token {} of {}", token, issued_);
  completed_ = std::max(completed_, token);
  hard_state_completed_ = std::max(hard_state_completed_, completed_);
  while (!pending_.empty() && pending_.front().token <= completed_) {
    if (pending_.front().end) durable_end_ = *pending_.front().end;
    pending_.pop_front();
  }
}

void Durability::complete_hard_state(PersistToken token) {
  NARU_CHECK(token <= issued_, "token {} of {}", token, issued_);
  hard_state_completed_ = std::max(hard_state_completed_, token);
}

void Durability::send(Message message, std::vector<Message>& out) {
  if ((hard_state_ <= hard_state_completed_ && held_.empty()) || mutant<"R1-speaks-before-the-vote-is-saved">()) {
    out.push_back(std::move(message));
  } else {
    held_.push_back({hard_state_, std::move(message)});
  }
}

void Durability::release(std::vector<Message>& out) {
  while (!held_.empty() && held_.front().needs <= hard_state_completed_) {
    out.push_back(std::move(held_.front().message));
    held_.pop_front();
  }
}

}  // namespace controller::raft
