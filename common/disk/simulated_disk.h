// A disk in memory that behaves as badly as a real one may: what was not synced can be lost, kept or torn by a crash,
// file by file, block by block and name by name; writes run out of space or fail; syncs fail; bits rot; callbacks come
// late. Deterministic: the same calls and seed give the same bytes. Thread-compatible; no threads of its own.
//
// Each file has a cached image (what reads see) and a durable one (what a loss of power leaves); names likewise,
// because a file that was synced can still lose its name until its directory is synced. Changes of names reach the
// medium in order, as on a journaling file system.
#pragma once
#include <deque>
#include <map>
#include <set>

#include "common/disk/disk.h"

namespace common::disk {

class SimulatedDisk final : public Disk {
 public:
  using Scheduler = std::function<void(model::Duration delay, std::function<void()>)>;
  struct Options {
    uint64_t seed = 1;
    // Where callbacks go. None: the disk queues them for run_one() and run_until_idle().
    Scheduler scheduler;
    model::Duration sync_time = std::chrono::milliseconds(2);
    model::Duration read_time = std::chrono::microseconds(200);
    // What files say when they were changed last. None: long ago.
    std::function<model::TimestampMs()> wall_now = {};
  };
  SimulatedDisk();
  explicit SimulatedDisk(Options options);
  ~SimulatedDisk() override;

  // -- what tests do to it --

  // Runs the oldest waiting callback or job. False: there was none.
  bool run_one();
  void run_until_idle();

  enum class Unsynced {
    lost,  // none of it is there
    kept,  // all of it is there
    torn,  // any part of it, block by block
  };
  // The machine loses power: another boot id; open files, locks, callbacks and jobs are gone. Reopen everything.
  void crash(Unsynced unsynced, size_t block_bytes = 512);
  // Only the process dies: every completed call counts.
  void kill();

  // How many calls have changed (or synced) something so far.
  [[nodiscard]] uint64_t operations() const { return operations_; }
  // The machine stops in the middle of the `count`-th change from now on (1: the next); a write is cut at a random
  // byte, anything else does not happen. Every call then fails and no callback comes, until crash() or kill().
  void stop_after(uint64_t count) { stop_at_ = operations_ + count; }
  [[nodiscard]] bool has_stopped() const { return stopped_; }

  enum class Operation { write, truncate, allocate, sync, read, create, rename, remove, sync_directory };
  struct Fault {
    Operation operation = Operation::write;
    std::string path_contains;  // empty: any
    uint64_t skip = 0;          // let so many pass
    uint64_t times = 1;         // then fail so many
    IoFault fault = IoFault::failed;
  };
  void add_fault(Fault fault) { faults_.push_back(std::move(fault)); }
  void clear_faults() { faults_.clear(); }
  // While somebody looks who is no part of what runs: reads are not counted and do not fail.
  void set_observed(bool observed) { observed_ = observed; }
  // All files together; a write that does not fit is cut where the space ends. None: unlimited.
  void set_capacity(std::optional<uint64_t> bytes) { capacity_ = bytes; }
  // No more than `room` bytes can be added from now on.
  void fill(uint64_t room) { capacity_ = used_bytes() + room; }
  // try_read answers would_block for these files.
  void set_cold(std::string path_contains) { cold_ = std::move(path_contains); }

  // Of both images, as rot on the medium.
  void flip_bit(const std::string& path, uint64_t bit);
  // A block that was written at `at` of one file is at `there` of another file (or of the same) instead, on the medium
  // and in what is read from it from now on; no file gets longer. Where it should be is what was there before: nothing.
  // Returns a byte of each place that is another one now.
  static constexpr size_t write_block = 512;
  std::vector<std::pair<std::string, size_t>> misdirect(const std::string& from, size_t at, const std::string& to,
                                                        size_t there);
  void overwrite(const std::string& path, BytesView content);
  void erase(const std::string& path);
  [[nodiscard]] bool exists(const std::string& path) const;
  [[nodiscard]] Buffer content(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> paths() const;  // of files, sorted
  // What would be left of a file, and which files, if nothing survived that was not synced.
  [[nodiscard]] BytesView durable_content(const std::string& path) const;  // empty if there would be no such file
  [[nodiscard]] std::vector<std::string> durable_paths(const std::string& directory) const;
  // A copy of both images, without faults, open files and callbacks.
  [[nodiscard]] std::unique_ptr<SimulatedDisk> clone() const { return clone(options_); }
  // Likewise, for another machine: callbacks go where `options` says.
  [[nodiscard]] std::unique_ptr<SimulatedDisk> clone(Options options) const;

  // -- Disk --
  IoResult<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override;
  IoResult<void> create_directories(const std::string& path) override;
  IoResult<std::vector<DirectoryEntry>> list(const std::string& path) override;
  IoResult<void> rename(const std::string& from, const std::string& to) override;
  IoResult<void> remove_file(const std::string& path) override;
  IoResult<void> remove_tree(const std::string& path) override;
  IoResult<void> sync_directory(const std::string& path) override;
  IoResult<void> sync_file_system(const std::string& path) override;
  IoResult<Buffer> read_file(const std::string& path, size_t max_bytes) override;
  IoResult<void> replace_file(const std::string& path, BytesView content, Durability durability) override;
  IoResult<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  IoResult<Space> space(const std::string& path) override;
  IoResult<MachineIdentity> machine_identity(const std::string& path) override;
  void offload(Job kind, std::function<IoResult<void>()> job, Done<void> done) override;

 private:
  class SimulatedFile;
  class SimulatedLock;
  static constexpr size_t sector = 512;

  struct Inode {
    bool is_directory = false;
    std::vector<std::byte> cached;
    std::vector<std::byte> durable;
    std::map<uint64_t, uint64_t> dirty;  // sector -> number of the change that wrote it last
    model::TimestampMs modified;
    uint64_t names = 0;  // of the cached ones: a file that is open only takes no space that is counted
  };
  using InodeRef = std::shared_ptr<Inode>;
  using Names = std::map<std::string, InodeRef>;
  // A change of names that its directory has not been synced for.
  struct NameChange {
    std::string removed;  // empty: none
    std::string added;
    InodeRef inode;                       // of `added`
    std::vector<NameChange> inside = {};  // a directory takes along what lies in it, wherever the power goes
  };

  // Counts a change; fails if the machine has stopped, stops now, or a fault is due. `cut` tells a write how many of
  // its bytes still make it.
  IoResult<void> change(Operation operation, const std::string& path, size_t bytes = 0, size_t* cut = nullptr);
  IoResult<void> check_alive(const std::string& path) const;
  std::optional<IoError> due_fault(Operation operation, const std::string& path);
  IoResult<InodeRef> find(const std::string& path) const;
  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }
  void name(const std::string& path, const InodeRef& inode);
  void unname(const std::string& path);
  void set_size(Inode& inode, uint64_t size);
  void count_used_bytes();
  void resize(Inode& inode, uint64_t size);
  void write(Inode& inode, uint64_t position, BytesView bytes);
  void make_durable(Inode& inode);
  void change_name(NameChange change);
  void apply_cached(const NameChange& change);
  static void apply(Names& names, const NameChange& change);
  void later(model::Duration delay, std::function<void()> f);
  uint64_t random(uint64_t bound);
  [[nodiscard]] model::TimestampMs wall_now() const {
    return options_.wall_now ? options_.wall_now() : model::TimestampMs{};
  }
  void lose_unsynced(Inode& inode, Unsynced unsynced, size_t block_bytes);

  Options options_;
  uint64_t random_state_;
  Names cached_names_;
  uint64_t used_bytes_ = 0;  // by what has a cached name; asked for all the time, so it is not counted each time
  Names durable_names_;
  std::vector<NameChange> name_changes_;  // oldest first
  std::deque<std::function<void()>> queue_;
  std::vector<Fault> faults_;
  bool observed_ = false;
  std::optional<uint64_t> capacity_;
  std::optional<std::string> cold_;
  std::set<std::string> locks_;
  uint64_t operations_ = 0;
  std::optional<uint64_t> stop_at_;
  bool stopped_ = false;
  uint64_t life_ = 0;  // +1 at each crash or kill: handles of an earlier life are dead
  uint64_t boot_ = 1;
  uint64_t change_number_ = 0;
};

}  // namespace common::disk
