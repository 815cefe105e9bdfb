// A file of batches with its two indexes. A segment knows where things lie; what may be done when is the log's
// business. Thread-compatible: lives with its log.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/disk/disk.h"
#include "common/log/batch_scan.h"
#include "common/log/file_names.h"
#include "common/log/index_file.h"
#include "common/log/log_config.h"
#include "common/model/types.h"
#include "common/records/validate.h"

namespace common::log {

struct Segment {
  Offset base;
  std::shared_ptr<disk::File> file;
  uint64_t size_bytes = 0;       // batches; the file may be longer (reserved space)
  uint64_t allocated_bytes = 0;  // length of the file if space was reserved
  TimestampMs largest_timestamp{-1};
  Offset largest_timestamp_offset;
  bool is_age_hearsay = false;  // the largest timestamp is what the only entry of a file says (log_age.cc)
  std::optional<TimestampMs> first_timestamp;  // of the first batch: what segment.ms counts from
  TimestampMs created;
  TimestampMs last_append;
  uint64_t bytes_since_index = 0;
  uint64_t written_back_bytes = 0;  // the kernel was asked to write up to here
  bool is_synced = true;
  IndexFile<OffsetEntry> offsets;
  IndexFile<TimeEntry> times;

  // Takes note of a batch that lies at `position`, as Kafka does: indexed after index_interval_bytes, before the
  // interval counts the batch itself.
  void note_batch(const records::BatchFacts& facts, uint64_t position, const LogConfig& config);
  // The index of times ends with the segment's largest timestamp once nothing follows.
  void finish_times();
  // Whether the indexes have room and `last` can be written relative to the base.
  [[nodiscard]] bool can_take(Offset last, size_t bytes, const LogConfig& config) const;
  // Forgets everything that the batches told (before a scan from the start).
  void forget_batches();
};

}  // namespace common::log
