// Compaction of one log: of each key only the newest record stays (R107). One run over a log, in steps of bounded size,
// so that whoever drives it can slow it down and end it at any time.
//
//   1. survey   headers of the dirty part: how many keys at most, which transactions were aborted
//   2. map      newest offset of each key of the dirty part, as far as the table's memory goes: up to map_end
//   3. write    segments below map_end, in groups of at most segment.bytes, from the start of the log on: records that
//               are not superseded, into <base>.log.cleaned
//   4. replace  <base>.log.cleaned -> .swap -> .log, old ones -> .deleted (R80); then the next group
//
// What stays whatever its key says: offsets and ranges of batches, the active segment, everything at or past map_end,
// end markers of transactions, tombstones until delete.retention.ms after a first run has met them (KIP-534). And,
// without its records if they are superseded:
//   - the last batches of every producer that is remembered (R84, R85)
//   - the first batch of each leader epoch, so that the epochs remain a function of the batches (R79)
//   - the first and the last batch of each written segment, so that a segment ends where the next one begins: a gap
//     between two segments is still damage (R71)
//
// A run is void once the log is cut below its end, started over or gone; what it has replaced by then stays, which is
// right: newer records were there when the older ones went, and only an unclean election takes such away.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/log/key_map.h"
#include "common/model/result.h"
#include "common/model/types.h"
#include "common/records/compression.h"

namespace common::log {

struct CompactionRequest {
  model::Offset first_dirty;  // below it lies what an earlier run has left
  // Segments that end at or below are looked at. At most the high watermark and the last stable offset.
  model::Offset end;
  // What times are compared with, and what they are reckoned from that are written down (BelievedClock).
  model::TimestampMs now;
  std::optional<model::TimestampMs> recorded_now;  // none: the same
  std::chrono::milliseconds delete_retention{86'400'000};  // delete.retention.ms
  std::optional<records::Codec> codec;                     // none: as the batches are (compression.type=producer)
  records::CompressOptions compression;
  KeyMap::Limits map;
  HashKey hash_key{};              // random
  size_t step_bytes = 256u << 10;  // read or written in one step
};

struct CompactionReport {
  model::Offset cleaned_to;  // first_dirty of the next run
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
  uint64_t records_before = 0;
  uint64_t records_after = 0;
};

struct CompactionStep {
  uint64_t io_bytes = 0;                   // read and written in this step
  std::optional<CompactionReport> report;  // set: the run is over
};

// Lives on the log's thread; may outlive the log.
class Compaction {
 public:
  virtual ~Compaction() = default;
  // One step on the disk's pool; the next one only after `done`, which is not called once the run is destroyed.
  // OPERATION_NOT_ATTEMPTED: the run is void. CORRUPT_MESSAGE: the log cannot be read. KAFKA_STORAGE_ERROR: the disk
  // failed or is full. INVALID_CONFIG: the table is too small for one batch. The run is over after an error.
  using Done = std::function<void(model::Result<CompactionStep>)>;
  virtual void step(Done done) = 0;
};

// What a decision about compacting needs to know of a segment.
struct SegmentFacts {
  model::Offset base;
  model::Offset end;
  uint64_t size_bytes = 0;
  uint64_t index_bytes = 0;  // of the larger of both indexes
  std::optional<model::TimestampMs> first_timestamp;
  model::TimestampMs largest_timestamp{-1};
  model::TimestampMs last_append;
};

struct GroupLimits {
  uint64_t segment_bytes = 0;
  uint64_t index_bytes = 0;
};
// How many segments each new one is made of: neighbours, as long as their sizes and offsets fit into one.
[[nodiscard]] std::vector<size_t> group_segments(const std::vector<SegmentFacts>& segments, const GroupLimits& limits);

}  // namespace common::log
