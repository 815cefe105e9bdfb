// Opening a log, what is kept beside its batches: indexes, leader epochs and producers, taken up where they can be
// trusted and made anew where not (R73, R74, R79, R84).
#include <algorithm>

#include <fmt/format.h>

#include "common/log/checkpoint_file.h"
#include "common/log/log_recovery.h"
#include "common/model/mutant.h"

namespace common::log {

using common::model::mutant;

Result<bool> LogRecovery::adopt_index_files(Segment& segment) {
  const std::string offsets = log_.path(segment.base, offset_index_suffix);
  const std::string times = log_.path(segment.base, time_index_suffix);
  const auto* offsets_file = files_.find(offsets.substr(log_.directory.size() + 1));
  const auto* times_file = files_.find(times.substr(log_.directory.size() + 1));
  // Without entries an index is right only for a segment that is too short for one.
  if (!times_file && segment.size_bytes > 0) return false;
  const bool needs_entry = segment.size_bytes > 2 * uint64_t{log_.config.index_interval_bytes} + (64u << 20);
  if (needs_entry && (!offsets_file || offsets_file->size_bytes == 0)) return false;
  auto offsets_good =
      segment.offsets.adopt(disk_, offsets, offsets_file ? offsets_file->size_bytes : 0, segment.size_bytes);
  if (!offsets_good) return disk::storage_error(offsets_good.error());
  auto times_good = segment.times.adopt(disk_, times, times_file ? times_file->size_bytes : 0, segment.size_bytes);
  if (!times_good) return disk::storage_error(times_good.error());
  return (*offsets_good && *times_good) || mutant<"R74-trusts-any-index">();
}

Result<void> LogRecovery::adopt_indexes(Segment& segment) {
  auto good = adopt_index_files(segment);
  if (!good) return tl::unexpected(good.error());
  if (!*good) return rebuild_indexes(segment);
  if (segment.times.last()) {
    segment.largest_timestamp = TimestampMs(segment.times.last()->timestamp);
    segment.largest_timestamp_offset = segment.base + segment.times.last()->relative_offset;
    segment.is_age_hearsay = segment.times.count() == 1;
  }
  return {};
}

// R74: of a segment that is not read otherwise.
Result<void> LogRecovery::rebuild_indexes(Segment& segment) {
  ++log_.report.rebuilt_indexes;
  const uint64_t end = segment.size_bytes;
  segment.forget_batches();
  std::optional<Offset> before;
  bool in_order = true;
  auto walked = walk_facts(*segment.file, 0, end, [&](const BatchFacts& facts) {
    in_order = in_order && (!before || facts.base_offset > *before) && facts.last_offset() <= farthest(segment);
    before = facts.last_offset();
    if (in_order && facts.last_offset() >= segment.base) segment.note_batch(facts, facts.position, log_.config);
    segment.size_bytes = facts.position + facts.size_bytes;
  });
  if (!walked) return disk::storage_error(walked.error());
  if (!*walked || !in_order)
    return corrupt(fmt::format("{}: damaged batch header below the recovery point", segment.file->path()));
  segment.finish_times();
  log_.write_indexes(segment, true);
  return {};
}

// R79. The file knows what lies below the scan; the rest comes from the batches.
Result<void> LogRecovery::load_epochs() {
  scan_from_ = scan_first_ < log_.segments.size() ? log_.segments[scan_first_]->base : Offset(INT64_MAX);
  auto file = disk_.read_file(log_.path(epoch_file_name), 64u << 20);
  if (!file && !is_missing(file.error())) return disk::storage_error(file.error());
  if (file) epochs_in_file_ = decode_epochs(file->text());
  if (epochs_in_file_) {
    for (const EpochStart& e : *epochs_in_file_) file_.assign(e.epoch, e.start_offset);
    log_.epochs = file_;
  } else {
    log_.report.rebuilt_epochs = scan_first_ > 0;
    for (size_t i = 0; i < std::min(scan_first_, log_.segments.size()); ++i) {
      Segment& segment = *log_.segments[i];
      bool falls = false;
      auto walked = walk_headers(*segment.file, 0, segment.size_bytes, Waiting::allowed, [&](const BatchAt& batch) {
        falls = batch.leader_epoch < log_.epochs.latest().value_or(LeaderEpoch(0));
        if (falls) return records::Visit::stop;
        if (log_.epochs.latest() != batch.leader_epoch)
          log_.epochs.assign(batch.leader_epoch, std::max(batch.base_offset, log_.segments[0]->base));
        return records::Visit::go_on;
      });
      if (!walked) return disk::storage_error(walked.error());
      if (!*walked || falls)
        return corrupt(fmt::format("{}: damaged batch header below the recovery point", segment.file->path()));
    }
  }
  log_.epochs.truncate_from_end(scan_from_);
  last_epoch_ = log_.epochs.latest();
  return {};
}

// The file may know nothing of the first batches: the log start had moved past them, and that was forgotten (R73).
Result<void> LogRecovery::complete_epochs() {
  const auto& known = log_.epochs.entries();
  const Offset first_known = known.empty() ? log_.log_end : known.front().start_offset;
  if (first_known <= log_.log_start) return {};
  EpochCache complete;
  for (auto& segment : log_.segments) {
    if (segment->base >= first_known) break;
    bool falls = false;
    auto walked = walk_headers(*segment->file, 0, segment->size_bytes, Waiting::allowed, [&](const BatchAt& batch) {
      if (batch.base_offset >= first_known) return records::Visit::stop;
      falls = batch.leader_epoch < complete.latest().value_or(LeaderEpoch(0)) ||
              (!known.empty() && batch.leader_epoch > known.front().epoch);
      if (falls) return records::Visit::stop;
      if (complete.latest() != batch.leader_epoch)
        complete.assign(batch.leader_epoch, std::max(batch.base_offset, log_.segments[0]->base));
      return records::Visit::go_on;
    });
    if (!walked) return disk::storage_error(walked.error());
    if (falls) return corrupt(fmt::format("{}: a leader epoch that falls", segment->file->path()));
  }
  for (const EpochStart& e : known) {
    if (complete.latest() != e.epoch) complete.assign(e.epoch, e.start_offset);
  }
  log_.epochs = std::move(complete);
  return {};
}

// R84: the newest valid snapshot at or below `bound` and the recovery point, then the batches from there on, of the
// first so many segments.
Result<void> LogRecovery::load_producers(Offset bound, size_t segments) {
  const Offset first = log_.segments.front()->base;
  producers_from_ = first;
  if (!log_.config.keep_producer_state) return {};
  for (auto it = log_.snapshots.rbegin(); it != log_.snapshots.rend(); ++it) {
    if ((it->offset > std::min(snapshots_trusted(), bound) && !mutant<"R84-trusts-snapshots-of-what-was-cut">()) ||
        it->offset < first)
      continue;
    auto file = disk_.read_file(log_.path(it->offset, snapshot_suffix), 256u << 20);
    if (!file && !is_missing(file.error())) return disk::storage_error(file.error());
    if (!file) continue;
    auto table = records::ProducerStateTable::decode_snapshot(file->view());
    if (!table) {
      log_.environment.logger.warn("{}: {}", log_.path(it->offset, snapshot_suffix), table.error().message);
      continue;
    }
    log_.producers = std::move(*table);
    producers_from_ = it->offset;
    break;
  }
  for (size_t i = 0; i < std::min(segments, log_.segments.size()); ++i) {
    Segment& segment = *log_.segments[i];
    const bool is_before = i + 1 < log_.segments.size() && log_.segments[i + 1]->base <= producers_from_;
    if (is_before) continue;
    uint64_t position = 0;
    if (segment.base < producers_from_) {
      auto entry = segment.offsets.find(disk_, log_.path(segment.base, offset_index_suffix),
                                        producers_from_ - segment.base, Waiting::allowed);
      if (entry && *entry) position = (*entry)->position;
    }
    Offset next = producers_from_;
    auto feed = [&](const BatchFacts& facts) {
      if (facts.base_offset < next || mutant<"R84-snapshot-is-enough">()) return;
      log_.producers.on_append(facts, facts.base_offset, segment.last_append);
      next = facts.last_offset().next();
    };
    // The last segment of a clean log may end in something that check_tail() will judge.
    auto walked = walk_facts(*segment.file, position, segment.size_bytes, feed);
    // R74: the index may have named a place where no batch begins.
    if (walked && !*walked && position > 0) walked = walk_facts(*segment.file, 0, segment.size_bytes, feed);
    if (!walked) return disk::storage_error(walked.error());
    if (!*walked && i + 1 < log_.segments.size()) {
      return corrupt(fmt::format("{}: damaged batch header below the recovery point", segment.file->path()));
    }
  }
  return {};
}

// R84: what cannot be trusted goes; what the scan found is kept for the next time.
Result<void> LogRecovery::renew_snapshots() {
  const Offset bound = std::min(snapshots_trusted(), log_.log_end);
  while (!log_.snapshots.empty() && log_.snapshots.back().offset > bound) {
    if (auto removed = disk_.remove_file(log_.path(log_.snapshots.back().offset, snapshot_suffix)); !removed)
      return storage(removed);
    log_.snapshots.pop_back();
    log_.names_dirty = true;
  }
  const bool worth_it = log_.config.keep_producer_state && log_.producers.size() > 0 && producers_from_ < log_.log_end;
  if (!worth_it) return {};
  const auto content = log_.producers.encode_snapshot();
  const auto saved = disk_.replace_file(log_.path(log_.log_end, snapshot_suffix), content, disk::Durability::medium);
  if (!saved && disk::may_pass(saved.error().fault)) {
    log_.environment.logger.warn("producer snapshot: {}", saved.error().message);
    return {};  // R81: the next start reads more
  }
  if (saved) log_.snapshots.push_back({log_.log_end});
  return storage(saved);
}

}  // namespace common::log
