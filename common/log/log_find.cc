// Offsets by timestamp (ListOffsets).
#include <algorithm>
#include <utility>
#include <vector>

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

// A look through the batches of a segment whose largest timestamp lies outside of [start, end): on the pool, because it
// may go through all of them (R78).
struct LargestWalk {
  size_t result = 0;  // whose place among the results is its own
  std::shared_ptr<disk::File> file;
  uint64_t size_bytes = 0;
  Offset base;
  Offset start;
  Offset end;
  IndexReader<TimeEntry> times;
  std::vector<TimeEntry> newest_times;  // those that are not in the file yet
  IndexReader<OffsetEntry> offsets;

  // `largest`: of what lies within the range, negative if nothing does.
  IoResult<void> go(Log::Impl::Largest& largest) const {
    largest.timestamp = TimestampMs(-1);
    uint64_t from = 0;
    // What comes before the last index entry below `end` need not be looked at, if all of it is in the range.
    if (const auto entry = base >= start ? last_time_below_end() : std::nullopt) {
      largest.timestamp = TimestampMs(entry->timestamp);
      from = position_of(entry->relative_offset);
    }
    auto walked = walk_headers(*file, from, size_bytes, Waiting::allowed, [&](const BatchAt& batch) {
      if (batch.last_offset >= end) return Visit::stop;
      if (batch.last_offset >= start && batch.largest_timestamp > largest.timestamp) {
        largest.timestamp = batch.largest_timestamp;
        largest.from = std::max(batch.base_offset, start);
      }
      return Visit::go_on;
    });
    if (!walked) return tl::unexpected(walked.error());
    return {};
  }

  // An index that cannot be read only makes the walk longer (R74).
  [[nodiscard]] std::optional<TimeEntry> last_time_below_end() const {
    std::optional<TimeEntry> last;
    size_t low = 0;
    size_t high = times.count + newest_times.size();
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      const IoResult<TimeEntry> entry = middle < times.count ? times.at(middle, Waiting::allowed)
                                                             : IoResult<TimeEntry>(newest_times[middle - times.count]);
      if (!entry) return std::nullopt;
      if (base + entry->relative_offset < end) {
        last = *entry;
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return last;
  }
  [[nodiscard]] uint64_t position_of(uint32_t relative_offset) const {
    if (!offsets.file) return 0;
    const auto count = offsets.count_up_to(relative_offset, Waiting::allowed);
    if (!count || *count == 0) return 0;
    const auto entry = offsets.at(*count - 1, Waiting::allowed);
    return entry ? entry->position : 0;
  }
};

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

void Log::Impl::find_largest_timestamp(Offset limit, FindDone done) {
  const Offset end = std::min(limit, log_end);
  auto largest = std::make_shared<std::vector<Largest>>();  // of the segments, in their order
  std::vector<LargestWalk> walks;
  for (const auto& segment : segments) {
    if (segment->size_bytes == 0 || segment->base >= end || segment->largest_timestamp.value < 0) continue;
    largest->push_back({segment->base, segment->largest_timestamp, std::nullopt});
    if (segment->largest_timestamp_offset < end && segment->largest_timestamp_offset >= log_start) continue;
    LargestWalk walk;
    walk.result = largest->size() - 1;
    walk.file = segment->file;
    walk.size_bytes = segment->size_bytes;
    walk.base = segment->base;
    walk.start = log_start;
    walk.end = end;
    walk.times = segment->times.reader(disk, path(segment->base, time_index_suffix));
    walk.newest_times = segment->times.pending();
    walk.offsets = segment->offsets.reader(disk, path(segment->base, offset_index_suffix));
    walks.push_back(std::move(walk));
  }
  if (walks.empty()) return find_largest_of(*largest, end, std::move(done));
  disk.offload(
      disk::Job::reads,
      [walks = std::move(walks), largest]() -> IoResult<void> {
        for (const LargestWalk& walk : walks) {
          if (auto walked = walk.go((*largest)[walk.result]); !walked) return walked;
        }
        return {};
      },
      guarded([this, limit, end, largest, began = generation, start = log_start,
               done = std::move(done)](const IoResult<void>& walked) {
        // What we have is void (KAFKA-18723), or of records that are none any more.
        if (began != generation || start != log_start) return find_largest_timestamp(limit, done);
        if (!walked) return done(disk::storage_error(walked.error()));
        find_largest_of(*largest, end, done);
      }));
}

void Log::Impl::find_largest_of(const std::vector<Largest>& all, Offset end, FindDone done) {
  const Largest* best = nullptr;
  for (const Largest& one : all) {
    if (one.timestamp.value >= 0 && (!best || one.timestamp > best->timestamp)) best = &one;
  }
  if (!best) return done(std::optional<FoundRecord>());
  if (best->from) return find_from(*best->from, best->timestamp, end, std::move(done));
  start_for_timestamp(*segment_for(best->segment), best->timestamp,
                      [this, at = best->timestamp, end, done = std::move(done)](Result<Offset> start) {
                        if (!start) return done(tl::unexpected(start.error()));
                        find_from(*start, at, end, done);
                      });
}

}  // namespace common::log
