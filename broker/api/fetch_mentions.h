// Which partitions a fetch means. Kafka's brokers make a map of what a request says: a partition that is named again is
// meant once, where it was first named and as it was last. Answering each mention, one request of 3 MB would have one
// partition read and watched 200,000 times (R109).
//
// Pure.
#pragma once
#include <vector>

#include "broker/api/fetch_session.h"

namespace broker::api {

void keep_each_partition_once(std::vector<FetchTarget>& targets);

}  // namespace broker::api
