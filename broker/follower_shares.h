// What a leader may send to a follower that is throttled (KIP-73): follower.replication.throttled.rate is for what all
// leaders send it together, and none knows how fast the others are. So each has the same part, as long as it has
// something for it. Pure.
#pragma once
#include <cstdint>
#include <map>

#include "broker/replication/send_throttle.h"
#include "controller/metadata/image.h"

namespace broker {

// Bytes a second, by follower. Who is not in it has no limit, or nobody has anything for it.
[[nodiscard]] std::map<common::model::BrokerId, int64_t> follower_shares(
    const controller::metadata::MetadataImage& image, const replication::ThrottledReplicas& throttled);

}  // namespace broker
