#include "raft/sim_node.h"


namespace raft_test {
namespace {

LogPosition position_after(LogPosition start, const std::vector<Entry>& entries) {
  for (const Entry& e : entries) start = {e.index.next(), e.term, chain_checksum(start.checksum, e)};
  return start;
}

}  // namespace

void SimDisk::submit(std::vector<Persist> operations) {
  for (Persist& operation : operations) pending_.push_back(std::move(operation));
}

SimDisk::Finished SimDisk::finish_one() {
  const Persist operation = pending_.front();
  pending_.pop_front();
  return {operation.token, apply(operation.operation)};
}

void SimDisk::crash(size_t kept) {
  for (size_t i = 0; i < kept && !pending_.empty(); ++i) finish_one();
  pending_.clear();
  piece_meta_.reset();
}

LogIndex SimDisk::log_end() const {
  return state_.start.end + static_cast<int64_t>(state_.entries.size());
}

std::optional<Snapshot> SimDisk::apply(const PersistOperation& operation) {
  if (const auto* save = std::get_if<SaveHardState>(&operation)) {
    state_.hard_state = save->state;
  } else if (const auto* append = std::get_if<AppendEntries>(&operation)) {
    for (const Entry& entry : append->entries) {
      NARU_CHECK(entry.index == log_end(), "append of {} at {}", entry.index, log_end());
      state_.entries.push_back(entry);
    }
  } else if (const auto* truncate = std::get_if<TruncateLog>(&operation)) {
    NARU_CHECK(truncate->position.end >= state_.start.end && truncate->position.end <= log_end(), "truncate to {}",
               truncate->position.end);
    state_.entries.resize(static_cast<size_t>(truncate->position.end - state_.start.end));
  } else if (const auto* drop = std::get_if<DropPrefix>(&operation)) {
    NARU_CHECK(state_.snapshot && state_.snapshot->meta.position.end >= drop->start, "R14: prefix without a snapshot");
    const auto count = drop->start - state_.start.end;
    std::vector<Entry> dropped(state_.entries.begin(), state_.entries.begin() + count);
    state_.entries.erase(state_.entries.begin(), state_.entries.begin() + count);
    state_.start = position_after(state_.start, dropped);
  } else if (const auto* piece = std::get_if<StoreSnapshotPiece>(&operation)) {
    if (piece->offset == 0) pieces_.clear();
    NARU_CHECK(piece->offset == pieces_.size(), "piece at {} of {}", piece->offset, pieces_.size());
    piece_meta_ = piece->meta;
    pieces_ += piece->bytes.text();
  } else if (const auto* install = std::get_if<InstallSnapshot>(&operation)) {
    NARU_CHECK(piece_meta_ == install->meta && pieces_.size() == install->meta.size_bytes, "incomplete snapshot");
    state_.snapshot = Snapshot{install->meta, Buffer::copy_of(pieces_)};
    state_.start = install->meta.position;
    state_.entries.clear();
    return state_.snapshot;
  }
  return std::nullopt;
}

void SimState::load(const Snapshot& snapshot) {
  const LogPosition& p = snapshot.meta.position;
  NARU_CHECK(snapshot.state.text() == fmt::format("{}@{} {}", p.end, p.last_term, p.checksum), "foreign snapshot");
  NARU_CHECK(p.end >= position_.end, "state goes back from {} to {}", position_.end, p.end);
  position_ = p;
}

void SimState::apply(const Entry& entry) {
  NARU_CHECK(entry.index == position_.end, "applied {} after {}", entry.index, position_.end);
  position_ = {entry.index.next(), entry.term, chain_checksum(position_.checksum, entry)};
}

Buffer SimState::snapshot() const {
  return Buffer::own(fmt::format("{}@{} {}", position_.end, position_.last_term, position_.checksum));
}

NodeKey key_of(int id, int life) {
  return {BrokerId(id), Uuid::from_halves(static_cast<uint64_t>(id), static_cast<uint64_t>(life))};
}

Voter voter_of(int id, int life) {
  return {key_of(id, life), {fmt::format("host{}", id), 9093}, {}};
}

VoterSet voters_of(const std::vector<int64_t>& ids) {
  std::vector<Voter> voters;
  for (const int64_t id : ids) voters.push_back(voter_of(static_cast<int>(id)));
  return VoterSet(std::move(voters));
}

RestoredState bootstrapped(const std::vector<int64_t>& ids) {
  RestoredState state;
  state.hard_state.term = Term(1);
  Entry entry;
  entry.term = Term(1);
  entry.kind = EntryKind::bootstrap;
  entry.payload = voters_of(ids).encode();
  state.entries.push_back(std::move(entry));
  return state;
}

}  // namespace raft_test
