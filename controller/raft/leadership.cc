#include "controller/raft/leadership.h"

#include <algorithm>
#include <utility>

#include "common/model/mutant.h"
#include "controller/raft/quorum.h"

namespace controller::raft {

using common::model::mutant;

namespace {

// Reads (R17) make rounds as fast as they are confirmed: not each is worth remembering.
constexpr std::chrono::milliseconds rounds_apart{10};

}  // namespace

Leadership::Leadership(const Config& config, LogIndex start, const VoterSet& voters, LogIndex log_end, Instant now)
    : config_(config), start_(start), heartbeat_due_(now), look_due_(now) {
  on_voters_changed(voters, log_end, now);
}

void Leadership::on_voters_changed(const VoterSet& voters, LogIndex log_end, Instant now) {
  for (const Voter& voter : voters.voters())
    if (voter.key != config_.self) peers_.try_emplace(voter.key, log_end, now);
}

bool Leadership::on_observer(const NodeKey& key, LogIndex its_end, LogIndex log_end, Instant now) {
  const auto found = peers_.find(key);
  if (found == peers_.end()) {
    if (peers_.size() >= config_.observers_max + voters_max) return false;
    peers_.try_emplace(key, std::min(its_end, log_end), now);
    return true;
  }
  // It greets because it hears nothing: whatever we sent is gone.
  found->second.probe_from(std::min(its_end, log_end));
  return true;
}

void Leadership::on_peer_connected(BrokerId id) {
  for (auto& [key, progress] : peers_)
    if (key.id == id)
      progress.probe_from(progress.state() == Progress::State::probe ? progress.next() : progress.matched());
}

void Leadership::forget_silent_observers(const VoterSet& voters, Instant now) {
  if (std::all_of(peers_.begin(), peers_.end(), [&](const auto& peer) { return voters.contains(peer.first); })) return;
  // A directory that another one of the same node has followed is gone sooner: nobody should take it for the node.
  std::map<BrokerId, Instant> newest;
  for (const auto& [key, progress] : peers_) newest[key.id] = std::max(newest[key.id], progress.last_contact());
  std::erase_if(peers_, [&](const auto& peer) {
    const Instant heard = peer.second.last_contact();
    const bool is_former = heard < newest[peer.first.id] && now - heard > config_.leader_silence;
    return !voters.contains(peer.first) && (is_former || now - heard > config_.observer_silence);
  });
}

Progress* Leadership::find(const NodeKey& key) {
  const auto found = peers_.find(key);
  return found == peers_.end() ? nullptr : &found->second;
}

Message Leadership::message(const NodeKey& to, Term term, MessageBody body) const {
  return {config_.self, to, term, std::move(body)};
}

AppendRequest Leadership::append_from(LogPosition previous, const LeaderView& view) const {
  AppendRequest request;
  request.previous = previous;
  request.committed = view.committed;
  request.round = round_;
  return request;
}

void Leadership::send_ready(const LeaderView& view, std::vector<Message>& out) {
  for (auto& [key, progress] : peers_) send_to(key, progress, view, out);
}

void Leadership::send_to(const NodeKey& key, Progress& progress, const LeaderView& view, std::vector<Message>& out) {
  if (progress.state_lost()) return;
  while (progress.may_send_entries(config_)) {
    const auto previous = view.log.position_at(progress.next());
    if (!previous) {
      NARU_CHECK(view.snapshot, "the log begins at {} without a snapshot", view.log.start());
      progress.begin_snapshot(*view.snapshot);
      break;
    }
    const bool is_probe = progress.state() == Progress::State::probe;
    if (!is_probe && progress.next() == view.log.end()) break;
    AppendRequest request = append_from(*previous, view);
    request.entries = view.log.entries(progress.next(), config_.append_bytes_max);
    size_t bytes = 0;
    for (const Entry& entry : request.entries) bytes += entry.size_bytes();
    progress.on_sent(previous->end + static_cast<int64_t>(request.entries.size()), bytes);
    progress.on_told(view.committed);
    out.push_back(message(key, view.term, std::move(request)));
  }
  const auto sent_up_to = view.log.position_at(progress.next());
  if (progress.state() == Progress::State::replicate && progress.told() < view.committed && sent_up_to) {
    progress.on_told(view.committed);
    out.push_back(message(key, view.term, append_from(*sent_up_to, view)));
  }
  if (progress.may_send_piece()) {
    const Snapshot& snapshot = *progress.snapshot();
    SnapshotRequest request{snapshot.meta, progress.snapshot_offset(), {}, round_};
    const uint64_t left = snapshot.meta.size_bytes - request.offset;
    request.bytes = snapshot.state.slice(request.offset, std::min<uint64_t>(left, config_.snapshot_piece_bytes));
    progress.on_piece_sent();
    out.push_back(message(key, view.term, std::move(request)));
  }
}

void Leadership::send_heartbeats(const LeaderView& view, Instant now, std::vector<Message>& out) {
  heartbeat_due_ = now + config_.heartbeat;
  ++round_;
  while (!rounds_.empty() && now - rounds_.front().sent > config_.leader_silence) rounds_.pop_front();
  if (rounds_.empty() || now - rounds_.back().sent >= rounds_apart) rounds_.push_back({round_, now});
  for (auto& [key, progress] : peers_) {
    const size_t before = out.size();
    progress.allow_resend();  // one interval without an answer: what we sent may be lost
    send_to(key, progress, view, out);
    if (out.size() != before) continue;
    // In replicate: the point after what was sent last, so that a lost append is found out. Otherwise the beginning,
    // which agrees everywhere.
    const auto previous = progress.state() == Progress::State::replicate ? view.log.position_at(progress.next())
                                                                         : std::optional(LogPosition{});
    out.push_back(message(key, view.term, append_from(previous.value_or(LogPosition{}), view)));
  }
}

LogIndex Leadership::majority_durable(const VoterSet& voters, LogIndex own_durable) const {
  const auto reached = majority_value<LogIndex>(voters, [&](const NodeKey& key) {
    if (key == config_.self) return own_durable;
    const auto found = peers_.find(key);
    return found == peers_.end() ? LogIndex(0) : found->second.matched();
  });
  return reached.value_or(LogIndex(0));
}

size_t Leadership::in_contact(const VoterSet& voters, Instant now) const {
  size_t count = voters.contains(config_.self) ? 1 : 0;
  for (const auto& [key, progress] : peers_)
    if (voters.contains(key) && is_heard(progress, now)) ++count;
  return count;
}

void Leadership::note_gone(BrokerId peer) {
  for (auto& [key, progress] : peers_)
    if (key.id == peer && !mutant<"R12-counts-the-dead">()) progress.mark_gone();
}

Instant Leadership::majority_contact(const VoterSet& voters, Instant now) const {
  const auto heard = majority_value<Instant>(voters, [&](const NodeKey& key) {
    if (key == config_.self) return now;
    const auto found = peers_.find(key);
    return found == peers_.end() || found->second.state_lost() ? Instant::min() : found->second.last_contact();
  });
  return heard.value_or(now);
}

std::optional<Instant> Leadership::held_up_since(LogIndex own_durable, LogIndex committed, Instant now) {
  const bool has_gone_on = std::exchange(own_durable_, own_durable) != own_durable;
  if (own_durable >= committed) {
    held_up_since_.reset();
  } else if (has_gone_on || !held_up_since_) {
    held_up_since_ = now;
  }
  return held_up_since_;
}

std::optional<uint64_t> Leadership::confirmed_round(const VoterSet& voters) const {
  return majority_value<uint64_t>(voters, [&](const NodeKey& key) {
    if (key == config_.self) return round_;
    const auto found = peers_.find(key);
    return found == peers_.end() || found->second.state_lost() ? uint64_t{0} : found->second.acked_round();
  });
}

bool Leadership::is_confirmed(const VoterSet& voters, Instant now) const {
  if (voters.size() == 1 && voters.contains(config_.self)) return true;
  const auto confirmed = confirmed_round(voters);
  return confirmed && std::any_of(rounds_.begin(), rounds_.end(), [&](const Round& round) {
           return round.number <= *confirmed && now - round.sent <= config_.leader_silence;
         });
}

std::vector<ReadReady> Leadership::take_confirmed_reads(const VoterSet& voters) {
  const auto confirmed = confirmed_round(voters);
  std::vector<ReadReady> ready;
  while (!reads_.empty() && ((confirmed && reads_.front().round <= *confirmed) || mutant<"R17-reads-unconfirmed">())) {
    ready.push_back({reads_.front().id, reads_.front().index});
    reads_.erase(reads_.begin());
  }
  return ready;
}

std::vector<uint64_t> Leadership::take_all_reads() {
  std::vector<uint64_t> ids;
  for (const Read& read : std::exchange(reads_, {})) ids.push_back(read.id);
  return ids;
}

std::optional<Instant> Leadership::transfer_deadline() const {
  return transfer_ ? std::optional(transfer_->deadline) : std::nullopt;
}

void Leadership::begin_transfer(NodeKey target, Instant now) {
  transfer_ = Transfer{target, now + config_.transfer};
}

std::optional<NodeKey> Leadership::best_successor(const VoterSet& voters, Instant now) const {
  std::optional<NodeKey> best;
  LogIndex best_end;
  for (const auto& [key, progress] : peers_) {
    if (!voters.contains(key) || !is_heard(progress, now)) continue;
    if (!best || progress.matched() > best_end) {
      best = key;
      best_end = progress.matched();
    }
  }
  return best;
}

void Leadership::push_transfer(const LeaderView& view, std::vector<Message>& out) {
  if (!transfer_ || transfer_->told) return;
  const Progress* target = find(transfer_->target);
  if (target == nullptr) return;
  if (target->matched() < view.log.end() && !mutant<"R10-hands-over-to-who-lags">()) return;
  transfer_->told = true;
  out.push_back(message(transfer_->target, view.term, TimeoutNow{}));
}

void Leadership::shift(Duration by) {
  for (auto& [key, progress] : peers_) progress.shift(by);
  if (transfer_) transfer_->deadline += by;
  if (held_up_since_) *held_up_since_ += by;
  heartbeat_due_ += by;
  look_due_ += by;
}

std::vector<ReplicaStatus> Leadership::status(const VoterSet& voters) const {
  std::vector<ReplicaStatus> all;
  for (const auto& [key, progress] : peers_)
    all.push_back({key, voters.contains(key), progress.matched(), progress.last_contact(), progress.last_caught_up()});
  return all;
}

}  // namespace controller::raft
