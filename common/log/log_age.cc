// Before segments go for their age: whether they are as old as an index says (R74, R82).
//
// After a start a segment is as old as the last entry of its time index says. That one must be newer than the entry
// before it; where there is no other, as in every segment of a topic with little traffic, a bit that has rotted makes
// it decades old, and retention would delete what is to stay, on all replicas. A segment cannot be older than its first
// batch, so that one is asked, once; where it contradicts, the headers of all its batches say how old it is.
#include <algorithm>
#include <array>

#include "common/log/log_impl.h"
#include "common/model/mutant.h"
#include "common/records/batch.h"

namespace common::log {

using common::model::mutant;

namespace {

constexpr size_t segments_per_look = 256;

struct Doubt {
  std::shared_ptr<disk::File> file;
  uint64_t size_bytes = 0;
  TimestampMs said;
  bool is_found_out = false;      // false: it could not be read just now, and is asked again
  std::optional<BatchAt> newest;  // set: nothing of what was said holds
};

using Head = std::array<std::byte, records::batch_header_size>;

// A header that cannot be read contradicts nothing.
bool contradicts(const IoResult<size_t>& read, const Head& head, TimestampMs said) {
  if (!read || *read < head.size()) return false;
  const auto batch = records::BatchView::parse_header(head);
  return batch && batch->largest_timestamp() > said;
}

void find_out(Doubt& doubt) {
  Head head;
  const auto first = doubt.file->read_at(0, head);
  if (!contradicts(first, head, doubt.said)) {
    doubt.is_found_out = first || !disk::may_pass(first.error().fault);
    return;
  }
  std::optional<BatchAt> newest;
  const auto walked = walk_headers(*doubt.file, 0, doubt.size_bytes, Waiting::allowed, [&](const BatchAt& batch) {
    if (!newest || batch.largest_timestamp > newest->largest_timestamp) newest = batch;
    return records::Visit::go_on;
  });
  doubt.is_found_out = walked && *walked;  // it stays, whatever else is wrong with it: its first batch is younger
  if (doubt.is_found_out) doubt.newest = newest;
}

}  // namespace

// False: it is found out, and known at a later check.
bool Log::Impl::is_age_known(size_t segment) {
  Segment& s = *segments[segment];
  if (!s.is_age_hearsay || mutant<"R74-believes-the-only-entry">()) return true;
  Head head;
  const auto read = s.file->try_read(0, head);
  if (read && !contradicts(read, head, s.largest_timestamp)) {
    s.is_age_hearsay = false;
    return true;
  }
  find_ages(segment);
  return false;
}

void Log::Impl::find_ages(size_t first) {
  if (std::exchange(is_finding_ages, true)) return;
  const auto doubts = std::make_shared<std::vector<Doubt>>();
  for (size_t i = first; i < segments.size() && doubts->size() < segments_per_look; ++i) {
    const Segment& s = *segments[i];
    if (s.is_age_hearsay) doubts->push_back({s.file, s.size_bytes, s.largest_timestamp, {}});
  }
  run_job(
      [doubts]() -> IoResult<void> {
        for (Doubt& doubt : *doubts) find_out(doubt);
        return {};
      },
      guarded([this, doubts](const IoResult<void>&) {
        is_finding_ages = false;
        if (is_closed || failure) return;
        for (const Doubt& doubt : *doubts) {
          const auto found = std::ranges::find_if(segments, [&](const auto& s) { return s->file == doubt.file; });
          if (found == segments.end()) continue;
          Segment& s = **found;
          if (!s.is_age_hearsay || s.size_bytes != doubt.size_bytes || !doubt.is_found_out) continue;
          s.is_age_hearsay = false;
          if (!doubt.newest) continue;
          environment.logger.warn("{}: its time index is damaged and made anew", s.file->path());
          s.largest_timestamp = doubt.newest->largest_timestamp;
          s.largest_timestamp_offset = doubt.newest->last_offset;
          s.times.reset();
          s.finish_times();
          write_indexes(s, true);
        }
      }));
}

}  // namespace common::log
