// How a node comes to lead: pre-vote, vote, hand-over (R3, R6-R8, R10, R13).
#include <algorithm>

#include "common/model/mutant.h"
#include "controller/raft/node_impl.h"

namespace controller::raft {

using common::model::mutant;

namespace {

// (last term, log end), compared as R6 says; the id only breaks ties between two who stand at the same moment.
auto rank(Term last_term, LogIndex end, BrokerId id) {
  return std::tuple(last_term, end, id);
}

}  // namespace

// R13: who was removed may still be needed, until that is committed: perhaps nobody else has the entry, and those it
// leaves are asked for their votes by it or, having a shorter log, by nobody. Its own vote does not count. Whoever has
// missed the commit stands in vain, as a live leader's voters refuse (R7), and learns of it as an observer.
bool Node::Impl::may_stand() const {
  if (is_voter()) return true;
  const bool is_settled = membership_.settled_at() <= std::max(committed_, committed_floor_);
  return !is_settled && membership_.former().contains(config_.self) && !mutant<"R13-stands-only-if-in-the-set">();
}

// A new stream: whatever was sent before may be lost, and an election that had no majority may have one now.
void Node::Impl::on_peer_connected(BrokerId peer) {
  if (role_ == Role::halted) return;
  if (is_leader()) {
    leadership_->on_peer_connected(peer);
    lead([&](auto& out) { leadership_->send_ready(view(), out); });
    return;
  }
  if (leader_) return;
  if (ballot_) {
    const Voter* voter = membership_.current().find(peer);
    if (voter != nullptr) ask_for_vote(voter->key);
    return;
  }
  if (may_stand()) timers_.hurry(now_);
  if (!is_voter()) hello_due_ = now_;
}

// The leader's process is gone: kernel alive, connections refused. Others who still hear it will refuse (R7), so a
// wrong suspicion is harmless.
void Node::Impl::on_peer_gone(BrokerId peer) {
  if (role_ == Role::halted) return;
  if (is_leader()) return leadership_->note_gone(peer);
  if (leader_ != peer) return;
  log("leader {} is gone", peer);
  timers_.end_lease();
  timers_.hurry(now_);
  set_role(voted_for_ == config_.self ? Role::resigned : Role::follower, std::nullopt);
}

void Node::Impl::on_election_deadline() {
  // An install replaces the log under our feet: stand when it is done.
  if (receiver_.is_installing()) return timers_.wait_for_leader(now_);
  if (ballot_) {
    timers_.attempt_failed();
    say_hello();  // it may have been removed without hearing of it: then only as an observer does it learn so
  }
  begin_pre_vote();
}

// R7: ask first, without raising the term.
void Node::Impl::begin_pre_vote() {
  if (mutant<"R7-stands-without-a-pre-vote">()) return begin_election(VoteKind::vote);
  attempt_ = VoteKind::pre_vote;
  ballot_.emplace();
  ballot_->record(config_.self, true);
  timers_.end_lease();
  timers_.begin_attempt(now_);
  hello_due_ = timers_.deadline();
  set_role(Role::prospective, std::nullopt);
  if (ballot_->tally(membership_.current()) == Tally::won) return begin_election(VoteKind::vote);
  for (const Voter& voter : membership_.current().voters())
    if (voter.key != config_.self) ask_for_vote(voter.key);
}

// The vote for itself is on disk before anybody hears of the new term: Durability holds the requests back (R1).
void Node::Impl::begin_election(VoteKind kind) {
  NARU_CHECK(may_stand() && !is_leader(), "{} stands for election", to_string(role_));
  attempt_ = kind;
  ballot_.emplace();
  ballot_->record(config_.self, true);
  term_ = term_.next();
  voted_for_ = config_.self;
  matched_ = committed_;
  // An older leader's: to whoever wins this term instead it would confirm rounds that are still to come.
  if (!mutant<"R17-confirms-what-another-leader-sent">()) last_round_ = 0;
  durability_.forget_held();
  save_hard_state();
  timers_.end_lease();
  timers_.begin_attempt(now_);
  hello_due_ = timers_.deadline();
  set_role(Role::candidate, std::nullopt);
  if (ballot_->tally(membership_.current()) == Tally::won) return become_leader();
  for (const Voter& voter : membership_.current().voters())
    if (voter.key != config_.self) ask_for_vote(voter.key);
}

void Node::Impl::ask_for_vote(const NodeKey& voter) {
  send(voter, VoteRequest{attempt_, log_.end(), log_.end_position().last_term});
}

void Node::Impl::handle(const Message& message, const VoteRequest& request) {
  if (leader_ == message.from.id && !is_leader()) {
    log("leader {} asks for votes: it leads no more", message.from);
    timers_.end_lease();
    timers_.hurry(now_);
    set_role(voted_for_ == config_.self ? Role::resigned : Role::follower, std::nullopt);
  }
  const bool log_is_new_enough =
      std::tuple(request.last_term, request.log_end) >= std::tuple(log_.end_position().last_term, log_.end()) ||  // R6
      mutant<"R6-votes-for-an-older-log">();
  const bool stands_by_leader = (is_leader() || (leader_ && timers_.has_lease(now_))) &&  // R7
                                !mutant<"R7-forsakes-a-live-leader">();
  VoteResponse response{request.kind, message.term, false};

  if (request.kind == VoteKind::pre_vote) {
    // Two who stand at the same moment would each vote for itself and lose an attempt's time: the better one goes on.
    // Whoever is no voter any more goes before nobody.
    const bool rivals = role_ == Role::prospective;
    const bool defers = rivals && (!is_voter() || rank(request.last_term, request.log_end, message.from.id) >
                                                      rank(log_.end_position().last_term, log_.end(), config_.self.id));
    response.granted = message.term >= term_ && log_is_new_enough && !stands_by_leader && (!rivals || defers);
    if (response.granted && defers) {
      ballot_.reset();
      timers_.stand_aside(now_);
      set_role(voted_for_ == config_.self ? Role::resigned : Role::follower, std::nullopt);
    }
    return send(message.from, response);
  }

  // R7 holds for votes too, or a node that was cut off could depose a leader that all others hear; R10 is the
  // exception.
  if (message.term < term_ ||
      (stands_by_leader && (request.kind != VoteKind::transfer || mutant<"R10-hand-over-meets-the-lease">())))
    return send(message.from, response);
  if (message.term > term_) {
    log("term {} -> {}: {} stands", term_, message.term, message.from);
    become_follower(message.term, std::nullopt);
  }
  // One vote a term (R6); a resigned leader's was its own (R3). A node outside its voter set votes too: it may just
  // lack the entry that added it (R13).
  const bool may_vote = !voted_for_ || voted_for_ == message.from || mutant<"R6-votes-twice-a-term">();
  if (mutant<"R13-votes-only-if-in-the-set">() && !is_voter()) return send(message.from, response);
  if (may_vote && !leader_ && log_is_new_enough) {
    response.granted = true;
    if (voted_for_ != message.from) {
      voted_for_ = message.from;
      save_hard_state();
      log("vote for {} in term {}", message.from, term_);
    }
    timers_.wait_for_leader(now_);
  }
  send(message.from, response);
}

void Node::Impl::handle(const Message& message, const VoteResponse& response) {
  // Only answers to the attempt that runs now: same kind, same term.
  if (!ballot_ || response.kind != attempt_ ||
      (response.asked_in != term_ && !mutant<"R1-counts-votes-of-another-term">()))
    return;
  ballot_->record(message.from, response.granted);
  if (ballot_->tally(membership_.current()) != Tally::won) return;
  if (attempt_ == VoteKind::pre_vote) {
    begin_election(VoteKind::vote);
  } else {
    become_leader();
  }
}

// R10: the leader brought this log to its own end and steps aside for us.
void Node::Impl::handle(const Message& message, const TimeoutNow&) {
  if (message.term < term_ || !is_voter() || is_leader() || receiver_.is_installing()) return;
  if (leader_ && leader_ != message.from.id) return;
  log("leader {} hands over", message.from);
  begin_election(VoteKind::transfer);
}

}  // namespace controller::raft
