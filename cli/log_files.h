// Segment files as they lie on a disk, read batch by batch: for `naru log`. Only reads; a broker may be writing to them
// meanwhile, and Kafka's own files will do as well.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/problem.h"
#include "common/records/batch.h"

namespace cli {

using common::model::Offset;
using common::records::BatchView;

struct SegmentFile {
  std::string path;
  std::optional<Offset> base;  // as its name says
  std::string topic;           // as its directory's name says, TOPIC-PARTITION
  int32_t partition = -1;
};

// That file, or the segments of that partition's directory, in their order.
[[nodiscard]] Outcome<std::vector<SegmentFile>> segments_at(const std::string& path);

struct LogDamage {
  std::string path;
  uint64_t position = 0;
  std::string what;
  // Of the last file, where a write may be under way, space reserved, or a crash have cut something off that was not
  // acknowledged: no damage by itself.
  bool is_at_the_end = false;
};

// Calls `f` with the position of each batch and the batch, which dies with the call, up to the end or to what is no
// batch. An error: the file cannot be read.
[[nodiscard]] Outcome<std::optional<LogDamage>> read_segment(
    const std::string& path, const std::function<void(uint64_t position, const BatchView& batch)>& f);

struct LogFindings {
  size_t segments = 0;
  uint64_t batches = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  std::optional<Offset> start;
  std::optional<Offset> end;
  std::vector<LogDamage> damages;

  [[nodiscard]] bool is_well() const;
};

// Whether these segments, in order, are what a log is made of: checksums, records, offsets without a gap.
// `may_have_gaps`: compaction has taken batches away.
[[nodiscard]] Outcome<LogFindings> examine(const std::vector<SegmentFile>& segments, bool may_have_gaps);
// Whether the directory in which it lies says so, or Kafka's checkpoint of what its cleaner has been through.
[[nodiscard]] bool was_compacted(const SegmentFile& segment);

}  // namespace cli
