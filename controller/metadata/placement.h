// Where the replicas of new partitions go: spread over racks first, then over brokers, leaders and followers alike, in
// the way of Kafka's striped placement. Pure; randomness only picks where the stripe begins.
#pragma once
#include <vector>

#include "common/model/random.h"
#include "controller/metadata/image.h"

namespace controller::metadata {

// `count` assignments of `replication_factor` brokers each. The first replica is always an active broker (R29); fenced
// ones are used only where there are not enough active ones. INVALID_REPLICATION_FACTOR if it cannot be done.
[[nodiscard]] Result<std::vector<std::vector<BrokerId>>> place_replicas(const MetadataImage& image, int32_t count,
                                                                        int16_t replication_factor,
                                                                        common::model::Random& random);

}  // namespace controller::metadata
