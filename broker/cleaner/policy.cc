#include "broker/cleaner/policy.h"

#include <algorithm>

namespace broker::cleaner {

using common::log::SegmentFacts;

namespace {

// Without wrapping: clients choose timestamps.
int64_t ms_between(TimestampMs from, TimestampMs to) {
  int64_t since = 0;
  if (!__builtin_sub_overflow(to.value, from.value, &since)) return since;
  return from < to ? INT64_MAX : INT64_MIN;
}

}  // namespace

Dirty dirt_of(const partition::CleaningFacts& facts, TimestampMs now) {
  Dirty dirty;
  dirty.first_dirty = std::max(facts.cleaned_offset, facts.log_start_offset);
  dirty.end = dirty.first_dirty;
  uint64_t clean_bytes = 0;
  uint64_t dirty_bytes = 0;
  for (const SegmentFacts& s : facts.segments) {
    if (s.end <= facts.log_start_offset) continue;
    if (s.end > facts.stable_end) break;
    if (s.end <= dirty.first_dirty) {
      clean_bytes += s.size_bytes;
      continue;
    }
    const TimestampMs newest = s.largest_timestamp.value < 0 ? s.last_append : s.largest_timestamp;
    const auto min_lag = facts.settings.min_lag;
    if (min_lag.count() > 0 && ms_between(newest, now) < min_lag.count()) break;
    dirty_bytes += s.size_bytes;
    dirty.end = s.end;
    const TimestampMs oldest = s.first_timestamp && s.first_timestamp->value >= 0 ? *s.first_timestamp : newest;
    if (facts.settings.max_lag && ms_between(oldest, now) > facts.settings.max_lag->count()) dirty.is_overdue = true;
  }
  if (dirty_bytes > 0) dirty.ratio = static_cast<double>(dirty_bytes) / static_cast<double>(clean_bytes + dirty_bytes);
  return dirty;
}

std::optional<Dirty> look_at(const partition::CleaningFacts& facts, TimestampMs now) {
  const Dirty dirty = dirt_of(facts, now);
  if (dirty.ratio == 0) return std::nullopt;
  if (dirty.ratio <= facts.settings.min_dirty_ratio && !dirty.is_overdue) return std::nullopt;
  return dirty;
}

bool goes_before(const Dirty& a, const Dirty& b) {
  if (a.is_overdue != b.is_overdue) return a.is_overdue;
  return a.ratio > b.ratio;
}

}  // namespace broker::cleaner
