// Making things durable: flush with group commit, the epoch file, jobs on the directory, close.
#include <algorithm>

#include <fmt/format.h>

#include "common/log/checkpoint_file.h"
#include "common/log/log_impl.h"
#include "common/model/mutant.h"

namespace common::log {

using common::model::mutant;

void Log::Impl::set_failed(const IoError& error) {
  if (failure) return;
  failure = Error{model::ErrorCode::kafka_storage_error, error.message};
  environment.logger.error("{}: no more writes: {}", directory, error.message);
  if (environment.on_failure) environment.on_failure(*failure);
}

void Log::Impl::set_damaged(const Error& error) {
  if (std::exchange(is_damaged, true)) return;
  environment.logger.error("{} is damaged: {}", directory, error.message);
  if (environment.on_damage) environment.on_damage(error);
}

void Log::Impl::note(const IoError& error, const char* what) {
  if (disk::may_pass(error.fault)) {
    if (!is_disk_full) {
      environment.logger.warn("{}: {}: {}", what,
                              error.fault == IoFault::no_space ? "disk full" : "no descriptors or memory",
                              error.message);
    }
    is_disk_full = true;
    return;
  }
  set_failed(error);
}

void Log::Impl::run_job(std::function<IoResult<void>()> job, disk::Done<void> done) {
  jobs.push_back({std::move(job), std::move(done)});
  if (!is_job_running) start_job();
}

void Log::Impl::start_job() {
  is_job_running = !jobs.empty();
  if (!is_job_running) return;
  PendingJob next = std::move(jobs.front());
  jobs.pop_front();
  disk.offload(
      disk::Job::changes, [through = gate, job = std::move(next.job)] { return through->run(job); },
      guarded([this, done = std::move(next.done)](const IoResult<void>& result) {
        // Not `this` afterwards: `done` may destroy the log.
        const std::weak_ptr<bool> still(alive);
        done(result);
        if (!still.expired()) start_job();
      }));
}

// -- the epoch file --

void Log::Impl::change_epochs(Changed changed) {
  if (changed == Changed::no) return;
  ++epochs_version;
  if (epoch_writes == 0) persist_epochs(disk::Durability::kernel);
}

void Log::Impl::persist_epochs(disk::Durability durability) {
  const uint64_t version = epochs_version;
  ++epoch_writes;
  run_job([d = &disk, to = path(epoch_file_name), content = encode_epochs(epochs.entries()),
           durability] { return d->replace_file(to, model::as_bytes(content), durability); },
          guarded([this, version, durability](const IoResult<void>& result) {
            --epoch_writes;  // a flush may have queued another one
            if (result) {
              epochs_saved = std::max(epochs_saved, version);
              if (durability == disk::Durability::medium) epochs_durable = std::max(epochs_durable, version);
            } else {
              note(result.error(), "epoch file");
            }
            auto waiting = std::exchange(epochs_waiting, {});
            for (auto& [wanted, done] : waiting) {
              if (!result) {
                done(disk::storage_error(result.error()));
              } else if (wanted <= epochs_saved) {
                done({});
              } else {
                epochs_waiting.emplace_back(wanted, std::move(done));
              }
            }
            if (result && epoch_writes == 0 && epochs_saved < epochs_version) persist_epochs(disk::Durability::kernel);
          }));
}

// -- flush --

bool Log::Impl::must_sync_epochs() const {
  return config.sync_needs_epochs && epochs_durable != epochs_version;
}

void Log::Impl::flush(FlushDone done) {
  if (failure) return done(model::fail(failure->code, failure->message));
  const bool is_running = flush_steps_left > 0;
  if (is_running && flush_target >= log_end && active().is_synced && !names_dirty && !must_sync_epochs()) {
    flush_served.push_back(std::move(done));
    return;
  }
  flush_waiting.push_back(std::move(done));
  if (!is_running && !is_emptying) start_flush();
}

void Log::Impl::start_flush() {
  flush_served = std::exchange(flush_waiting, {});
  flush_target = log_end;
  flush_cuts = cuts;
  flush_error.reset();
  unflushed_records = 0;
  unflushed_since.reset();
  flush_steps_left = 1;  // so that it cannot end before all steps have begun
  for (auto& segment : segments) {
    if (std::exchange(segment->is_synced, true)) continue;
    ++flush_steps_left;
    segment->file->sync(
        guarded([this, base = segment->base, file = std::weak_ptr(segment->file)](const IoResult<void>& result) {
          // Deleted or cut away meanwhile, though another one may begin there by now: then there is nothing to keep.
          Segment* now = segment_for(base);
          const bool is_there = now->base == base && now->file == file.lock();
          const bool is_gone = !result && result.error().fault == IoFault::not_found && (is_emptying || !is_there);
          if (!result && disk::may_pass(result.error().fault) && is_there)
            now->is_synced = false;  // the next one does it
          on_flush_step(is_gone ? IoResult<void>() : result);
        }));
  }
  // The recovery point may pass an epoch's start only once the epoch file knows it: recovery rebuilds epochs from there
  // on.
  if (must_sync_epochs()) {
    ++flush_steps_left;
    persist_epochs(disk::Durability::medium);
    run_job([] { return IoResult<void>(); }, guarded([this, wanted = epochs_version](const IoResult<void>&) {
              on_flush_step(epochs_durable >= wanted ? IoResult<void>()
                                                     : disk::io_failure(IoFault::no_space, "epoch file"));
            }));
  }
  // A file can be synced and still lose its name.
  if (std::exchange(names_dirty, false)) {
    ++flush_steps_left;
    run_job([d = &disk, where = directory] { return d->sync_directory(where); },
            guarded([this](const IoResult<void>& result) {
              if (!result && disk::may_pass(result.error().fault)) names_dirty = true;  // the next one does it
              on_flush_step(result);
            }));
  }
  on_flush_step({});
}

void Log::Impl::on_flush_step(const IoResult<void>& result) {
  if (!result && !flush_error) flush_error = result.error();
  NARU_CHECK(flush_steps_left > 0);
  if (--flush_steps_left > 0) return;
  const std::weak_ptr<bool> still(alive);
  auto served = std::exchange(flush_served, {});
  if (flush_error && !mutant<"R76-a-failed-sync-is-forgotten">()) {
    // R76: a failed sync is final. A full disk concerns only the epoch file here; without descriptors nothing was
    // asked.
    const IoError error = *flush_error;  // the first of them may destroy the log
    note(error, "flush");
    for (FlushDone& done : served) done(disk::storage_error(error));
  } else {
    flushed =
        std::max(flushed, mutant<"R71-flushed-beyond-what-was-synced">() ? log_end : std::min(flush_target, log_end));
    durable_cuts = std::max(durable_cuts, flush_cuts);
    const Offset reached = flushed;
    for (FlushDone& done : served) done(reached);
  }
  if (still.expired() || flush_waiting.empty() || is_emptying || flush_steps_left > 0) return;
  if (failure) {
    for (FlushDone& done : std::exchange(flush_waiting, {})) done(model::fail(failure->code, failure->message));
    return;
  }
  start_flush();
}

// -- close --

IoResult<void> Log::Impl::prepare_close() {
  if (failure) return disk::io_failure(IoFault::failed, failure->message);
  if (auto undone = undo_write(); !undone) return undone;
  for (auto& segment : segments) {
    if (segment == segments.back()) {
      seal(*segment);
      if (auto cut = cut_reserve(*segment); !cut) note(cut.error(), "cutting reserved space");
    } else {
      write_indexes(*segment, true);
    }
  }
  if (failure) return disk::io_failure(IoFault::failed, failure->message);
  return {};
}

void Log::Impl::close(StepDone done) {
  if (auto prepared = prepare_close(); !prepared) return done(disk::storage_error(prepared.error()));
  is_closed = true;
  save_snapshot(disk::Durability::medium);
  names_dirty = true;  // of indexes and snapshot
  flush([done = std::move(done)](const Result<Offset>& flushed) {
    if (flushed) {
      done({});
    } else {
      done(tl::unexpected(flushed.error()));
    }
  });
}

Result<void> Log::Impl::close_blocking() {
  if (auto prepared = prepare_close(); !prepared) return disk::storage_error(prepared.error());
  is_closed = true;
  save_snapshot(disk::Durability::medium);
  for (PendingJob& pending : std::exchange(jobs, {})) {
    if (auto done = pending.job(); !done) return disk::storage_error(done.error());
  }
  const std::string epoch_text = encode_epochs(epochs.entries());
  if (auto saved = disk.replace_file(path(epoch_file_name), model::as_bytes(epoch_text), disk::Durability::medium);
      !saved) {
    return disk::storage_error(saved.error());
  }
  if (config.keep_producer_state && !owes_producers) {
    if (auto saved =
            disk.replace_file(path(log_end, snapshot_suffix), producers.encode_snapshot(), disk::Durability::medium);
        !saved) {
      return disk::storage_error(saved.error());
    }
  }
  for (auto& segment : segments) {
    if (auto synced = segment->file->sync_now(); !synced) return disk::storage_error(synced.error());
  }
  if (auto synced = disk.sync_directory(directory); !synced) return disk::storage_error(synced.error());
  flushed = log_end;
  return {};
}

}  // namespace common::log
