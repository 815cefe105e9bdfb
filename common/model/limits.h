// What two parts must agree about that no setting says.
#pragma once
#include <cstddef>

namespace common::model {

// The largest record batch: what max.message.bytes may be at most. Replication carries a batch in one message, so a
// follower must take whatever a leader has acknowledged.
constexpr size_t batch_bytes_limit = size_t{100} << 20;

}  // namespace common::model
