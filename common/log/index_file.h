// A segment's sparse index. Offsets: every index.interval.bytes or so, where the batch with that last offset begins.
// Times: the largest timestamp so far, and the last offset of the batch that brought it.
//
//   .index      { relative_offset:u32 position:u32 }*        big-endian, both increasing
//   .timeindex  { timestamp:i64 relative_offset:u32 }*       timestamps increasing
//
// Relative to the segment's base offset. An index is a cache of the log (R74): whoever looks something up checks what
// it finds there, and a bad index is rebuilt. Only the newest entries are in memory; they reach the file a page at a
// time.
//
// Thread-compatible: lives with its log. An IndexReader may be used on another thread while entries are appended.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/disk/disk.h"

namespace common::log {

struct OffsetEntry {
  static constexpr size_t size_bytes = 8;
  uint32_t relative_offset = 0;
  uint32_t position = 0;

  [[nodiscard]] int64_t key() const { return relative_offset; }
  [[nodiscard]] bool follows(const OffsetEntry& before) const {
    return relative_offset > before.relative_offset && position > before.position;
  }
  void encode(std::byte* out) const;
  static OffsetEntry decode(const std::byte* in);
  friend bool operator==(const OffsetEntry&, const OffsetEntry&) = default;
};

struct TimeEntry {
  static constexpr size_t size_bytes = 12;
  int64_t timestamp = 0;
  uint32_t relative_offset = 0;

  [[nodiscard]] int64_t key() const { return timestamp; }
  [[nodiscard]] bool follows(const TimeEntry& before) const {
    return timestamp > before.timestamp && relative_offset >= before.relative_offset;
  }
  void encode(std::byte* out) const;
  static TimeEntry decode(const std::byte* in);
  friend bool operator==(const TimeEntry&, const TimeEntry&) = default;
};

enum class Waiting { never, allowed };  // for the medium

// The entries that are in the file.
template <class Entry>
struct IndexReader {
  std::shared_ptr<disk::File> file;
  size_t count = 0;

  [[nodiscard]] disk::IoResult<Entry> at(size_t i, Waiting waiting) const;
  // How many entries have a key of at most `key`.
  [[nodiscard]] disk::IoResult<size_t> count_up_to(int64_t key, Waiting waiting) const;
};

template <class Entry>
class IndexFile {
 public:
  // Adopts a file of `size_bytes` as it is. False: it cannot be an index of a log with `log_bytes` (size, order of the
  // last entries, positions): reset() and rebuild.
  [[nodiscard]] disk::IoResult<bool> adopt(disk::Disk& disk, const std::string& path, uint64_t size_bytes,
                                           uint64_t log_bytes);
  // Empty, in memory only; the file is replaced at the next write.
  void reset();

  [[nodiscard]] size_t count() const { return written_ + pending_.size(); }
  [[nodiscard]] const std::optional<Entry>& last() const { return last_; }
  void append(Entry entry);
  // Brings the entries in memory to the file once they fill a page.
  [[nodiscard]] bool wants_write() const { return pending_.size() * Entry::size_bytes >= 4096; }
  [[nodiscard]] disk::IoResult<void> write(disk::Disk& disk, const std::string& path);

  // The last entry with a key of at most `key`.
  [[nodiscard]] disk::IoResult<std::optional<Entry>> find(disk::Disk& disk, const std::string& path, int64_t key,
                                                          Waiting waiting);
  [[nodiscard]] disk::IoResult<Entry> entry(disk::Disk& disk, const std::string& path, size_t i);
  // Drops the entries after the first `count`.
  [[nodiscard]] disk::IoResult<void> truncate(disk::Disk& disk, const std::string& path, size_t count);
  // How many entries have a relative offset below the given one.
  [[nodiscard]] disk::IoResult<size_t> count_below_offset(disk::Disk& disk, const std::string& path,
                                                          int64_t relative_offset);
  [[nodiscard]] IndexReader<Entry> reader(disk::Disk& disk, const std::string& path);
  [[nodiscard]] const std::vector<Entry>& pending() const { return pending_; }
  void close() { file_.reset(); }

 private:
  disk::IoResult<std::shared_ptr<disk::File>> file(disk::Disk& disk, const std::string& path);

  std::shared_ptr<disk::File> file_;  // only while lookups need it
  size_t written_ = 0;                // entries in the file
  std::vector<Entry> pending_;        // the ones after them
  std::optional<Entry> last_;
  bool last_is_ours_ = false;  // else a file said so, and files may say anything
  bool replace_file_ = false;  // what is in the file is not ours
};

extern template class IndexFile<OffsetEntry>;
extern template class IndexFile<TimeEntry>;
extern template struct IndexReader<OffsetEntry>;
extern template struct IndexReader<TimeEntry>;

}  // namespace common::log
