// One opening of a log (log_recovery.cc says in which steps). Only the files of this name use it.
//
// Thread-compatible: runs on the thread that opens the log, before anybody else sees it.
#pragma once
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/log/log_impl.h"

namespace common::log {

class LogRecovery {
 public:
  LogRecovery(Log::Impl& log, const OpenHints& hints, TimestampMs now)
      : log_(log), disk_(log.disk), hints_(hints), now_(now) {}

  Result<void> run();

 private:
  struct Files {
    std::vector<disk::DirectoryEntry> entries;
    [[nodiscard]] const disk::DirectoryEntry* find(std::string_view name) const {
      const auto it = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.name == name; });
      return it == entries.end() ? nullptr : &*it;
    }
  };

  // log_recovery.cc: files and segments
  Result<void> finish_left_overs();
  Result<void> finish_replacement(const std::string& swap_name, const std::vector<disk::DirectoryEntry>& entries);
  Result<void> load_segments();
  Result<void> choose_scan_start();
  Result<void> drop_below_start();
  Result<void> write_anew(const Segment& segment) const;
  Result<void> sync_kept();
  // log_recovery_scan.cc: batches, and what to make of bad ones
  Result<void> scan_from(size_t first);
  Result<void> check_tail();
  Result<bool> scan_segment(size_t i);
  Result<void> judge(const Segment& segment, const ScanResult& scanned) const;
  Result<bool> is_no_torn_write(const Segment& segment, const ScanResult& scanned) const;
  Result<void> drop_after(size_t i);
  // log_recovery_state.cc: what is kept beside the batches
  Result<void> adopt_indexes(Segment& segment);
  Result<bool> adopt_index_files(Segment& segment);
  Result<void> rebuild_indexes(Segment& segment);
  Result<void> load_epochs();
  Result<void> complete_epochs();
  Result<void> load_producers(Offset bound, size_t segments);
  Result<void> renew_snapshots();

  // A file that cannot be read may be a good one: only one that is not there, or is no such file at all, can be done
  // without.
  [[nodiscard]] static bool is_missing(const IoError& error) {
    return error.fault == IoFault::not_found || error.fault == IoFault::too_large;
  }
  // The last offset that a segment can hold: its indexes count from its base, and a batch's checksum does not cover its
  // offset.
  [[nodiscard]] static Offset farthest(const Segment& segment) {
    return segment.base + std::numeric_limits<int32_t>::max();
  }
  [[nodiscard]] static model::Unexpected corrupt(std::string message) {
    return model::fail(model::ErrorCode::corrupt_message, std::move(message));
  }
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

}  // namespace common::log
