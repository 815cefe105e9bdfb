// Appending and rolling.
#include <algorithm>
#include <functional>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "common/log/log_impl.h"
#include "common/model/mutant.h"
#include "common/records/max_timestamp.h"

namespace common::log {

using common::model::mutant;

using model::BytesView;
using model::ErrorCode;
using model::fail;

Result<void> Log::Impl::refuse_change() const {
  NARU_CHECK(!is_closed, "append to a closed log");
  if (failure) return fail(failure->code, failure->message);
  if (is_emptying) return fail(ErrorCode::kafka_storage_error, fmt::format("{} is being emptied", directory));
  return {};
}

Result<void> Log::Impl::refuse_append() {
  if (auto refused = refuse_change(); !refused) return refused;
  // Also if they can be read now: whoever leads has just asked a table without them what it knows of this batch.
  if (owes_producers) {
    if (!is_damaged) reload_producers(log_end);
    return fail(ErrorCode::kafka_storage_error, fmt::format("{}: the state of producers is read again", directory));
  }
  if (epochs_saved < epochs_cut)
    return fail(ErrorCode::kafka_storage_error, fmt::format("{}: the epoch file is being written", directory));
  return {};
}

bool Log::Impl::must_roll(const Append& append) const {
  const Segment& segment = active();
  size_t bytes = 0;
  for (const BytesView part : append.parts) bytes += part.size();
  if (!segment.can_take(append.facts.back().last_offset(), bytes, config)) return true;
  if (segment.size_bytes == 0) return false;
  // segment.ms counts in record time from the first batch where there is one (KIP-32), else in our own.
  const bool by_records = segment.first_timestamp && segment.first_timestamp->value >= 0;
  TimestampMs newest(-1);
  for (const BatchFacts& f : append.facts) newest = std::max(newest, f.max_timestamp);
  const int64_t age =
      by_records ? newest.value - segment.first_timestamp->value : append.now.value - segment.created.value;
  return age > roll_age(segment).count();
}

// segment.ms less a part of segment.jitter.ms that differs by log and by segment, so that logs which began together do
// not all roll together.
milliseconds Log::Impl::roll_age(const Segment& segment) const {
  const int64_t most = std::min(config.segment_jitter, config.segment_ms).count();
  if (most <= 0) return config.segment_ms;
  const uint64_t mixed =
      (std::hash<std::string>{}(directory) ^ static_cast<uint64_t>(segment.base.value)) * 0x9e3779b97f4a7c15ull;
  return config.segment_ms - milliseconds((mixed >> 16) % static_cast<uint64_t>(most));
}

IoResult<std::unique_ptr<Segment>> Log::Impl::make_segment(Offset base, TimestampMs now, disk::OpenMode mode) {
  auto file = disk.open(path(base, log_suffix), mode);
  if (!file) return tl::unexpected(file.error());
  auto segment = std::make_unique<Segment>();
  segment->base = base;
  segment->file = *file;
  segment->created = segment->last_append = now;
  segment->forget_batches();
  return segment;
}

void Log::Impl::write_indexes(Segment& segment, bool all) {
  // A failure costs nothing but a rebuild: the entries stay in memory, and a short index is a valid one.
  if (all || segment.offsets.wants_write()) {
    if (auto done = segment.offsets.write(disk, path(segment.base, offset_index_suffix)); !done)
      note(done.error(), "offset index");
  }
  if (all || segment.times.wants_write()) {
    if (auto done = segment.times.write(disk, path(segment.base, time_index_suffix)); !done)
      note(done.error(), "time index");
  }
}

void Log::Impl::seal(Segment& segment) {
  segment.finish_times();
  write_indexes(segment, true);
  sync_indexes(segment.base);
}

// Also where reserving found no room: ext4 has made the file longer by what it found.
IoResult<void> Log::Impl::cut_reserve(Segment& segment) {
  if (config.preallocate_bytes == 0 && segment.allocated_bytes <= segment.size_bytes) return {};
  segment.is_synced = false;
  if (auto cut = segment.file->truncate(segment.size_bytes); !cut) return cut;
  segment.allocated_bytes = 0;
  return {};
}

void Log::Impl::sync_indexes(Offset base) {
  run_job(
      [d = &disk, offsets = path(base, offset_index_suffix),
       times = path(base, time_index_suffix)]() -> IoResult<void> {
        for (const std::string& each : {offsets, times}) {
          auto file = d->open(each, disk::OpenMode::existing);
          if (!file) return tl::unexpected(file.error());
          auto synced = (*file)->sync_now();
          if (!synced && synced.error().fault != IoFault::not_found) return synced;
        }
        return {};
      },
      guarded([this](const IoResult<void>& result) {
        if (!result) note(result.error(), "index sync");
      }));
}

// Kept are those that begin a segment, and the newest two.
std::vector<std::string> Log::Impl::drop_spare_snapshots() {
  std::vector<std::string> spare;
  while (snapshots.size() > 2) {
    const auto it = std::find_if(snapshots.begin(), snapshots.end() - 2, [this](const Snapshot& s) {
      return s.offset < segments.front()->base || segment_for(s.offset)->base != s.offset;
    });
    if (it == snapshots.end() - 2) break;
    spare.push_back(path(it->offset, snapshot_suffix));
    snapshots.erase(it);
  }
  return spare;
}

void Log::Impl::save_snapshot(disk::Durability durability) {
  if (!config.keep_producer_state || owes_producers) return;
  appended_since_snapshot = 0;
  if (!snapshots.empty() && snapshots.back().offset == log_end) snapshots.pop_back();
  const uint64_t write = ++snapshot_writes;
  snapshots.push_back({log_end, write});
  const std::vector<std::string> spare = drop_spare_snapshots();
  run_job(
      [to = path(log_end, snapshot_suffix), content = producers.encode_snapshot(), d = &disk, spare,
       durability]() -> IoResult<void> {
        if (auto removed = remove_all(*d, spare); !removed) return removed;
        return d->replace_file(to, content, durability);
      },
      guarded([this, write, spare](const IoResult<void>& result) {
        snapshot_writes_ended = write;
        if (!result) return on_snapshots_stay(spare, result.error(), "producer snapshot");
        for (Snapshot& s : snapshots) {
          if (s.write == write) s.write = 0;
        }
      }));
}

// One that stays is known to nobody here, and the log may come past its offset again with other records: it would be
// believed by a later start.
void Log::Impl::on_snapshots_stay(const std::vector<std::string>& names, const IoError& error, const char* what) {
  note(error, what);
  if (!failure && !names.empty()) not_removed.push_back(names);  // once more with the next tick
}

// A truncation reads on the shard what came since the newest snapshot, and a failover truncates many logs: not a
// gigabyte each. Not synced, as acknowledgements wait for syncs: it spares this process work, and one that a loss of
// power damages is told by its checksum.
void Log::Impl::save_snapshot_if_due() {
  constexpr size_t producers_max = 10'000;  // with many it costs more than it saves
  if (appended_since_snapshot < config.snapshot_bytes || producers.size() > producers_max) return;
  if (is_emptying || snapshot_writes_ended != snapshot_writes) return;
  save_snapshot(disk::Durability::kernel);
}

IoResult<void> Log::Impl::roll(Offset base, TimestampMs now) {
  if (base == active().base) return {};
  // Nothing follows reserved space: the next start would take that for the end of the log, and cut what comes after it.
  if (auto cut = cut_reserve(active()); !cut) return cut;
  auto made = make_segment(base, now);
  if (!made) return tl::unexpected(made.error());
  seal(active());
  segments.push_back(std::move(*made));
  names_dirty = true;
  durable_cuts = cuts;
  save_snapshot(disk::Durability::medium);
  flush([](const Result<Offset>&) {});  // the recovery point follows
  return {};
}

// Before the first gap is in a file. Its name is synced with the next flush, which is asked for; until then a loss of
// power costs what came after the gap.
IoResult<void> Log::Impl::note_gaps() {
  if (has_gaps) return {};
  auto file = disk.open(path(gaps_file_name), disk::OpenMode::create_if_missing);
  if (!file) return tl::unexpected(file.error());
  has_gaps = true;
  names_dirty = true;
  return {};
}

// The active segment is empty, but its file was not: an empty one takes its name.
IoResult<void> Log::Impl::replace_empty_file() {
  Segment& segment = active();
  NARU_CHECK(segment.size_bytes == 0, "{} bytes in a segment to be replaced", segment.size_bytes);
  const std::string name = path(segment.base, log_suffix);
  const std::string temporary = name + ".tmp";
  if (auto file = disk.open(temporary, disk::OpenMode::create_if_missing); !file) return tl::unexpected(file.error());
  if (auto renamed = disk.rename(temporary, name); !renamed) return renamed;
  auto file = disk.open(name, disk::OpenMode::existing);
  if (!file) return tl::unexpected(file.error());
  segment.file = *file;
  segment.forget_batches();
  segment.allocated_bytes = segment.written_back_bytes = 0;
  owes_cut = false;
  names_dirty = true;
  durable_cuts = cuts;
  return {};
}

void Log::Impl::reserve_space(Segment& segment, size_t bytes) {
  const uint64_t needed = segment.size_bytes + bytes;
  if (config.preallocate_bytes == 0 || needed <= segment.allocated_bytes) return;
  const uint64_t step = config.preallocate_bytes;
  const uint64_t wanted =
      std::max(needed, std::min((needed + step - 1) / step * step, std::max(config.segment_bytes, needed)));
  // Without room for the reserve there may still be room for the batch.
  if (segment.file->allocate(wanted)) segment.allocated_bytes = wanted;
}

IoResult<void> Log::Impl::write_out(Segment& segment, std::span<const BytesView> parts, size_t bytes) {
  reserve_space(segment, bytes);
  auto written = segment.file->write_at(segment.size_bytes, parts);
  if (written) {
    is_disk_full = false;
    return written;
  }
  if (mutant<"R77-leaves-a-partial-write">()) return written;
  owes_cut = true;
  segment.allocated_bytes = 0;
  segment.is_synced = false;
  ++cuts;
  if (auto undone = undo_write(); !undone && !disk::may_pass(undone.error().fault)) set_failed(undone.error());
  return written;
}

// R77: back to the last good length before anything else. If even that fails, recovery will do it; if it may work
// later, nothing is done before.
IoResult<void> Log::Impl::undo_write() {
  if (!owes_cut) return {};
  if (auto cut = active().file->truncate(active().size_bytes); !cut) return cut;
  owes_cut = false;
  return {};
}

Result<void> Log::Impl::append_run(const Append& append) {
  if (auto undone = undo_write(); !undone) {
    note(undone.error(), "append");
    return disk::storage_error(undone.error());
  }
  if (must_roll(append) || (cuts != durable_cuts && !mutant<"R71-writes-over-an-unsynced-cut">())) {
    // A segment begins where the one before ends, also if the next batches lie further on (compacted away at the
    // leader): a gap between segments is damage.
    const bool fits = append.facts.back().last_offset() - log_end <= std::numeric_limits<int32_t>::max();
    const Offset base = fits ? log_end : std::max(log_end, append.facts.front().base_offset);
    if (auto rolled = base == active().base ? replace_empty_file() : roll(base, append.now); !rolled) {
      note(rolled.error(), "new segment");
      return disk::storage_error(rolled.error());
    }
  }
  Segment& segment = active();
  if (segment.size_bytes == 0) segment.created = append.now;
  size_t bytes = 0;
  for (const BytesView part : append.parts) bytes += part.size();
  if (auto written = write_out(segment, append.parts, bytes); !written) {
    note(written.error(), "append");
    if (mutant<"R77-end-covers-a-partial-write">()) log_end = append.facts.back().last_offset().next();
    return disk::storage_error(written.error());
  }
  uint64_t position = segment.size_bytes;
  for (const BatchFacts& f : append.facts) {
    NARU_CHECK(f.last_offset() >= log_end, "batch {}-{} at log end {}", f.base_offset, f.last_offset(), log_end);
    if (epochs.latest() != f.leader_epoch)
      change_epochs(epochs.assign(f.leader_epoch, std::max(f.base_offset, log_end)));
    segment.note_batch(f, position, config);
    if (config.keep_producer_state && !mutant<"R84-append-forgets-producers">())
      producers.on_append(f, f.base_offset, append.now);
    position += f.size_bytes;
    unflushed_records += f.record_count;
    log_end = f.last_offset().next();
  }
  segment.size_bytes = position;
  appended_since_snapshot += bytes;
  segment.last_append = append.now;
  segment.is_synced = false;
  write_indexes(segment, false);
  if (config.writeback_bytes > 0 && segment.size_bytes - segment.written_back_bytes >= config.writeback_bytes) {
    segment.file->start_writeback(segment.written_back_bytes, segment.size_bytes - segment.written_back_bytes);
    segment.written_back_bytes = segment.size_bytes;
  }
  return {};
}

namespace {

// Follows the batches through `chain`: the views of `length` bytes after `skip`.
void views_of(const BufferChain& chain, size_t skip, size_t length, std::vector<BytesView>& out) {
  for (const Buffer& part : chain.parts()) {
    if (length == 0) return;
    if (skip >= part.size()) {
      skip -= part.size();
      continue;
    }
    const size_t n = std::min(length, part.size() - skip);
    out.push_back(part.view().subspan(skip, n));
    length -= n;
    skip = 0;
  }
}

}  // namespace

Result<AppendInfo> Log::append_as_leader(const Buffer& batches, std::span<const BatchFacts> facts, LeaderEpoch epoch,
                                         TimestampMs now, size_t frame_bytes, std::optional<TimestampMs> stamp) {
  Impl& log = *impl_;
  if (auto refused = log.refuse_append(); !refused) return tl::unexpected(refused.error());
  NARU_CHECK(!facts.empty() && facts.back().position + facts.back().size_bytes == batches.size(),
             "facts of other batches");
  NARU_CHECK(!log.epochs.latest() || epoch >= *log.epochs.latest(), "append in epoch {} after {}", epoch,
             *log.epochs.latest());
  if (batches.size() > std::min<uint64_t>(log.config.segment_bytes, INT32_MAX)) {
    return fail(ErrorCode::record_list_too_large,
                fmt::format("{} bytes do not fit a segment of {}", batches.size(), log.config.segment_bytes));
  }
  AppendInfo info{log.log_end, log.log_end, {}, batches.size()};
  if (log.config.log_append_time) info.log_append_time = stamp.value_or(now);
  records::assign_offsets(batches, {info.first_offset, epoch, info.log_append_time});

  std::vector<BatchFacts> placed(facts.begin(), facts.end());
  Offset next = info.first_offset;
  for (BatchFacts& f : placed) {
    f.base_offset = next;
    f.leader_epoch = epoch;
    if (!info.log_append_time) {
      records::correct_max_timestamp(batches.slice(f.position, f.size_bytes), f.max_timestamp);
    } else if (!f.is_control) {
      f.max_timestamp = *info.log_append_time;
    }
    next = f.last_offset().next();
  }
  info.last_offset = next - 1;
  const BytesView view = batches.view();
  if (auto appended = log.append_run({std::span(&view, 1), placed, now}); !appended)
    return tl::unexpected(appended.error());
  for (const BatchFacts& f : placed) {
    log.tail.add({f.base_offset, f.last_offset(), batches.slice(f.position, f.size_bytes),
                  std::max(frame_bytes, batches.size())});
  }
  if (log.config.flush_messages && log.unflushed_records >= *log.config.flush_messages)
    flush([](const Result<Offset>&) {});
  return info;
}

Result<AppendInfo> Log::append_own(const Buffer& batches, LeaderEpoch epoch, TimestampMs now) {
  std::vector<BatchFacts> facts;
  records::BatchCursor cursor(batches.view());
  while (!cursor.at_end()) {
    const size_t position = cursor.position();
    auto batch = cursor.next();
    if (!batch) return tl::unexpected(batch.error());
    auto known = records::facts_of(*batch, position);
    if (!known) return tl::unexpected(known.error());
    facts.push_back(*known);
  }
  return append_as_leader(batches, facts, epoch, now);
}

Result<AppendInfo> Log::append_as_follower(const BufferChain& batches, LeaderEpoch request_epoch, TimestampMs now) {
  Impl& log = *impl_;
  if (auto refused = log.refuse_append(); !refused) return tl::unexpected(refused.error());
  const bool is_empty = log.log_start == log.log_end;
  // The checksums want whole batches; a chain of several pieces is joined for the check only.
  const Buffer whole = batches.flatten();
  const auto facts = records::validate_replicated(
      whole.view(),
      {.log_end_offset = log.log_end,
       .request_epoch = request_epoch,
       .last_epoch = log.epochs.latest(),
       .gaps = log.config.allow_offset_gaps ? records::OffsetGaps::allow : records::OffsetGaps::refuse,
       .first = is_empty ? records::FirstBatch::may_contain_log_end : records::FirstBatch::starts_at_log_end});
  if (!facts) return tl::unexpected(facts.error());
  if (facts->empty()) return fail(ErrorCode::corrupt_message, "no batch to append");
  AppendInfo info{std::max(log.log_end, facts->front().base_offset), log.log_end, {}, 0};
  Offset expected = log.log_end;
  bool has_gap = false;
  for (const BatchFacts& f : *facts) {
    has_gap |= f.base_offset > expected;
    expected = f.last_offset().next();
  }
  const bool is_first_gap = has_gap && !log.has_gaps;
  if (has_gap) {
    if (auto noted = log.note_gaps(); !noted) {
      log.note(noted.error(), "new file");
      return disk::storage_error(noted.error());
    }
  }

  // As many batches at a time as one segment takes.
  std::vector<BytesView> parts;
  for (size_t first = 0; first < facts->size();) {
    size_t end = first;
    size_t bytes = 0;
    while (end < facts->size() && (end == first || bytes + (*facts)[end].size_bytes <= log.config.segment_bytes)) {
      bytes += (*facts)[end++].size_bytes;
    }
    parts.clear();
    views_of(batches, (*facts)[first].position, bytes, parts);
    const std::span<const BatchFacts> run(facts->data() + first, end - first);
    if (auto appended = log.append_run({parts, run, now}); !appended) {
      if (first == 0) return tl::unexpected(appended.error());
      break;  // what came before is in the log
    }
    info.last_offset = run.back().last_offset();
    info.size_bytes += bytes;
    first = end;
  }
  log.tail.clear();  // followers do not cache; what lay there no longer ends at the log end
  if (is_first_gap) flush([](const Result<Offset>&) {});
  if (log.config.flush_messages && log.unflushed_records >= *log.config.flush_messages)
    flush([](const Result<Offset>&) {});
  return info;
}

}  // namespace common::log
