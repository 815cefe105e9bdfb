// The one place that looks into a member's opaque bytes: which topics a member of a "consumer" group subscribes to, so
// that offsets of topics that nobody reads any more can expire (KIP-211) or be deleted (KIP-496).
//
//   subscription = version:i16 count:i32 { length:i16 name } ...      later fields do not matter here
//
// Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "common/model/bytes.h"

namespace broker::group {

// None if the bytes are not such a subscription, or name more topics than a request may have elements.
[[nodiscard]] std::optional<std::vector<std::string>> subscribed_topics_in(common::model::BytesView metadata);

}  // namespace broker::group
