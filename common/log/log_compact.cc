// Compaction as the log sees it: which segments may be rewritten, and how what was rewritten takes their place.
#include <algorithm>

#include <fmt/format.h>

#include "common/log/log_impl.h"
#include "common/log/segment_cleaner.h"

namespace common::log {

using model::ErrorCode;
using model::fail;

std::vector<SegmentFacts> Log::Impl::segment_facts() {
  std::vector<SegmentFacts> all;
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    Segment& s = *segments[i];
    // After a start it is not known; nothing waits for it.
    std::array<std::byte, records::batch_header_size> head;
    if (!s.first_timestamp && s.size_bytes > 0) {
      const auto n = s.file->try_read(0, head);
      const auto batch = records::BatchView::parse_header(model::BytesView(head).first(n.value_or(0)));
      if (batch) s.first_timestamp = batch->largest_timestamp();
    }
    const uint64_t index =
        std::max(s.offsets.count() * OffsetEntry::size_bytes, s.times.count() * TimeEntry::size_bytes);
    all.push_back({s.base, end_of(i), s.size_bytes, index, s.first_timestamp, s.largest_timestamp, s.last_append});
  }
  return all;
}

namespace {

class LogCompaction final : public Compaction {
 public:
  LogCompaction(Log::Impl& log, std::shared_ptr<Log::Impl::CompactionHold> hold,
                std::shared_ptr<SegmentCleaner> cleaner, std::vector<SegmentCleaner::Source> sources,
                Offset first_dirty)
      : log_(log),
        log_alive_(log.alive),
        disk_(log.disk),
        hold_(std::move(hold)),
        cleaner_(std::move(cleaner)),
        sources_(std::move(sources)),
        first_dirty_(first_dirty) {}
  ~LogCompaction() override { end(); }

  void step(Done done) override {
    if (!may_go_on()) return done(is_void());
    switch (phase_) {
      case Phase::survey:
        return run(disk::Job::reads, [](SegmentCleaner& c) { return c.survey(); }, std::move(done));
      case Phase::map:
        return run(disk::Job::reads, [](SegmentCleaner& c) { return c.fill_map(); }, std::move(done));
      case Phase::begin:
        return run(
            disk::Job::changes,
            [group = group_](SegmentCleaner& c) { return c.begin_group(group).map([] { return true; }); },
            std::move(done));
      case Phase::write:
        return run(disk::Job::changes, [](SegmentCleaner& c) { return c.write_group(); }, std::move(done));
      case Phase::finish:
        return run(
            disk::Job::changes, [](SegmentCleaner& c) { return c.finish_group().map([] { return true; }); },
            std::move(done));
      case Phase::replace:
        return replace(std::move(done));
      case Phase::over:
        break;
    }
    NARU_CHECK(false, "a step of a compaction that is over");
  }

 private:
  enum class Phase { survey, map, begin, write, finish, replace, over };

  static model::Unexpected is_void() {
    return fail(ErrorCode::operation_not_attempted, "the log was cut, started over or closed meanwhile");
  }
  [[nodiscard]] bool may_go_on() const {
    return !log_alive_.expired() && !hold_->is_void && !log_.failure && !log_.is_closed && !log_.is_emptying;
  }

  template <class Work>
  void run(disk::Job kind, Work work, Done done) {
    const auto outcome = std::make_shared<CleanResult<bool>>(false);
    disk_.offload(
        kind,
        [cleaner = cleaner_, outcome, work]() -> disk::IoResult<void> {
          *outcome = work(*cleaner);
          return {};
        },
        [this, alive = std::weak_ptr(alive_), outcome, done = std::move(done)](const disk::IoResult<void>&) {
          if (!alive.expired()) on_piece(std::move(*outcome), done);
        });
  }

  void on_piece(CleanResult<bool> outcome, const Done& done) {
    if (!may_go_on()) return give_up(done, is_void());
    if (!outcome) return on_fault(outcome.error(), done);
    CompactionStep step{cleaner_->take_io_bytes(), {}};
    if (*outcome) on_part_done(step);
    done(std::move(step));
  }

  void on_part_done(CompactionStep& step) {
    switch (phase_) {
      case Phase::survey:
        phase_ = Phase::map;
        break;
      case Phase::map:
        plan_groups();
        next_group(step);
        break;
      case Phase::begin:
        phase_ = Phase::write;
        break;
      case Phase::write:
        phase_ = Phase::finish;
        break;
      case Phase::finish:
        phase_ = Phase::replace;
        break;
      case Phase::replace:
        group_.path.clear();
        group_.first += group_.count;
        next_group(step);
        break;
      case Phase::over:
        break;
    }
  }

  void plan_groups() {
    if (cleaner_->map_end() <= first_dirty_) return;  // nothing that could supersede anything
    std::vector<SegmentFacts> facts = log_.segment_facts();
    std::erase_if(facts, [&](const SegmentFacts& s) {
      return s.base < sources_.front().base || s.base >= cleaner_->map_end() || s.end > sources_.back().end;
    });
    groups_ = group_segments(facts, {log_.config.segment_bytes, log_.config.segment_index_bytes});
  }

  void next_group(CompactionStep& step) {
    if (groups_.empty()) {
      CompactionReport report = cleaner_->totals();
      report.cleaned_to = cleaner_->map_end();
      log_.cleaned_to = report.cleaned_to;
      step.report = report;
      return end();
    }
    group_.count = groups_.front();
    groups_.erase(groups_.begin());
    const Offset base = sources_[group_.first].base;
    group_.path = log_.path(base, log_suffix) + std::string(cleaned_suffix);
    group_.epoch_before.reset();
    if (base > log_.log_start) group_.epoch_before = log_.epochs.epoch_at(base - 1);
    phase_ = Phase::begin;
  }

  // Only what is still as it was when the run began.
  [[nodiscard]] std::optional<size_t> find_group() const {
    const auto first = std::find_if(log_.segments.begin(), log_.segments.end(),
                                    [&](const auto& segment) { return segment->file == sources_[group_.first].file; });
    const auto at = static_cast<size_t>(first - log_.segments.begin());
    if (at + group_.count >= log_.segments.size()) return std::nullopt;
    for (size_t i = 0; i < group_.count; ++i) {
      const Segment& now = *log_.segments[at + i];
      const SegmentCleaner::Source& then = sources_[group_.first + i];
      if (now.file != then.file || now.size_bytes != then.size_bytes || log_.end_of(at + i) != then.end)
        return std::nullopt;
    }
    return at;
  }

  // A log that is destroyed, as its topic is deleted, answers nothing any more. Whoever waited for ever would keep the
  // broker's turn, and no other log would be compacted.
  void replace(Done done) {
    const auto at = find_group();
    if (!at) return give_up(done, is_void());
    hold_->on_log_gone = [this, alive = std::weak_ptr(alive_), done] {
      if (!alive.expired()) give_up(done, is_void());
    };
    log_.replace_segments(
        *at, group_.count, cleaner_->take_segment(),
        [this, alive = std::weak_ptr(alive_), hold = hold_, done = std::move(done)](const IoResult<void>& result) {
          hold->on_log_gone = nullptr;
          if (alive.expired()) return;
          if (!result) return give_up(done, disk::storage_error(result.error()));
          on_piece(true, done);
        });
  }

  void on_fault(const CleanFault& fault, const Done& done) {
    switch (fault.kind) {
      case CleanFault::Kind::damaged:
        if (may_go_on()) log_.set_damaged({ErrorCode::corrupt_message, fault.message});
        return give_up(done, fail(ErrorCode::corrupt_message, fault.message));
      case CleanFault::Kind::map_too_small:
      case CleanFault::Kind::not_compactable:
        return give_up(done, fail(ErrorCode::invalid_config, fault.message));
      case CleanFault::Kind::disk:
        break;
    }
    // A segment that was deleted meanwhile.
    if (fault.io.fault == IoFault::not_found) return give_up(done, is_void());
    log_.note(fault.io, "compaction");
    give_up(done, disk::storage_error(fault.io));
  }

  void give_up(const Done& done, model::Unexpected why) {
    end();
    done(std::move(why));
  }

  void end() {
    if (std::exchange(phase_, Phase::over) == Phase::over || log_alive_.expired()) return;
    const auto release = [log = &log_, hold = hold_] {
      if (log->compacting == hold) log->compacting.reset();
    };
    if (group_.path.empty() || log_.replacing || log_.is_closed) return release();
    // What was not finished goes before another run may write a file of that name.
    log_.run_job(
        [d = &disk_, path = group_.path]() -> IoResult<void> {
          (void)d->remove_file(path);  // one that stays is overwritten, or goes at the next start
          return {};
        },
        log_.guarded([release](const IoResult<void>&) { release(); }));
  }

  Log::Impl& log_;
  const std::weak_ptr<bool> log_alive_;
  disk::Disk& disk_;
  const std::shared_ptr<Log::Impl::CompactionHold> hold_;
  const std::shared_ptr<SegmentCleaner> cleaner_;  // its jobs may outlive us
  const std::vector<SegmentCleaner::Source> sources_;
  const Offset first_dirty_;
  Phase phase_ = Phase::survey;
  std::vector<size_t> groups_;  // sizes of those to come
  SegmentCleaner::Group group_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Result<std::unique_ptr<Compaction>> Log::Impl::compact(CompactionRequest request) {
  if (failure) return fail(failure->code, failure->message);
  if (is_closed || is_emptying || compacting || replacing || owes_producers || !last_cleaner.expired())
    return fail(ErrorCode::operation_not_attempted, "the log is busy");
  // Only what is synced: what takes its place is, too.
  const Offset end = std::min(request.end, flushed);
  std::vector<SegmentCleaner::Source> sources;
  for (size_t i = 0; i + 1 < segments.size() && end_of(i) <= end; ++i)
    sources.push_back({segments[i]->file, segments[i]->size_bytes, segments[i]->base, end_of(i),
                       epochs.within(segments[i]->base, end_of(i))});
  request.first_dirty = std::max(request.first_dirty, segments.front()->base);
  if (sources.empty() || sources.back().end <= request.first_dirty)
    return fail(ErrorCode::operation_not_attempted, "nothing to compact");
  compacting = std::make_shared<CompactionHold>();
  compacting->end = sources.back().end;
  const Offset first_dirty = request.first_dirty;
  auto cleaner =
      std::make_shared<SegmentCleaner>(disk, sources, std::move(request), producers.remembered_batches(), config);
  last_cleaner = cleaner;
  return std::make_unique<LogCompaction>(*this, compacting, std::move(cleaner), std::move(sources), first_dirty);
}

// R80. From the moment that the .swap has its name, a start finishes what we may not: it holds all of the group.
void Log::Impl::replace_segments(size_t first, size_t count, std::unique_ptr<Segment> with, disk::Done<void> done) {
  const Offset base = segments[first]->base;
  std::vector<Offset> bases;
  for (size_t i = first; i < first + count; ++i) {
    // Reads go on in the old files until the new one is in place.
    if (auto held = segments[i]->file->hold_open(); !held) return done(held);
    bases.push_back(segments[i]->base);
  }
  replacing = end_of(first + count - 1);
  with->created = with->last_append = segments[first + count - 1]->last_append;
  with->written_back_bytes = with->size_bytes;
  const auto shared = std::make_shared<std::unique_ptr<Segment>>(std::move(with));
  const auto has_begun = std::make_shared<bool>(false);
  run_job(
      [d = &disk, where = directory, bases, has_begun]() -> IoResult<void> {
        // Names reach the medium in this order: whoever finds the .swap knows of the gaps.
        auto gaps = d->open(where + "/" + std::string(gaps_file_name), disk::OpenMode::create_if_missing);
        if (!gaps) return tl::unexpected(gaps.error());
        const std::string name = file_path(where, bases.front(), log_suffix);
        const std::string swap = name + std::string(swap_suffix);
        if (auto named = d->rename(name + std::string(cleaned_suffix), swap); !named) return named;
        *has_begun = true;
        if (auto synced = d->sync_directory(where); !synced) return synced;
        for (auto it = bases.rbegin(); it != bases.rend(); ++it) {
          const std::string old = file_path(where, *it, log_suffix);
          if (auto moved = d->rename(old, old + std::string(deleted_suffix)); !moved) return moved;
          for (const auto suffix : {offset_index_suffix, time_index_suffix}) {
            auto removed = d->remove_file(file_path(where, *it, suffix));
            if (!removed && removed.error().fault != IoFault::not_found) return removed;
          }
        }
        if (auto named = d->rename(swap, name); !named) return named;
        return d->sync_directory(where);
      },
      guarded([this, base, count, shared, bases, has_begun, done = std::move(done)](const IoResult<void>& result) {
        replacing.reset();
        // Not before the file that says so is there: without it a gap would be damage to the next start.
        if (*has_begun) has_gaps = true;
        if (!result) {
          // Half done: only a new open() can tell what is there.
          if (*has_begun) set_failed(result.error());
          if (result.error().fault != IoFault::not_found) note(result.error(), "compaction");
          return done(result);
        }
        on_replaced(base, count, std::move(*shared), bases);
        if (failure) return done(disk::io_failure(IoFault::failed, failure->message));
        done({});
      }));
}

void Log::Impl::on_replaced(Offset base, size_t count, std::unique_ptr<Segment> with,
                            const std::vector<Offset>& bases) {
  auto file = disk.open(path(base, log_suffix), disk::OpenMode::existing);
  if (!file) return set_failed(file.error());
  with->file = *file;
  const auto first =
      std::find_if(segments.begin(), segments.end(), [&](const auto& segment) { return segment->base == base; });
  NARU_CHECK(segments.end() - first > static_cast<ptrdiff_t>(count), "segments went while they were replaced");
  *first = std::move(with);
  segments.erase(first + 1, first + static_cast<ptrdiff_t>(count));
  ++generation;
  positions.fill(std::nullopt);
  tail.clear();  // it may still hold what was compacted away
  Removal removal;
  for (const Offset old : bases) removal.paths.push_back(path(old, log_suffix) + std::string(deleted_suffix));
  removals.push_back(std::move(removal));
  // It is to be started over, and whatever is asked of the disk now would come after that. If it finds no room for it
  // (R81), it goes on with what was replaced.
  if (is_emptying) return check_invariants();
  write_indexes(*segment_for(base), true);
  sync_indexes(base);
  remove_below_start();
  check_invariants();
}

}  // namespace common::log
