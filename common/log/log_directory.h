// One data directory (an entry of log.dirs): who may use it, whose it is, how its last run ended, which partitions lie
// in it, and the checkpoints over all of them.
//
//   .lock                               held while a broker runs (R83)
//   meta.properties                     whose directory this is
//   .kafka_cleanshutdown                last run ended clean; deleted before the first write (R70)
//   .naru_running                       a run has begun: kernel and file system it ran on (R75)
//   .naru_copies_missing                empty: a start found less than this broker had, and not all copies in the place
//                                       of those are made (R46)
//   .naru_directories                   the ids of all directories of this broker at its last start, if it had several
//   recovery-point-offset-checkpoint    and replication-offset-checkpoint, log-start-offset-checkpoint,
//                                       cleaner-offset-checkpoint
//   orders-0/                           a partition
//   orders-0.<32 hex digits>-delete/    on its way out; removed at the next start at the latest
//   orders-0.<32 hex digits>-stray/     not known to the cluster: kept for a while (R42; .naru_kept: how long it was)
//   orders-0.<32 hex digits>-damaged/   was the only copy when an empty one was ordered to lead: its owner's business
//
// Order at start: open, (give identity), partition logs opened with hints_for, begin_run once all of them are open and
// before anything is appended, then note_broker_epoch once registered. A crash before begin_run finds the markers of
// the run before, which is right: recovery may be repeated. Order at the end: every log closed, checkpoints, then
// end_run. Thread-compatible: one thread of the broker; the shards' threads hand it their offsets. create_partition and
// set_aside may run on the disk's pool.
#pragma once
#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/disk/disk.h"
#include "common/log/checkpoint_file.h"
#include "common/log/job_gate.h"
#include "common/log/log_config.h"
#include "common/logging.h"
#include "common/model/result.h"
#include "common/model/types.h"

namespace common::log {

using model::BrokerEpoch;
using model::BrokerId;
using model::DirectoryId;
using model::Error;
using model::Result;
using model::TopicId;
using model::TopicPartition;

struct DirectoryIdentity {
  std::string cluster_id;
  BrokerId node_id;
  DirectoryId directory_id;
  friend bool operator==(const DirectoryIdentity&, const DirectoryIdentity&) = default;
};

struct PartitionDirectory {
  std::string path;
  TopicPartition partition;
  std::optional<TopicId> topic_id;  // none: partition.metadata is missing or bad: a stray (R42)
  bool never_in_sync = false;       // NewCopy::counts_later, and note_in_sync has not been called
  bool is_blank = false;            // never_in_sync, and has no records
};

// counts_later: the cluster may look for the copy that this broker had, and this is not it before it has been in sync
// (R46). counts_now: there was none, or it is not looked for.
enum class NewCopy { counts_now, counts_later };

// What becomes of a directory that is set aside. for_a_while: strays() names it from the next start on. for_good: it is
// never looked at again.
enum class Aside { for_a_while, for_good };

enum class CheckpointKind { recovery_point, high_watermark, log_start, cleaner };
inline constexpr size_t checkpoint_kinds = 4;

// For how long brokers have run beside a stray (R42), as one of them noted last; 0: nobody has. No wall clock says it:
// a step of one would delete too soon. Both wait for the disk, and what is noted is durable: a machine that loses power
// each day would else keep every stray.
[[nodiscard]] std::chrono::milliseconds kept_of(disk::Disk& disk, const std::string& stray);
[[nodiscard]] disk::IoResult<void> note_kept(disk::Disk& disk, const std::string& stray,
                                             std::chrono::milliseconds kept);

class LogDirectory {
 public:
  // Creates the directory if need be, takes the lock, reads what the last run left. Errors name the path and the
  // remedy: held by another process, meta.properties unreadable, disk failed.
  [[nodiscard]] static Result<std::unique_ptr<LogDirectory>> open(disk::Disk& disk, std::string path,
                                                                  Logger logger = Logger());

  [[nodiscard]] const std::string& path() const { return path_; }

  // None: the directory is new (or was wiped, R83).
  [[nodiscard]] const std::optional<DirectoryIdentity>& identity() const { return identity_; }
  // Durable when it returns. A directory that has an identity keeps it: INVALID_CONFIG for another one.
  [[nodiscard]] Result<void> give_identity(const DirectoryIdentity& identity);
  // It had no identity when it was opened: nothing that this broker had can lie in it.
  [[nodiscard]] bool was_new() const { return was_new_; }
  // Whether its path still leads to what was opened: a disk that is taken away leaves an empty directory, or none, and
  // what is made in its place is gone once the disk is back, without a checkpoint that knows of it (R44). May run on
  // the pool.
  [[nodiscard]] disk::IoResult<void> check_is_there() const;
  // True if there is neither identity nor partition.
  [[nodiscard]] bool is_empty() const { return !identity_ && found_.empty(); }

  // How the last run ended, and the broker epoch that it had noted (R24, R44). A directory that was never used is
  // clean.
  [[nodiscard]] PreviousEnd previous_end() const { return previous_end_; }
  [[nodiscard]] std::optional<BrokerEpoch> previous_broker_epoch() const { return previous_epoch_; }
  // Something that was acknowledged is missing here: no run that begins from now on may claim to go on where that epoch
  // ended (R44). Before begin_run; a partition with records and no readable id has this effect by itself.
  void forget_previous_epoch();

  // R46: this start, or one before it, found less than this broker had, and the copies in the place of what is gone
  // have not all been made since.
  [[nodiscard]] bool misses_copies() const { return misses_copies_; }
  // Durable when it returns. Before a directory that is new is given its identity, or the next start would take it for
  // one that has all that it ever had. Where it cannot be noted, that is logged: a new one cannot get its identity then.
  void note_missing_copies();
  // All copies are made. On the pool.
  void forget_missing_copies(disk::Done<void> done);
  // All of this broker's directories at the start before this one, by what this one says; none if it was the only one.
  [[nodiscard]] const std::vector<DirectoryId>& siblings() const { return siblings_; }
  // Sorted; durable when it returns. Where it cannot be noted, that is logged.
  void note_siblings(const std::vector<DirectoryId>& all);

  // The partitions found at open, without those marked for deletion (which are removed by begin_run) and strays.
  [[nodiscard]] const std::vector<PartitionDirectory>& partitions() const { return found_; }
  // What was found of that name is from now on as one without its id: not this broker's copy, but set aside.
  void disown(const TopicPartition& partition);
  // Durable when it returns: its name is free, and the next start finds a stray. Still one of partitions() in this run,
  // so that what the checkpoints say of it is forgotten.
  [[nodiscard]] disk::IoResult<void> set_disowned_aside(const TopicPartition& partition, const model::Uuid& unique);
  [[nodiscard]] const std::vector<std::string>& strays() const { return strays_; }
  // Those that had records when the checkpoints were written.
  [[nodiscard]] std::set<TopicPartition> checkpointed() const;
  // What the checkpoints say of it; `clean` or `process_crash` only if the whole directory ended so.
  [[nodiscard]] OpenHints hints_for(const TopicPartition& partition) const;

  // Durably removes the clean marker and notes that a run has begun. Nothing may be appended to any log before (R70).
  [[nodiscard]] Result<void> begin_run();
  // Into the running marker, once the controller has registered this broker. By callback.
  // One call at a time.
  void note_broker_epoch(BrokerEpoch epoch, disk::Done<void> done);
  // The clean marker, last of all writes. Refused after a failure (R70).
  [[nodiscard]] Result<void> end_run();

  // Replaces a checkpoint file; the map is that of the whole directory. Calls may overlap: the newest wins.
  void store_checkpoint(CheckpointKind kind, OffsetMap offsets, disk::Done<void> done);
  [[nodiscard]] Result<void> store_checkpoint_blocking(CheckpointKind kind, const OffsetMap& offsets);
  // `done` when what is stored of the partition, if anything is, is at most this: at once, mostly.
  void lower_checkpoints(const TopicPartition& partition, const Ceilings& most, disk::Done<void> done);
  // Checkpoints go by name: `done` when none of them says anything of a partition that had this one before. Before it
  // is made again; at once, without writing, if it had not.
  void forget_checkpoints(const TopicPartition& partition, disk::Done<void> done);

  [[nodiscard]] std::string partition_path(const TopicPartition& partition) const;
  // Makes the directory with an empty log and its partition.metadata, durably. Waits for the disk. Refused where
  // records lie under that name already.
  [[nodiscard]] Result<std::string> create_partition(const TopicPartition& partition, const TopicId& topic_id,
                                                     NewCopy copy = NewCopy::counts_now);
  // The copy counts from now on, for later runs too. On the pool.
  void note_in_sync(const TopicPartition& partition, disk::Done<void> done);
  // Renames to -delete, on the pool, and `done`: its name is free. Then everything is removed, and `removed`: what is
  // left after a failure goes with remove_left_overs(), or at the next start. The log must be destroyed; `jobs` is its
  // gate, if there was one. `unique`: random; the same for another attempt. A failure of `done`: it may still have its
  // name.
  void delete_partition(const TopicPartition& partition, const model::Uuid& unique, std::shared_ptr<JobGate> jobs,
                        disk::Done<void> done, disk::Done<void> removed = {});
  // Tries again to remove what could not be for want of descriptors or room. On the pool.
  void remove_left_overs();
  // Sets a directory aside that the cluster does not know, or that is corrupt (R42, R72). Waits for the disk.
  [[nodiscard]] disk::IoResult<std::string> set_aside(const std::string& partition_path, const model::Uuid& unique,
                                                      Aside aside = Aside::for_a_while);

  // R76, R81: after a failure nothing in this directory may be written, and no clean marker either.
  void mark_failed(const Error& error);
  // A directory of this broker has failed, this one or another: whatever happens from now on, the next start must not
  // take this run for one that lost nothing (R70, R75). Removes the running marker, on the pool.
  void distrust_run();
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

 private:
  LogDirectory(disk::Disk& disk, std::string path, Logger logger)
      : disk_(disk), path_(std::move(path)), logger_(std::move(logger)) {}

  struct Pending;
  Result<void> read_identity();
  Result<void> read_markers();
  Result<void> read_what_is_missed();
  Result<void> read_partitions();
  Result<PartitionDirectory> read_partition(std::string path, TopicPartition partition);
  Result<void> read_checkpoints();
  bool lower(CheckpointKind kind, const TopicPartition& partition, std::optional<Offset> to);
  [[nodiscard]] disk::IoResult<void> mark_new(const std::string& partition_path, NewCopy copy);
  void store_newest(CheckpointKind kind, disk::Done<void> done);
  void start_store(CheckpointKind kind);
  void remove_running_marker();
  void remove_leaving(const std::string& leaving, disk::Done<void> removed);
  [[nodiscard]] std::string file(std::string_view name) const;

  disk::Disk& disk_;
  const std::string path_;
  Logger logger_;
  std::unique_ptr<disk::FileLock> lock_;
  disk::MachineIdentity machine_;
  std::optional<DirectoryIdentity> identity_;
  bool was_new_ = false;
  PreviousEnd previous_end_ = PreviousEnd::unknown;
  std::optional<BrokerEpoch> previous_epoch_;
  std::optional<BrokerEpoch> epoch_;
  bool has_begun_ = false;
  bool is_distrusted_ = false;
  bool is_page_cache_doubted_ = false;  // what the last run left may be nowhere else
  bool has_lost_records_ = false;
  bool misses_copies_ = false;
  std::vector<DirectoryId> siblings_;
  std::vector<PartitionDirectory> found_;
  std::vector<std::string> strays_;
  std::vector<std::string> to_delete_;
  std::array<std::optional<OffsetMap>, checkpoint_kinds> checkpoints_;
  std::shared_ptr<Pending> pending_;
  std::optional<Error> failure_;
};

}  // namespace common::log
