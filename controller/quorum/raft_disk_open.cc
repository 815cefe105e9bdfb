// Opening the metadata log: what the last life left, whether it can be trusted, and the first entry of a new quorum.
#include <algorithm>
#include <charconv>
#include <map>

#include "common/model/mutant.h"
#include "controller/quorum/raft_disk.h"

namespace controller::quorum {

using common::disk::Durability;
using common::disk::IoFault;
using common::disk::storage_error;
using common::model::ErrorCode;
using common::model::fail;
using common::model::LeaderEpoch;
using common::model::LogIndex;
using common::model::mutant;
using common::model::Offset;
using common::model::Term;

namespace {

constexpr size_t properties_bytes_max = 64 << 10;
constexpr size_t snapshot_file_bytes_max = (size_t{1} << 30) + (1 << 20);
constexpr size_t read_bytes = 1 << 20;

constexpr std::string_view lost_suffix = ".lost-";
constexpr size_t former_lives_kept = 8;

std::string parent_of(const std::string& directory) {
  const size_t slash = directory.rfind('/');
  return slash == std::string::npos ? "." : directory.substr(0, slash);
}

// Paths of what was set aside, by number: in the order in which that happened.
Result<std::map<int64_t, std::string>> former_lives(common::disk::Disk& disk, const std::string& directory) {
  const auto listed = disk.list(parent_of(directory));
  if (!listed) return storage_error(listed.error());
  const std::string prefix = directory.substr(directory.rfind('/') + 1) + std::string(lost_suffix);
  std::map<int64_t, std::string> former;
  for (const auto& entry : *listed) {
    if (!entry.name.starts_with(prefix)) continue;
    const std::string_view digits = std::string_view(entry.name).substr(prefix.size());
    int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size() && number > 0)
      former.emplace(number, fmt::format("{}{}{}", directory, lost_suffix, digits));
  }
  return former;
}

std::string properties_path(const std::string& directory) {
  return directory + "/quorum.properties";
}

common::log::LogConfig log_config() {
  common::log::LogConfig config;
  config.segment_bytes = 32u << 20;  // above the largest entry that Raft takes (Config::entry_bytes_max)
  config.segment_ms = std::chrono::hours(24 * 365 * 100);
  config.retention_ms.reset();
  config.delete_old_segments = false;
  config.preallocate_bytes = 1u << 20;  // a sync then writes no file size, and a full disk leaves some room
  config.sync_needs_epochs = false;     // that room does not hold what a new term would write elsewhere
  config.file_delete_delay = common::log::milliseconds(0);
  config.keep_producer_state = false;
  return config;
}

}  // namespace

Result<std::optional<QuorumProperties>> read_properties(common::disk::Disk& disk, const std::string& directory) {
  const auto bytes = disk.read_file(properties_path(directory), properties_bytes_max);
  if (!bytes && bytes.error().fault == IoFault::not_found) return std::nullopt;
  if (!bytes) return storage_error(bytes.error());
  auto properties = decode_properties(bytes->text());
  if (!properties) return tl::unexpected(properties.error());
  return *std::move(properties);
}

Result<void> write_properties(common::disk::Disk& disk, const std::string& directory,
                              const QuorumProperties& properties) {
  const std::string text = encode_properties(properties);
  const auto stored = disk.replace_file(properties_path(directory), common::model::as_bytes(text), Durability::medium);
  if (!stored) return storage_error(stored.error());
  return {};
}

Result<std::string> set_lost_state_aside(common::disk::Disk& disk, const std::string& directory) {
  const auto former = former_lives(disk, directory);
  if (!former) return tl::unexpected(former.error());
  const int64_t number = former->empty() ? 1 : former->rbegin()->first + 1;
  const std::string path = fmt::format("{}{}{}", directory, lost_suffix, number);
  for (const auto& done :
       {disk.rename(directory, path), disk.create_directories(directory), disk.sync_directory(parent_of(directory))})
    if (!done) return storage_error(done.error());
  return path;
}

Result<std::vector<std::string>> remove_spare_former_lives(common::disk::Disk& disk, const std::string& directory) {
  auto former = former_lives(disk, directory);
  if (!former) return tl::unexpected(former.error());
  std::vector<std::string> removed;
  while (former->size() > former_lives_kept) {
    const auto second = std::next(former->begin());
    if (auto gone = disk.remove_tree(second->second); !gone) return storage_error(gone.error());
    removed.push_back(second->second);
    former->erase(second);
  }
  return removed;
}

Result<RaftDisk::Opened> RaftDisk::open(Environment environment, std::string directory, bool is_member,
                                        const raft::VoterSet& first_voters) {
  Opened opened;
  std::unique_ptr<RaftDisk> self(new RaftDisk(std::move(environment), std::move(directory)));
  if (auto done = self->open_state(is_member, opened.restored, opened.lost); !done) return tl::unexpected(done.error());
  if (opened.lost) return opened;
  auto snapshot = self->read_newest_snapshot();
  if (!snapshot) return tl::unexpected(snapshot.error());
  opened.restored.snapshot = *std::move(snapshot);
  if (auto done = self->open_log(opened.restored, opened.lost); !done) return tl::unexpected(done.error());
  if (opened.lost) return opened;
  const bool is_empty = !opened.restored.snapshot && opened.restored.entries.empty();
  // R4, R21: begun anew it would forget its vote, and what it has acknowledged, and go on as the same voter.
  const bool was_begun = is_member && !mutant<"R21-begins-a-log-that-is-gone-anew">();
  if (is_empty && !first_voters.empty() && was_begun) {
    opened.lost = "the log of a node that founded its cluster is empty";
    return opened;
  }
  if (is_empty && !first_voters.empty()) {
    if (auto done = self->make_bootstrap(first_voters, opened.restored); !done) return tl::unexpected(done.error());
  }
  // R21: what a majority may count on must still be here.
  if (self->end_.end < opened.restored.hard_state.committed_floor && !mutant<"R21-opens-a-log-that-lost-its-end">())
    opened.lost = fmt::format("the log ends at {} but {} was committed", self->end_.end,
                              opened.restored.hard_state.committed_floor);
  if (self->end_.last_term > opened.restored.hard_state.term)
    opened.lost =
        fmt::format("the log has term {} but the vote only {}", self->end_.last_term, opened.restored.hard_state.term);
  if (opened.lost) return opened;
  opened.storage = std::move(self);
  return opened;
}

// R4: the vote of a member must be there. This start is counted before anything is said (R23).
Result<void> RaftDisk::open_state(bool is_member, raft::RestoredState& restored, std::optional<std::string>& lost) {
  auto opened = QuorumStateFile::open(*environment_.disk, directory_);
  if (!opened) return tl::unexpected(opened.error());
  if (is_member && !opened->state && !mutant<"R4-forgets-its-vote">()) {
    lost = "quorum-state, which holds this node's vote, is missing or damaged";
    return {};
  }
  state_ = opened->state.value_or(QuorumState{});
  starts_ = ++state_.starts;
  restored.hard_state = state_.hard_state;
  state_file_ = std::move(opened->file);
  if (auto saved = state_file_->save_now(state_); !saved) return saved;
  if (auto synced = environment_.disk->sync_directory(directory_); !synced) return storage_error(synced.error());
  return {};
}

Result<std::optional<raft::Snapshot>> RaftDisk::read_newest_snapshot() {
  const auto listed = environment_.disk->list(directory_);
  if (!listed) return storage_error(listed.error());
  std::optional<raft::Snapshot> newest;
  for (auto entry = listed->rbegin(); entry != listed->rend() && !newest; ++entry) {
    if (!parse_snapshot_file_name(entry->name)) continue;
    auto file = environment_.disk->read_file(directory_ + "/" + entry->name, snapshot_file_bytes_max);
    if (!file) return storage_error(file.error());
    auto decoded = decode_snapshot(*file);
    if (decoded) {
      newest = *std::move(decoded);
    } else {
      // An older one may do, if the log still reaches back to it; else the node finds that its state is lost.
      environment_.logger.error("{}: {}", entry->name, decoded.error().message);
    }
  }
  return newest;
}

Result<void> RaftDisk::open_log(raft::RestoredState& restored, std::optional<std::string>& lost) {
  common::log::OpenHints hints;
  if (!mutant<"R20-cuts-what-was-committed">())
    hints.high_watermark = Offset(restored.hard_state.committed_floor.value);  // never cut there (R20, R72)
  // R2: the last process may have ended because a sync failed, and nobody could note that. What was delivered had been
  // synced; what comes after it is a second or so of entries.
  hints.doubted_from = Offset(restored.hard_state.committed_floor.value);
  common::log::LogEnvironment environment{environment_.disk, nullptr, environment_.logger, {}};
  auto log =
      common::log::Log::open(std::move(environment), directory_, log_config(), hints, environment_.clock->wall_now());
  if (!log && log.error().code == ErrorCode::corrupt_message) {
    lost = log.error().message;
    return {};
  }
  if (!log) return tl::unexpected(log.error());
  log_ = *std::move(log);
  if (auto read = read_entries(restored, lost); !read || lost) return read;
  return fit_to_snapshot(restored, lost);
}

// Every entry, each checked against the chain of those before it (R21). Those that the newest snapshot covers are not
// kept: a segment is many times as long as what comes after it, and the memory would not all be given back.
Result<void> RaftDisk::read_entries(raft::RestoredState& restored, std::optional<std::string>& lost) {
  Offset next = log_->log_start_offset();
  bool is_first = true;
  const LogIndex covered = restored.snapshot ? restored.snapshot->meta.position.end : LogIndex(0);
  raft::LogPosition position{LogIndex(next.value), Term(0), 0};
  while (next < log_->log_end_offset()) {
    common::log::ReadRequest request{next, log_->log_end_offset(), read_bytes};
    const auto read = log_->read_blocking(request);
    if (!read && read.error().code == ErrorCode::corrupt_message) lost = read.error().message;
    if (!read) return lost ? Result<void>() : tl::unexpected(read.error());
    const Buffer bytes = read->records.flatten();
    common::records::BatchCursor cursor(bytes.view());
    while (!cursor.at_end()) {
      const auto batch = cursor.next();
      auto stored = batch ? decode_entry(*batch) : tl::unexpected(batch.error());
      if (!stored) {
        lost = stored.error().message;
        return {};
      }
      if (std::exchange(is_first, false)) restored.start = position = stored->before;
      if ((stored->before != position || !raft::is_well_formed(stored->entry) ||
           stored->entry.term < position.last_term) &&
          !mutant<"R21-reads-a-broken-chain">()) {
        lost = fmt::format("entry {} does not follow from the one before it", stored->entry.index);
        return {};
      }
      position = {stored->entry.index.next(), stored->entry.term,
                  raft::chain_checksum(position.checksum, stored->entry)};
      if (position.end > covered) {
        restored.entries.push_back(std::move(stored->entry));
      } else {
        restored.start = position;
      }
    }
    next = read->next_offset;
  }
  if (is_first) restored.start = position;
  end_ = position;
  return {};
}

// The log must go on where the newest snapshot ends. It does not if a crash came between the two steps of an install:
// then the second step is done now. Entries that the snapshot covers need not be in memory.
Result<void> RaftDisk::fit_to_snapshot(raft::RestoredState& restored, std::optional<std::string>& lost) {
  if (!restored.snapshot) return {};
  const raft::LogPosition target = restored.snapshot->meta.position;
  raft::LogPosition position = restored.start;
  size_t covered = 0;
  while (covered < restored.entries.size() && position.end < target.end) {
    const raft::Entry& entry = restored.entries[covered++];
    position = {entry.index.next(), entry.term, raft::chain_checksum(position.checksum, entry)};
  }
  if (position == target) {
    restored.entries.erase(restored.entries.begin(), restored.entries.begin() + static_cast<std::ptrdiff_t>(covered));
    restored.start = target;
    return {};
  }
  if (restored.start.end > target.end) {
    lost =
        fmt::format("the log begins at {} and the newest readable snapshot ends at {}", restored.start.end, target.end);
    return {};
  }
  const LogIndex start(log_->log_start_offset().value);
  const LogIndex end = end_.end;
  restored.entries.clear();
  restored.start = end_ = target;
  // An empty log says nothing of its last term: after an install it simply begins there.
  if (log_->log_start_offset().value == target.end.value && log_->log_end_offset().value == target.end.value) return {};
  environment_.logger.info("metadata log [{}, {}) does not reach the snapshot at {}: begin there", start, end,
                           target.end);
  restart_at_ = target.end;
  return {};
}

// On a full disk when there is room (R81).
void RaftDisk::begin_at_snapshot(std::function<void(Result<void>)> done) {
  log_->truncate_fully_and_start_at(Offset(restart_at_->value), [this, alive = std::weak_ptr(alive_),
                                                                 done = std::move(done)](Result<void> emptied) mutable {
    if (alive.expired()) return;
    if (emptied || log_->failure() || !log_->is_disk_full()) return done(std::move(emptied));
    if (!std::exchange(is_stalled_, true))
      environment_.logger.error("metadata log {}: the disk is full; waiting for room", directory_);
    environment_.after(stall_retry, [this, alive, done = std::move(done)]() mutable {
      if (!alive.expired()) begin_at_snapshot(std::move(done));
    });
  });
}

void RaftDisk::finish_open(std::function<void(Result<void>)> done) {
  if (restart_at_) return begin_at_snapshot(std::move(done));
  if (!bootstrap_) return done({});
  const Buffer batch = encode_entry(*bootstrap_, {}, environment_.clock->wall_now());
  const auto written = log_->append_own(batch, LeaderEpoch(bootstrap_->term.value), environment_.clock->wall_now());
  if (!written) return done(tl::unexpected(written.error()));
  log_->flush([done = std::move(done)](const Result<Offset>& flushed) {
    done(flushed ? Result<void>() : tl::unexpected(flushed.error()));
  });
}

// Index 0, term 1, the same on every voter, before the first election.
Result<void> RaftDisk::make_bootstrap(const raft::VoterSet& voters, raft::RestoredState& restored) {
  state_.hard_state = {Term(1), std::nullopt, LogIndex(0)};
  if (auto saved = state_file_->save_now(state_); !saved) return saved;
  raft::Entry entry;
  entry.term = Term(1);
  entry.kind = raft::EntryKind::bootstrap;
  entry.payload = voters.encode();
  bootstrap_ = entry;
  end_ = {entry.index.next(), entry.term, raft::chain_checksum(0, entry)};
  restored.hard_state = state_.hard_state;
  restored.entries.push_back(std::move(entry));
  return {};
}

}  // namespace controller::quorum
