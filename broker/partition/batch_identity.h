// What tells a batch from any other that could lie at its place in a copy of the partition. Offsets and leader epochs
// alone do not: those of a sister partition are often the same, and nothing in a batch says whose it is.
#pragma once
#include <cstdint>

#include "common/model/types.h"

namespace broker::partition {

struct BatchIdentity {
  common::model::Offset base_offset;
  common::model::Offset last_offset;
  common::model::LeaderEpoch leader_epoch;
  uint32_t checksum = 0;  // the batch's own
  friend bool operator==(const BatchIdentity&, const BatchIdentity&) = default;
};

}  // namespace broker::partition
