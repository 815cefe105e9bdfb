#include "common/log/segment.h"

#include <limits>

namespace common::log {
namespace {
constexpr int64_t int32_max = std::numeric_limits<int32_t>::max();
}

void Segment::note_batch(const records::BatchFacts& facts, uint64_t position, const LogConfig& config) {
  const Offset last = facts.last_offset();
  if (!first_timestamp) first_timestamp = facts.max_timestamp;
  if (facts.max_timestamp > largest_timestamp) {
    largest_timestamp = facts.max_timestamp;
    largest_timestamp_offset = last;
  }
  if (bytes_since_index > config.index_interval_bytes && position > 0) {
    const auto relative = static_cast<uint32_t>(last - base);
    offsets.append({relative, static_cast<uint32_t>(position)});
    finish_times();
    bytes_since_index = 0;
  }
  bytes_since_index += facts.size_bytes;
}

void Segment::finish_times() {
  if (largest_timestamp.value < 0) return;
  if (times.last() && times.last()->timestamp >= largest_timestamp.value) return;
  const int64_t relative = largest_timestamp_offset - base;
  times.append({largest_timestamp.value, static_cast<uint32_t>(relative)});
}

bool Segment::can_take(Offset last, size_t bytes, const LogConfig& config) const {
  if (last - base > int32_max || size_bytes + bytes > static_cast<uint64_t>(int32_max))
    return size_bytes == 0 && last - base <= int32_max;
  if (size_bytes > 0 && size_bytes + bytes > config.segment_bytes) return false;
  return offsets.count() < config.segment_index_bytes / OffsetEntry::size_bytes &&
         times.count() < config.segment_index_bytes / TimeEntry::size_bytes;
}

void Segment::forget_batches() {
  size_bytes = 0;
  largest_timestamp = TimestampMs(-1);
  largest_timestamp_offset = base;
  is_age_hearsay = false;
  first_timestamp.reset();
  bytes_since_index = 0;
  offsets.reset();
  times.reset();
}

}  // namespace common::log
