// The replicas of a shard and their disks: logs opened at the start, directories that fail or fill up, the end.
#include <algorithm>
#include <utility>

#include "broker/partition/replica_manager.h"
#include "common/model/mutant.h"

namespace broker::partition {

using common::model::fail;
using common::model::mutant;

namespace {

std::string text_of(const TopicPartition& tp) {
  return fmt::format("{}-{}", tp.topic, tp.partition.value);
}

}  // namespace

// ---- start ----

Result<OpenReport> ReplicaManager::open_logs(const std::vector<PlacedLog>& found) {
  OpenReport report;
  for (const PlacedLog& placed : found) {
    if (report.failed.contains(placed.directory)) {
      unusable_[{placed.topic_id, placed.partition.partition}] = Unusable::lost;
      continue;
    }
    // The topic's own settings come with the image; until then nothing is appended or deleted (tick()).
    Result<std::shared_ptr<Partition>> opened = open(placed, TopicSettings{});
    if (!opened && opened.error().code == ErrorCode::corrupt_message) {
      options_.logger.error(
          "{} is damaged below what was committed: offline until another replica leads, then it starts over from that "
          "one: {}",
          placed.path, opened.error().message);
      ++report.corrupt;
      const TopicIdPartition id{placed.topic_id, placed.partition.partition};
      unusable_[id] = Unusable::damaged;
      damaged_[id] = placed;
      continue;
    }
    if (!opened && opened.error().code == ErrorCode::kafka_storage_error) {
      unusable_[{placed.topic_id, placed.partition.partition}] = Unusable::lost;
      report.failed.emplace(placed.directory, std::move(opened.error()));
      continue;
    }
    if (!opened) return tl::unexpected(std::move(opened.error()));
    const TopicIdPartition id{placed.topic_id, placed.partition.partition};
    ++report.opened;
    report.scanned_bytes += (*opened)->recovery_report().scanned_bytes;
    report.cut_bytes += (*opened)->recovery_report().cut_bytes;
    if (options_.on_log_opened) options_.on_log_opened((*opened)->recovery_report());
    partitions_.emplace(id, std::move(*opened));
    if (placed.never_in_sync && !mutant<"R46-forgets-at-the-next-start-that-a-copy-is-new">())
      never_in_sync_.insert(id);
  }
  return report;
}

Result<std::shared_ptr<Partition>> ReplicaManager::open(const PlacedLog& placed, const TopicSettings& settings) {
  const common::Logger logger = options_.logger.with(text_of(placed.partition));
  common::log::LogEnvironment environment;
  environment.disk = options_.disk;
  environment.tail_cache = options_.tail_cache;
  environment.logger = logger;
  environment.on_failure = [directories = options_.directories, directory = placed.directory](
                               const common::model::Error& e) { directories->report_failure(directory, e); };
  environment.on_damage = [this, id = TopicIdPartition{placed.topic_id, placed.partition.partition}](
                              const common::model::Error&) { on_damage(id); };
  auto log = common::log::Log::open(std::move(environment), placed.path, settings.log, placed.hints,
                                    options_.shard->clock().wall_now());
  if (!log) return tl::unexpected(std::move(log.error()));
  PartitionOptions options;
  options.id = {placed.topic_id, placed.partition.partition};
  options.topic = placed.partition.topic;
  options.directory = placed.directory;
  options.high_watermark = placed.hints.high_watermark.value_or((*log)->log_start_offset());
  options.log = std::move(*log);
  options.settings = settings;
  options.lower_checkpoints = [this, partition = placed.partition, directory = placed.directory](
                                  const common::log::Ceilings& most, std::function<void()> done) {
    options_.directories->lower_checkpoints(partition, directory, most, *options_.shard, std::move(done));
  };
  options.state = &state_;
  options.sender = options_.sender;
  options.listener = options_.partition_listener;
  options.on_late_role = [this, alive = std::weak_ptr(alive_)](const std::shared_ptr<Partition>& partition) {
    if (!alive.expired() && find_or_null(partition->id()) == partition) tell_role(partition);
  };
  options.logger = logger;
  return std::make_shared<Partition>(*options_.shard, std::move(options));
}

void ReplicaManager::start() {
  next_retention_ = options_.shard->now() + options_.retention_interval;
  tell_trouble();  // what recovery found: before this broker is in service, and elected for what it has not
  arm();
}

void ReplicaManager::set_broker_epoch(BrokerEpoch epoch) {
  broker_epoch_ = epoch;
  own_epochs_.insert(epoch);
  state_.broker_epoch = epoch;
  take_part();
}

// ---- disk ----

void ReplicaManager::set_low_space(const std::string& directory, bool low) {
  if (low) {
    state_.low_on_space.insert(directory);
  } else {
    state_.low_on_space.erase(directory);
    retry_unmade();
  }
  tell_trouble();
}

// R76: its replicas serve nothing any more, and answer KAFKA_STORAGE_ERROR until the broker is restarted.
void ReplicaManager::directory_failed(const std::string& directory) {
  std::vector<TopicIdPartition> lost;
  for (const auto& [id, partition] : partitions_) {
    if (partition->directory() == directory) lost.push_back(id);
  }
  for (auto& [id, placed] : damaged_) {
    if (placed && placed->directory == directory) unusable_[id] = Unusable::lost;
  }
  for (const TopicIdPartition& id : lost) {
    const std::shared_ptr<Partition> partition = partitions_.at(id);
    // A copy with damage is worth less than it says.
    if (!damaged_.contains(id)) lost_ends_[id] = *end_of_copy(id);
    partitions_.erase(id);
    never_in_sync_.erase(id);
    damaged_.erase(id);
    if (!mutant<"R76-opens-what-has-failed">()) unusable_[id] = Unusable::lost;
    retire(*partition);
    partition->release_log(ErrorCode::kafka_storage_error).reset();
    for (ReplicaListener* listener : listeners_) listener->on_stopped(id, partition->topic());
  }
  tell_trouble();
}

std::optional<ReplicaManager::CopyEnd> ReplicaManager::end_of_copy(const TopicIdPartition& id) const {
  if (const auto found = partitions_.find(id); found != partitions_.end())
    return CopyEnd{.last_epoch = found->second->last_record_epoch(),
                   .end = found->second->log_end_offset(),
                   .never_in_sync = never_in_sync_.contains(id)};
  if (const auto lost = lost_ends_.find(id); lost != lost_ends_.end()) return lost->second;
  if (unusable_.contains(id)) {
    const auto making = making_.find(id);
    return CopyEnd{.last_epoch = std::nullopt,
                   .end = Offset(0),
                   .never_in_sync = making != making_.end() && making->second == common::log::NewCopy::counts_later};
  }
  return std::nullopt;
}

std::vector<ReplicaOffsets> ReplicaManager::offsets() const {
  std::vector<ReplicaOffsets> all;
  all.reserve(partitions_.size());
  for (const auto& [id, p] : partitions_) {
    all.push_back({.partition = {p->topic(), id.partition},
                   .directory = p->directory(),
                   .high_watermark = p->high_watermark(),
                   .recovery_point = p->recovery_point(),
                   .log_start_offset = p->log_start_offset(),
                   .cleaned_offset = p->cleaned_offset()});
  }
  append_damaged(all);
  return all;
}

// What their checkpoints said stays: without it the next recovery would not know damage from a torn tail (R72).
void ReplicaManager::append_damaged(std::vector<ReplicaOffsets>& all) const {
  for (const auto& [id, placed] : damaged_) {
    if (!placed) continue;
    const common::log::OpenHints& hints = placed->hints;
    all.push_back({.partition = placed->partition,
                   .directory = placed->directory,
                   .high_watermark = hints.high_watermark.value_or(Offset(0)),
                   .recovery_point = hints.recovery_point.value_or(Offset(0)),
                   .log_start_offset = hints.log_start_offset.value_or(Offset(0)),
                   .cleaned_offset = hints.cleaned_to.value_or(Offset(0))});
  }
}

Awaitable<Closed> ReplicaManager::shut_down() {
  NARU_CHECK(options_.shard->is_current());
  timer_.cancel();
  takes_part_ = false;
  broker_epoch_.reset();
  creations_.end_all();
  const auto partitions = std::exchange(partitions_, {});
  struct Closing {
    explicit Closing(common::Shard& shard) : done(shard) {}
    common::Event done;
    size_t open = 0;
    Result<void> outcome;
  };
  const auto closing = std::make_shared<Closing>(*options_.shard);
  std::vector<std::pair<ReplicaOffsets, std::unique_ptr<common::log::Log>>> logs;
  closing->open = partitions.size();
  if (partitions.empty()) closing->done.set();
  for (const auto& [id, p] : partitions) {
    ReplicaOffsets offsets{.partition = {p->topic(), id.partition}, .directory = p->directory()};
    offsets.high_watermark = p->high_watermark();
    logs.emplace_back(std::move(offsets), p->release_log(ErrorCode::not_leader_or_follower));
    for (ReplicaListener* listener : listeners_) listener->on_stopped(id, p->topic());
  }
  for (auto& [offsets, log] : logs) {
    log->close([closing, logger = options_.logger, path = log->path()](Result<void> closed) {
      if (!closed) {
        logger.error("{} not closed cleanly: {}", path, closed.error().message);
        closing->outcome = closed;
      }
      if (--closing->open == 0) closing->done.set();
    });
  }
  co_await common::until(closing->done);
  std::vector<ReplicaOffsets> all;
  for (auto& [offsets, log] : logs) {
    offsets.recovery_point = log->flushed_offset();
    offsets.log_start_offset = log->log_start_offset();
    offsets.cleaned_offset = log->cleaned_offset();
    all.push_back(std::move(offsets));
  }
  append_damaged(all);
  co_return Closed{std::move(all), closing->outcome};
}

}  // namespace broker::partition
