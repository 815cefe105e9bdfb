// The data directories while a broker runs and when it ends: checkpoints, room, volumes.
#include <algorithm>
#include <iterator>
#include <utility>

#include "broker/partition/directories.h"
#include "broker/partition/replica_manager.h"
#include "common/model/mutant.h"

namespace broker::partition {

using common::Awaitable;
using common::log::CheckpointKind;
using common::log::LogDirectory;
using common::log::OffsetMap;
using common::model::ErrorCode;
using common::model::fail;
using common::model::mutant;
using common::model::Result;

// ---- checkpoints ----

Awaitable<std::vector<ReplicaOffsets>> Directories::gather() {
  std::vector<ReplicaOffsets> all;
  for (size_t i = 0; i < managers_.size(); ++i) {
    ReplicaManager* manager = managers_[i];
    co_await common::hop(*shards_[i]);
    std::vector<ReplicaOffsets> some = manager->offsets();
    co_await common::hop(*options_.home);
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  co_return all;
}

namespace {

OffsetMap offsets_in(const std::string& directory, CheckpointKind kind, const std::vector<ReplicaOffsets>& all) {
  OffsetMap map;
  for (const ReplicaOffsets& r : all) {
    if (r.directory != directory) continue;
    switch (kind) {
      case CheckpointKind::high_watermark:
        map.emplace(r.partition, r.high_watermark);
        break;
      case CheckpointKind::recovery_point:
        map.emplace(r.partition, r.recovery_point);
        break;
      case CheckpointKind::log_start:
        if (r.log_start_offset > common::model::Offset(0)) map.emplace(r.partition, r.log_start_offset);
        break;
      case CheckpointKind::cleaner:
        if (r.cleaned_offset > r.log_start_offset) map.emplace(r.partition, r.cleaned_offset);
        break;
    }
  }
  return map;
}

}  // namespace

void Directories::store(CheckpointKind kind, const std::vector<ReplicaOffsets>& offsets) {
  for (const auto& directory : directories_) {
    if (directory->failure()) continue;
    directory->store_checkpoint(
        kind, offsets_in(directory->path(), kind, offsets),
        [this, alive = std::weak_ptr(alive_), path = directory->path()](const common::disk::IoResult<void>& stored) {
          if (stored || alive.expired()) return;
          // A hint only (R73): recovery looks further back without it. But where it cannot be written for another
          // reason than room, or this process's want of descriptors, nothing can.
          options_.logger.warn("checkpoint in {} not stored: {}", path, stored.error().message);
          if (!common::disk::may_pass(stored.error().fault)) {
            report_failure(path, {ErrorCode::kafka_storage_error, stored.error().message});
          }
        });
  }
}

// Behind one of its kind that is still being written: two at a time would write one temporary file.
Awaitable<Result<void>> Directories::store_now(LogDirectory& directory, CheckpointKind kind,
                                               const std::vector<ReplicaOffsets>& offsets) {
  struct Storing {
    explicit Storing(common::Shard& shard) : done(shard) {}
    common::Event done;
    Result<void> result;
  };
  const auto storing = std::make_shared<Storing>(*options_.home);
  directory.store_checkpoint(kind, offsets_in(directory.path(), kind, offsets),
                             [storing](const common::disk::IoResult<void>& stored) {
                               if (!stored) storing->result = common::disk::storage_error(stored.error());
                               storing->done.set();
                             });
  co_await common::until(storing->done);
  co_return storing->result;
}

Awaitable<void> Directories::checkpoint() {
  return checkpoint_some({CheckpointKind::high_watermark, CheckpointKind::recovery_point, CheckpointKind::log_start,
                          CheckpointKind::cleaner});
}

Awaitable<void> Directories::checkpoint_some(std::vector<CheckpointKind> kinds) {
  const uint64_t made_before = made_;
  const uint64_t lowerings_before = lowerings_;
  std::vector<ReplicaOffsets> offsets = co_await gather();
  // What was made meanwhile has a name of which this may be told of the one before. What is going, or has gone, must
  // not be missed by the next start (R44).
  std::erase_if(offsets, [&](const ReplicaOffsets& r) {
    const auto there = occupied_.find(r.partition);
    const bool has_gone = there == occupied_.end() || there->second.leaving;
    if (has_gone) return !mutant<"R44-checkpoints-what-has-gone">();
    return there->second.number > made_before;
  });
  std::erase_if(lowered_, [&](const auto& entry) { return entry.second.number <= lowerings_before; });
  for (ReplicaOffsets& r : offsets) {
    const auto cut = lowered_.find(r.partition);
    if (cut == lowered_.end()) continue;
    const common::log::Ceilings& most = cut->second.most;
    r.recovery_point = std::min(r.recovery_point, most.recovery_point);
    r.cleaned_offset = std::min(r.cleaned_offset, most.recovery_point);
    r.high_watermark = std::min(r.high_watermark, most.high_watermark.value_or(r.high_watermark));
    r.log_start_offset = std::min(r.log_start_offset, most.log_start.value_or(r.log_start_offset));
  }
  for (const CheckpointKind kind : kinds) store(kind, offsets);
}

// ---- the running markers ----

void Directories::note_broker_epoch(common::model::BrokerEpoch epoch) {
  on_home([this, epoch] {
    broker_epoch_ = epoch;
    for (const auto& directory : directories_) note_epoch_in(*directory);
  });
}

// Without it the next start takes this run for one that may have lost something, though only its disk was full.
void Directories::note_epoch_in(LogDirectory& directory) {
  if (!noting_.insert(&directory).second) return;  // whoever ends it looks whether that was the newest
  directory.note_broker_epoch(*broker_epoch_, [this, alive = std::weak_ptr(alive_), where = &directory,
                                               epoch = broker_epoch_](const common::disk::IoResult<void>& noted) {
    if (alive.expired()) return;
    noting_.erase(where);
    if (epoch != broker_epoch_) return note_epoch_in(*where);
    if (noted) return;
    if (std::exchange(not_noted_told_, epoch) != epoch)
      options_.logger.warn("{}: the broker epoch was not noted: {}", where->path(), noted.error().message);
    if (common::disk::may_pass(noted.error().fault)) not_noted_.insert(where);
  });
}

// ---- the end ----

Awaitable<Result<void>> Directories::close() {
  timer_.cancel();
  is_closing_ = true;
  std::erase_if(changes_, [](const Change& change) { return change.is_creation; });
  Result<void> outcome;
  std::vector<ReplicaOffsets> offsets;
  for (size_t i = 0; i < managers_.size(); ++i) {
    ReplicaManager* manager = managers_[i];
    co_await common::hop(*shards_[i]);
    Closed some = co_await manager->shut_down();
    co_await common::hop(*options_.home);
    offsets.insert(offsets.end(), std::make_move_iterator(some.offsets.begin()),
                   std::make_move_iterator(some.offsets.end()));
    if (!some.outcome && !mutant<"R70-a-log-that-does-not-close-is-no-failure">()) outcome = some.outcome;
  }
  if (!co_await end_changes()) co_return outcome;
  for (const auto& directory : directories_) {
    if (directory->failure()) {
      outcome = fail(directory->failure()->code,
                     fmt::format("{} has failed: {}", directory->path(), directory->failure()->message));
      continue;
    }
    for (const auto kind : {CheckpointKind::high_watermark, CheckpointKind::recovery_point, CheckpointKind::log_start,
                            CheckpointKind::cleaner}) {
      if (auto stored = co_await store_now(*directory, kind, offsets); !stored) outcome = stored;
    }
  }
  if (!outcome && !mutant<"R70-marks-a-failed-end-as-clean">()) co_return outcome;  // R70: no marker after a failure
  for (const auto& directory : directories_) {
    if (auto ended = directory->end_run(); !ended) outcome = ended;
  }
  co_return outcome;
}

// ---- periodic work ----

void Directories::arm() {
  timer_ = options_.home->call_at(options_.home->now() + options_.space_interval, [this] {
    tick();
    arm();
  });
}

void Directories::tick() {
  look_at_space();
  for (const Removal& removal : std::exchange(not_removed_, {})) take_away(removal);
  for (const auto& lower : std::exchange(not_lowered_, {})) lower();
  for (const auto& again : std::exchange(not_set_aside_, {})) again();
  for (LogDirectory* directory : std::exchange(not_noted_, {})) note_epoch_in(*directory);
  remove_old_strays();
  const common::Instant now = options_.home->now();
  if (now >= next_stray_note_) note_strays();
  std::vector<CheckpointKind> due;
  const auto look = [&](CheckpointKind kind, common::Instant& next, common::Duration interval) {
    if (now < next) return;
    next = now + interval;
    due.push_back(kind);
  };
  look(CheckpointKind::high_watermark, next_high_watermark_, options_.high_watermark_interval);
  look(CheckpointKind::recovery_point, next_recovery_point_, options_.recovery_point_interval);
  look(CheckpointKind::log_start, next_log_start_, options_.log_start_interval);
  if (std::find(due.begin(), due.end(), CheckpointKind::recovery_point) != due.end()) {
    due.push_back(CheckpointKind::cleaner);
    for (const auto& directory : directories_)
      if (!directory->failure()) directory->remove_left_overs();
  }
  if (!due.empty()) options_.home->spawn("checkpoint", checkpoint_some(std::move(due)));
}

void Directories::look_at_space() {
  for (const auto& directory : directories_) {
    if (directory->failure()) continue;
    read_space(*directory, [this](const std::string& path, std::optional<common::disk::Space> space) {
      if (space) on_space(path, *space);
    });
  }
}

// Not called if these directories are gone by then.
void Directories::read_space(const LogDirectory& directory, SpaceSeen seen) {
  const auto space = std::make_shared<common::disk::Space>();
  options_.disk->offload(
      common::disk::Job::reads,
      // By its path: of a disk that hangs the answer may come when the LogDirectory is gone.
      [disk = options_.disk, path = directory.path(), space]() -> common::disk::IoResult<void> {
        const common::disk::IoResult<common::disk::Space> found = disk->space(path);
        if (!found) return tl::unexpected(found.error());
        *space = *found;
        return {};
      },
      [alive = std::weak_ptr(alive_), path = directory.path(), space,
       seen = std::move(seen)](common::disk::IoResult<void> looked) {
        if (!alive.expired()) seen(path, looked ? std::optional(*space) : std::nullopt);
      });
}

Awaitable<std::vector<Volume>> Directories::volumes(common::Instant deadline) {
  struct Looking {
    explicit Looking(common::Shard& shard) : done(shard) {}
    common::Event done;
    size_t unanswered = 0;
    std::map<std::string, common::disk::Space> seen;
  };
  const auto looking = std::make_shared<Looking>(*options_.home);
  for (const auto& directory : directories_) {
    if (directory->failure()) continue;
    ++looking->unanswered;
    read_space(*directory, [looking](const std::string& path, std::optional<common::disk::Space> space) {
      if (space) looking->seen.emplace(path, *space);
      if (--looking->unanswered == 0) looking->done.set();
    });
  }
  if (looking->unanswered > 0) co_await common::until(looking->done, deadline);
  std::vector<Volume> volumes;
  for (const auto& directory : directories_) {
    Volume volume{.path = directory->path()};
    const auto seen = looking->seen.find(volume.path);
    if (seen != looking->seen.end()) volume.space = seen->second;
    volume.is_offline = directory->failure() || !volume.space;
    const auto low = low_.find(volume.path);
    volume.is_low = low != low_.end() && low->second;
    volumes.push_back(std::move(volume));
  }
  co_return volumes;
}

uint64_t Directories::low_line(const common::disk::Space& space) const {
  return std::min(options_.low_space_bytes,
                  space.total_bytes / 100 * static_cast<uint64_t>(options_.low_space_percent));
}

// R81, with some distance between the two edges so that it does not flap.
void Directories::on_space(const std::string& directory, common::disk::Space space) {
  const uint64_t line = low_line(space);
  bool& low = low_[directory];
  const bool now_low = space.free_bytes < (low ? line + line / 8 : line);
  if (now_low == low) return;
  low = now_low;
  if (low) {
    options_.logger.error("{} is low on space ({} MiB left): produces are refused, reads go on", directory,
                          space.free_bytes >> 20);
  } else {
    options_.logger.info("{} has room again ({} MiB): produces are accepted", directory, space.free_bytes >> 20);
  }
  for (size_t i = 0; i < managers_.size(); ++i) {
    shards_[i]->post([manager = managers_[i], directory, now_low] { manager->set_low_space(directory, now_low); });
  }
}

}  // namespace broker::partition
