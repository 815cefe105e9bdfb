// Construction, dispatch, terms and the disk: what every role shares.
#include <algorithm>

#include "common/model/mutant.h"
#include "controller/raft/node_impl.h"

namespace controller::raft {

using common::model::fail;
using common::model::mutant;

namespace {

// The voter sets in a restored log, on top of the snapshot's. Entries before the snapshot's end are in it already.
Membership restored_membership(const RestoredState& restored) {
  const LogIndex from = restored.snapshot ? restored.snapshot->meta.position.end : restored.start.end;
  Membership membership(restored.snapshot ? restored.snapshot->meta.voters : VoterSet(), from);
  for (const Entry& entry : restored.entries)
    if (entry.index >= from) membership.on_append(entry);
  return membership;
}

LogIndex restored_committed(const RestoredState& restored) {
  return restored.snapshot ? restored.snapshot->meta.position.end : restored.start.end;
}

// Why what the disk gave back cannot be used, if so (R4, R21).
std::optional<std::string> find_lost_state(const RestoredState& restored, const LogView& log) {
  if (mutant<"R21-accepts-a-log-that-lost-its-end">()) return std::nullopt;
  if (log.end() < restored.hard_state.committed_floor)
    return fmt::format("the log ends at {} but {} was committed", log.end(), restored.hard_state.committed_floor);
  if (log.end() > LogIndex(0) && log.end_position().last_term > restored.hard_state.term &&
      !mutant<"R4-accepts-a-log-without-its-vote">())
    return fmt::format("the log has term {} but the vote only {}", log.end_position().last_term,
                       restored.hard_state.term);
  if (!restored.snapshot && restored.start.end > LogIndex(0))
    return fmt::format("the log begins at {} and no snapshot covers what was before", restored.start.end);
  if (restored.snapshot) {
    const LogPosition& position = restored.snapshot->meta.position;
    if (log.position_at(position.end) != position)
      return fmt::format("the log [{}, {}) does not fit the snapshot at {}", log.start(), log.end(), position.end);
  }
  return std::nullopt;
}

}  // namespace

Node::Impl::Impl(Config config, RestoredState restored, common::model::Random& random, Instant now)
    : config_(std::move(config)),
      now_(now),
      term_(restored.hard_state.term),
      voted_for_(restored.hard_state.voted_for),
      committed_floor_(restored.hard_state.committed_floor),
      floor_saved_at_(now),
      log_(restored.start, restored.entries),
      membership_(restored_membership(restored)),
      timers_(config_, random, now),
      durability_(log_.end()),
      snapshot_(restored.snapshot),
      committed_(restored_committed(restored)),
      delivered_(committed_),
      matched_(committed_),
      hello_due_(now),
      lost_at_start_(find_lost_state(restored, log_)) {
  // R3: who voted for itself may have led this term, and may have lost what it wrote in it: never again in this term.
  if (mutant<"R3-forgets-that-it-led">() && voted_for_ == config_.self) voted_for_.reset();
  if (voted_for_ == config_.self) role_ = Role::resigned;
}

void Node::Impl::start() {
  if (lost_at_start_) return lose_state(*lost_at_start_);
  if (snapshot_) effects_.load_snapshot = snapshot_;
  log("start: {} term {} log [{}, {}) voters {}", to_string(role_), term_, log_.start(), log_.end(),
      membership_.current().size());
}

void Node::Impl::enter(Instant now) {
  // A tick that comes much too late means that this process did not run: its timers say nothing about the others.
  const Instant due = next_deadline();
  if (due != Instant::max() && now > due + config_.clock_gap) {
    const Duration gap = now - due;
    timers_.shift(gap);  // everything at once, or the next event would find the same gap again
    hello_due_ += gap;
    if (leadership_) leadership_->shift(gap);
    log("own pause of {} ms: timers restarted", gap / std::chrono::milliseconds(1));
  }
  now_ = std::max(now_, now);
}

Effects Node::Impl::leave() {
  check_invariants();
  return std::exchange(effects_, {});
}

void Node::Impl::dispatch(const Message& message) {
  if (role_ == Role::halted || message.to.id != config_.self.id || message.from.id == config_.self.id) return;
  if (!message.to.directory.is_zero() && message.to.directory != config_.self.directory &&
      !mutant<"R6-votes-for-another-directory">()) {
    // Meant for who had this id before (R4, R6).
    if (const auto* vote = std::get_if<VoteRequest>(&message.body))
      send(message.from, VoteResponse{vote->kind, message.term, false});
    return;
  }
  const auto* vote = std::get_if<VoteRequest>(&message.body);
  const bool from_leader = std::holds_alternative<AppendRequest>(message.body) ||
                           std::holds_alternative<SnapshotRequest>(message.body) ||
                           std::holds_alternative<TimeoutNow>(message.body);
  // Votes decide for themselves whether they raise the term: a pre-vote never does, nor a vote against a live leader
  // (R7).
  if (message.term > term_ && vote == nullptr) {
    log("term {} -> {}: {} from {}", term_, message.term, from_leader ? "a leader" : "a message", message.from);
    become_follower(message.term, from_leader ? std::optional(message.from.id) : std::nullopt);
  }
  std::visit([&](const auto& body) { handle(message, body); }, message.body);
}

void Node::Impl::become_follower(Term term, std::optional<BrokerId> leader) {
  NARU_CHECK(term >= term_, "term {} -> {}", term_, term);
  end_leadership(TransferOutcome::handed_over);
  ballot_.reset();
  if (term > term_) {
    term_ = term;
    voted_for_.reset();
    timers_.end_lease();
    durability_.forget_held();
    last_round_ = 0;
    save_hard_state();
  }
  matched_ = committed_;
  if (leader) {
    timers_.heard_leader(now_);
  } else {
    timers_.wait_for_leader(now_);
  }
  set_role(Role::follower, leader);
}

void Node::Impl::set_role(Role role, std::optional<BrokerId> leader) {
  if (role == role_ && leader == leader_) return;
  role_ = role;
  leader_ = leader;
  note(RoleChanged{role, term_, leader});
  log("{} term {}{}", to_string(role), term_, leader ? fmt::format(" leader {}", *leader) : "");
}

void Node::Impl::end_leadership(TransferOutcome outcome) {
  if (!leadership_) return;
  for (const uint64_t id : leadership_->take_all_reads()) note(ReadFailed{id});
  if (leadership_->is_transferring()) note(TransferEnded{outcome});
  leadership_.reset();
  gained_reported_ = false;
  note(LeadershipLost{term_});
}

void Node::Impl::save_committed_floor() {
  floor_saved_at_ = now_;
  committed_floor_ = delivered_;
  persist(durability_.issue_other(), SaveHardState{{term_, voted_for_, committed_floor_}});
}

PersistToken Node::Impl::persist(PersistToken token, PersistOperation operation) {
  effects_.persist.push_back({token, std::move(operation)});
  return token;
}

void Node::Impl::save_hard_state() {
  committed_floor_ = delivered_;
  persist(durability_.issue_hard_state(), SaveHardState{{term_, voted_for_, committed_floor_}});
}

void Node::Impl::append_to_log(std::vector<Entry> entries) {
  bool voters_changed = false;
  for (const Entry& entry : entries) {
    log_.append(entry);
    voters_changed |= membership_.on_append(entry);
  }
  persist(durability_.issue_append(log_.end()), AppendEntries{std::move(entries)});
  if (voters_changed) note(VotersChanged{membership_.current()});
}

void Node::Impl::truncate_log(LogIndex end) {
  NARU_CHECK(end >= committed_, "R11: truncation to {} below the committed {}", end, committed_);
  log("truncate {} -> {}", log_.end(), end);
  log_.truncate(end);
  matched_ = std::min(matched_, end);
  const bool voters_changed = !mutant<"R12-truncation-keeps-the-voters">() && membership_.on_truncate(end);
  persist(durability_.issue_truncate(end), TruncateLog{log_.end_position()});
  if (voters_changed) note(VotersChanged{membership_.current()});
}

// Hands committed entries to the state machine, never beyond what this disk has: what a broker has shown must still be
// there after its own restart.
void Node::Impl::deliver() {
  LogIndex until = std::min(committed_, durability_.durable_end());
  if (mutant<"R2-delivers-what-is-not-synced">()) until = committed_;
  while (delivered_ < until) {
    const Entry& entry = log_.at(delivered_);
    effects_.committed.push_back(entry);
    delivered_ = delivered_.next();
    if (leadership_ && entry.index > leadership_->start()) leadership_->remove_uncommitted(entry.size_bytes());
  }
  if (delivered_ > committed_floor_ && now_ - floor_saved_at_ >= config_.floor_interval) save_committed_floor();
  if (!leadership_ || (delivered_ <= leadership_->start() && !mutant<"R16-active-before-its-own-log-is-applied">()))
    return;
  if (!gained_reported_) {
    gained_reported_ = true;
    note(LeadershipGained{term_, leadership_->start()});
  }
  // R12: a leader that is no voter any more leads until its removal is committed.
  if (!is_voter() && delivered_ >= membership_.settled_at() && !mutant<"R12-removed-leader-leads-on">()) {
    if (const auto successor = leadership_->best_successor(membership_.current(), now_)) send(*successor, TimeoutNow{});
    resign("no longer a voter");
  }
}

void Node::Impl::send(const NodeKey& to, MessageBody body) {
  durability_.send({config_.self, to, term_, std::move(body)}, effects_.messages);
}

void Node::Impl::on_durable(PersistToken token) {
  if (role_ == Role::halted) return;
  const LogIndex before = durability_.durable_end();
  durability_.complete(token);
  durability_.release(effects_.messages);
  if (receiver_.is_durable_with(token)) finish_install();
  if (durability_.durable_end() == before) return;
  if (is_leader()) {
    advance_commit();  // R2: now, and not before, the leader counts itself
  } else {
    if (leader_) acknowledge();
    deliver();
  }
}

void Node::Impl::on_hard_state_durable(PersistToken token) {
  if (role_ == Role::halted) return;
  durability_.complete_hard_state(token);
  durability_.release(effects_.messages);
}

void Node::Impl::on_snapshot_made(Snapshot snapshot) {
  const LogPosition position = snapshot.meta.position;
  if (role_ == Role::halted || (snapshot_ && position.end <= snapshot_->meta.position.end)) return;  // overtaken
  NARU_CHECK(position.end <= delivered_, "R14: snapshot at {} beyond {}", position.end, delivered_);
  NARU_CHECK(log_.position_at(position.end) == position, "R14: snapshot at {} is not of this log", position.end);
  NARU_CHECK(snapshot.state.size() == snapshot.meta.size_bytes, "{} bytes", snapshot.state.size());
  snapshot_ = std::move(snapshot);
  // R14: the prefix goes only now that a durable snapshot covers it. A little stays for peers that lag a little.
  const LogIndex start = log_.start_keeping(position.end, config_.entries_kept_bytes);
  if (start > log_.start()) {
    log_.drop_prefix(start);
    persist(durability_.issue_other(), DropPrefix{start});
  }
  membership_.drop_prefix(log_.start());
  save_committed_floor();
}

void Node::Impl::halt(std::string reason) {
  if (role_ == Role::halted) return;
  end_leadership(TransferOutcome::gave_up);
  ballot_.reset();
  durability_.forget_held();
  effects_.messages.clear();
  set_role(Role::halted, std::nullopt);
  log("halted: {}", reason);
}

void Node::Impl::lose_state(std::string reason) {
  halt(reason);
  note(StateLost{std::move(reason)});
}

void Node::Impl::on_older_image(BrokerId peer) {
  if (role_ == Role::halted) return;
  lose_state(fmt::format("node {} has heard a later life of this directory: the disk is an older image of it", peer));
}

void Node::Impl::on_tick() {
  if (role_ == Role::halted) return;
  if (is_leader()) return leader_tick();
  if (may_stand() && now_ >= timers_.deadline()) on_election_deadline();
  if (!is_voter() && now_ >= hello_due_) say_hello();
}

Instant Node::Impl::next_deadline() const {
  if (role_ == Role::halted) return Instant::max();
  if (is_leader())
    return std::min({leadership_->heartbeat_due(), leadership_->look_due(),
                     leadership_->transfer_deadline().value_or(Instant::max())});
  if (is_voter()) return timers_.deadline();
  return may_stand() ? std::min(timers_.deadline(), hello_due_) : hello_due_;
}

QuorumStatus Node::Impl::status() const {
  QuorumStatus status{
      role_, term_, leader_, committed_, log_.start(), log_.end(), durability_.durable_end(), membership_.current(),
      {},    {}};
  if (voted_for_) status.voted_for = voted_for_->id;
  if (is_leader()) {
    status.replicas = leadership_->status(membership_.current());
    status.replicas.push_back({config_.self, is_voter(), durability_.durable_end(), now_, now_});
  }
  return status;
}

// After every event.
void Node::Impl::check_invariants() const {
  if (role_ == Role::halted) return;  // perhaps because they did not hold on the disk
  NARU_CHECK(is_leader() == (role_ == Role::leader), "role {}", to_string(role_));
  NARU_CHECK(is_leader() == (leader_ == config_.self.id), "leader {}", leader_.value_or(BrokerId(-1)));
  NARU_CHECK(!is_leader() || voted_for_ == config_.self, "leads a term it has not voted for itself in");
  NARU_CHECK(ballot_.has_value() == (role_ == Role::prospective || role_ == Role::candidate), "role {}",
             to_string(role_));
  NARU_CHECK(!is_leader() || !receiver_.is_installing(), "R15: a leader never loads a snapshot");
  NARU_CHECK(delivered_ <= committed_ && committed_ <= log_.end(), "delivered {} committed {} end {}", delivered_,
             committed_, log_.end());
  NARU_CHECK(log_.start() <= delivered_ && durability_.durable_end() <= log_.end(), "start {} durable {}", log_.start(),
             durability_.durable_end());
  NARU_CHECK(delivered_ <= durability_.durable_end(), "R2: delivered {}, durable {}", delivered_,
             durability_.durable_end());
  NARU_CHECK(matched_ <= log_.end(), "matched {} end {}", matched_, log_.end());
  NARU_CHECK(!snapshot_ || snapshot_->meta.position.end <= delivered_, "snapshot beyond {}", delivered_);
  NARU_CHECK(log_.end_position().last_term <= term_, "log of term {} in term {}", log_.end_position().last_term, term_);
}

}  // namespace controller::raft
