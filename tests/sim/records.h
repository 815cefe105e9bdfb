// What record batches hold, for clients and invariants that look at them.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/records/batch.h"

namespace sim {

struct SeenRecord {
  int64_t offset = 0;
  int64_t value = -1;  // -1: none of the workload's
  int32_t leader_epoch = -1;
  int64_t timestamp = -1;
};

// Every record of the batches at or after `from`. A batch that cannot be read is an error of the caller's peer: the
// reason is returned in `damage`.
std::vector<SeenRecord> records_in(common::model::BytesView batches, int64_t from, std::optional<std::string>& damage);

// Where the batches that start at `from` or before it end: what is compacted has offsets without records.
int64_t end_of_batches(common::model::BytesView batches, int64_t from);

}  // namespace sim
