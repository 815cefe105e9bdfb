// What a node does that follows: takes entries and snapshots, and acknowledges what is durable (R2, R9, R11, R15, R21).
#include <algorithm>

#include "common/model/mutant.h"
#include "controller/raft/node_impl.h"

namespace controller::raft {

using common::model::mutant;

namespace {

// The entries continue from `previous`, terms do not fall and none is above the sender's.
bool is_consistent(const AppendRequest& request, Term term) {
  LogIndex next = request.previous.end;
  Term last = request.previous.last_term;
  for (const Entry& entry : request.entries) {
    if (entry.index != next || entry.term < last || entry.term > term || !is_well_formed(entry)) return false;
    next = next.next();
    last = entry.term;
  }
  return request.previous.end >= LogIndex(0);
}

}  // namespace

void Node::Impl::handle(const Message& message, const AppendRequest& request) {
  AppendResponse response;
  response.round = request.round;
  response.log_end = log_.end();
  if (message.term < term_) {  // R9
    if (mutant<"R9-ignores-old-terms">()) return;
    response.outcome = AppendOutcome::old_term;
    return send(message.from, response);
  }
  if (is_leader() || (leader_ && leader_ != message.from.id)) {
    log("{} claims term {}, which {} leads", message.from, term_, *leader_);
    return;
  }
  if (!is_consistent(request, message.term)) {
    log("append from {} at {} contradicts itself: dropped", message.from, request.previous.end);
    return;
  }
  if (leader_ != message.from.id) become_follower(term_, message.from.id);
  timers_.heard_leader(now_);
  hello_due_ = now_ + config_.leader_silence;
  last_round_ = std::max(last_round_, request.round);
  if (receiver_.is_installing()) return acknowledge();  // the log is about to be replaced

  // Everything committed is the same on all; beyond it the point where the entries begin must agree.
  const auto ours = log_.position_at(request.previous.end);
  if (request.previous.end > committed_ && (!ours || ours->last_term != request.previous.last_term)) {
    response.outcome = AppendOutcome::mismatch;
    response.hint = ours ? log_.end_of_term(std::min(request.previous.last_term, ours->last_term))
                         : log_.end_of_term(request.previous.last_term);
    return send(message.from, response);
  }
  // R21: what lies before it must be the same too, committed or not, as far as it can still be told.
  if (ours && *ours != request.previous && !mutant<"R21-ignores-the-running-checksum">())
    return lose_state(fmt::format("entries before {} differ from leader {}'s", request.previous.end, message.from));
  std::vector<Entry> fresh;
  for (const Entry& entry : request.entries) {
    if (entry.index < log_.start() || !fresh.empty()) {
      if (!fresh.empty()) fresh.push_back(entry);
      continue;
    }
    const bool same = entry.index < log_.end() && log_.at(entry.index).term == entry.term;
    if (same && !mutant<"R11-truncates-what-agrees">()) continue;
    if (entry.index < committed_)
      return lose_state(fmt::format("committed entry {} differs from leader {}'s", entry.index, message.from));
    if (entry.index < log_.end()) truncate_log(entry.index);  // R11: by (term, index), never by a guess
    fresh.push_back(entry);
  }
  if (!fresh.empty()) append_to_log(std::move(fresh));
  const LogIndex agreed = request.previous.end + static_cast<int64_t>(request.entries.size());
  matched_ = std::max(matched_, std::min(agreed, log_.end()));
  committed_ = std::max(
      committed_, std::min(request.committed, mutant<"R11-commits-what-was-not-compared">() ? log_.end() : matched_));
  acknowledge();
  deliver();
}

// Tells the leader what agrees with its log, and how much of that is durable (R2).
void Node::Impl::acknowledge() {
  AppendResponse response;
  response.matched = std::min(matched_, durability_.durable_end());
  if (mutant<"R2-follower-acknowledges-before-its-sync">()) response.matched = matched_;
  response.held = matched_;
  response.log_end = log_.end();
  response.round = last_round_;
  send({*leader_, {}}, response);
}

void Node::Impl::handle(const Message& message, const SnapshotRequest& request) {
  const LogPosition position = request.meta.position;
  if (message.term < term_) {  // R9
    AppendResponse response;
    response.outcome = AppendOutcome::old_term;
    return send(message.from, response);
  }
  if (is_leader() || (leader_ && leader_ != message.from.id)) return;
  if (position.last_term > message.term) {
    log("snapshot {}@{} from {} is of a term to come: dropped", position.end, position.last_term, message.from);
    return;
  }
  if (leader_ != message.from.id) become_follower(term_, message.from.id);
  timers_.heard_leader(now_);
  hello_due_ = now_ + config_.leader_silence;
  last_round_ = std::max(last_round_, request.round);

  SnapshotResponse response{position.end, 0, false, request.round};
  if (!mutant<"R15-loads-what-it-has">() &&
      (position.end <= delivered_ || log_.position_at(position.end) == position)) {
    // Nothing in it that we do not have. What we hold beyond it may have been acknowledged and must stay.
    matched_ = std::max(matched_, position.end);
    committed_ = std::max(committed_, position.end);
    acknowledge();
    return deliver();
  }
  if (request.meta.size_bytes > config_.snapshot_bytes_max) {
    log("snapshot of {} bytes from {} is too large", request.meta.size_bytes, message.from);
    return;
  }
  switch (receiver_.on_piece(request, message.term)) {
    case SnapshotReceiver::Verdict::busy:
      return acknowledge();
    case SnapshotReceiver::Verdict::refuse:
      log("snapshot {} from {} contradicts its own size: dropped", position.end, message.from);
      return send(message.from, response);
    case SnapshotReceiver::Verdict::again:
      response.next_offset = receiver_.next_offset();
      return send(message.from, response);
    case SnapshotReceiver::Verdict::store:
      break;
  }
  persist(durability_.issue_other(), StoreSnapshotPiece{request.meta, request.offset, request.bytes});
  response.next_offset = receiver_.next_offset();
  if (!receiver_.is_complete()) return send(message.from, response);
  log("install snapshot {}@{} over log [{}, {})", position.end, position.last_term, log_.start(), log_.end());
  receiver_.begin_install(persist(durability_.issue_install(position.end), InstallSnapshot{request.meta}));
}

// The snapshot is durable and the log on disk begins after it: now the same in memory, in one step (R15).
void Node::Impl::finish_install() {
  const SnapshotMeta meta = receiver_.finish();
  NARU_CHECK(!is_leader(), "R15: a leader never loads a snapshot");
  NARU_CHECK(installed_snapshot_ && installed_snapshot_->meta == meta, "the installed snapshot was not given");
  snapshot_ = std::exchange(installed_snapshot_, std::nullopt);
  log_.reset(meta.position);
  const VoterSet voters = mutant<"R14-installs-a-snapshot-without-its-voters">() ? VoterSet() : meta.voters;
  membership_.reset(voters, meta.position.end);
  committed_ = delivered_ = matched_ = meta.position.end;
  effects_.committed.clear();
  effects_.load_snapshot = snapshot_;
  save_committed_floor();
  note(VotersChanged{membership_.current()});
  if (leader_) send({*leader_, {}}, SnapshotResponse{meta.position.end, meta.size_bytes, true, last_round_});
}

void Node::Impl::handle(const Message& message, const StateLostNotice& notice) {
  if (message.term < term_ || leader_ != message.from.id || log_.end() >= notice.acknowledged) return;
  lose_state(fmt::format("this log ends at {} but had acknowledged {} to leader {}", log_.end(), notice.acknowledged,
                         message.from));
}

void Node::Impl::handle(const Message&, const VotersHint& hint) {
  if (leader_ || hint.voters.empty() || hint.voters == hinted_) return;
  hinted_ = hint.voters;
  note(VotersHinted{hinted_});
}

// A node that is not a voter does not lead: it asks to be fed, and to be told who leads.
void Node::Impl::say_hello() {
  hello_due_ = now_ + config_.observer_hello;
  if (leader_ && !timers_.has_lease(now_)) set_role(Role::follower, std::nullopt);
  std::vector<BrokerId> ids = config_.bootstrap_peers;
  for (const Voter& voter : membership_.current().voters()) ids.push_back(voter.key.id);
  for (const Voter& voter : hinted_.voters()) ids.push_back(voter.key.id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (const BrokerId id : ids)
    if (id != config_.self.id) send({id, {}}, ObserverHello{log_.end_position()});
}

}  // namespace controller::raft
