// Opening a log: what the last run left is checked, cut, rebuilt or refused (R70-R75, R79, R80, R84).
//
//   1. left-overs of an interrupted restart (R67), deletion or replacement (R80) are finished
//   2. segments below the recovery point are taken as they are; those from it on are read and checked batch by batch
//   (R71)
//   3. a bad batch at or above max(recovery point, high watermark) is a torn tail and cut; below it is rot: refuse
//   (R72)
//   4. indexes, epochs and producer state of what was read are rebuilt; what was kept is synced, and written anew where
//   the page cache may be all that has it (R76)
#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "common/log/big_endian.h"
#include "common/log/checkpoint_file.h"
#include "common/log/log_impl.h"
#include "common/model/mutant.h"

namespace common::log {

using common::model::mutant;

using disk::DirectoryEntry;
using disk::OpenMode;
using model::ErrorCode;

namespace {

class Recovery {
 public:
  Recovery(Log::Impl& log, const OpenHints& hints, TimestampMs now)
      : log_(log), disk_(log.disk), hints_(hints), now_(now) {}

  Result<void> run();

 private:
  struct Files {
    std::vector<DirectoryEntry> entries;
    [[nodiscard]] const DirectoryEntry* find(std::string_view name) const {
      const auto it = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.name == name; });
      return it == entries.end() ? nullptr : &*it;
    }
  };

  Result<void> finish_left_overs();
  Result<void> finish_replacement(const std::string& swap_name, const std::vector<DirectoryEntry>& entries);
  Result<void> load_segments();
  Result<void> adopt_indexes(Segment& segment);
  Result<bool> adopt_index_files(Segment& segment);
  Result<void> rebuild_indexes(Segment& segment);
  Result<void> choose_scan_start();
  Result<void> load_epochs();
  Result<void> complete_epochs();
  Result<void> load_producers(Offset bound, size_t segments);
  Result<void> scan_from(size_t first);
  Result<void> check_tail();
  Result<bool> scan_segment(size_t i);
  Result<void> judge(const Segment& segment, const ScanResult& scanned) const;
  Result<bool> is_no_torn_write(const Segment& segment, const ScanResult& scanned) const;
  Result<void> drop_after(size_t i);
  Result<void> drop_below_start();
  Result<void> renew_snapshots();
  Result<void> write_anew(const Segment& segment) const;
  Result<void> sync_kept();
  [[nodiscard]] Result<void> storage(const IoResult<void>& result) const {
    if (!result) return disk::storage_error(result.error());
    return {};
  }
  // Past the recovery point a snapshot may be one of records that were cut since.
  [[nodiscard]] Offset snapshots_trusted() const {
    if (hints_.previous_end == PreviousEnd::clean) return Offset(INT64_MAX);
    return hints_.recovery_point.value_or(Offset(0));
  }
  // Where an epoch begins whose first batch in the log is at `base`. The batches before may have been compacted away at
  // the leader; then the file knows better, as an epoch begins at one place only.
  [[nodiscard]] Offset start_of(LeaderEpoch epoch, Offset base, Offset end_before) const {
    const Offset first = std::max(base, log_.segments[0]->base);
    if (!epochs_in_file_) return first;
    for (const EpochStart& e : *epochs_in_file_) {
      if (e.epoch == epoch && e.start_offset >= end_before && e.start_offset <= first) return e.start_offset;
    }
    return first;
  }
  // What the batches that are scanned must agree with: no checksum covers their epochs. After the death of the process
  // the file may lack the newest, after a loss of power it may be an older one; not below the recovery point, which
  // waits for it (where flushes do).
  [[nodiscard]] KnownEpochs known_epochs() const {
    KnownEpochs known;
    if (!epochs_in_file_ || !log_.config.sync_needs_epochs) return known;
    known.epochs = &file_;
    const Offset point = hints_.recovery_point.value_or(Offset(0));
    if (hints_.previous_end == PreviousEnd::process_crash) known.newest_from = point;
    if (hints_.previous_end == PreviousEnd::unknown) known.below = point;
    return known;
  }
  [[nodiscard]] Offset trusted() const {
    return std::max(hints_.recovery_point.value_or(Offset(0)), hints_.high_watermark.value_or(Offset(0)));
  }

  Log::Impl& log_;
  disk::Disk& disk_;
  const OpenHints& hints_;
  const TimestampMs now_;
  Files files_;
  size_t scan_first_ = 0;  // segments from here on are read batch by batch
  Offset scan_from_;       // base of that segment, or the log end
  Offset producers_from_;  // batches below are in the producer table
  bool has_cut_ = false;
  std::map<Offset, uint64_t> doubted_;  // by base of the segment: where what is doubted begins
  std::optional<LeaderEpoch> last_epoch_;
  std::optional<std::vector<EpochStart>> epochs_in_file_;
  EpochCache file_;  // the same
};

// A file that cannot be read may be a good one: only one that is not there, or is no such file at all, can be done
// without.
bool is_missing(const IoError& error) {
  return error.fault == IoFault::not_found || error.fault == IoFault::too_large;
}

// The last offset that a segment can hold: its indexes count from its base, and a batch's checksum does not cover its
// offset.
Offset farthest(const Segment& segment) {
  return segment.base + std::numeric_limits<int32_t>::max();
}

model::Unexpected corrupt(std::string message) {
  return model::fail(ErrorCode::corrupt_message, std::move(message));
}

Result<void> Recovery::finish_left_overs() {
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
  for (const DirectoryEntry& entry : *entries) {
    const std::string name = log_.path(entry.name);
    if (entry.name.ends_with(deleted_suffix) || entry.name.ends_with(cleaned_suffix) || entry.name.ends_with(".tmp")) {
      if (mutant<"R80-keeps-unfinished-replacements">()) continue;
      if (auto removed = disk_.remove_file(name); !removed) return storage(removed);
      changed = true;
    }
  }
  if (changed) {
    entries = disk_.list(log_.directory);
    if (!entries) return disk::storage_error(entries.error());
  }
  files_.entries = std::move(*entries);
  log_.has_gaps = files_.find(gaps_file_name) != nullptr;
  return {};
}

// R80: a replacement that was complete and synced before it got its name. What it replaces may be there in part.
Result<void> Recovery::finish_replacement(const std::string& swap_name, const std::vector<DirectoryEntry>& entries) {
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

Result<void> Recovery::load_segments() {
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
Result<void> Recovery::choose_scan_start() {
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

Result<bool> Recovery::adopt_index_files(Segment& segment) {
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

Result<void> Recovery::adopt_indexes(Segment& segment) {
  auto good = adopt_index_files(segment);
  if (!good) return tl::unexpected(good.error());
  if (!*good) return rebuild_indexes(segment);
  if (segment.times.last()) {
    segment.largest_timestamp = TimestampMs(segment.times.last()->timestamp);
    segment.largest_timestamp_offset = segment.base + segment.times.last()->relative_offset;
  }
  return {};
}

// R74: of a segment that is not read otherwise.
Result<void> Recovery::rebuild_indexes(Segment& segment) {
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
Result<void> Recovery::load_epochs() {
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
Result<void> Recovery::complete_epochs() {
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
Result<void> Recovery::load_producers(Offset bound, size_t segments) {
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

// Whether what the scan ended at, where the file seems to end within a batch, is no write that was torn. Of such a
// write there is the beginning, which belongs there. Or the batch was written whole: then its length is damaged, and
// its checksum, which does not cover the length, is right for some other one.
Result<bool> Recovery::is_no_torn_write(const Segment& segment, const ScanResult& scanned) const {
  auto file_size = segment.file->size();  // the segment's own is what has been scanned
  if (!file_size) return disk::storage_error(file_size.error());
  std::array<std::byte, records::batch_header_size> head{};
  const auto n = segment.file->read_at(scanned.position, head);
  if (!n) return disk::storage_error(n.error());
  if (scanned.end == ScanEnd::zeros && *n >= records::batch_length_prefix_size) return true;  // no batch has length 0
  if (*n >= sizeof(int64_t)) {
    const Offset base(load_big_endian<int64_t>(head.data()));
    const bool may_be_earlier = scanned.position == 0;
    if ((base < scanned.next_offset && !may_be_earlier) || (base > scanned.next_offset && !log_.has_gaps)) return true;
  }
  constexpr size_t magic_position = 16;
  if (*n > magic_position && head[magic_position] != std::byte{records::batch_magic}) return true;
  auto fits = checksum_fits_some_length(*segment.file, scanned.position, *file_size);
  if (!fits) return disk::storage_error(fits.error());
  return *fits;
}

// R72.
Result<void> Recovery::judge(const Segment& segment, const ScanResult& scanned) const {
  if (scanned.end == ScanEnd::complete) return {};
  const std::string where = fmt::format("{} at byte {}, offset {}: {}", segment.file->path(), scanned.position,
                                        scanned.next_offset, scanned.reason);
  const Offset synced = hints_.recovery_point.value_or(Offset(0));
  // A batch that is there in part was never completely written or lost its end with the page cache; what is missing is
  // missed by whoever compares log ends. A batch that is there and wrong is another matter.
  const bool is_short = scanned.end == ScanEnd::incomplete || scanned.end == ScanEnd::zeros;
  // R75: the death of a process tears nothing but the write that it was in, and that is the end of the file. Everything
  // else that is wrong has rotted, above the high watermark's last checkpoint too; to cut it would be to forget what
  // was acknowledged. (Where space is reserved, the torn write has zeros behind it.)
  if (hints_.previous_end == PreviousEnd::process_crash && log_.config.preallocate_bytes == 0 &&
      !mutant<"R75-cuts-what-a-kill-cannot-tear">()) {
    auto rotten = is_short ? is_no_torn_write(segment, scanned) : Result<bool>(true);
    if (!rotten) return tl::unexpected(rotten.error());
    if (*rotten) return corrupt(fmt::format("{} (and the machine was not lost)", where));
  }
  const Offset bound = is_short ? synced : trusted();
  if (scanned.next_offset >= bound || mutant<"R72-cuts-rot">()) return {};
  if (mutant<"R72-judges-by-the-recovery-point">() && scanned.next_offset >= synced) return {};
  return corrupt(fmt::format("{} (synced up to {}, committed up to {})", where, synced,
                             hints_.high_watermark.value_or(Offset(0))));
}

Result<void> Recovery::drop_after(size_t i) {
  while (log_.segments.size() > i + 1) {
    const Segment& last = *log_.segments.back();
    log_.report.cut_bytes += last.size_bytes;
    for (const auto suffix : {log_suffix, offset_index_suffix, time_index_suffix}) {
      auto removed = disk_.remove_file(log_.path(last.base, suffix));
      if (!removed && removed.error().fault != IoFault::not_found) return storage(removed);
    }
    log_.segments.pop_back();
    log_.names_dirty = true;
  }
  return {};
}

// What was on its way out when the last run ended. Oldest first: a crash leaves one piece.
Result<void> Recovery::drop_below_start() {
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

// False: the log ends in this segment.
Result<bool> Recovery::scan_segment(size_t i) {
  Segment& segment = *log_.segments[i];
  const uint64_t file_size = segment.size_bytes;
  ScanStart start{0,
                  file_size,
                  std::max(log_.log_end, segment.base),
                  last_epoch_,
                  log_.has_gaps,
                  i == 0,
                  farthest(segment),
                  known_epochs()};
  segment.forget_batches();
  Offset end_before = start.next_offset;
  auto scanned = scan_batches(*segment.file, start, [&](const BatchFacts& facts) {
    if (log_.epochs.latest() != facts.leader_epoch)
      log_.epochs.assign(facts.leader_epoch, start_of(facts.leader_epoch, facts.base_offset, end_before));
    end_before = facts.last_offset().next();
    if (hints_.doubted_from && facts.last_offset() >= *hints_.doubted_from)
      doubted_.try_emplace(segment.base, facts.position);
    segment.note_batch(facts, facts.position, log_.config);
    if (log_.config.keep_producer_state && facts.base_offset >= producers_from_ &&
        !mutant<"R84-scan-forgets-producers">()) {
      log_.producers.on_append(facts, facts.base_offset, segment.last_append);
    }
  });
  if (!scanned) return disk::storage_error(scanned.error());
  if (auto judged = judge(segment, *scanned); !judged) return tl::unexpected(judged.error());
  segment.size_bytes = scanned->position;
  segment.is_synced = false;
  log_.log_end = scanned->next_offset;
  last_epoch_ = scanned->epoch;
  log_.report.scanned_bytes += file_size;
  if (scanned->end == ScanEnd::complete) return true;
  // Zeros in the last segment of a log that reserves space are that space.
  const bool is_reserve =
      scanned->end == ScanEnd::zeros && log_.config.preallocate_bytes > 0 && i + 1 == log_.segments.size();
  if (is_reserve) {
    segment.allocated_bytes = file_size;
    return false;
  }
  log_.environment.logger.warn("{}: cut {} bytes from offset {} on: {}", segment.file->path(),
                               file_size - scanned->position, scanned->next_offset, scanned->reason);
  log_.report.cut_bytes += file_size - scanned->position;
  has_cut_ = true;
  if (mutant<"R71-leaves-the-torn-tail">()) return false;
  if (auto cut = segment.file->truncate(scanned->position); !cut) return disk::storage_error(cut.error());
  return false;
}

Result<void> Recovery::scan_from(size_t first) {
  // The cut is decided before anything is changed: rot must leave all evidence in place.
  if (first > 0 && first < log_.segments.size()) log_.log_end = log_.segments[first]->base;
  for (size_t i = first; i < log_.segments.size(); ++i) {
    Segment& segment = *log_.segments[i];
    // A segment must begin where the one before ended; an empty one was about to take its place (begin_at_log_start).
    const bool has_gap = i > first && segment.base != log_.log_end;
    if (has_gap) {
      ScanResult at_gap{log_.segments[i - 1]->size_bytes,
                        log_.log_end,
                        {},
                        segment.size_bytes == 0 ? ScanEnd::incomplete : ScanEnd::bad,
                        fmt::format("the next segment begins at {}", segment.base)};
      if (auto judged = judge(*log_.segments[i - 1], at_gap); !judged) return judged;
      if (auto dropped = drop_after(i - 1); !dropped) return dropped;
      break;
    }
    auto goes_on = scan_segment(i);
    if (!goes_on) return tl::unexpected(goes_on.error());
    const bool is_last = i + 1 == log_.segments.size();
    ++log_.report.rebuilt_indexes;
    if (!*goes_on || is_last) {
      if (mutant<"R71-keeps-segments-after-a-cut">()) break;
      if (auto dropped = drop_after(i); !dropped) return dropped;
      break;
    }
    segment.finish_times();
    log_.write_indexes(segment, true);
  }
  return {};
}

// After a clean end only the end of the last segment is looked at, from its last index entry on.
Result<void> Recovery::check_tail() {
  Segment& segment = *log_.segments.back();  // its indexes were adopted with the others'
  uint64_t position = 0;
  Offset next = segment.base;
  if (segment.offsets.last()) {
    const OffsetEntry last = *segment.offsets.last();
    std::array<std::byte, records::batch_header_size> head;
    auto n = segment.file->read_at(last.position, head);
    if (!n) return disk::storage_error(n.error());
    const auto batch = records::BatchView::parse_header(model::BytesView(head).first(*n));
    if (batch && batch->last_offset() == segment.base + last.relative_offset) {
      position = last.position;
      next = batch->base_offset();
    } else if (auto rebuilt = rebuild_indexes(segment); !rebuilt) {
      return rebuilt;
    }
  }
  const uint64_t from = position;
  ScanStart start{position,      segment.size_bytes, next,          std::nullopt, log_.has_gaps,
                  position == 0, farthest(segment),  known_epochs()};
  std::optional<TimestampMs> first_timestamp;
  auto scanned = scan_batches(*segment.file, start, [&](const BatchFacts& facts) {
    if (facts.max_timestamp > segment.largest_timestamp) {
      segment.largest_timestamp = facts.max_timestamp;
      segment.largest_timestamp_offset = facts.last_offset();
    }
  });
  if (!scanned) return disk::storage_error(scanned.error());
  log_.report.scanned_bytes += segment.size_bytes - from;
  const bool is_whole = scanned->end == ScanEnd::complete && scanned->next_offset == *hints_.recovery_point;
  if (!is_whole) {
    return corrupt(fmt::format("{} ends at offset {} ({}), but was closed cleanly at {}", segment.file->path(),
                               scanned->next_offset, scanned->end == ScanEnd::complete ? "whole" : scanned->reason,
                               *hints_.recovery_point));
  }
  log_.log_end = scanned->next_offset;
  // R74: an entry beyond the end is not ours, and nothing could be added after it.
  if (segment.times.last() && segment.base + segment.times.last()->relative_offset >= log_.log_end) {
    if (auto rebuilt = rebuild_indexes(segment); !rebuilt) return rebuilt;
  }
  segment.bytes_since_index = segment.size_bytes - from;
  auto head = walk_headers(*segment.file, 0, segment.size_bytes, Waiting::allowed, [&](const BatchAt& batch) {
    first_timestamp = batch.largest_timestamp;
    return records::Visit::stop;
  });
  if (!head) return disk::storage_error(head.error());
  segment.first_timestamp = first_timestamp;
  return {};
}

// R84: what cannot be trusted goes; what the scan found is kept for the next time.
Result<void> Recovery::renew_snapshots() {
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

// The same bytes in the same place: whatever a crash keeps of them, the batches that were durable stay whole.
Result<void> Recovery::write_anew(const Segment& segment) const {
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
Result<void> Recovery::sync_kept() {
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

Result<void> Recovery::run() {
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

}  // namespace

Result<void> Log::Impl::recover(const OpenHints& hints, TimestampMs now) {
  return Recovery(*this, hints, now).run();
}

}  // namespace common::log
