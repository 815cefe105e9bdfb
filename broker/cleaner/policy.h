// Which log is compacted next, and how much of it: Kafka's rules (min.cleanable.dirty.ratio, min. and
// max.compaction.lag.ms), as arithmetic over facts. Pure.
#pragma once
#include <optional>

#include "broker/partition/partition.h"

namespace broker::cleaner {

using common::model::Offset;
using common::model::TimestampMs;

struct Dirty {
  Offset first_dirty;
  Offset end;               // segments up to here may be compacted
  double ratio = 0;         // dirty bytes of all that would be read
  bool is_overdue = false;  // max.compaction.lag.ms has passed: whatever the ratio
};
// What is dirty in this log, whether or not that is enough to begin; end == first_dirty: nothing.
[[nodiscard]] Dirty dirt_of(const partition::CleaningFacts& facts, TimestampMs now);
// None: there is nothing to do in this log yet. `now` is BelievedClock::to_compare.
[[nodiscard]] std::optional<Dirty> look_at(const partition::CleaningFacts& facts, TimestampMs now);
// Overdue ones first, then the dirtiest.
[[nodiscard]] bool goes_before(const Dirty& a, const Dirty& b);

}  // namespace broker::cleaner
