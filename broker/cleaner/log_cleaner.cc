#include "broker/cleaner/log_cleaner.h"

#include <algorithm>

namespace broker::cleaner {

using common::Duration;
using common::Instant;
using common::log::CompactionReport;
using common::log::CompactionStep;
using common::model::Error;
using common::model::ErrorCode;
using common::model::Result;
using partition::Partition;

namespace {
// A log that cannot be read, or has a batch that the table is too small for, is not looked at again soon.
constexpr Duration long_pause = std::chrono::hours(1);
constexpr size_t step_bytes_min = 16u << 10;
}  // namespace

struct LogCleaner::Run {
  std::unique_ptr<common::log::Compaction> compaction;
  partition::TopicIdPartition id;
  std::string topic;
  Dirty dirty;
  common::Instant begun;
  common::Instant next_step;
  double bytes_per_second = 0;
};

LogCleaner::LogCleaner(LogCleanerOptions options) : options_(std::move(options)) {}
LogCleaner::~LogCleaner() = default;

void LogCleaner::start() {
  NARU_CHECK(options_.shard->is_current());
  arm(options_.limits.backoff);
}

void LogCleaner::stop() {
  stopped_ = true;
  timer_.cancel();
  if (std::exchange(run_, nullptr)) options_.turns->give_back();
}

void LogCleaner::arm(Duration after) {
  if (stopped_) return;
  timer_ = options_.shard->call_at(options_.shard->now() + after, [this] { look(); });
}

std::shared_ptr<Partition> LogCleaner::dirtiest(Dirty& found) {
  const TimestampMs now =
      options_.replicas->believed_clock().to_compare(options_.shard->now(), options_.shard->clock().wall_now());
  std::erase_if(uncleanable_, [&](const auto& id) { return options_.replicas->find_or_null(id) == nullptr; });
  std::erase_if(held_back_, [&](const auto& held) { return held.second <= options_.shard->now(); });
  standing_.looked_at = options_.shard->now();
  standing_.dirtiest = 0;
  std::shared_ptr<Partition> best;
  options_.replicas->for_each([&](const std::shared_ptr<Partition>& partition) {
    const auto facts = partition->cleaning_facts();
    if (!facts) return;
    standing_.dirtiest = std::max(standing_.dirtiest, dirt_of(*facts, now).ratio);
    if (held_back_.contains(partition->id())) return;
    const auto dirty = look_at(*facts, now);
    if (!dirty || (best && !goes_before(*dirty, found))) return;
    best = partition;
    found = *dirty;
  });
  return best;
}

void LogCleaner::look() {
  Dirty dirty;
  if (!dirtiest(dirty)) return arm(options_.limits.backoff);
  options_.turns->ask(*options_.shard, [this, alive = std::weak_ptr(alive_), turns = options_.turns] {
    if (alive.expired() || stopped_) return turns->give_back();
    on_turn();
  });
}

common::log::CompactionRequest LogCleaner::request_for(const Partition& partition, const Dirty& dirty) {
  const CleanerLimits& limits = options_.limits;
  const auto share = static_cast<uint64_t>(std::max(1, limits.at_a_time));
  const auto facts = partition.cleaning_facts();
  common::log::CompactionRequest request;
  request.first_dirty = dirty.first_dirty;
  request.end = dirty.end;
  const TimestampMs wall = options_.shard->clock().wall_now();
  request.now = options_.replicas->believed_clock().to_compare(options_.shard->now(), wall);
  request.recorded_now = options_.replicas->believed_clock().to_record(options_.shard->now(), wall);
  request.delete_retention = facts->settings.delete_retention;
  request.codec = facts->settings.stored.codec;
  request.compression = facts->settings.stored.compression;
  request.map = {.bytes = limits.map_bytes / share, .load_factor = limits.map_load};
  request.hash_key = {options_.random->next(), options_.random->next()};
  request.step_bytes = std::max<size_t>(limits.io_buffer_bytes / share / 2, step_bytes_min);
  return request;
}

// Meanwhile another log may be the dirtiest.
void LogCleaner::on_turn() {
  Dirty dirty;
  const auto partition = dirtiest(dirty);
  if (!partition) return finish(options_.limits.backoff);
  auto compaction = partition->compact(request_for(*partition, dirty));
  if (!compaction) {
    held_back_[partition->id()] = options_.shard->now() + options_.limits.backoff;
    return finish(options_.limits.backoff);
  }
  run_ = std::make_unique<Run>();
  run_->compaction = std::move(*compaction);
  run_->id = partition->id();
  run_->topic = partition->topic();
  run_->dirty = dirty;
  run_->begun = run_->next_step = options_.shard->now();
  run_->bytes_per_second = std::max(1.0, options_.limits.io_bytes_per_second / std::max(1, options_.limits.at_a_time));
  step();
}

void LogCleaner::step() {
  run_->compaction->step([this](const Result<CompactionStep>& done) { on_step(done); });
}

void LogCleaner::on_step(const Result<CompactionStep>& done) {
  if (!done) return on_error(done.error());
  if (done->report) {
    const CompactionReport& report = *done->report;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(options_.shard->now() - run_->begun);
    options_.logger.info("{}-{} compacted up to {}: {} of {} records and {} of {} bytes are left, in {} ms",
                         run_->topic, run_->id.partition, report.cleaned_to, report.records_after,
                         report.records_before, report.bytes_after, report.bytes_before, took.count());
    ++runs_done_;
    uncleanable_.erase(run_->id);
    standing_.bytes_before = report.bytes_before;
    standing_.bytes_after = report.bytes_after;
    standing_.took = options_.shard->now() - run_->begun;
    // A transaction that reaches further can stand in the way.
    if (report.cleaned_to <= run_->dirty.first_dirty)
      held_back_[run_->id] = options_.shard->now() + options_.limits.backoff;
    return finish(Duration(0));
  }
  const auto pause = std::min(static_cast<double>(done->io_bytes) / run_->bytes_per_second, 3600.0);
  const Instant now = options_.shard->now();
  run_->next_step =
      std::max(run_->next_step, now) + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(pause));
  // What is smaller than a timer's grain adds up.
  if (run_->next_step - now < std::chrono::milliseconds(1)) return step();
  timer_ = options_.shard->call_at(run_->next_step, [this] { step(); });
}

void LogCleaner::on_error(const Error& error) {
  const bool is_void = error.code == ErrorCode::operation_not_attempted;
  const bool is_lasting = error.code == ErrorCode::corrupt_message || error.code == ErrorCode::invalid_config;
  if (is_lasting) {
    uncleanable_.insert(run_->id);
    options_.logger.error("{}-{} cannot be compacted: {} {}", run_->topic, run_->id.partition, error.code,
                          error.message);
  } else if (!is_void) {
    options_.logger.warn("{}-{} not compacted: {} {}", run_->topic, run_->id.partition, error.code, error.message);
  }
  held_back_[run_->id] = options_.shard->now() + (is_lasting ? long_pause : options_.limits.backoff);
  finish(Duration(0));
}

CleanerStanding LogCleaner::standing() const {
  CleanerStanding standing = standing_;
  for (const partition::TopicIdPartition& id : uncleanable_) {
    if (const auto partition = options_.replicas->find_or_null(id)) ++standing.uncleanable[partition->directory()];
  }
  return standing;
}

void LogCleaner::finish(Duration next_look) {
  // Not inside the run's own callback: it is still on the stack.
  options_.shard->post([run = std::shared_ptr<Run>(std::move(run_))] {});
  options_.turns->give_back();
  arm(next_look);
}

}  // namespace broker::cleaner
