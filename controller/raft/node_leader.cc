// What a node does that leads: proposals, commit, reads, hand-over, membership (R2, R5, R8, R10, R12, R16, R17, R21).
#include <algorithm>

#include "common/model/mutant.h"
#include "controller/raft/node_impl.h"

namespace controller::raft {

using common::model::ErrorCode;
using common::model::fail;
using common::model::mutant;

void Node::Impl::become_leader() {
  NARU_CHECK(role_ == Role::candidate, "{} wins an election", to_string(role_));
  ballot_.reset();
  timers_.attempt_won();
  const LogIndex start = log_.end();
  leadership_.emplace(config_, start, membership_.current(), start, now_);
  gained_reported_ = false;
  set_role(Role::leader, config_.self.id);
  // R5: nothing of earlier terms counts as committed before an entry of this one is, so there must be one at once.
  Entry entry;
  entry.term = term_;
  entry.index = start;
  entry.kind = EntryKind::leader_change;
  if (!mutant<"R5-begins-a-term-without-an-entry">()) append_to_log({std::move(entry)});
  lead([&](auto& out) { leadership_->send_heartbeats(view(), now_, out); });
}

// Stops leading without a successor: in this term nobody leads any more, and this node's vote is spent (R3).
void Node::Impl::resign(std::string_view why) {
  log("resign term {}: {}", term_, why);
  end_leadership(TransferOutcome::gave_up);
  timers_.wait_for_leader(now_);
  hello_due_ = now_;  // who is no voter any more asks who leads
  matched_ = committed_;
  set_role(Role::resigned, std::nullopt);
}

Result<LogIndex> Node::Impl::propose(EntryKind kind, Buffer payload) {
  if (!is_leader()) return fail(ErrorCode::not_controller, "not the leader of the metadata quorum");
  if (leadership_->is_transferring() && !mutant<"R10-proposes-during-a-hand-over">())
    return fail(ErrorCode::not_controller, "leadership is being handed over");
  Entry entry;
  entry.term = term_;
  entry.index = log_.end();
  entry.kind = kind;
  entry.payload = std::move(payload);
  if (entry.size_bytes() > config_.entry_bytes_max)
    return fail(ErrorCode::record_list_too_large, "larger than an entry of the metadata log may be");
  if (leadership_->uncommitted_bytes() + entry.size_bytes() > config_.uncommitted_bytes_max)
    return fail(ErrorCode::throttling_quota_exceeded, "too many metadata changes wait for a majority");
  leadership_->add_uncommitted(entry.size_bytes());
  const LogIndex index = entry.index;
  append_to_log({std::move(entry)});
  lead([&](auto& out) { leadership_->send_ready(view(), out); });  // the followers' disks work beside ours
  return index;
}

// R12: one change at a time, and only when it is known what is committed.
Result<LogIndex> Node::Impl::change_voters(const VoterSet& voters) {
  if (!is_leader()) return fail(ErrorCode::not_controller, "not the leader of the metadata quorum");
  if (!knows_committed() && !mutant<"R12-changes-before-a-commit">())
    return fail(ErrorCode::request_timed_out, "this leader has not committed an entry yet");
  if (membership_.settled_at() > committed_ && !mutant<"R12-two-changes-at-once">())
    return fail(ErrorCode::request_timed_out, "another change of the voters is not committed yet");
  auto index = propose(EntryKind::voters, voters.encode());
  if (!index) return index;
  leadership_->on_voters_changed(membership_.current(), log_.end(), now_);
  log("voters {} at {}", membership_.current().size(), *index);
  return index;
}

Result<LogIndex> Node::Impl::add_voter(Voter voter) {
  if (!is_leader()) return fail(ErrorCode::not_controller, "not the leader of the metadata quorum");
  const VoterSet& voters = membership_.current();
  if (voters.find(voter.key.id) != nullptr)
    return fail(ErrorCode::duplicate_voter, fmt::format("node {} is a voter already: remove it first", voter.key.id));
  if (voters.size() >= voters_max)
    return fail(ErrorCode::invalid_request, fmt::format("more than {} voters", voters_max));
  if (voter.versions.min > raft_version || voter.versions.max < raft_version)
    return fail(ErrorCode::unsupported_version,
                fmt::format("node {} does not speak raft.version {}", voter.key.id, raft_version));
  // It must have caught up, durably, or the new majority might need it before it has anything.
  const Progress* progress = leadership_->find(voter.key);
  const bool caught_up = progress != nullptr && progress->last_caught_up() &&
                         now_ - *progress->last_caught_up() <= config_.caught_up_age_max;
  if (!caught_up && !mutant<"R12-adds-who-has-not-caught-up">())
    return fail(ErrorCode::request_timed_out,
                fmt::format("node {} has not caught up with the metadata log", voter.key.id));
  return change_voters(voters.with(std::move(voter)));
}

Result<LogIndex> Node::Impl::remove_voter(const NodeKey& voter, Afterwards afterwards) {
  if (!is_leader()) return fail(ErrorCode::not_controller, "not the leader of the metadata quorum");
  const VoterSet& voters = membership_.current();
  if (!voters.contains(voter)) {
    if (afterwards == Afterwards::stays_out && voters.awaits(voter.id))
      return change_voters(voters.not_awaiting(voter.id));
    return fail(ErrorCode::voter_not_found, fmt::format("node {} is not a voter", voter.id));
  }
  if (voters.size() == 1) return fail(ErrorCode::invalid_request, "the last voter cannot be removed");
  VoterSet left = voters.without(voter);
  // Effective on append: a set of which too few answer could not even commit its own beginning.
  const size_t heard = leadership_->in_contact(left, now_);
  if (knows_committed() && heard < left.majority() && !mutant<"R12-removes-into-a-minority">())
    return fail(ErrorCode::invalid_request,
                fmt::format("without node {} only {} of {} voters answer, and {} must agree: bring another one back "
                            "first",
                            voter.id, heard, left.size(), left.majority()));
  return change_voters(afterwards == Afterwards::returns ? left.awaiting(voter.id) : left);
}

// Who votes stays the same, but it is a change of the set like any other: one at a time.
Result<LogIndex> Node::Impl::update_voter(const NodeKey& voter, Endpoint endpoint) {
  if (!is_leader()) return fail(ErrorCode::not_controller, "not the leader of the metadata quorum");
  const VoterSet& voters = membership_.current();
  if (!voters.contains(voter)) return fail(ErrorCode::voter_not_found, fmt::format("node {} is not a voter", voter.id));
  return change_voters(voters.with_endpoint(voter, std::move(endpoint)));
}

Result<void> Node::Impl::read_index(uint64_t id) {
  if (!knows_committed())
    return fail(ErrorCode::not_controller, "this node does not lead, or does not know yet what is committed");
  leadership_->begin_read(id, committed_);
  lead([&](auto& out) { leadership_->send_heartbeats(view(), now_, out); });
  for (const ReadReady& ready : leadership_->take_confirmed_reads(membership_.current())) note(ready);
  return {};
}

Result<void> Node::Impl::transfer_leadership(std::optional<BrokerId> target) {
  if (!is_leader()) return fail(ErrorCode::not_controller, "not the leader of the metadata quorum");
  if (leadership_->is_transferring()) return fail(ErrorCode::invalid_request, "a hand-over is in progress");
  std::optional<NodeKey> key;
  if (!target) {
    key = leadership_->best_successor(membership_.current(), now_);
    if (!key) return fail(ErrorCode::eligible_leaders_not_available, "no other voter is in contact");
  } else {
    const Voter* voter = membership_.current().find(*target);
    if (voter == nullptr || voter->key == config_.self)
      return fail(ErrorCode::invalid_request, fmt::format("node {} is not another voter", *target));
    key = voter->key;
  }
  log("hand over to {}", *key);
  leadership_->begin_transfer(*key, now_);
  lead([&](auto& out) { leadership_->send_ready(view(), out); });
  lead([&](auto& out) { leadership_->push_transfer(view(), out); });
  return {};
}

void Node::Impl::handle(const Message& message, const AppendResponse& response) {
  if (!is_leader() || message.term != term_) return;
  Progress* progress = leadership_->find(message.from);
  if (progress == nullptr) return;
  if (has_lost_state(message.from, *progress, response.log_end)) return;
  progress->on_contact(response.round, now_);
  if (response.outcome == AppendOutcome::mismatch) {
    const LogPosition ours = log_.end_of_term(response.hint.last_term);
    // Where even our first entry is of a later term than its last, only a snapshot helps.
    const LogIndex common = ours.last_term > response.hint.last_term ? log_.start() - 1 : ours.end;
    progress->probe_from(std::min(response.hint.end, common));
  } else if (response.outcome == AppendOutcome::accepted) {
    progress->on_accepted(response, log_.end(), now_);
  }
  for (const ReadReady& ready : leadership_->take_confirmed_reads(membership_.current())) note(ready);
  lead([&](auto& out) { leadership_->push_transfer(view(), out); });
  advance_commit();
  if (is_leader()) lead([&](auto& out) { leadership_->send_ready(view(), out); });
}

// R21: within a term nobody may have less than it acknowledged. Who does is not counted, and is told.
bool Node::Impl::has_lost_state(const NodeKey& key, Progress& progress, LogIndex its_end) {
  if (!progress.state_lost() && (its_end >= progress.acknowledged() || mutant<"R21-counts-who-lost-its-end">()))
    return false;
  if (!progress.state_lost())
    log("{} had acknowledged {} and now ends at {}: it no longer counts", key, progress.acknowledged(), its_end);
  progress.mark_state_lost();
  send(key, StateLostNotice{progress.acknowledged()});
  return true;
}

void Node::Impl::handle(const Message& message, const SnapshotResponse& response) {
  if (!is_leader() || message.term != term_) return;
  Progress* progress = leadership_->find(message.from);
  if (progress == nullptr || progress->state_lost()) return;
  progress->on_contact(response.round, now_);
  if (response.installed) {
    progress->on_snapshot_installed(response.snapshot_end, log_.end(), now_);
    log("{} installed snapshot {}", message.from, response.snapshot_end);
  } else if (progress->snapshot() && progress->snapshot()->meta.position.end == response.snapshot_end) {
    progress->on_piece_stored(response.next_offset);
  }
  for (const ReadReady& ready : leadership_->take_confirmed_reads(membership_.current())) note(ready);
  advance_commit();
  if (is_leader()) lead([&](auto& out) { leadership_->send_ready(view(), out); });
}

void Node::Impl::handle(const Message& message, const ObserverHello& hello) {
  if (!is_leader()) {
    if (!membership_.current().empty()) send(message.from, VotersHint{membership_.current()});
    return;
  }
  Progress* known = leadership_->find(message.from);
  if (known != nullptr && has_lost_state(message.from, *known, hello.log.end)) return;
  if (!leadership_->on_observer(message.from, hello.log.end, log_.end(), now_)) {
    log("too many observers: {} is not fed", message.from);
    return;
  }
  lead([&](auto& out) { leadership_->send_ready(view(), out); });
}

// R2: a majority must be durable, this node's disk included if its vote is needed. R5: only an entry of this term
// commits, and with it everything before.
void Node::Impl::advance_commit() {
  const LogIndex own = mutant<"R2-leader-counts-itself-before-its-sync">() ? log_.end() : durability_.durable_end();
  const LogIndex reached = std::min(leadership_->majority_durable(membership_.current(), own), log_.end());
  if (reached > committed_ && (reached > leadership_->start() || mutant<"R5-commits-earlier-terms">())) {
    NARU_CHECK(log_.position_at(reached)->last_term == term_, "R5: {} of term {} committed in term {}", reached,
               log_.position_at(reached)->last_term, term_);
    committed_ = reached;
    lead([&](auto& out) { leadership_->send_ready(view(), out); });
  }
  deliver();
}

// R10: a majority does without this disk, but nothing is shown here, and nobody answered, before it has what they have
// (R2): every broker would wait for its controller's disk, and after a session serve nobody. A disk that all share
// holds up the commit itself, and then nobody else could do better.
void Node::Impl::look_at_own_disk() {
  const auto since = leadership_->held_up_since(durability_.durable_end(), committed_, now_);
  if (!since || now_ - *since < config_.own_disk || mutant<"R10-leads-on-while-its-disk-stands">()) return;
  if (!is_voter() || leadership_->is_transferring()) return;
  if (led_on_disk_until_ && now_ - *led_on_disk_until_ < config_.own_disk_again) return;
  if (!leadership_->best_successor(membership_.current(), now_)) return;
  log("own disk stands still for {} ms while others commit", (now_ - *since) / std::chrono::milliseconds(1));
  led_on_disk_until_ = now_;
  static_cast<void>(transfer_leadership(std::nullopt));
}

void Node::Impl::leader_tick() {
  // R8: a leader that a majority no longer hears must not hold the cluster.
  const Instant heard = leadership_->majority_contact(membership_.current(), now_);
  if (heard < now_ - config_.check_quorum && !mutant<"R8-leads-on-unheard">())
    return resign("no contact with a majority");
  if (const auto deadline = leadership_->transfer_deadline();
      deadline && now_ >= *deadline && !mutant<"R10-never-gives-a-hand-over-up">()) {
    leadership_->end_transfer();  // R10: go on leading
    note(TransferEnded{TransferOutcome::gave_up});
    log("hand-over given up");
  }
  look_at_own_disk();
  leadership_->looked(now_);
  leadership_->forget_silent_observers(membership_.current(), now_);
  if (now_ < leadership_->heartbeat_due()) return;
  lead([&](auto& out) { leadership_->send_heartbeats(view(), now_, out); });
}

}  // namespace controller::raft
