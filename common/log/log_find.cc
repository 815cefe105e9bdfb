// Offsets by timestamp (ListOffsets).
#include <algorithm>
#include <utility>

#include "common/log/log_impl.h"
#include "common/records/batch.h"

namespace common::log {

using records::BatchView;
using records::Visit;

namespace {

constexpr size_t piece_bytes = 256 << 10;
constexpr int pieces_in_turn = 16;

// The first record from `from` on that is not older than `at`.
Result<std::optional<FoundRecord>> search(const BufferChain& records, Offset from, TimestampMs at) {
  const Buffer bytes = records.flatten();
  records::BatchCursor cursor(bytes.view());
  while (!cursor.at_end()) {
    const auto batch = cursor.next();
    if (!batch) return tl::unexpected(batch.error());
    if (batch->largest_timestamp() < at || batch->is_control()) continue;
    std::optional<FoundRecord> found;
    auto walked = records::for_each_record(*batch, {}, [&](const records::Record& record) {
      if (record.offset < from || record.timestamp < at) return Visit::go_on;
      found = FoundRecord{record.offset, record.timestamp, batch->leader_epoch()};
      return Visit::stop;
    });
    if (found) return found;
    if (!walked) return tl::unexpected(walked.error());
  }
  return std::nullopt;
}

}  // namespace

// Where a search for `at` in this segment may begin: at a batch that the time index names, if it names it rightly; an
// index that is damaged or missing only makes the search longer (R74).
void Log::Impl::start_for_timestamp(Segment& segment, TimestampMs at, std::function<void(Result<Offset>)> done) {
  const Offset base = segment.base;
  const auto check = [this, base, done](std::optional<TimeEntry> entry) {
    if (!entry) return done(std::max(base, log_start));
    const Offset start = base + entry->relative_offset;
    if (start < log_start) return done(log_start);
    read_any({start, log_end, 1, AtLeastOneBatch::yes}, [this, base, entry, start, done](Result<ReadResult> read) {
      const Buffer bytes = read ? read->records.flatten() : Buffer();
      const auto batch = BatchView::parse(bytes.view());
      const bool named = batch && batch->last_offset() == start && batch->largest_timestamp().value == entry->timestamp;
      done(named ? batch->base_offset() : std::max(base, log_start));
    });
  };
  const std::string index = path(base, time_index_suffix);
  auto entry = segment.times.find(disk, index, at.value, Waiting::never);
  if (entry) return check(*entry);
  if (entry.error().fault != IoFault::would_block) return check(std::nullopt);
  auto found = std::make_shared<std::optional<TimeEntry>>();
  disk.offload(
      disk::Job::reads,
      [reader = segment.times.reader(disk, index), at, found]() -> IoResult<void> {
        if (!reader.file) return {};
        const auto count = reader.count_up_to(at.value, Waiting::allowed);
        if (!count || *count == 0) return {};
        if (auto read = reader.at(*count - 1, Waiting::allowed)) *found = *read;
        return {};
      },
      guarded([check, found](const IoResult<void>&) { check(*found); }));
}

void Log::Impl::find_from(Offset start, TimestampMs at, Offset limit, FindDone done) {
  struct Search : std::enable_shared_from_this<Search> {
    Impl* log = nullptr;
    TimestampMs at;
    Offset limit;
    FindDone done;

    bool is_asking = false;
    std::optional<Result<ReadResult>> answer;  // one that came while we were asking

    // Piece by piece: a piece is what one read returns, at once where it is in the page cache. A search may go through
    // the whole log, for a timestamp that no record has: it is a loop, and it lets others run in between.
    void step(Offset from) {
      for (int pieces = 0;; ++pieces) {
        from = std::max(from, log->log_start);
        if (from >= limit) return done(std::optional<FoundRecord>());
        if (pieces == pieces_in_turn) return step_later(from);
        answer.reset();
        is_asking = true;
        log->read_any({from, limit, piece_bytes, AtLeastOneBatch::yes},
                      [self = shared_from_this(), from](Result<ReadResult> read) {
                        if (self->is_asking) {
                          self->answer = std::move(read);
                        } else if (const auto next = self->look(from, std::move(read))) {
                          self->step(*next);
                        }
                      });
        is_asking = false;
        if (!answer) return;
        const auto next = look(from, *std::exchange(answer, std::nullopt));
        if (!next) return;
        from = *next;
      }
    }
    // Where to go on; none: done.
    std::optional<Offset> look(Offset from, Result<ReadResult> read) {
      if (!read) return done(tl::unexpected(read.error())), std::nullopt;
      if (read->records.empty()) return done(std::optional<FoundRecord>()), std::nullopt;
      auto found = search(read->records, from, at);
      if (!found || *found) return done(std::move(found)), std::nullopt;
      return read->next_offset;
    }
    void step_later(Offset from) {
      log->disk.offload(
          disk::Job::reads, []() -> IoResult<void> { return {}; },
          log->guarded([self = shared_from_this(), from](const IoResult<void>&) { self->step(from); }));
    }
  };
  auto job = std::make_shared<Search>();
  job->log = this;
  job->at = at;
  job->limit = limit;
  job->done = std::move(done);
  job->step(start);
}

void Log::Impl::find_timestamp(TimestampMs at, Offset limit, FindDone done) {
  const Offset end = std::min(limit, log_end);
  for (size_t i = 0; i < segments.size(); ++i) {
    Segment& segment = *segments[i];
    if (segment.largest_timestamp < at || end_of(i) <= log_start) continue;
    return start_for_timestamp(segment, at, [this, at, end, done = std::move(done)](Result<Offset> start) {
      if (!start) return done(tl::unexpected(start.error()));
      find_from(*start, at, end, done);
    });
  }
  done(std::optional<FoundRecord>());
}

// The largest timestamp among the batches of `segment` within [log start, end), and where a search for it may begin.
IoResult<std::optional<Log::Impl::Largest>> Log::Impl::largest_in(Segment& segment, Offset end) {
  if (segment.size_bytes == 0 || segment.base >= end || segment.largest_timestamp.value < 0) return std::nullopt;
  if (segment.largest_timestamp_offset < end && segment.largest_timestamp_offset >= log_start) {
    return Largest{segment.largest_timestamp, std::nullopt};
  }
  // It lies outside: look through the batches, from the last index entry below `end` on if all before are in the range.
  std::optional<Largest> best;
  uint64_t from = 0;
  if (segment.base >= log_start) {
    const std::string times = path(segment.base, time_index_suffix);
    auto count = segment.times.count_below_offset(disk, times, end - segment.base);
    if (!count) return tl::unexpected(count.error());
    if (*count > 0) {
      auto entry = segment.times.entry(disk, times, *count - 1);
      if (!entry) return tl::unexpected(entry.error());
      best = Largest{TimestampMs(entry->timestamp), std::nullopt};
      auto place =
          segment.offsets.find(disk, path(segment.base, offset_index_suffix), entry->relative_offset, Waiting::allowed);
      if (place && *place) from = (*place)->position;
    }
  }
  auto walked = walk_headers(*segment.file, from, segment.size_bytes, Waiting::allowed, [&](const BatchAt& batch) {
    if (batch.last_offset >= end) return Visit::stop;
    if (batch.last_offset >= log_start && (!best || batch.largest_timestamp > best->timestamp)) {
      best = Largest{batch.largest_timestamp, std::max(batch.base_offset, log_start)};
    }
    return Visit::go_on;
  });
  if (!walked) return tl::unexpected(walked.error());
  return best;
}

void Log::Impl::find_largest_timestamp(Offset limit, FindDone done) {
  const Offset end = std::min(limit, log_end);
  std::optional<Largest> best;
  Segment* where = nullptr;
  for (auto& segment : segments) {
    auto found = largest_in(*segment, end);
    if (!found) return done(disk::storage_error(found.error()));
    if (!*found || (best && (*found)->timestamp <= best->timestamp)) continue;
    best = **found;
    where = segment.get();
  }
  if (!best || best->timestamp.value < 0) return done(std::optional<FoundRecord>());
  if (best->from) return find_from(*best->from, best->timestamp, end, std::move(done));
  start_for_timestamp(*where, best->timestamp,
                      [this, at = best->timestamp, end, done = std::move(done)](Result<Offset> start) {
                        if (!start) return done(tl::unexpected(start.error()));
                        find_from(*start, at, end, done);
                      });
}

}  // namespace common::log
