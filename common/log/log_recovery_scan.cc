// Opening a log, the batches: which are whole, where a torn tail is cut, and what is rot and refused (R71, R72).
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "common/log/big_endian.h"
#include "common/log/log_recovery.h"
#include "common/model/mutant.h"

namespace common::log {

using common::model::mutant;

// Whether what the scan ended at, where the file seems to end within a batch, is no write that was torn. Of such a
// write there is the beginning, which belongs there. Or the batch was written whole: then its length is damaged, and
// its checksum, which does not cover the length, is right for some other one.
Result<bool> LogRecovery::is_no_torn_write(const Segment& segment, const ScanResult& scanned) const {
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
Result<void> LogRecovery::judge(const Segment& segment, const ScanResult& scanned) const {
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

Result<void> LogRecovery::drop_after(size_t i) {
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

// False: the log ends in this segment.
Result<bool> LogRecovery::scan_segment(size_t i) {
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
  // Zeros in the last segment of a log that reserves space are that space. So they are in one before it that ends just
  // where the next begins: it could not be cut by then.
  const bool is_reserve = scanned->end == ScanEnd::zeros && log_.config.preallocate_bytes > 0;
  const bool is_last = i + 1 == log_.segments.size();
  if (is_reserve && is_last) {
    segment.allocated_bytes = file_size;
    return false;
  }
  log_.environment.logger.warn("{}: cut {} bytes from offset {} on: {}", segment.file->path(),
                               file_size - scanned->position, scanned->next_offset, scanned->reason);
  log_.report.cut_bytes += file_size - scanned->position;
  has_cut_ = true;
  if (mutant<"R71-leaves-the-torn-tail">()) return false;
  if (auto cut = segment.file->truncate(scanned->position); !cut) return disk::storage_error(cut.error());
  return is_reserve && log_.segments[i + 1]->base == log_.log_end;
}

Result<void> LogRecovery::scan_from(size_t first) {
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
Result<void> LogRecovery::check_tail() {
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

}  // namespace common::log
