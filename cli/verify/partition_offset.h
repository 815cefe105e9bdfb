// Where a partition begins or ends, asked of its leader in the way of applications: by librdkafka.
// Thread-safe.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/kafka_client.h"

namespace cli::verify {

// `which` is RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END. Nothing if no answer came in time, or an error did: then
// the cluster has been asked where its brokers and leaders are now, for as long again at most, and the next call goes
// there.
[[nodiscard]] std::optional<int64_t> ask_offset(rd_kafka_t* client, const std::string& topic, int32_t partition,
                                                int64_t which, std::chrono::milliseconds timeout);

}  // namespace cli::verify
