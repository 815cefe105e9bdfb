// The metadata log on disk: {metadata.log.dir}/__cluster_metadata-0 with
//
//   00000000000000000000.log ...     the entries, one record batch each (common/log), synced before they count (R2)
//   quorum-state                     term and vote (R1)
//   {end}-{term}.checkpoint          snapshots; the two newest are kept
//   quorum.properties                who this node is, and in which quorum
//   ../__cluster_metadata-0.lost-N   a former life that cannot keep its promises (R4, R20, R21): eight at most are kept
//
// Syncs run on the disk's pool; the driver's Disk has a pool of its own, so that nothing else is in front of it (R78).
// Lives on the controller's shard.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/disk/disk.h"
#include "common/log/log.h"
#include "common/logging.h"
#include "controller/quorum/quorum_state_file.h"
#include "controller/quorum/raft_files.h"
#include "controller/quorum/raft_storage.h"
#include "controller/raft/membership.h"
#include "controller/raft/node.h"

namespace controller::quorum {

// quorum.properties, before and after the log is opened. Functions wait for the disk: start-up.
[[nodiscard]] Result<std::optional<QuorumProperties>> read_properties(common::disk::Disk& disk,
                                                                      const std::string& directory);
[[nodiscard]] Result<void> write_properties(common::disk::Disk& disk, const std::string& directory,
                                            const QuorumProperties& properties);
// Renames the directory of the metadata log to a *.lost-N above all others and makes an empty one. Returns the name.
[[nodiscard]] Result<std::string> set_lost_state_aside(common::disk::Disk& disk, const std::string& directory);
// Nothing that was promised rests on a former life (R4, R20, R21: another directory id votes now); it is kept for
// people. Of many on a disk that rots the first and the newest ones are: what lies between had begun empty, and got
// from the others all that it held. Returns the names of those that are gone.
[[nodiscard]] Result<std::vector<std::string>> remove_spare_former_lives(common::disk::Disk& disk,
                                                                         const std::string& directory);

class RaftDisk final : public RaftStorage {
 public:
  struct Environment {
    common::disk::Disk* disk = nullptr;
    const common::Clock* clock = nullptr;
    common::Logger logger;
    // To try again later on a full disk: runs `f` on the shard after `delay`.
    std::function<void(common::model::Duration delay, std::function<void()> f)> after;
  };
  struct Opened {
    std::unique_ptr<RaftDisk> storage;
    raft::RestoredState restored;
    // Promises of this directory cannot be kept: set it aside and begin anew under another directory id. No storage
    // then.
    std::optional<std::string> lost;
  };
  // `directory` exists. `is_member`: it took part before, so a missing vote is a forgotten one (R4); else a fresh one
  // is written, with `first_voters` as the bootstrap entry if there are any. Waits for the disk: start-up.
  [[nodiscard]] static Result<Opened> open(Environment environment, std::string directory, bool is_member,
                                           const raft::VoterSet& first_voters);
  ~RaftDisk() override;
  // Once after open, before anything else: writes what open() found to be written (the first entry, the second half of
  // an interrupted install). `done` when it is durable; only then does `restored` count.
  void finish_open(std::function<void(Result<void>)> done);

  void listen(Events events) override { events_ = std::move(events); }
  void persist(std::vector<raft::Persist> operations) override;
  void save_snapshot(raft::Snapshot snapshot, std::function<void(Result<raft::Snapshot>)> done) override;
  void close(std::function<void()> done) override;
  [[nodiscard]] uint64_t starts() const override { return starts_; }

 private:
  RaftDisk(Environment environment, std::string directory);

  // --- raft_disk_open.cc
  Result<void> open_state(bool is_member, raft::RestoredState& restored, std::optional<std::string>& lost);
  Result<void> open_log(raft::RestoredState& restored, std::optional<std::string>& lost);
  Result<void> read_entries(raft::RestoredState& restored, std::optional<std::string>& lost);
  Result<std::optional<raft::Snapshot>> read_newest_snapshot();
  Result<void> make_bootstrap(const raft::VoterSet& voters, raft::RestoredState& restored);
  void begin_at_snapshot(std::function<void(Result<void>)> done);
  Result<void> fit_to_snapshot(raft::RestoredState& restored, std::optional<std::string>& lost);

  // --- operations
  void step();
  void step_log();
  bool write_entry(const raft::Entry& entry);
  void step_hard_state();
  void step_piece();
  void step_install();
  using SharedSnapshot = std::shared_ptr<const raft::Snapshot>;
  void store_installed(const SharedSnapshot& snapshot, raft::PersistToken token);
  void begin_at_installed(const SharedSnapshot& snapshot, raft::PersistToken token);
  void finish(raft::PersistToken token, std::optional<raft::Snapshot> installed = std::nullopt);
  void stall(std::function<void()> retry);
  void wait_for_room(std::function<void()> retry);
  void save_waiting_hard_state();
  void flush_written(raft::PersistToken token);
  void fail_for_good(std::string reason);
  void close_if_nothing_comes();
  void prune_snapshots();
  void remove_dropped_soon();

  static constexpr std::chrono::milliseconds stall_retry{500};

  Environment environment_;
  const std::string directory_;
  Events events_;
  std::unique_ptr<common::log::Log> log_;
  std::unique_ptr<QuorumStateFile> state_file_;
  QuorumState state_;
  uint64_t starts_ = 0;
  std::optional<raft::Entry> bootstrap_;  // for finish_open
  std::optional<common::model::LogIndex> restart_at_;
  raft::LogPosition end_;  // of what was written, for the next entry's key

  std::deque<raft::Persist> queue_;  // not begun
  bool is_busy_ = false;             // an operation, or a run of them, is under way
  bool is_stalled_ = false;
  bool is_waiting_for_room_ = false;  // nothing else is under way, but for
  bool is_saving_aside_ = false;      // a hard state that overtakes what waits
  bool has_failed_ = false;
  bool is_closed_ = false;
  bool is_removing_soon_ = false;
  size_t entries_done_ = 0;  // of the AppendEntries at the front, when the disk was full in the middle
  std::optional<raft::SnapshotMeta> piece_meta_;
  std::string pieces_;  // of the snapshot on its way in
  std::function<void()> on_closed_;
  std::shared_ptr<bool> alive_;
};

}  // namespace controller::quorum
