// Reads the batches of a segment one after the other: whole and checked (recovery), or their headers only (finding a
// position). Waits for the disk unless told not to. Thread-compatible.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/disk/disk.h"
#include "common/log/epoch_cache.h"
#include "common/log/index_file.h"
#include "common/records/validate.h"

namespace common::log {

using model::LeaderEpoch;
using model::Offset;
using model::TimestampMs;

// A window on a file that moves forward.
class FileWindow {
 public:
  FileWindow(disk::File& file, uint64_t end, size_t chunk_bytes, Waiting waiting)
      : file_(file), end_(end), chunk_bytes_(chunk_bytes), waiting_(waiting) {}
  // `length` bytes from `position` on, fewer at the end of the file. Valid until the next call.
  [[nodiscard]] disk::IoResult<model::BytesView> at(uint64_t position, size_t length);

 private:
  disk::File& file_;
  const uint64_t end_;
  const size_t chunk_bytes_;
  const Waiting waiting_;
  uint64_t begin_ = 0;
  std::vector<std::byte> bytes_;
};

enum class ScanEnd {
  complete,    // the file ends where a batch ends
  zeros,       // nothing but zeros from here on: space reserved ahead
  incomplete,  // the file ends within a batch
  bad,         // something that no log writes at this place
};

// What an epoch file tells of the batches to be scanned.
struct KnownEpochs {
  const EpochCache* epochs = nullptr;  // null: nothing
  // Of batches that end at or past `below` it may tell what others were that lay there before; those at or past
  // `newest_from` may be of a newer epoch than it knows.
  Offset below{INT64_MAX};
  Offset newest_from{INT64_MAX};
  [[nodiscard]] std::optional<std::string> contradiction(Offset last_offset, LeaderEpoch epoch) const;
};

struct ScanStart {
  uint64_t position = 0;
  uint64_t end = 0;                  // size of the file
  Offset next_offset;                // lowest base offset that may come
  std::optional<LeaderEpoch> epoch;  // of the batch before
  bool allow_offset_gaps = false;
  bool first_may_begin_earlier = false;  // an empty log may begin within its first batch
  Offset last_offset_max{INT64_MAX};     // what the segment's indexes can still name
  KnownEpochs known = {};
};

struct ScanResult {
  uint64_t position = 0;  // good bytes end here
  Offset next_offset;
  std::optional<LeaderEpoch> epoch;
  ScanEnd end = ScanEnd::complete;
  std::string reason;
};

// Everything is checked: length, magic, checksum, order of offsets and epochs (R71). `f` sees each good batch; the
// facts' position is that in the file.
using BatchVisitor = std::function<void(const records::BatchFacts&)>;
[[nodiscard]] disk::IoResult<ScanResult> scan_batches(disk::File& file, const ScanStart& start, const BatchVisitor& f);

// Whether the checksum of the batch that begins at `position` is right for any length that it may have in [position,
// end). Reads all of it.
[[nodiscard]] disk::IoResult<bool> checksum_fits_some_length(disk::File& file, uint64_t position, uint64_t end);

// A batch's header and where it lies.
struct BatchAt {
  uint64_t position = 0;
  uint64_t size_bytes = 0;
  Offset base_offset;
  Offset last_offset;
  TimestampMs largest_timestamp;
  LeaderEpoch leader_epoch;
  [[nodiscard]] uint64_t end() const { return position + size_bytes; }
};
// Walks headers from `position` until `f` says stop or `end` is reached. False: a header is bad or a batch reaches past
// `end`.
using HeaderVisitor = std::function<records::Visit(const BatchAt&)>;
[[nodiscard]] disk::IoResult<bool> walk_headers(disk::File& file, uint64_t position, uint64_t end, Waiting waiting,
                                                const HeaderVisitor& f);
// The same with the facts, which costs reading control batches whole.
[[nodiscard]] disk::IoResult<bool> walk_facts(disk::File& file, uint64_t position, uint64_t end, const BatchVisitor& f);

}  // namespace common::log
