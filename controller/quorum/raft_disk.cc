#include "controller/quorum/raft_disk.h"

#include "common/model/mutant.h"
#include "common/records/crc32c.h"

namespace controller::quorum {

using common::disk::IoResult;
using common::model::ErrorCode;
using common::model::fail;
using common::model::LeaderEpoch;
using common::model::LogIndex;
using common::model::mutant;
using common::model::Offset;

namespace {

constexpr auto removal_delay = std::chrono::seconds(1);
constexpr size_t snapshots_kept = 2;

template <class T>
const T* front_as(const std::deque<raft::Persist>& queue) {
  return queue.empty() ? nullptr : std::get_if<T>(&queue.front().operation);
}

}  // namespace

RaftDisk::RaftDisk(Environment environment, std::string directory)
    : environment_(std::move(environment)), directory_(std::move(directory)), alive_(std::make_shared<bool>(true)) {}
RaftDisk::~RaftDisk() = default;

void RaftDisk::persist(std::vector<raft::Persist> operations) {
  for (raft::Persist& operation : operations) queue_.push_back(std::move(operation));
  save_waiting_hard_state();
  step();
}

// One thing at a time, in order; while a sync runs, more entries gather for the next one (group commit).
void RaftDisk::step() {
  if (is_busy_ || has_failed_) return;
  if (queue_.empty()) {
    if (on_closed_) std::exchange(on_closed_, nullptr)();
    return;
  }
  is_busy_ = true;
  if (front_as<raft::SaveHardState>(queue_) != nullptr) {
    step_hard_state();
  } else if (front_as<raft::StoreSnapshotPiece>(queue_) != nullptr) {
    step_piece();
  } else if (front_as<raft::InstallSnapshot>(queue_) != nullptr) {
    step_install();
  } else {
    step_log();
  }
}

void RaftDisk::finish(raft::PersistToken token, std::optional<raft::Snapshot> installed) {
  is_busy_ = false;
  const std::weak_ptr<bool> still(alive_);
  if (events_.on_durable) events_.on_durable(token, std::move(installed));
  if (!still.expired()) step();
}

void RaftDisk::fail_for_good(std::string reason) {
  if (has_failed_) return;
  has_failed_ = true;
  environment_.logger.error("metadata log {}: {}", directory_, reason);
  const std::weak_ptr<bool> still(alive_);
  if (events_.on_failed) events_.on_failed(std::move(reason));
  if (!still.expired()) close_if_nothing_comes();
}

void RaftDisk::stall(std::function<void()> retry) {
  if (!std::exchange(is_stalled_, true))
    environment_.logger.error("metadata log {}: the disk is full; waiting for room", directory_);
  if (events_.on_stalled) events_.on_stalled();
  is_waiting_for_room_ = true;
  save_waiting_hard_state();
  const std::weak_ptr<bool> still(alive_);
  close_if_nothing_comes();
  if (!still.expired() && !is_closed_) wait_for_room(std::move(retry));
}

void RaftDisk::wait_for_room(std::function<void()> retry) {
  environment_.after(stall_retry, [this, alive = std::weak_ptr(alive_), retry = std::move(retry)]() mutable {
    if (alive.expired() || has_failed_ || is_closed_) return;
    if (is_saving_aside_) return wait_for_room(std::move(retry));
    is_waiting_for_room_ = false;
    retry();
  });
}

// The newest one says it all. It may become durable before what was handed over earlier, which nobody has acknowledged
// and which never is of a newer term; its floor is of what was durable before.
void RaftDisk::save_waiting_hard_state() {
  if (!is_waiting_for_room_ || is_saving_aside_ || has_failed_) return;
  raft::PersistToken token = 0;
  std::erase_if(queue_, [&](const raft::Persist& waiting) {
    const auto* save = std::get_if<raft::SaveHardState>(&waiting.operation);
    if (save == nullptr) return false;
    state_.hard_state = save->state;
    token = waiting.token;
    return true;
  });
  if (token == 0) return;
  is_saving_aside_ = true;
  state_file_->save(state_, [this, token, alive = std::weak_ptr(alive_)](const Result<void>& saved) {
    if (alive.expired()) return;
    is_saving_aside_ = false;
    if (!saved) return fail_for_good(saved.error().message);
    if (events_.on_hard_state_durable) events_.on_hard_state_durable(token);
    if (alive.expired()) return;
    save_waiting_hard_state();
    close_if_nothing_comes();
  });
}

// What was written counts once it is synced. The sync can want room too: for the epoch file of a new term.
void RaftDisk::flush_written(raft::PersistToken token) {
  log_->flush([this, token, alive = std::weak_ptr(alive_)](const Result<Offset>& flushed) {
    if (alive.expired()) return;
    if (flushed) {
      is_stalled_ = false;
      return finish(token);
    }
    if (log_->failure() || !log_->is_disk_full()) return fail_for_good(flushed.error().message);
    stall([this, token] { flush_written(token); });
  });
}

// All operations on the log's segments that stand at the front: written now, durable after one sync.
void RaftDisk::step_log() {
  raft::PersistToken token = 0;
  bool full = false;
  while (!queue_.empty() && !full) {
    const raft::Persist& next = queue_.front();
    if (const auto* append = std::get_if<raft::AppendEntries>(&next.operation)) {
      while (!full && entries_done_ < append->entries.size()) {
        full = !write_entry(append->entries[entries_done_]);
        if (has_failed_) return;
        if (!full) ++entries_done_;
      }
      if (full) break;
      entries_done_ = 0;
    } else if (const auto* truncate = std::get_if<raft::TruncateLog>(&next.operation)) {
      const auto cut = log_->truncate_to(Offset(truncate->position.end.value));
      if (!cut && (log_->failure() || cut.error().code != ErrorCode::kafka_storage_error)) {
        fail_for_good(cut.error().message);
        return;
      }
      full = !cut;  // or there was no descriptor for it: it is asked for again
      if (full) break;
      NARU_CHECK(cut->value == truncate->position.end.value, "truncated to {} instead of {}", *cut,
                 truncate->position.end);
      end_ = truncate->position;
      remove_dropped_soon();
    } else if (const auto* drop = std::get_if<raft::DropPrefix>(&next.operation)) {
      log_->advance_log_start(Offset(drop->start.value));
      prune_snapshots();
      remove_dropped_soon();
    } else {
      break;
    }
    token = next.token;
    queue_.pop_front();
  }
  if (token == 0) {
    stall([this] {
      is_busy_ = false;
      step();
    });
    return;
  }
  if (mutant<"R2-entries-count-before-their-sync">()) return finish(token);
  flush_written(token);
}

// The log only renames what it drops; the files go with its next tick, which nobody else calls. By then their new names
// are on the disk; if not, they go after the next drop.
void RaftDisk::remove_dropped_soon() {
  if (std::exchange(is_removing_soon_, true)) return;
  environment_.after(removal_delay, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    is_removing_soon_ = false;
    log_->tick({environment_.clock->now(), environment_.clock->wall_now()});
  });
}

// False: the disk is full, or has_failed_.
bool RaftDisk::write_entry(const raft::Entry& entry) {
  NARU_CHECK(log_->log_end_offset().value == entry.index.value, "entry {} at log end {}", entry.index,
             log_->log_end_offset());
  const Buffer batch = encode_entry(entry, end_, environment_.clock->wall_now());
  const auto written = log_->append_own(batch, LeaderEpoch(entry.term.value), environment_.clock->wall_now());
  if (written) {
    end_ = {entry.index.next(), entry.term, raft::chain_checksum(end_.checksum, entry)};
    return true;
  }
  // It may have been full before it failed, as a thin volume is.
  if (log_->failure() || !log_->is_disk_full()) fail_for_good(written.error().message);
  return false;
}

void RaftDisk::step_hard_state() {
  raft::PersistToken token = 0;
  while (const auto* save = front_as<raft::SaveHardState>(queue_)) {  // the last one says it all
    state_.hard_state = save->state;
    token = queue_.front().token;
    queue_.pop_front();
  }
  if (mutant<"R1-votes-are-not-saved">()) return finish(token);
  state_file_->save(state_, [this, token](const Result<void>& saved) {
    if (!saved) return fail_for_good(saved.error().message);
    finish(token);
  });
}

// Pieces gather in memory: that is where the whole will be needed, and a partial file would be of no use after a crash.
void RaftDisk::step_piece() {
  const raft::Persist next = std::move(queue_.front());
  queue_.pop_front();
  const auto& piece = std::get<raft::StoreSnapshotPiece>(next.operation);
  if (piece.offset == 0) pieces_.clear();
  NARU_CHECK(piece.offset == pieces_.size(), "snapshot piece at {} after {}", piece.offset, pieces_.size());
  piece_meta_ = piece.meta;
  pieces_ += piece.bytes.text();
  finish(next.token);
}

// R15: the snapshot is durable under its name, then the log is emptied; the driver hears of both together.
void RaftDisk::step_install() {
  const raft::Persist next = std::move(queue_.front());
  queue_.pop_front();
  const raft::SnapshotMeta meta = std::get<raft::InstallSnapshot>(next.operation).meta;
  NARU_CHECK(piece_meta_ == meta && pieces_.size() == meta.size_bytes, "snapshot {} is not complete",
             meta.position.end);
  const auto snapshot =
      std::make_shared<const raft::Snapshot>(raft::Snapshot{meta, Buffer::own(std::exchange(pieces_, {}))});
  piece_meta_.reset();
  if (common::records::crc32c(snapshot->state.view()) != meta.state_checksum &&
      !mutant<"R15-installs-a-damaged-snapshot">())
    return fail_for_good(fmt::format("snapshot {} arrived damaged", meta.position.end));
  store_installed(snapshot, next.token);
}

void RaftDisk::store_installed(const SharedSnapshot& snapshot, raft::PersistToken token) {
  const std::string path = directory_ + "/" + snapshot_file_name(snapshot->meta.position);
  environment_.disk->offload(
      common::disk::Job::changes,
      [disk = environment_.disk, path, snapshot] {
        return disk->replace_file(path, encode_snapshot(*snapshot).view(), common::disk::Durability::medium);
      },
      [this, alive = std::weak_ptr(alive_), snapshot, token](const IoResult<void>& stored) {
        if (alive.expired()) return;
        if (stored) return begin_at_installed(snapshot, token);
        if (!common::disk::may_pass(stored.error().fault)) return fail_for_good(stored.error().message);
        stall([this, snapshot, token] { store_installed(snapshot, token); });
      });
}

void RaftDisk::begin_at_installed(const SharedSnapshot& snapshot, raft::PersistToken token) {
  log_->truncate_fully_and_start_at(
      Offset(snapshot->meta.position.end.value),
      [this, alive = std::weak_ptr(alive_), snapshot, token](const Result<void>& emptied) {
        if (alive.expired()) return;
        if (!emptied && (log_->failure() || !log_->is_disk_full())) return fail_for_good(emptied.error().message);
        if (!emptied) return stall([this, snapshot, token] { begin_at_installed(snapshot, token); });
        is_stalled_ = false;
        end_ = snapshot->meta.position;
        finish(token, *snapshot);
        if (!alive.expired()) prune_snapshots();
      });
}

void RaftDisk::save_snapshot(raft::Snapshot snapshot, std::function<void(Result<raft::Snapshot>)> done) {
  snapshot.meta.size_bytes = snapshot.state.size();
  snapshot.meta.state_checksum = common::records::crc32c(snapshot.state.view());
  const std::string path = directory_ + "/" + snapshot_file_name(snapshot.meta.position);
  environment_.disk->offload(
      common::disk::Job::changes,
      [disk = environment_.disk, path, snapshot] {
        const bool lost = mutant<"R14-drops-entries-before-the-snapshot-is-saved">();
        return lost ? IoResult<void>()
                    : disk->replace_file(path, encode_snapshot(snapshot).view(), common::disk::Durability::medium);
      },
      [alive = std::weak_ptr(alive_), snapshot, done = std::move(done)](const IoResult<void>& stored) {
        if (alive.expired()) return;
        if (!stored) return done(common::disk::storage_error(stored.error()));
        done(snapshot);
      });
}

void RaftDisk::prune_snapshots() {
  environment_.disk->offload(
      common::disk::Job::changes,
      [disk = environment_.disk, directory = directory_]() -> IoResult<void> {
        const auto listed = disk->list(directory);
        if (!listed) return tl::unexpected(listed.error());
        std::vector<std::string> names;  // sorted by name, so by end
        for (const auto& entry : *listed)
          if (parse_snapshot_file_name(entry.name)) names.push_back(entry.name);
        for (size_t i = 0; i + snapshots_kept < names.size(); ++i)
          if (auto removed = disk->remove_file(directory + "/" + names[i]); !removed) return removed;
        return {};
      },
      [logger = environment_.logger](const IoResult<void>& done) {
        if (!done) logger.warn("old snapshots stay: {}", done.error().message);
      });
}

// Room may never come, and nobody was told of what waits for it: a broker that is to end does not stay for that.
void RaftDisk::close_if_nothing_comes() {
  if (on_closed_ && (has_failed_ || (is_waiting_for_room_ && !is_saving_aside_))) std::exchange(on_closed_, nullptr)();
}

void RaftDisk::close(std::function<void()> done) {
  on_closed_ = [this, done = std::move(done)]() mutable {
    is_closed_ = true;
    log_->close([this, done = std::move(done)](const Result<void>& closed) {
      if (!closed) environment_.logger.warn("metadata log: {}", closed.error().message);
      done();
    });
  };
  const std::weak_ptr<bool> still(alive_);
  close_if_nothing_comes();
  if (!still.expired() && !is_closed_) step();
}

}  // namespace controller::quorum
