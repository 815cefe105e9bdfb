// Kafka's checkpoint files (text: version, number of entries, entries) with a checksum that Kafka's reader does not
// see:
//
//   0\n                              version
//   2\n                              entries
//   orders 0 120\n                   topic partition offset, or: epoch start_offset
//   orders 1 77[32 blanks]\n         the last entry carries CRC-32C as trailing blanks: space 0, tab 1, high bit first
//
// The checksum is of all bytes but the blanks and the last newline. In the file itself, because a second file could not
// be replaced in the same step. A checkpoint is a hint: whatever looks wrong is no checkpoint at all (R73).
// Pure functions; any thread.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/log/epoch_cache.h"
#include "common/model/types.h"

namespace common::log {

using OffsetMap = std::map<model::TopicPartition, Offset>;

[[nodiscard]] std::string encode_offsets(const OffsetMap& offsets);
[[nodiscard]] std::optional<OffsetMap> decode_offsets(std::string_view file);

[[nodiscard]] std::string encode_epochs(const std::vector<EpochStart>& epochs);
[[nodiscard]] std::optional<std::vector<EpochStart>> decode_epochs(std::string_view file);

}  // namespace common::log
