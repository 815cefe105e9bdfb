// Opening a log: what the last run left is checked, cut, rebuilt or refused (R70-R75, R79, R80, R84).
//
//   1. left-overs of an interrupted restart (R67), deletion or replacement (R80) are finished
//   2. segments below the recovery point are taken as they are; those from it on are read and checked batch by batch
//   (R71)
//   3. a bad batch at or above max(recovery point, high watermark) is a torn tail and cut; below it is rot: refuse
//   (R72)
//   4. indexes, epochs and producer state of what was read are rebuilt; what was kept is synced, and written anew where
//   the page cache may be all that has it (R76)
#include "common/log/log_recovery.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/log/checkpoint_file.h"
#include "common/model/mutant.h"

namespace common::log {

using common::model::mutant;

using disk::DirectoryEntry;
using disk::OpenMode;

namespace {

constexpr uint64_t takes_long_to_remove = 64u << 20;

}  // namespace

Result<void> LogRecovery::finish_left_overs() {
  if (auto made = disk_.create_directories(log_.directory); !made) return storage(made);
  auto restart = disk_.read_file(log_.path(restart_file_name), 4096);
  if (restart) {
    const auto offset = decode_restart(restart->text());
    if (!offset) return corrupt(fmt::format("{} is damaged", log_.path(restart_file_name)));
    if (auto done = finish_restart(disk_, log_.directory, *offset); !done) return storage(done);
  } else if (restart.error().fault == IoFault::too_large) {
    return corrupt(restart.error().message);
  } else if (restart.error().fault != IoFault::not_found) {
    return disk::storage_error(restart.error());
  }
  auto entries = disk_.list(log_.directory);
  if (!entries) return disk::storage_error(entries.error());
  bool changed = false;
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.ends_with(swap_suffix) && !mutant<"R80-forgets-a-swap">()) {
      if (auto done = finish_replacement(entry.name, *entries); !done) return done;
      changed = true;
    }
  }
  if (changed) {
    entries = disk_.list(log_.directory);
    if (!entries) return disk::storage_error(entries.error());
  }
  Log::Impl::Removal later{.paths = {}, .due = model::Instant()};
  for (const DirectoryEntry& entry : *entries) {
    const std::string name = log_.path(entry.name);
    if (entry.name.ends_with(deleted_suffix) || entry.name.ends_with(cleaned_suffix) || entry.name.ends_with(".tmp")) {
      if (mutant<"R80-keeps-unfinished-replacements">()) continue;
      // Nobody is served before the logs are open. It is in nobody's way, and goes with the first tick.
      if (entry.size_bytes >= takes_long_to_remove && entry.name.ends_with(deleted_suffix)) {
        later.paths.push_back(name);
        continue;
      }
      // Or whoever had this log open before has just done it.
      auto removed = disk_.remove_file(name);
      if (!removed && removed.error().fault != IoFault::not_found) return storage(removed);
      changed = true;
    }
  }
  if (!later.paths.empty()) log_.removals.push_back(std::move(later));
  if (changed) {
    entries = disk_.list(log_.directory);
    if (!entries) return disk::storage_error(entries.error());
  }
  files_.entries = std::move(*entries);
  log_.has_gaps = files_.find(gaps_file_name) != nullptr;
  return {};
}

// R80: a replacement that was complete and synced before it got its name. What it replaces may be there in part.
Result<void> LogRecovery::finish_replacement(const std::string& swap_name, const std::vector<DirectoryEntry>& entries) {
  const std::string path = log_.path(swap_name);
  const std::string final_name = swap_name.substr(0, swap_name.size() - swap_suffix.size());
  const auto base = offset_in_name(final_name, log_suffix);
  if (!base) return storage(disk_.remove_file(path));
  auto file = disk_.open(path, OpenMode::existing);
  if (!file) return disk::storage_error(file.error());
  auto size = (*file)->size();
  if (!size) return disk::storage_error(size.error());
  Offset end = *base;
  auto walked = walk_headers(**file, 0, *size, Waiting::allowed, [&](const BatchAt& batch) {
    end = batch.last_offset.next();
    return records::Visit::go_on;
  });
  if (!walked) return disk::storage_error(walked.error());
  if (!*walked) return corrupt(fmt::format("{}: damaged batch header", path));
  for (const DirectoryEntry& entry : entries) {
    for (const auto suffix : {log_suffix, offset_index_suffix, time_index_suffix}) {
      const auto at = offset_in_name(entry.name, suffix);
      if (!at || *at < *base || *at >= std::max(end, base->next()) || mutant<"R80-keeps-what-was-replaced">()) continue;
      auto removed = disk_.remove_file(log_.path(entry.name));
      if (!removed && removed.error().fault != IoFault::not_found) return storage(removed);
    }
  }
  return storage(disk_.rename(path, log_.path(final_name)));
}

Result<void> LogRecovery::load_segments() {
  for (const DirectoryEntry& entry : files_.entries) {
    if (const auto at = offset_in_name(entry.name, snapshot_suffix)) log_.snapshots.push_back({*at});
    const auto base = offset_in_name(entry.name, log_suffix);
    if (!base) continue;
    auto file = disk_.open(log_.path(entry.name), OpenMode::existing);
    if (!file) return disk::storage_error(file.error());
    auto segment = std::make_unique<Segment>();
    segment->base = *base;
    segment->file = *file;
    segment->forget_batches();
    segment->size_bytes = entry.size_bytes;
    segment->created = segment->last_append = entry.modified;
    segment->written_back_bytes = entry.size_bytes;
    log_.segments.push_back(std::move(segment));
  }
  if (!log_.segments.empty()) return {};
  // A new log, or one whose files are gone although something in them was synced.
  if (hints_.recovery_point.value_or(Offset(0)) > hints_.log_start_offset.value_or(Offset(0)) &&
      !mutant<"R72-begins-anew-where-files-are-gone">()) {
    return corrupt(fmt::format("{} has no segment, but was synced up to {}", log_.directory, *hints_.recovery_point));
  }
  auto first = log_.make_segment(hints_.log_start_offset.value_or(Offset(0)), now_);
  if (!first) return disk::storage_error(first.error());
  log_.segments.push_back(std::move(*first));
  log_.names_dirty = true;
  return {};
}

// R71: from the segment that holds the recovery point on. After a clean end nothing but the tail is looked at.
Result<void> LogRecovery::choose_scan_start() {
  const Offset point = hints_.recovery_point.value_or(Offset(0));
  const bool is_clean = hints_.previous_end == PreviousEnd::clean && hints_.recovery_point;
  // A segment that ends just at the recovery point may have been synced before it was closed: its file may still be
  // longer than its batches.
  const auto is_done = [&](Offset end) { return is_clean ? end <= point : end < point; };
  while (scan_first_ + 1 < log_.segments.size() && is_done(log_.segments[scan_first_ + 1]->base)) ++scan_first_;
  // After a clean end the rest was synced too, and segments past the recovery point did not exist.
  if (is_clean && scan_first_ + 1 == log_.segments.size()) scan_first_ = log_.segments.size();
  for (size_t i = 0; i < std::min(scan_first_, log_.segments.size()); ++i) {
    if (auto adopted = adopt_indexes(*log_.segments[i]); !adopted) return adopted;
  }
  return {};
}

// What was on its way out when the last run ended. Oldest first: a crash leaves one piece.
Result<void> LogRecovery::drop_below_start() {
  while (log_.segments.size() > 1 && log_.segments[1]->base <= log_.log_start) {
    const Offset base = log_.segments.front()->base;
    for (const auto suffix : {log_suffix, offset_index_suffix, time_index_suffix}) {
      auto removed = disk_.remove_file(log_.path(base, suffix));
      if (!removed && removed.error().fault != IoFault::not_found) return storage(removed);
    }
    log_.segments.erase(log_.segments.begin());
    log_.names_dirty = true;
  }
  return {};
}

// The same bytes in the same place: whatever a crash keeps of them, the batches that were durable stay whole.
Result<void> LogRecovery::write_anew(const Segment& segment) const {
  const auto from = doubted_.find(segment.base);
  if (from == doubted_.end() || mutant<"R76-trusts-what-a-failed-sync-left">()) return {};
  std::vector<std::byte> chunk;
  for (uint64_t position = from->second; position < segment.size_bytes; position += chunk.size()) {
    chunk.resize(std::min<uint64_t>(segment.size_bytes - position, 1u << 20));
    auto n = segment.file->read_at(position, chunk);
    if (!n) return disk::storage_error(n.error());
    if (*n != chunk.size()) return corrupt(fmt::format("{} has become shorter", segment.file->path()));
    if (auto written = segment.file->write_at(position, chunk); !written) return storage(written);
  }
  return {};
}

// R71: synced before the recovery point moves. After the death of the process alone everything was synced by whoever
// found that out (R75), except what was cut just now.
Result<void> LogRecovery::sync_kept() {
  const bool all = hints_.previous_end == PreviousEnd::unknown;
  for (auto& segment : log_.segments) {
    if (!segment->is_synced && (all || has_cut_) && !mutant<"R71-moves-the-recovery-point-unsynced">()) {
      if (auto written = write_anew(*segment); !written) return written;
      if (auto synced = segment->file->sync_now(); !synced) return storage(synced);
    }
    segment->is_synced = true;
  }
  if (all || log_.names_dirty) {
    if (auto synced = disk_.sync_directory(log_.directory); !synced) return storage(synced);
  }
  log_.names_dirty = false;
  return {};
}

Result<void> LogRecovery::run() {
  if (auto done = finish_left_overs(); !done) return done;
  if (auto done = load_segments(); !done) return done;
  if (auto done = choose_scan_start(); !done) return done;
  if (auto done = load_epochs(); !done) return done;
  if (auto done = load_producers(Offset(INT64_MAX), scan_first_); !done) return done;
  log_.log_end = log_.segments.front()->base;
  const bool only_tail = scan_first_ == log_.segments.size();
  if (auto done = only_tail ? check_tail() : scan_from(scan_first_); !done) return done;
  // The process may have died between a truncation and the removal of a snapshot: it tells of batches that are gone.
  if (producers_from_ > log_.log_end && !mutant<"R84-believes-a-snapshot-beyond-the-end">()) {
    log_.producers.clear();
    if (auto done = load_producers(log_.log_end, log_.segments.size()); !done) return done;
  }

  log_.log_start = std::clamp(hints_.log_start_offset.value_or(Offset(0)), log_.segments.front()->base, log_.log_end);
  if (auto done = drop_below_start(); !done) return done;
  if (!mutant<"R79-keeps-epochs-beyond-the-end">()) log_.epochs.truncate_from_end(log_.log_end);
  if (auto done = complete_epochs(); !done) return done;
  if (!mutant<"R79-keeps-epochs-before-the-start">()) log_.epochs.truncate_from_start(log_.log_start);
  // A point past the active segment is of a log that was cut since.
  const Offset cleaned = hints_.cleaned_to.value_or(log_.log_start);
  log_.cleaned_to = cleaned > log_.segments.back()->base ? log_.log_start : cleaned;
  if (auto done = renew_snapshots(); !done) return done;
  // The recovery point may pass an epoch's start only once the file knows it. Below the scan it alone does.
  const bool is_file_doubted = hints_.doubted_from && scan_first_ > 0;
  if (is_file_doubted || !epochs_in_file_ || *epochs_in_file_ != log_.epochs.entries()) {
    const std::string text = encode_epochs(log_.epochs.entries());
    if (auto saved = disk_.replace_file(log_.path(epoch_file_name), model::as_bytes(text), disk::Durability::medium);
        !saved) {
      if (!disk::may_pass(saved.error().fault)) return storage(saved);
      log_.environment.logger.warn("epoch file: {}", saved.error().message);
      // R81: it is tried again, and nothing is appended before.
      if (log_.config.sync_needs_epochs) log_.epochs_cut = ++log_.epochs_version;
    }
  }
  if (auto done = sync_kept(); !done) return done;
  const bool owes_epochs = log_.epochs_saved < log_.epochs_cut;
  log_.flushed = owes_epochs ? std::min(hints_.recovery_point.value_or(Offset(0)), log_.log_end) : log_.log_end;
  return {};
}

Result<void> Log::Impl::recover(const OpenHints& hints, TimestampMs now) {
  return LogRecovery(*this, hints, now).run();
}

}  // namespace common::log
