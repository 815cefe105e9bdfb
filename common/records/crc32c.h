// CRC-32C (Castagnoli), the checksum of record batches and of Kafka's producer snapshots. Pure; any thread.
#pragma once
#include <cstdint>

#include "common/model/bytes.h"

namespace common::records {

uint32_t crc32c(model::BytesView bytes);
// The checksum of `a` followed by `more`, where `crc` is that of `a`.
uint32_t crc32c_extend(uint32_t crc, model::BytesView more);

}  // namespace common::records
