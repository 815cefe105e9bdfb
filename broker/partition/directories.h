// The data directories of a broker (log.dirs), as the managers of all shards use them: which partitions lie in them,
// where one is made or removed, the checkpoints over all of them, how much room is left, and which have failed.
//
// A partition's directory is named by its topic, not by its topic's id: one that is deleted and created again may live
// on another shard, so making one waits here until the old one is out of the way.
//
// Lives on one shard (`home`); calls marked so may come from any thread, and answer on the caller's shard.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/log/log_directory.h"
#include "common/logging.h"
#include "common/model/random.h"
#include "common/shard.h"

namespace broker::partition {

using common::model::TopicId;
using common::model::TopicPartition;

class ReplicaManager;

// A partition that lies on disk, or has just been made.
struct PlacedLog {
  TopicPartition partition;
  TopicId topic_id;
  std::string path;
  std::string directory;  // the entry of log.dirs
  common::log::OpenHints hints;
  bool never_in_sync = false;  // made as NewCopy::counts_later, and not noted to be in sync since
  // Of a log that has been destroyed: it may have a job under way.
  std::shared_ptr<common::log::JobGate> jobs;
};

// Whether this run may claim to go on where the one before ended (R44): not if something that was acknowledged is
// damaged (R72).
enum class Claims { kept, given_up };

// When the checkpoints forget a replica that is set aside. One that is damaged would not be known to be without them,
// should it keep its place (R72); all others must not be missed by the next start (R44).
enum class Forget { before, after };

// What the checkpoints say of one replica.
struct ReplicaOffsets {
  TopicPartition partition;
  std::string directory;
  common::model::Offset high_watermark;
  common::model::Offset recovery_point;
  common::model::Offset log_start_offset;
  common::model::Offset cleaned_offset;
};

// What a shard's replicas left when they were closed.
struct Closed {
  std::vector<ReplicaOffsets> offsets;
  common::model::Result<void> outcome;  // of a log that could not be closed: this was no clean end (R70)
};

// A data directory as operators ask for it.
struct Volume {
  std::string path;
  bool is_offline = false;                   // failed, or does not answer
  std::optional<common::disk::Space> space;  // of its file system
  bool is_low = false;                       // on space: produces are refused (R81)
};

struct DirectoriesOptions {
  common::Shard* home = nullptr;
  common::disk::Disk* disk = nullptr;  // of the home shard
  common::model::Random* random = nullptr;
  common::Logger logger;
  common::Duration high_watermark_interval = std::chrono::seconds(5);
  common::Duration recovery_point_interval = std::chrono::seconds(60);
  common::Duration log_start_interval = std::chrono::seconds(60);
  common::Duration space_interval = std::chrono::seconds(1);
  // R42: before a directory that nobody knows is deleted. Of time in which a broker ran, in this life or another.
  common::Duration stray_delay = std::chrono::hours(24);
  // R81: refuse below the smaller of the two.
  uint64_t low_space_bytes = 1ull << 30;
  int low_space_percent = 5;
  // A directory has failed (R76). Its replicas tell the controller themselves (ReplicaManagerOptions::on_trouble).
  // Called on `home`.
  std::function<void(const std::string& directory, const common::model::Error&)> on_failure;
};

class Directories {
 public:
  // The directories are open, have an identity, and were found usable.
  Directories(DirectoriesOptions options, std::vector<std::unique_ptr<common::log::LogDirectory>> directories);
  ~Directories();
  Directories(const Directories&) = delete;
  Directories& operator=(const Directories&) = delete;

  // --- start, before any other use ---
  // What lies on disk and belongs to `shard` of `shard_count`.
  [[nodiscard]] std::vector<PlacedLog> found(int shard, int shard_count) const;
  // Once every manager has opened its logs, before anything is written (R70); then the periodic work begins. Those that
  // `failed` meanwhile, and those of which the run cannot begin, stay as they are (R76): an error only if none is left.
  [[nodiscard]] common::model::Result<void> begin_run(Claims claims = Claims::kept,
                                                      std::map<std::string, common::model::Error> failed = {});
  void start(std::vector<common::Shard*> shards, std::vector<ReplicaManager*> managers);

  // --- any thread ---
  using Placed = std::function<void(common::model::Result<PlacedLog>)>;
  // Makes the directory of a partition. `done` on `reply`.
  void create(TopicPartition partition, TopicId topic_id, common::log::NewCopy copy, common::Shard& reply, Placed done);
  // R46: a copy that was to count later does from now on.
  void note_in_sync(TopicPartition partition, TopicId topic_id);
  // R46: one manager, once, has all copies that were not here when it began. When all have said so, the next start is
  // told no more that this one found less.
  void note_copies_made();
  // Deletes it for good (R42: the caller has seen the committed deletion of this very topic id). The log is destroyed;
  // `jobs` is its gate, if there was one.
  void remove(TopicPartition partition, TopicId topic_id, std::shared_ptr<common::log::JobGate> jobs = {});
  // Renames a directory that the cluster does not know; for_a_while: deleted after stray_delay.
  void set_aside(PlacedLog log, common::log::Aside aside = common::log::Aside::for_a_while,
                 Forget forget = Forget::before);
  // R71: the log was cut, and nothing may be appended there before the checkpoints say no more than `most`. `done` on
  // `reply` when it is, or when the directory has failed; what only lacks room is tried again with every tick.
  void lower_checkpoints(TopicPartition partition, const std::string& directory, common::log::Ceilings most,
                         common::Shard& reply, std::function<void()> done);
  // This broker is registered (R44, R75): into the running markers. What only lacks room is tried again.
  void note_broker_epoch(common::model::BrokerEpoch epoch);
  // R76.
  void report_failure(const std::string& directory, const common::model::Error& error);

  // --- on `home` ---
  // Writes the recovery points, high watermarks and log starts of all managers, now.
  [[nodiscard]] common::Awaitable<void> checkpoint();
  // Clean stop: closes every log, stores the final offsets, then the clean markers (R70). Nothing may use the managers'
  // partitions afterwards.
  [[nodiscard]] common::Awaitable<common::model::Result<void>> close();
  // How things stand with each directory; one that does not answer by `deadline` is offline.
  [[nodiscard]] common::Awaitable<std::vector<Volume>> volumes(common::Instant deadline);
  // Whether this start may have found less than this broker had (common::log::found_less). Any thread.
  [[nodiscard]] bool found_less() const { return found_less_; }
  // How many directories have not failed.
  [[nodiscard]] size_t usable() const;
  [[nodiscard]] common::Shard& home() const { return *options_.home; }
  [[nodiscard]] const std::vector<std::unique_ptr<common::log::LogDirectory>>& all() const { return directories_; }

 private:
  struct Creation {
    TopicId topic_id;
    common::log::NewCopy copy = common::log::NewCopy::counts_now;
    common::Shard* reply = nullptr;
    Placed done;
  };
  void on_home(std::function<void()> f);
  void forget_what_is_lost();
  void tell_failed(size_t manager, const std::string& directory);
  // A name in use: by this topic id, in this directory; `leaving` while it is being removed or set aside.
  struct Occupant {
    TopicId topic_id;
    common::log::LogDirectory* directory = nullptr;
    bool leaving = false;
    uint64_t number = 0;  // of its making in this run
  };
  using SpaceSeen = std::function<void(const std::string& path, std::optional<common::disk::Space>)>;
  void read_space(const common::log::LogDirectory& directory, SpaceSeen seen);
  void begin_creation(const TopicPartition& partition, Creation creation);
  void make(common::log::LogDirectory& directory, const TopicPartition& partition, Creation creation);
  // Directories are made and renamed a few at a time. A change ends its turn by end_turn(); what is set aside is one,
  // too, but waits for nobody.
  struct Change {
    std::function<void()> start;
    bool is_creation = false;
  };
  void in_turn(Change change);
  void end_turn();
  void start_changes();
  [[nodiscard]] common::Awaitable<bool> end_changes();  // false: these directories are gone
  static void refuse_name(const Creation& creation, const common::log::LogDirectory& failed);
  void fail_creation(const TopicPartition& partition, const Creation& creation, const common::model::Error& error);
  void rename_aside(common::log::LogDirectory& directory, const PlacedLog& log, common::log::Aside aside,
                    std::function<void()> done);
  void forget_then(const TopicPartition& partition, common::log::LogDirectory& directory, std::function<void()> then);
  // One on its way out. `unique` is the same for all attempts: the next one finds what the one before has renamed.
  struct Removal {
    TopicPartition partition;
    common::log::LogDirectory* directory = nullptr;
    common::model::Uuid unique;
    std::shared_ptr<common::log::JobGate> jobs;
  };
  void take_away(const Removal& removal);
  void delete_it(const Removal& removal);
  void on_removed(const TopicPartition& partition);
  struct Stray {
    std::string path;
    common::log::LogDirectory* directory = nullptr;
  };
  void keep_stray(Stray stray, common::Duration kept);
  void note_strays();
  void remove_old_strays();
  void note_epoch_in(common::log::LogDirectory& directory);
  [[nodiscard]] common::log::LogDirectory* find(const std::string& path);
  [[nodiscard]] common::log::LogDirectory* choose(const TopicId& id, common::model::PartitionIndex partition);
  void store(common::log::CheckpointKind kind, const std::vector<ReplicaOffsets>& offsets);
  [[nodiscard]] common::Awaitable<common::model::Result<void>> store_now(common::log::LogDirectory& directory,
                                                                         common::log::CheckpointKind kind,
                                                                         const std::vector<ReplicaOffsets>& offsets);
  [[nodiscard]] common::Awaitable<std::vector<ReplicaOffsets>> gather();
  [[nodiscard]] common::Awaitable<void> checkpoint_some(std::vector<common::log::CheckpointKind> kinds);
  void arm();
  void tick();
  void look_at_space();
  void on_space(const std::string& directory, common::disk::Space space);
  [[nodiscard]] uint64_t low_line(const common::disk::Space& space) const;

  DirectoriesOptions options_;
  std::vector<std::unique_ptr<common::log::LogDirectory>> directories_;
  const bool found_less_;
  std::vector<common::Shard*> shards_;
  std::vector<ReplicaManager*> managers_;
  std::map<TopicPartition, Occupant> occupied_;
  uint64_t made_ = 0;
  size_t have_made_all_ = 0;  // of managers_
  // Since the last checkpoint began: what that has gathered may be older.
  struct Lowered {
    common::log::Ceilings most;
    uint64_t number = 0;
  };
  std::map<TopicPartition, Lowered> lowered_;
  uint64_t lowerings_ = 0;
  std::deque<Change> changes_;
  size_t changing_ = 0;
  common::Event change_ended_;
  bool is_closing_ = false;
  std::vector<Removal> not_removed_;
  std::vector<std::function<void()>> not_lowered_;
  std::vector<std::function<void()>> not_set_aside_;
  bool has_told_not_lowered_ = false;
  std::optional<common::model::BrokerEpoch> broker_epoch_;
  std::set<common::log::LogDirectory*> noting_;  // an epoch into their marker, now
  std::set<common::log::LogDirectory*> not_noted_;
  std::optional<common::model::BrokerEpoch> not_noted_told_;
  std::map<TopicPartition, std::vector<Creation>> waiting_;  // each for one of occupied_
  std::multimap<common::Instant, Stray> strays_;  // when to delete which
  std::map<std::string, bool> low_;
  common::TimerHandle timer_;
  common::Instant next_high_watermark_;
  common::Instant next_recovery_point_;
  common::Instant next_log_start_;
  common::Instant next_stray_note_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::partition
