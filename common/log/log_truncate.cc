// Making a log shorter: at its end (truncation), wholly (restart), at its start (retention, DeleteRecords).
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "common/log/checkpoint_file.h"
#include "common/log/log_impl.h"
#include "common/model/mutant.h"
#include "common/records/crc32c.h"

namespace common::log {

using common::model::mutant;

using model::ErrorCode;

// -- at the end --

Result<Offset> Log::Impl::truncate_to(Offset offset) {
  if (auto refused = refuse_change(); !refused) return tl::unexpected(refused.error());
  NARU_CHECK(offset >= log_start, "truncate to {} below log start {}", offset, log_start);
  // Below what is committed, after an unclean election: rare, and soon over.
  // Nor to its very end: what was the last segment of it would be written to while its file goes (R80).
  const Offset kept = replacing.value_or(offset) + (mutant<"R80-writes-to-what-is-being-replaced">() ? 0 : 1);
  // What lies below the log start goes when that is done: a log of which nothing is left could not begin anew before.
  const bool owes_removal = replacing && segments.size() > 1 && end_of(0) <= log_start;
  if (replacing && (offset < kept || owes_removal) && offset < log_end)
    return model::fail(ErrorCode::kafka_storage_error, fmt::format("{} is being compacted", directory));
  if (compacting && offset < compacting->end && !mutant<"R107-goes-on-after-a-cut">()) compacting->is_void = true;
  const bool is_shorter = offset < log_end;
  const Offset end_before = log_end;
  const Result<void> cut = is_shorter ? cut_batches(offset) : Result<void>();
  // R66: also when nothing is cut. Else a follower truncates to the same place for ever (KAFKA-10706).
  Changed changed = Changed::no;
  if (cut && !mutant<"R66-keeps-epochs-beyond-the-end">()) changed = epochs.truncate_from_end(offset);
  if (is_shorter && !mutant<"R66-keeps-epochs-of-what-was-cut">() && epochs.truncate_from_end(log_end) == Changed::yes)
    changed = Changed::yes;
  cut_epochs(changed);
  // Also of a cut that got half way.
  if (log_end < end_before && !failure && !mutant<"R84-truncation-keeps-producers">()) reload_producers(log_end);
  if (!cut) return tl::unexpected(cut.error());
  if (!is_shorter) return log_end;
  flushed = std::min(flushed, log_end);
  flush_target = std::min(flush_target, log_end);
  cleaned_to = std::min(cleaned_to, active().base);
  if (failure) return model::fail(failure->code, failure->message);
  check_invariants();
  return log_end;
}

// The part of a truncation that is about batches.
Result<void> Log::Impl::cut_batches(Offset offset) {
  ++generation;
  positions.fill(std::nullopt);
  tail.clear();

  // Later segments first, the last one first: a crash in between leaves a log that is whole up to some point.
  while (segments.size() > 1 && active().base >= offset) {
    const Offset base = active().base;
    if (auto renamed = rename_to_deleted(base); !renamed) {
      set_failed(renamed.error());
      return disk::storage_error(renamed.error());
    }
    segments.pop_back();
    flushed = std::min(flushed, base);  // now: the next step may fail
    flush_target = std::min(flush_target, base);
    log_end = base;
    names_dirty = true;
    owes_cut = false;
  }
  if (offset >= log_end) return {};
  auto cut = cut_last_segment(offset);
  if (!cut) {
    // A full disk (R81), or a lack of descriptors: nothing has changed, and it is asked for again.
    if (!disk::may_pass(cut.error().fault)) set_failed(cut.error());
    return disk::storage_error(cut.error());
  }
  if (*cut == Cut::impossible) {
    set_damaged({ErrorCode::corrupt_message, fmt::format("{}: damaged batch header", active().file->path())});
    return model::fail(ErrorCode::corrupt_message, fmt::format("{} is damaged", directory));
  }
  return {};
}

// The file must not tell of what was cut when other batches come there: after the death of the process they would look
// like rot. After the cut, so that it never lacks what is there. On the shard, like the renames (log_impl.h); behind
// writes of it that are queued or under way, and then appends wait.
void Log::Impl::cut_epochs(Changed changed) {
  if (changed == Changed::no || failure) return;  // R76: nothing more is written there, nor appended
  if (!config.sync_needs_epochs) return change_epochs(changed);
  epochs_cut = ++epochs_version;
  if (epoch_writes > 0) return;
  const std::string text = encode_epochs(epochs.entries());
  auto saved = disk.replace_file(path(epoch_file_name), model::as_bytes(text), disk::Durability::kernel);
  if (saved) {
    epochs_saved = epochs_version;
  } else {
    note(saved.error(), "epoch file");
  }
}

// Nothing is left of a log that began within a batch (after DeleteRecords): another segment begins there. A gap between
// batches, or after a segment's base, would look like damage to recovery.
IoResult<void> Log::Impl::begin_at_log_start() {
  NARU_CHECK(segments.size() == 1, "{} segments below the log start", segments.size());
  // Also what a job is still to remove. First: without a descriptor nothing is to be begun.
  auto entries = disk.list(directory);
  if (!entries) return tl::unexpected(entries.error());
  auto made = make_segment(log_start, active().created);
  if (!made) return tl::unexpected(made.error());
  for (const disk::DirectoryEntry& entry : *entries) {
    const auto base = offset_in_name(entry.name, log_suffix);
    if (!base || *base == log_start) continue;
    if (auto renamed = rename_to_deleted(*base); !renamed) {
      set_failed(renamed.error());  // half done
      return renamed;
    }
  }
  segments.back() = std::move(*made);
  names_dirty = true;
  return {};
}

// On the shard, see log_impl.h; the files go at a later tick.
IoResult<void> Log::Impl::rename_to_deleted(Offset base) {
  Removal removal;
  for (const auto suffix : {log_suffix, offset_index_suffix, time_index_suffix}) {
    const std::string name = path(base, suffix);
    removal.paths.push_back(name + std::string(deleted_suffix));
    auto renamed = disk.rename(name, removal.paths.back());
    // R81: a longer name may want room where there is none.
    if (!renamed && renamed.error().fault == IoFault::no_space) renamed = disk.remove_file(name);
    if (!renamed && renamed.error().fault != IoFault::not_found) return renamed;
  }
  removals.push_back(std::move(removal));
  return {};
}

IoResult<Log::Impl::Cut> Log::Impl::cut_last_segment(Offset offset) {
  auto end = cut_segment(active(), offset);
  if (!end) return tl::unexpected(end.error());
  if (!*end) return Cut::impossible;
  // The end only once what lies behind it is gone: the next append would come after that in the file.
  if (**end < log_start) {
    if (auto begun = begin_at_log_start(); !begun) return tl::unexpected(begun.error());
  }
  log_end = std::max(**end, log_start);
  return Cut::done;
}

// Takes out of the indexes what points at or past `offset`. Returns where the last batch begins that they still know:
// from there on they say nothing. An index that cannot be read, or that no batch bears out, is begun anew: it is a
// cache.
IoResult<uint64_t> Log::Impl::cut_indexes(Segment& segment, Offset offset) {
  const std::string offsets_path = path(segment.base, offset_index_suffix);
  const std::string times_path = path(segment.base, time_index_suffix);
  auto offsets_left = segment.offsets.count_below_offset(disk, offsets_path, offset - segment.base);
  auto times_left = segment.times.count_below_offset(disk, times_path, offset - segment.base);
  if (!offsets_left || !segment.offsets.truncate(disk, offsets_path, *offsets_left)) segment.offsets.reset();
  if (!times_left || !segment.times.truncate(disk, times_path, *times_left)) segment.times.reset();
  // R74: what comes next could not follow an entry beyond the end.
  const auto& newest = segment.times.last();
  if (newest && segment.base + newest->relative_offset >= offset) segment.times.reset();
  if (!segment.offsets.last()) return uint64_t{0};

  const OffsetEntry last = *segment.offsets.last();
  std::array<std::byte, records::batch_header_size> head;
  auto n = segment.file->read_at(last.position, head);
  if (!n) return tl::unexpected(n.error());
  const auto batch = records::BatchView::parse_header(model::BytesView(head).first(*n));
  if (batch && batch->last_offset() == segment.base + last.relative_offset) return uint64_t{last.position};
  segment.offsets.reset();
  segment.times.reset();
  return uint64_t{0};
}

// Cuts the batches that reach past `offset`; what is left tells its timestamps again. The log ends where the last batch
// that is left ends: a gap before `offset` could not be told from a loss at the next start. None: a header is damaged
// or out of order, and nothing was cut.
IoResult<std::optional<Offset>> Log::Impl::cut_segment(Segment& segment, Offset offset) {
  const auto indexed = cut_indexes(segment, offset);
  if (!indexed) return tl::unexpected(indexed.error());
  segment.largest_timestamp = TimestampMs(segment.times.last() ? segment.times.last()->timestamp : -1);
  segment.largest_timestamp_offset = segment.base + (segment.times.last() ? segment.times.last()->relative_offset : 0);
  // What the index does not cover is walked over. If the times index was begun anew, all of it.
  const uint64_t known_to = segment.times.last() ? *indexed : 0;

  Offset end = segment.base;
  bool cut = false;
  bool is_foreign = false;
  uint64_t cut_at = segment.size_bytes;
  auto walked = walk_headers(*segment.file, known_to, segment.size_bytes, Waiting::allowed, [&](const BatchAt& batch) {
    // A clean end vouches for what nobody has read: a file under another one's name has batches from before its
    // base.
    is_foreign = batch.last_offset < end;
    if (is_foreign) return records::Visit::stop;
    if (batch.last_offset >= offset) {
      cut = true;
      cut_at = batch.position;
      return records::Visit::stop;
    }
    end = batch.last_offset.next();
    if (batch.largest_timestamp > segment.largest_timestamp) {
      segment.largest_timestamp = batch.largest_timestamp;
      segment.largest_timestamp_offset = batch.last_offset;
    }
    return records::Visit::go_on;
  });
  if (!walked) return tl::unexpected(walked.error());
  if (!*walked || is_foreign) return std::nullopt;
  if (segment.times.last() && segment.base + segment.times.last()->relative_offset >= end && end > segment.base) {
    segment.offsets.reset();  // R74: no batch brought that entry; once more, without the index
    segment.times.reset();
    return cut_segment(segment, offset);
  }
  if (cut && end < log_start) return end;  // the whole file goes
  if (cut) {
    if (auto done = segment.file->truncate(cut_at); !done) return tl::unexpected(done.error());
    segment.size_bytes = cut_at;
    segment.allocated_bytes = 0;
    owes_cut = false;
    segment.is_synced = false;
    ++cuts;
  }
  segment.bytes_since_index = segment.size_bytes - std::min(known_to, segment.size_bytes);
  segment.written_back_bytes = std::min(segment.written_back_bytes, segment.size_bytes);
  if (segment.size_bytes == 0) segment.first_timestamp.reset();
  return end;
}

// R84: a function of the log, which ends at `end`. Without it a producer could begin anywhere, and have written twice
// what it asks about: nothing is appended while it cannot be read.
void Log::Impl::reload_producers(Offset end) {
  if (!config.keep_producer_state) return;
  // A snapshot of what was cut must never be taken for one of what comes there later. Behind those being written.
  std::vector<std::string> stale;
  while (!snapshots.empty() && snapshots.back().offset > end && !mutant<"R84-keeps-snapshots-of-what-was-cut">()) {
    stale.push_back(path(snapshots.back().offset, snapshot_suffix));
    snapshots.pop_back();
  }
  if (!stale.empty()) {
    names_dirty = true;
    run_job([d = &disk, stale] { return remove_all(*d, stale); }, guarded([this, stale](const IoResult<void>& result) {
              if (!result) on_snapshots_stay(stale, result.error(), "removing snapshots");
            }));
  }
  auto table = read_producers();
  owes_producers = !table && !mutant<"R84-goes-on-without-producers">();
  producers = table ? std::move(*table) : records::ProducerStateTable();
}

// From the newest snapshot on. A failure that may pass has no consequences.
Result<records::ProducerStateTable> Log::Impl::read_producers() {
  const auto unreadable = [&](const IoError& error) {
    note(error, "producer state");
    return disk::storage_error(error);
  };
  records::ProducerStateTable state;
  Offset from = segments.front()->base;
  for (auto it = snapshots.rbegin(); it != snapshots.rend(); ++it) {
    if (it->write != 0) continue;  // not in its file yet
    auto file = disk.read_file(path(it->offset, snapshot_suffix), 256u << 20);
    if (!file && file.error().fault != IoFault::not_found && file.error().fault != IoFault::too_large)
      return unreadable(file.error());
    if (!file) continue;
    auto table = records::ProducerStateTable::decode_snapshot(file->view());
    if (!table) continue;
    state = std::move(*table);
    from = it->offset;
    break;
  }
  for (auto& segment : segments) {
    if (segment.get() != segments.back().get() && end_of(static_cast<size_t>(&segment - segments.data())) <= from)
      continue;
    uint64_t position = 0;
    if (segment->base < from) {
      auto entry =
          segment->offsets.find(disk, path(segment->base, offset_index_suffix), from - segment->base, Waiting::allowed);
      if (entry && *entry) position = (*entry)->position;
    }
    Offset next = from;
    const auto feed = [&](const BatchFacts& facts) {
      if (facts.base_offset < next) return;
      state.on_append(facts, facts.base_offset, segment->last_append);
      next = facts.last_offset().next();
    };
    auto walked = walk_facts(*segment->file, position, segment->size_bytes, feed);
    // R74: the index may have named a place where no batch begins.
    if (walked && !*walked && position > 0) walked = walk_facts(*segment->file, 0, segment->size_bytes, feed);
    if (!walked) return unreadable(walked.error());
    if (!*walked) {
      const Error damage{ErrorCode::corrupt_message, fmt::format("{}: damaged batch header", segment->file->path())};
      set_damaged(damage);
      return model::fail(damage.code, damage.message);
    }
  }
  return state;
}

// -- wholly --

std::string encode_restart(Offset offset) {
  const std::string text = fmt::format("{}", offset);
  return fmt::format("{}\n{:08x}\n", text, records::crc32c(model::as_bytes(text)));
}

std::optional<Offset> decode_restart(std::string_view file) {
  Offset offset;
  const auto [end, error] = std::from_chars(file.data(), file.data() + file.size(), offset.value);
  if (error != std::errc() || offset.value < 0 || file != encode_restart(offset)) return std::nullopt;
  return offset;
}

IoResult<void> finish_restart(disk::Disk& disk, const std::string& directory, Offset offset) {
  auto entries = disk.list(directory);
  if (!entries) return tl::unexpected(entries.error());
  for (const disk::DirectoryEntry& entry : *entries) {
    const bool goes = entry.name.ends_with(log_suffix) || entry.name.ends_with(offset_index_suffix) ||
                      entry.name.ends_with(time_index_suffix) || entry.name.ends_with(snapshot_suffix) ||
                      entry.name.ends_with(deleted_suffix) || entry.name.ends_with(cleaned_suffix) ||
                      entry.name.ends_with(swap_suffix) || entry.name == epoch_file_name ||
                      entry.name == gaps_file_name;
    if (!goes) continue;
    auto removed = disk.remove_file(directory + "/" + entry.name);
    if (!removed && removed.error().fault != IoFault::not_found) return removed;
  }
  auto file = disk.open(file_path(directory, offset, log_suffix), disk::OpenMode::create_if_missing);
  if (!file) return tl::unexpected(file.error());
  if (auto synced = disk.sync_directory(directory); !synced) return synced;
  auto removed = disk.remove_file(directory + "/" + std::string(restart_file_name));
  if (!removed && removed.error().fault != IoFault::not_found) return removed;
  return disk.sync_directory(directory);
}

namespace {

// Whether a marker that could not be written is not there either, nor after a crash.
bool is_gone(disk::Disk& disk, const std::string& directory, const std::string& marker) {
  auto removed = disk.remove_file(marker);
  if (!removed) return removed.error().fault == IoFault::not_found;
  return disk.sync_directory(directory).has_value();
}

}  // namespace

void Log::Impl::truncate_fully_and_start_at(Offset offset, StepDone done) {
  if (auto refused = refuse_change(); !refused) return done(std::move(refused));
  is_emptying = true;
  if (compacting) compacting->is_void = true;
  ++generation;
  positions.fill(std::nullopt);
  tail.clear();
  const auto has_begun = std::make_shared<bool>(false);
  run_job(
      [d = &disk, where = directory, offset, has_begun]() -> IoResult<void> {
        // The one durable step: once this file has its name, open() finishes what we may not (R67).
        const std::string marker = where + "/" + std::string(restart_file_name);
        const std::string content = encode_restart(offset);
        if (mutant<"R67-starts-over-in-several-steps">()) return finish_restart(*d, where, offset);
        if (auto noted = d->replace_file(marker, model::as_bytes(content), disk::Durability::medium); !noted) {
          *has_begun = !is_gone(*d, where, marker);
          return noted;
        }
        *has_begun = true;
        return finish_restart(*d, where, offset);
      },
      guarded([this, offset, has_begun, done = std::move(done)](const IoResult<void>& result) {
        is_emptying = false;
        if (!result) {
          // Half done: only a new open() can tell what is there. Else the log is as it was, and a full disk may pass.
          if (*has_begun || mutant<"R81-a-full-disk-is-final">()) set_failed(result.error());
          note(result.error(), "starting over");
          return end_without_restart(result.error(), done);
        }
        auto first = make_segment(offset, TimestampMs(0), disk::OpenMode::existing);  // wants no descriptor (fault 40)
        if (!first) {
          set_failed(first.error());
          return end_without_restart(first.error(), done);
        }
        begin_anew(offset, std::move(*first));
        done({});
      }));
}

// Whoever asked for a flush meanwhile still waits for one.
void Log::Impl::end_without_restart(const IoError& error, const StepDone& done) {
  const std::weak_ptr<bool> still(alive);  // not `this` once somebody has been told
  if (failure) {
    for (const FlushDone& waiting : std::exchange(flush_waiting, {})) waiting(disk::storage_error(error));
  } else if (flush_steps_left == 0 && !flush_waiting.empty()) {
    start_flush();
  }
  if (!still.expired()) done(disk::storage_error(error));
}

void Log::Impl::begin_anew(Offset offset, std::unique_ptr<Segment> first) {
  ++generation;
  segments.clear();
  removals.clear();
  not_removed.clear();  // all of them are gone, and their names may come again
  segments.push_back(std::move(first));
  owes_cut = false;
  is_damaged = false;
  log_start = log_end = flushed = flush_target = cleaned_to = offset;
  has_gaps = false;
  if (!mutant<"R67-keeps-epochs-and-producers">()) {
    change_epochs(epochs.clear());
    producers.clear();
    owes_producers = false;
  }
  snapshots.clear();
  unflushed_records = 0;
  check_invariants();
  if (flush_steps_left == 0 && !flush_waiting.empty()) start_flush();
}

// -- at the start --

IoResult<void> remove_all(disk::Disk& disk, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    auto removed = disk.remove_file(name);
    if (!removed && removed.error().fault != IoFault::not_found) return removed;
  }
  return {};
}

void Log::Impl::remove_files(std::vector<std::unique_ptr<Segment>> gone) {
  if (gone.empty()) return;
  std::vector<std::string> names;
  for (const auto& segment : gone) {
    for (const auto suffix : {log_suffix, offset_index_suffix, time_index_suffix})
      names.push_back(path(segment->base, suffix));
    const auto is_its = [&](const Snapshot& s) { return s.offset == segment->base; };
    if (std::erase_if(snapshots, is_its) > 0) names.push_back(path(segment->base, snapshot_suffix));
  }
  remove_names(std::move(names));
}

void Log::Impl::remove_names(std::vector<std::string> names) {
  run_job(
      [d = &disk, names]() -> IoResult<void> {
        // From the oldest on: whatever a crash leaves is one piece.
        for (const std::string& name : names) {
          auto renamed = d->rename(name, name + std::string(deleted_suffix));
          // R81: a longer name may want room where there is none, and this is what could make some.
          if (!renamed && renamed.error().fault == IoFault::no_space) renamed = d->remove_file(name);
          if (!renamed && renamed.error().fault != IoFault::not_found) return renamed;
        }
        return {};
      },
      guarded([this, names](const IoResult<void>& result) {
        if (!result) {
          note(result.error(), "deleting segments");
          if (!failure) not_removed.push_back(names);  // once more with the next tick
          return;
        }
        Removal removal;
        for (const std::string& name : names) removal.paths.push_back(name + std::string(deleted_suffix));
        removals.push_back(std::move(removal));
      }));
}

void Log::Impl::remove_oldest(size_t count) {
  std::vector<std::unique_ptr<Segment>> gone;
  for (size_t i = 0; i < count; ++i) gone.push_back(std::move(segments[i]));
  segments.erase(segments.begin(), segments.begin() + static_cast<ptrdiff_t>(count));
  ++generation;
  remove_files(std::move(gone));
}

void Log::Impl::remove_below_start() {
  if (replacing) return;  // later
  size_t below = 0;
  while (below + 1 < segments.size() && end_of(below) <= log_start) ++below;
  if (below > 0) remove_oldest(below);
}

void Log::Impl::advance_log_start(Offset offset) {
  if (offset <= log_start || is_emptying || is_closed) return;
  NARU_CHECK(offset <= log_end, "log start {} past the log end {}", offset, log_end);
  log_start = offset;
  remove_below_start();
  change_epochs(epochs.truncate_from_start(log_start));
  check_invariants();
}

size_t Log::Impl::apply_retention(const Now& now, Offset high_watermark) {
  if (is_emptying || is_closed || failure || replacing) return 0;
  const Offset bound = mutant<"R82-retention-above-the-hw">() ? log_end : std::min(high_watermark, log_end);
  size_t count = 0;
  uint64_t left = size_bytes();
  for (; count < segments.size(); ++count) {
    const Segment& segment = *segments[count];
    if (segment.size_bytes == 0 || end_of(count) > bound) break;
    // R82: a record from the future ages from when it was appended.
    const bool from_future = segment.largest_timestamp.value < 0 ||
                             (segment.largest_timestamp > now.wall && !mutant<"R82-future-timestamps-hold-data">());
    const TimestampMs newest = from_future ? segment.last_append : segment.largest_timestamp;
    const bool too_old = config.retention_ms && now.wall.value - newest.value > config.retention_ms->count();
    const bool too_much = config.retention_bytes && left - segment.size_bytes >= *config.retention_bytes;
    const bool goes = (config.delete_old_segments && too_much) || end_of(count) <= log_start;
    if (!goes && (!config.delete_old_segments || !too_old || !is_age_known(count))) break;
    left -= segment.size_bytes;
  }
  if (count == 0) return 0;
  // The log always has a segment to append to.
  if (count == segments.size()) {
    if (auto rolled = roll(log_end, now.wall); !rolled) {
      note(rolled.error(), "new segment");
      --count;
      if (count == 0) return 0;
    }
  }
  NARU_CHECK(segments[count]->base <= high_watermark, "R82: retention to {} above the high watermark {}",
             segments[count]->base, high_watermark);
  log_start = std::max(log_start, segments[count]->base);
  remove_oldest(count);
  change_epochs(epochs.truncate_from_start(log_start));
  check_invariants();
  return count;
}

// Not in line with the log's other jobs, of which a flush is one: a file of a gigabyte can take long to go. Nor through
// the gate: a file that has such a name by then, whoever's it is, is to go too.
void Log::Impl::remove_for_good(std::vector<std::string> names) {
  const auto shared = std::make_shared<std::vector<std::string>>(std::move(names));
  disk.offload(
      disk::Job::removals, [d = &disk, shared] { return remove_all(*d, *shared); },
      guarded([this, shared](const IoResult<void>& result) {
        if (result) return;
        note(result.error(), "removing files");
        if (!failure) removals.push_back({*shared, {}});  // once more, else they lie there until the next start
      }));
}

void Log::Impl::tick(const Now& now) {
  if (is_closed || failure) return;
  if (!is_emptying) {
    for (auto& names : std::exchange(not_removed, {})) remove_names(std::move(names));
  }
  std::vector<std::string> due;
  for (Removal& removal : removals) {
    if (!removal.due) removal.due = now.monotonic + config.file_delete_delay;
    if (*removal.due <= now.monotonic) due.insert(due.end(), removal.paths.begin(), removal.paths.end());
  }
  std::erase_if(removals, [&](const Removal& r) { return *r.due <= now.monotonic; });
  if (!due.empty()) remove_for_good(std::move(due));
  if (config.flush_ms && flushed < log_end) {
    if (!unflushed_since) unflushed_since = now.monotonic;
    if (now.monotonic - *unflushed_since >= *config.flush_ms) flush([](const Result<Offset>&) {});
  }
  if (owes_producers && !is_damaged && !is_emptying) reload_producers(log_end);
  save_snapshot_if_due();
  if (epochs_saved < epochs_version && epoch_writes == 0) persist_epochs(disk::Durability::kernel);
}

}  // namespace common::log
