#include "common/log/index_file.h"

#include <algorithm>
#include <array>

#include "common/log/big_endian.h"
#include "common/model/check.h"

namespace common::log {

using disk::IoResult;

void OffsetEntry::encode(std::byte* out) const {
  store_big_endian(out, relative_offset);
  store_big_endian(out + 4, position);
}
OffsetEntry OffsetEntry::decode(const std::byte* in) {
  return {load_big_endian<uint32_t>(in), load_big_endian<uint32_t>(in + 4)};
}
void TimeEntry::encode(std::byte* out) const {
  store_big_endian(out, timestamp);
  store_big_endian(out + 8, relative_offset);
}
TimeEntry TimeEntry::decode(const std::byte* in) {
  return {load_big_endian<int64_t>(in), load_big_endian<uint32_t>(in + 8)};
}

template <class Entry>
IoResult<Entry> IndexReader<Entry>::at(size_t i, Waiting waiting) const {
  std::array<std::byte, Entry::size_bytes> bytes;
  const uint64_t position = i * Entry::size_bytes;
  auto n = waiting == Waiting::never ? file->try_read(position, bytes) : file->read_at(position, bytes);
  if (!n) return tl::unexpected(n.error());
  if (*n < bytes.size()) return disk::io_failure(disk::IoFault::failed, file->path() + ": shorter than it was");
  return Entry::decode(bytes.data());
}

template <class Entry>
IoResult<size_t> IndexReader<Entry>::count_up_to(int64_t key, Waiting waiting) const {
  size_t low = 0;
  size_t high = count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    auto entry = at(middle, waiting);
    if (!entry) return tl::unexpected(entry.error());
    if (entry->key() <= key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

template <class Entry>
IoResult<bool> IndexFile<Entry>::adopt(disk::Disk& disk, const std::string& path, uint64_t size_bytes,
                                       uint64_t log_bytes) {
  reset();
  if (size_bytes == 0) return true;
  replace_file_ = false;
  if (size_bytes % Entry::size_bytes != 0) return false;
  written_ = size_bytes / Entry::size_bytes;
  auto newest = entry(disk, path, written_ - 1);
  if (!newest) return tl::unexpected(newest.error());
  last_ = *newest;
  last_is_ours_ = false;
  if (written_ > 1) {
    auto before = entry(disk, path, written_ - 2);
    if (!before) return tl::unexpected(before.error());
    if (!newest->follows(*before)) return false;
  }
  if constexpr (std::is_same_v<Entry, OffsetEntry>) {
    return newest->position < log_bytes;
  } else {
    return newest->timestamp >= 0;
  }
}

template <class Entry>
void IndexFile<Entry>::reset() {
  file_.reset();
  written_ = 0;
  pending_.clear();
  last_.reset();
  last_is_ours_ = false;
  replace_file_ = true;
}

template <class Entry>
void IndexFile<Entry>::append(Entry entry) {
  if (last_ && !entry.follows(*last_)) {
    NARU_CHECK(!last_is_ours_, "index entry {} after {}", entry.key(), last_->key());
    reset();  // R74: a file had said so; a short index is a valid one
  }
  pending_.push_back(entry);
  last_ = entry;
  last_is_ours_ = true;
}

template <class Entry>
IoResult<void> IndexFile<Entry>::write(disk::Disk& disk, const std::string& path) {
  if (pending_.empty() && !replace_file_) return {};
  auto opened = disk.open(path, disk::OpenMode::create_if_missing);
  if (!opened) return tl::unexpected(opened.error());
  // Also cuts what a failed write may have left, and what a crash left beyond our entries.
  if (auto cut = (*opened)->truncate(written_ * Entry::size_bytes); !cut) return cut;
  std::vector<std::byte> bytes(pending_.size() * Entry::size_bytes);
  for (size_t i = 0; i < pending_.size(); ++i) pending_[i].encode(bytes.data() + i * Entry::size_bytes);
  if (auto done = (*opened)->write_at(written_ * Entry::size_bytes, bytes); !done) return done;
  written_ += pending_.size();
  pending_ = {};
  replace_file_ = false;
  return {};
}

template <class Entry>
IoResult<std::shared_ptr<disk::File>> IndexFile<Entry>::file(disk::Disk& disk, const std::string& path) {
  if (!file_) {
    auto opened = disk.open(path, disk::OpenMode::existing);
    if (!opened) return opened;
    file_ = *opened;
  }
  return file_;
}

template <class Entry>
IoResult<Entry> IndexFile<Entry>::entry(disk::Disk& disk, const std::string& path, size_t i) {
  if (i >= written_) return pending_[i - written_];
  auto opened = file(disk, path);
  if (!opened) return tl::unexpected(opened.error());
  return IndexReader<Entry>{*opened, written_}.at(i, Waiting::allowed);
}

template <class Entry>
IoResult<std::optional<Entry>> IndexFile<Entry>::find(disk::Disk& disk, const std::string& path, int64_t key,
                                                      Waiting waiting) {
  if (!last_) return std::nullopt;
  if (last_->key() <= key) return last_;
  if (!pending_.empty() && pending_.front().key() <= key) {
    const auto after =
        std::upper_bound(pending_.begin(), pending_.end(), key, [](int64_t k, const Entry& e) { return k < e.key(); });
    return *std::prev(after);
  }
  if (written_ == 0) return std::nullopt;
  auto opened = file(disk, path);
  if (!opened) return tl::unexpected(opened.error());
  const IndexReader<Entry> reader{*opened, written_};
  auto count = reader.count_up_to(key, waiting);
  if (!count) return tl::unexpected(count.error());
  if (*count == 0) return std::nullopt;
  auto entry = reader.at(*count - 1, waiting);
  if (!entry) return tl::unexpected(entry.error());
  return *entry;
}

template <class Entry>
IoResult<void> IndexFile<Entry>::truncate(disk::Disk& disk, const std::string& path, size_t count) {
  if (count >= this->count()) return {};
  if (count >= written_) {
    pending_.resize(count - written_);
  } else {
    pending_.clear();
    auto opened = file(disk, path);
    if (!opened) return tl::unexpected(opened.error());
    if (auto cut = (*opened)->truncate(count * Entry::size_bytes); !cut) return cut;
    written_ = count;
  }
  last_.reset();
  if (count > 0) {
    auto newest = entry(disk, path, count - 1);
    if (!newest) return tl::unexpected(newest.error());
    last_ = *newest;
    last_is_ours_ = count > written_;
  }
  return {};
}

template <class Entry>
IoResult<size_t> IndexFile<Entry>::count_below_offset(disk::Disk& disk, const std::string& path,
                                                      int64_t relative_offset) {
  size_t low = 0;
  size_t high = count();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    auto found = entry(disk, path, middle);
    if (!found) return tl::unexpected(found.error());
    if (found->relative_offset < relative_offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

template <class Entry>
IndexReader<Entry> IndexFile<Entry>::reader(disk::Disk& disk, const std::string& path) {
  auto opened = file(disk, path);
  if (!opened) return {};
  return {*opened, written_};
}

template class IndexFile<OffsetEntry>;
template class IndexFile<TimeEntry>;
template struct IndexReader<OffsetEntry>;
template struct IndexReader<TimeEntry>;

}  // namespace common::log
