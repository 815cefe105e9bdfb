#include "controller/quorum/raft_driver.h"


namespace controller::quorum {

using common::model::ErrorCode;
using common::model::fail;

namespace {

constexpr auto stop_time_max = std::chrono::milliseconds(1000);
constexpr std::chrono::seconds leaderless_first_line{3};  // more than an election takes
constexpr std::chrono::seconds leaderless_lines_apart{10};

// "connected to 1; not to 2 (10.0.0.2:9093: refused)"
std::string text_of(const std::map<BrokerId, LinkStatus>& links) {
  std::string standing;
  std::string missing;
  for (const auto& [peer, link] : links) {
    if (link.stands) {
      standing += fmt::format("{}{}", standing.empty() ? "" : ", ", peer);
    } else {
      missing += fmt::format("{}{} ({}: {})", missing.empty() ? "" : ", ", peer, link.address, link.why);
    }
  }
  return fmt::format("connected to {}{}{}", standing.empty() ? "nobody" : standing, missing.empty() ? "" : "; not to ",
                     missing);
}

}  // namespace

RaftDriver::RaftDriver(RaftDriverOptions options, common::Shard& shard, common::disk::Disk& disk,
                       common::model::Random& random, RaftWire& wire, RaftListener& listener, common::Logger logger)
    : options_(std::move(options)),
      directory_(options_.metadata_log_dir + "/__cluster_metadata-0"),
      shard_(shard),
      disk_(disk),
      random_(random),
      wire_(wire),
      listener_(listener),
      logger_(std::move(logger)),
      stop_(shard),
      alive_(std::make_shared<bool>(true)) {}

RaftDriver::~RaftDriver() = default;

// --- effects, in the order of controller/raft/effects.h

void RaftDriver::carry_out(raft::Effects effects) {
  const std::weak_ptr<bool> still(alive_);
  for (const std::string& line : effects.log) logger_.info("{}", line);
  if (!effects.persist.empty()) storage_->persist(std::move(effects.persist));
  for (const raft::Message& message : effects.messages) transport_->send(message);
  deliver(effects);
  if (still.expired()) return;
  for (const raft::Notice& notice : effects.notices) observe(notice);
  if (still.expired() || !node_) return;
  finish_reads();
  maybe_snapshot();
  arm();
}

void RaftDriver::deliver(raft::Effects& effects) {
  if (effects.load_snapshot) {
    bytes_since_snapshot_ = 0;
    learn_addresses(effects.load_snapshot->meta.voters);
    ++measures_.snapshots_loaded;
    listener_.on_snapshot(effects.load_snapshot->state, effects.load_snapshot->meta.position.end);
  }
  if (effects.committed.empty()) return;
  for (const raft::Entry& entry : effects.committed) bytes_since_snapshot_ += entry.size_bytes();
  listener_.on_committed(effects.committed);
  // After the state machine has it: whoever waits may look.
  for (const raft::Entry& entry : effects.committed) {
    const auto found = proposals_.find(entry.index);
    if (found == proposals_.end()) continue;
    const Proposal proposal = std::move(found->second);
    proposals_.erase(found);
    if (proposal.term == entry.term) {
      measures_.commit_latency.observe(shard_.now() - proposal.proposed_at);
      proposal.done(entry.index);
    } else {
      proposal.done(fail(ErrorCode::not_controller, "another leader's entry took its place"));
    }
  }
}

void RaftDriver::measure(const raft::RoleChanged& change) {
  const bool stands = change.role == raft::Role::prospective || change.role == raft::Role::candidate;
  if (stands && !standing_since_) standing_since_ = shard_.now();
  if (!change.leader || !standing_since_) return;
  measures_.election_latency.observe(shard_.now() - *standing_since_);
  standing_since_.reset();
}

void RaftDriver::observe(const raft::Notice& notice) {
  if (const auto* role = std::get_if<raft::RoleChanged>(&notice)) {
    measure(*role);
    if (role->leader == reported_leader_) return;
    reported_leader_ = role->leader;
    listener_.on_leader_changed(role->leader, role->term);
  } else if (const auto* gained = std::get_if<raft::LeadershipGained>(&notice)) {
    leadership_reported_ = true;
    listener_.on_leadership_gained(gained->term, gained->start);
  } else if (const auto* lost = std::get_if<raft::LeadershipLost>(&notice)) {
    fail_proposals("the leadership of the metadata quorum was lost");
    if (std::exchange(leadership_reported_, false)) listener_.on_leadership_lost(lost->term);
    if (stopping_) stop_.set();
  } else if (const auto* changed = std::get_if<raft::VotersChanged>(&notice)) {
    learn_addresses(changed->voters);
    publish();
  } else if (const auto* hinted = std::get_if<raft::VotersHinted>(&notice)) {
    learn_addresses(hinted->voters);
  } else if (const auto* ready = std::get_if<raft::ReadReady>(&notice)) {
    if (auto found = reads_.extract(ready->id)) confirmed_reads_.push_back({ready->index, std::move(found.mapped())});
  } else if (const auto* failed = std::get_if<raft::ReadFailed>(&notice)) {
    if (auto found = reads_.extract(failed->id))
      found.mapped()(fail(ErrorCode::not_controller, "leadership was lost before a majority confirmed it"));
  } else if (const auto* ended = std::get_if<raft::TransferEnded>(&notice)) {
    if (auto done = std::exchange(transfer_, nullptr)) {
      done(ended->outcome == raft::TransferOutcome::handed_over
               ? Result<void>()
               : fail(ErrorCode::request_timed_out, "the successor did not take over in time"));
    }
  } else if (const auto* lost_state = std::get_if<raft::StateLost>(&notice)) {
    // The next start sets this life aside and rejoins under another directory id (R20, R21).
    const auto marked = disk_.replace_file(directory_ + "/state-lost", common::model::as_bytes(lost_state->reason),
                                           common::disk::Durability::medium);
    logger_.error("the metadata log here can no longer be trusted: {}{}", lost_state->reason,
                  marked ? "" : " (and could not be marked so)");
    listener_.on_halted(lost_state->reason);
  }
}

void RaftDriver::finish_reads() {
  for (size_t i = 0; i < confirmed_reads_.size();) {
    if (node_->delivered() < confirmed_reads_[i].index) {
      ++i;
      continue;
    }
    const WaitingRead read = std::move(confirmed_reads_[i]);
    confirmed_reads_.erase(confirmed_reads_.begin() + static_cast<std::ptrdiff_t>(i));
    read.done(read.index);
  }
}

void RaftDriver::fail_proposals(const char* why) {
  for (auto& [index, proposal] : std::exchange(proposals_, {})) proposal.done(fail(ErrorCode::not_controller, why));
}

void RaftDriver::learn_addresses(const raft::VoterSet& voters) {
  for (const raft::Voter& voter : voters.voters()) transport_->set_peer(voter.key.id, voter.endpoint);
}

// Who votes, or is to vote again, and who can tell where the quorum is.
std::set<BrokerId> RaftDriver::needed_peers() const {
  const raft::VoterSet& voters = node_->voters();
  std::set<BrokerId> needed(voters.awaited().begin(), voters.awaited().end());
  for (const raft::Voter& voter : voters.voters()) needed.insert(voter.key.id);
  for (const auto& [id, endpoint] : answering_peers_) needed.insert(id);
  for (const ConfiguredPeer& peer : options_.voters)
    if (peer.id) needed.insert(*peer.id);
  return needed;
}

// Not inside the event that made it due: the listener may be in the middle of something.
void RaftDriver::maybe_snapshot() {
  const common::Instant now = shard_.now();
  const bool is_due = bytes_since_snapshot_ >= options_.snapshot_bytes ||
                      (bytes_since_snapshot_ > 0 && now - snapshot_at_ >= options_.snapshot_interval);
  if (!is_due || is_snapshotting_ || stopping_) return;
  is_snapshotting_ = true;
  shard_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired() || !node_ || stopping_) return;
    snapshot_at_ = shard_.now();
    bytes_since_snapshot_ = 0;
    raft::Snapshot snapshot{node_->snapshot_meta_at(node_->delivered()), listener_.make_snapshot()};
    storage_->save_snapshot(std::move(snapshot), [this, alive](Result<raft::Snapshot> saved) {
      if (alive.expired()) return;
      is_snapshotting_ = false;
      if (!saved) return logger_.warn("no snapshot of the metadata: {}", saved.error().message);
      measures_.snapshot_made_at = shard_.now();
      measures_.snapshot_bytes = saved->meta.size_bytes;
      if (!node_) return;
      logger_.info("snapshot of the metadata up to {}: {} bytes", saved->meta.position.end, saved->meta.size_bytes);
      carry_out(node_->on_snapshot_made(*std::move(saved), shard_.now()));
    });
  });
}

void RaftDriver::arm() {
  const common::Instant when = node_->next_deadline();
  if (armed_for_ == when) return;
  armed_for_ = when;
  timer_.cancel();
  if (when != common::Instant::max()) timer_ = shard_.call_at(when, [this] { on_tick(); });
}

// Whoever waits says for whom, as long as it waits.
void RaftDriver::look_for_leader() {
  if (!node_) return;
  const common::Instant now = shard_.now();
  common::Duration next = leaderless_first_line;
  if (leader()) {
    leaderless_since_.reset();
  } else if (!leaderless_since_) {
    leaderless_since_ = now;
  } else if (now - *leaderless_since_ >= leaderless_first_line) {
    logger_.warn("waits for a leader of the metadata quorum, for {} s: {}",
                 std::chrono::duration_cast<std::chrono::seconds>(now - *leaderless_since_).count(),
                 text_of(transport_->links()));
    next = leaderless_lines_apart;
  }
  transport_->forget_unreached(needed_peers());
  leader_timer_ = shard_.call_at(now + next, [this] { look_for_leader(); });
}

void RaftDriver::on_tick() {
  armed_for_.reset();
  carry_out(node_->on_tick(shard_.now()));
}

// --- wishes

void RaftDriver::handle_proposed(Result<raft::Proposed> proposed, std::function<void(Result<LogIndex>)> done) {
  if (!proposed) return done(tl::unexpected(proposed.error()));
  proposals_[proposed->index] = {proposed->term, std::move(done), shard_.now()};
  carry_out(std::move(proposed->effects));
}

Result<LogIndex> RaftDriver::propose(Buffer payload, std::function<void(Result<LogIndex>)> on_committed) {
  NARU_CHECK(shard_.is_current());
  if (!node_) return fail(ErrorCode::not_controller, "this node is starting");
  auto proposed = node_->propose(std::move(payload), shard_.now());
  if (!proposed) return tl::unexpected(proposed.error());
  const LogIndex index = proposed->index;
  handle_proposed(std::move(proposed), std::move(on_committed));
  return index;
}

void RaftDriver::read_index(std::function<void(Result<LogIndex>)> done) {
  NARU_CHECK(shard_.is_current());
  if (!node_) return done(fail(ErrorCode::not_controller, "this node is starting"));
  const uint64_t id = next_read_++;
  reads_.emplace(id, std::move(done));
  auto begun = node_->read_index(id, shard_.now());
  if (begun) return carry_out(*std::move(begun));
  reads_.extract(id).mapped()(tl::unexpected(begun.error()));
}

void RaftDriver::transfer_leadership(std::optional<BrokerId> target, std::function<void(Result<void>)> done) {
  NARU_CHECK(shard_.is_current());
  if (!node_) return done(fail(ErrorCode::not_controller, "this node is starting"));
  auto begun = node_->transfer_leadership(target, shard_.now());
  if (!begun) return done(tl::unexpected(begun.error()));
  transfer_ = std::move(done);
  carry_out(*std::move(begun));
}

void RaftDriver::resign(std::string_view why) {
  NARU_CHECK(shard_.is_current());
  if (node_) carry_out(node_->resign(why, shard_.now()));
}

void RaftDriver::add_voter(raft::Voter voter, std::function<void(Result<void>)> done) {
  NARU_CHECK(shard_.is_current());
  if (!node_) return done(fail(ErrorCode::not_controller, "this node is starting"));
  handle_change(node_->add_voter(std::move(voter), shard_.now()), std::move(done));
}

void RaftDriver::remove_voter(raft::NodeKey voter, raft::Afterwards afterwards,
                              std::function<void(Result<void>)> done) {
  NARU_CHECK(shard_.is_current());
  if (!node_) return done(fail(ErrorCode::not_controller, "this node is starting"));
  handle_change(node_->remove_voter(voter, shard_.now(), afterwards), std::move(done));
}

void RaftDriver::update_voter(raft::NodeKey voter, raft::Endpoint endpoint, std::function<void(Result<void>)> done) {
  NARU_CHECK(shard_.is_current());
  if (!node_) return done(fail(ErrorCode::not_controller, "this node is starting"));
  handle_change(node_->update_voter(voter, std::move(endpoint), shard_.now()), std::move(done));
}

void RaftDriver::handle_change(Result<raft::Proposed> proposed, std::function<void(Result<void>)> done) {
  handle_proposed(std::move(proposed), [done = std::move(done)](const Result<LogIndex>& index) {
    done(index ? Result<void>() : tl::unexpected(index.error()));
  });
}

Room RaftDriver::room() const {
  if (!node_) return Room::enough;
  if (node_->is_handing_over()) return Room::none;
  return node_->uncommitted_bytes() > options_.raft.uncommitted_bytes_max / 2 ? Room::scarce : Room::enough;
}
std::optional<BrokerId> RaftDriver::leader() const {
  return node_ ? node_->leader() : std::nullopt;
}
bool RaftDriver::is_leader() const {
  return node_ && node_->role() == raft::Role::leader;
}
bool RaftDriver::is_confirmed() const {
  return node_ && node_->is_confirmed(shard_.now());
}
Term RaftDriver::term() const {
  return node_ ? node_->term() : Term(0);
}
raft::QuorumStatus RaftDriver::describe() const {
  return node_ ? node_->status() : raft::QuorumStatus();
}

// --- end

void RaftDriver::stop(std::function<void()> done) {
  shard_.post([this, done = std::move(done)]() mutable {
    if (std::exchange(stopping_, true)) return done();
    auto close = [this, done = std::move(done)] {
      stop_timer_.cancel();
      timer_.cancel();
      leader_timer_.cancel();
      if (node_) fail_proposals("this node is stopping");
      node_.reset();
      stop_.set();  // a first start under way ends
      const auto close_storage = [this, done] {
        if (!storage_) return done();
        storage_->close(done);
      };
      // gRPC's threads post to the shard until the last stream and question have ended.
      const auto end_streams = [this, close_storage] {
        if (!transport_) return close_storage();
        transport_->stop(close_storage);
      };
      if (!starting_) return end_streams();
      on_start_end_ = end_streams;
    };
    if (!is_leader() || node_->voters().size() == 1) return close();
    // The successor brings the gap down to a round trip; without one the others wait for the silence.
    auto closed = std::make_shared<bool>(false);
    auto once = [close, closed] {
      if (!std::exchange(*closed, true)) close();
    };
    stop_timer_ = shard_.call_at(shard_.now() + stop_time_max, once);
    transfer_leadership(std::nullopt, [this, once](const Result<void>&) { shard_.post(once); });
  });
}

}  // namespace controller::quorum
