// The replicas of one shard: follows the metadata image (makes, leads, follows, deletes) and runs retention and ISR
// ticks from one periodic timer for all of them (never a timer per partition).
//
// Takes part only once the image holds this process's own registration: everything that existed before it is known
// then, so nothing stale is led, and what lies on disk but not in the image is really unknown (R42).
//
// Lives on its shard, asserted.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/partition/byte_rates.h"
#include "broker/partition/creations.h"
#include "broker/partition/directories.h"
#include "broker/partition/partition.h"
#include "broker/partition/topic_settings.h"
#include "common/log/tail_cache.h"
#include "controller/metadata/image.h"
#include "controller/metadata/requests.h"

namespace broker::partition {

// Which of `shard_count` shards a partition lives on; the same on every broker with as many shards. Partitions of one
// topic go round the shards.
[[nodiscard]] int home_shard(const TopicId& topic, PartitionIndex partition, int shard_count);

// Roles as they change, for coordinators and replication. Called on the shard after the change; implementations may use
// the partition but not the manager.
class ReplicaListener {
 public:
  virtual ~ReplicaListener() = default;
  // A leader epoch began: this broker leads, or follows, in it.
  virtual void on_leading(const std::shared_ptr<Partition>& partition) = 0;
  virtual void on_following(const std::shared_ptr<Partition>& partition) = 0;
  // Neither leads nor follows any more: no leader known, deleted, reassigned away, offline.
  virtual void on_stopped(const TopicIdPartition& partition, const std::string& topic) = 0;
};

// When each follower's streams last spoke on this shard.
using StreamActivity = std::function<std::vector<std::pair<BrokerId, Instant>>()>;

struct ReplicaManagerOptions {
  common::Shard* shard = nullptr;
  int shard_index = 0;
  int shard_count = 1;
  BrokerId self;
  common::disk::Disk* disk = nullptr;            // this shard's
  common::log::TailCache* tail_cache = nullptr;  // this shard's; may be null
  Directories* directories = nullptr;
  const TopicSettingsSource* settings = nullptr;
  AlterPartitionSender* sender = nullptr;
  PartitionListener* partition_listener = nullptr;  // may be null
  common::Logger logger;
  Duration lag_time_max = std::chrono::seconds(10);
  Duration tick_interval = std::chrono::milliseconds(500);
  Duration retention_interval = std::chrono::minutes(5);
  // At start, after each log that was opened; any thread may read what it counts. May be absent.
  std::function<void(const common::log::RecoveryReport&)> on_log_opened;
  // Which replicas of this shard cannot be used as they should (R76, R81), whenever that changes. Called on the shard.
  std::function<void(controller::metadata::ReplicaTrouble)> on_trouble;
};

// What opening the logs at start found.
struct OpenReport {
  size_t opened = 0;
  uint64_t scanned_bytes = 0;
  uint64_t cut_bytes = 0;
  // How many are damaged below what was committed: they stay as they are, and serve nothing, until a leader has
  // everything that was. The broker must register as after an unclean stop, so that it is in no ISR with them (R44,
  // R72).
  size_t corrupt = 0;
  // Directories of which a log could not be opened for another reason: the disk. What lies in them is unusable (R76).
  std::map<std::string, common::model::Error> failed;
};

class ReplicaManager {
 public:
  explicit ReplicaManager(ReplicaManagerOptions options);
  ~ReplicaManager();
  ReplicaManager(const ReplicaManager&) = delete;
  ReplicaManager& operator=(const ReplicaManager&) = delete;

  // Start-up: recovers and opens the logs that lie on disk. Waits for the disk. An error: a directory failed.
  [[nodiscard]] Result<OpenReport> open_logs(const std::vector<PlacedLog>& found);
  // Begins the periodic work.
  void start();
  // This process is registered under `epoch`. Roles are taken as soon as the image says so too.
  void set_broker_epoch(BrokerEpoch epoch);
  // Every published image, in order; deltas may be merged.
  void on_image(controller::metadata::ImagePtr image, controller::metadata::DeltaPtr delta);

  // This shard's replica, or why there is none: NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR (its directory failed),
  // UNKNOWN_TOPIC_OR_PARTITION.
  [[nodiscard]] Result<std::shared_ptr<Partition>> find(const TopicIdPartition& id) const;
  // Null if there is none. For fetch streams.
  [[nodiscard]] std::shared_ptr<Partition> find_or_null(const TopicIdPartition& id) const;
  template <class F>
  void for_each(F f) const {
    for (const auto& [id, partition] : partitions_) f(partition);
  }
  [[nodiscard]] size_t size() const { return partitions_.size(); }
  // Replicas that this broker should have and cannot use.
  [[nodiscard]] size_t unusable() const { return unusable_.size(); }
  // R46: where this shard's copy ends. Of one that went offline with its directory, where it ended then; of one that
  // cannot be used and nobody knows, that it is empty. None: there is no copy.
  struct CopyEnd {
    std::optional<LeaderEpoch> last_epoch;
    Offset end;
    bool never_in_sync = false;  // begun in the place of one that the cluster looks for, and in no ISR since
  };
  [[nodiscard]] std::optional<CopyEnd> end_of_copy(const TopicIdPartition& id) const;
  // Whether this broker is to lead a replica whose directory is still being made. Clients know of it already: who asks
  // for it waits with until_made(), in its turn (R87), before it looks.
  [[nodiscard]] bool is_being_made(const TopicIdPartition& id) const;
  [[nodiscard]] Awaitable<void> until_made(TopicIdPartition id);

  void add_listener(ReplicaListener& listener);
  // Takes effect for later events; not from inside one.
  void remove_listener(ReplicaListener& listener);
  void set_stream_activity(StreamActivity activity) { activity_ = std::move(activity); }
  void set_traffic(PartitionTraffic* traffic) { state_.traffic = traffic; }
  // R33: asked whenever it matters.
  void set_isolation(std::function<bool()> isolated, std::function<bool()> behind,
                     std::function<bool()> has_lost_session) {
    state_.isolated = std::move(isolated);
    state_.behind = std::move(behind);
    state_.has_lost_session = std::move(has_lost_session);
  }

  [[nodiscard]] ShardPartitionMetrics& metrics() { return metrics_; }
  // What clients write to this shard's partitions and read from them, as of the last ticks.
  [[nodiscard]] const ByteRates& byte_rates() const { return byte_rates_; }
  // When this broker began to look after its replicas.
  [[nodiscard]] Instant since() const { return since_; }

  void set_low_space(const std::string& directory, bool low);
  // R32: how long acknowledgements have waited for a sync that does not end, as of the last tick. Any thread.
  [[nodiscard]] std::chrono::milliseconds sync_stalled() const {
    return std::chrono::milliseconds(sync_stalled_ms_.load(std::memory_order_relaxed));
  }
  // How long a write takes, and a sync that acknowledgements wait for, as of the last ticks ("gray failure"). Any
  // thread.
  [[nodiscard]] std::optional<std::chrono::milliseconds> write_time() const { return known(write_ms_); }
  [[nodiscard]] std::optional<std::chrono::milliseconds> sync_time() const { return known(sync_ms_); }
  void directory_failed(const std::string& directory);
  [[nodiscard]] std::vector<ReplicaOffsets> offsets() const;
  // Clean stop: every waiting request is answered, every log closed. Returns the final offsets.
  [[nodiscard]] Awaitable<Closed> shut_down();

  // Looks at the wall clock with each tick.
  [[nodiscard]] const common::BelievedClock& believed_clock() const { return state_.clock; }

  [[nodiscard]] common::Shard& shard() const { return *options_.shard; }

 private:
  using Image = controller::metadata::MetadataImage;

  void take_part();
  [[nodiscard]] bool is_replaced() const;
  void give_up_roles();
  void apply_delta(const controller::metadata::ImageDelta& delta);
  void apply_partition(const TopicId& topic, PartitionIndex index);
  void apply_configs(const controller::metadata::ImageDelta& delta);
  void sweep_unknown();
  void create(const TopicIdPartition& id, const std::string& topic);
  [[nodiscard]] bool counts(const controller::metadata::PartitionState& state) const;
  [[nodiscard]] bool is_in_place_of_another(const TopicIdPartition& id) const;
  void note_in_sync(const Partition& partition);
  void note_if_all_are_made();
  void on_created(const TopicIdPartition& id, const std::string& topic, Result<PlacedLog> placed);
  [[nodiscard]] Result<std::shared_ptr<Partition>> open(const PlacedLog& placed, const TopicSettings& settings);
  void assign(const std::shared_ptr<Partition>& partition, const controller::metadata::PartitionImage& state);
  void tell_role(const std::shared_ptr<Partition>& partition);
  // set_aside: nobody knows it; replaced: it is damaged and begun anew; kept: likewise, and was the only copy.
  enum class Fate { deleted, set_aside, replaced, kept };
  void remove(const TopicIdPartition& id, Fate fate);
  void retire(Partition& partition);
  void dispose(const PlacedLog& log, Fate fate);
  void on_damage(const TopicIdPartition& id);
  bool start_over(const TopicIdPartition& id, const controller::metadata::PartitionState& state);
  void forget_unusable(const TopicIdPartition& id);
  void append_damaged(std::vector<ReplicaOffsets>& all) const;
  void retry_unmade();
  void tell_trouble();
  [[nodiscard]] BrokerFacts facts_of(BrokerId id) const;
  [[nodiscard]] bool is_home(const TopicId& topic, PartitionIndex index) const;
  void arm();
  void tick();
  void look_at_bytes(Instant now);
  void look_at_times(Instant now, Instant syncing_since);
  static std::optional<std::chrono::milliseconds> known(const std::atomic<int64_t>& ms) {
    const int64_t said = ms.load(std::memory_order_relaxed);
    return said < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(said));
  }

  ReplicaManagerOptions options_;
  ShardState state_;
  ShardPartitionMetrics metrics_;
  ByteRates byte_rates_;
  Instant since_;
  controller::metadata::ImagePtr image_;
  std::set<TopicIdPartition> with_settings_;  // while a delta is applied: those of which it changes state and settings
  std::optional<BrokerEpoch> broker_epoch_;
  std::set<BrokerEpoch> own_epochs_;  // all that this process was given
  bool takes_part_ = false;
  boost::unordered_flat_map<TopicIdPartition, std::shared_ptr<Partition>, std::hash<TopicIdPartition>> partitions_;
  Creations creations_;
  // Answered with KAFKA_STORAGE_ERROR. `lost`: the directory has failed; not made anew elsewhere in this run, or the
  // next start would find two of it. `not_made`: may still succeed. `damaged`: found so at the start, see damaged_.
  enum class Unusable : uint8_t { lost, not_made, damaged };
  std::map<TopicIdPartition, Unusable> unusable_;
  std::map<TopicIdPartition, CopyEnd> lost_ends_;  // of those that are `lost`
  // Not made yet, and what they were to be when that was first tried: what the cluster makes of a failure does not change
  // what this broker had (R46).
  std::map<TopicIdPartition, common::log::NewCopy> making_;
  bool has_made_all_ = false;  // once since this manager took part
  // R46: of partitions_, those in the place of what is gone: it may lie on a disk that is not there.
  std::set<TopicIdPartition> never_in_sync_;
  // R72: what was acknowledged is damaged here, as recovery found (then with its place: there is no Partition) or a
  // read. Begun anew, empty, once that can lose nothing (start_over).
  std::map<TopicIdPartition, std::optional<PlacedLog>> damaged_;
  controller::metadata::ReplicaTrouble told_trouble_;
  std::vector<ReplicaListener*> listeners_;
  StreamActivity activity_;
  Instant next_attempt_;  // to make what could not be made
  Instant next_retention_;
  std::atomic<int64_t> sync_stalled_ms_{0};
  std::atomic<int64_t> write_ms_{-1};  // -1: there was none
  std::atomic<int64_t> sync_ms_{-1};
  common::TimerHandle timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::partition
