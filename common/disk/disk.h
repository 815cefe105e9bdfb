// The file system as logs see it, so that a test can own what a crash leaves behind. KernelDisk is the real one;
// SimulatedDisk loses what was not synced, tears writes and fails on request.
//
// Two kinds of calls. *At once*: appends, reads from the page cache, and everything that start-up needs. *By callback
// on the owner's thread* (through the Poster that the Disk was made with): what may take long, so that nothing
// knowingly blocks a shard (R78): sync, reads from the medium, and whatever is given to offload().
//
// Threading: a Disk and its Files belong to one thread (a shard, the Raft log's thread), with two exceptions that jobs
// given to offload() may use from the pool: the functions on names, and File::read_at.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/types.h"

namespace common::disk {

using model::Buffer;
using model::BytesView;

enum class IoFault {
  not_found,
  already_exists,
  would_block,  // File::try_read only: the bytes are not in memory
  locked,       // Disk::lock only: another process holds it
  no_space,     // the disk or a quota is full: may work again later (R81)
  exhausted,    // this process has no descriptor or memory left: says nothing about the disk, may work again later
  too_large,    // Disk::read_file only: the file is no such file
  failed,       // anything else: treat the directory as offline (R76)
};
// Nothing is lost and nothing is wrong with the medium: the same call may work later.
[[nodiscard]] constexpr bool may_pass(IoFault fault) {
  return fault == IoFault::no_space || fault == IoFault::exhausted;
}

struct IoError {
  IoFault fault = IoFault::failed;
  std::string message;  // says which operation and which file
};

template <class T>
using IoResult = tl::expected<T, IoError>;
template <class T>
using Done = std::function<void(IoResult<T>)>;

[[nodiscard]] inline tl::unexpected<IoError> io_failure(IoFault fault, std::string message) {
  return tl::unexpected<IoError>(IoError{fault, std::move(message)});
}
// KAFKA_STORAGE_ERROR with the same words: what clients and peers are told.
[[nodiscard]] model::Unexpected storage_error(const IoError& error);

// Runs a function on the owner's thread, soon, never inside the call. Must be callable from any thread.
using Poster = std::function<void(std::function<void()>)>;

class File {
 public:
  virtual ~File() = default;
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] virtual const std::string& path() const = 0;
  [[nodiscard]] virtual IoResult<uint64_t> size() = 0;
  // From now on this stays the file that it is, also when its name goes or comes to mean another one: its descriptor is
  // kept until it is destroyed. For the few files that are being replaced.
  [[nodiscard]] virtual IoResult<void> hold_open() = 0;

  // Writes all parts, one after the other, at `position`. After a failure any part of them may be in the file: the
  // caller truncates back (R77). Durable only after a sync.
  [[nodiscard]] virtual IoResult<void> write_at(uint64_t position, std::span<const BytesView> parts) = 0;
  [[nodiscard]] IoResult<void> write_at(uint64_t position, BytesView bytes) {
    return write_at(position, std::span(&bytes, 1));
  }
  [[nodiscard]] virtual IoResult<void> truncate(uint64_t length) = 0;
  // Makes the file at least `length` long and reserves the blocks; new bytes read as zero.
  [[nodiscard]] virtual IoResult<void> allocate(uint64_t length) = 0;

  // Reads what is there, up to out.size() bytes; fewer only at the end of the file. May wait for the medium. Any
  // thread.
  [[nodiscard]] virtual IoResult<size_t> read_at(uint64_t position, std::span<std::byte> out) = 0;
  // The same but never waits for the medium: would_block instead.
  [[nodiscard]] virtual IoResult<size_t> try_read(uint64_t position, std::span<std::byte> out) = 0;
  // The same on the pool.
  virtual void read_cold(uint64_t position, size_t length, Done<Buffer> done) = 0;

  // Makes everything written and truncated before this call durable, though not the file's name. One sync serves all
  // calls that came while the previous one ran (group commit). A failure is final (R76): every later sync of this file
  // fails too, because the kernel may have dropped what it could not write. Only `exhausted` is not: the kernel was not
  // even asked.
  virtual void sync(Done<void> done) = 0;
  [[nodiscard]] virtual IoResult<void> sync_now() = 0;  // waits: start-up, or a thread of one's own
  // Asks the kernel to begin writing this range, so that dirty pages do not pile up until they block an append.
  virtual void start_writeback(uint64_t position, uint64_t length) = 0;
};

// Held until destroyed or the process ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  uint64_t size_bytes = 0;
  model::TimestampMs modified;
};

struct Space {
  uint64_t free_bytes = 0;  // for us
  uint64_t total_bytes = 0;
};

// Equal before and after: every completed write() is still there (R75).
struct MachineIdentity {
  std::string boot_id;
  std::string file_system_id;
  friend bool operator==(const MachineIdentity&, const MachineIdentity&) = default;
};

enum class OpenMode { existing, create_if_missing };
// What replace_file waits for: `kernel` survives the death of the process, `medium` also the loss of power.
enum class Durability { kernel, medium };
// Reads never queue behind syncs and changes; urgent changes go before all changes that wait, for the few short ones
// that replicas are out of service for. Removals are what nobody waits for: to free the blocks of a big file may take a
// file system long, and a topic that is deleted has hundreds. No sync may stand behind those.
enum class Job { reads, changes, urgent_changes, removals };

class Disk {
 public:
  virtual ~Disk() = default;

  // Cheap: the descriptor is opened at first use and closed when too many are open. With create_if_missing the file
  // exists when this returns. Any thread; the File then belongs to the caller's.
  [[nodiscard]] virtual IoResult<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) = 0;

  // Names. These wait for the kernel: start-up and offload() only, except where a rule says otherwise. Any thread.
  [[nodiscard]] virtual IoResult<void> create_directories(const std::string& path) = 0;
  [[nodiscard]] virtual IoResult<std::vector<DirectoryEntry>> list(const std::string& path) = 0;    // sorted by name
  [[nodiscard]] virtual IoResult<void> rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  [[nodiscard]] virtual IoResult<void> remove_file(const std::string& path) = 0;
  [[nodiscard]] virtual IoResult<void> remove_tree(const std::string& path) = 0;
  // Makes creations, renames and removals of names in this directory durable.
  [[nodiscard]] virtual IoResult<void> sync_directory(const std::string& path) = 0;
  // Makes everything on the file system of `path` durable.
  [[nodiscard]] virtual IoResult<void> sync_file_system(const std::string& path) = 0;
  // not_found if absent; too_large if larger than `max_bytes`.
  [[nodiscard]] virtual IoResult<Buffer> read_file(const std::string& path, size_t max_bytes) = 0;
  // Old or new content after a crash, never a mix: temporary file, (sync), rename, (sync of the directory) (R73).
  [[nodiscard]] virtual IoResult<void> replace_file(const std::string& path, BytesView content,
                                                    Durability durability) = 0;
  [[nodiscard]] virtual IoResult<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  [[nodiscard]] virtual IoResult<Space> space(const std::string& path) = 0;
  [[nodiscard]] virtual IoResult<MachineIdentity> machine_identity(const std::string& path) = 0;

  // Runs `job` on the pool, then `done` with its result on the owner's thread. Jobs may overtake each other. The disk
  // outlives its jobs: destroying it waits for them.
  virtual void offload(Job kind, std::function<IoResult<void>()> job, Done<void> done) = 0;
};

}  // namespace common::disk
