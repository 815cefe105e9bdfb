// Since when a group lags: the time of the first record that it has not read, read from the partition's leader. The lag
// in records says how much there is to do; this one says how old what its consumers see is.
// fetch_unread_since: network, thread-compatible. lag_time: pure.
#pragma once
#include <chrono>
#include <optional>
#include <vector>

#include "cli/group_facts.h"

namespace cli {

// Fills GroupOffset::unread_since of partitions with a lag; it stays absent where the leader does not answer.
void fetch_unread_since(client::Cluster& cluster, std::vector<GroupFacts>& groups);

using SystemTime = std::chrono::system_clock::time_point;
// Zero without a lag; absent where it is not known.
std::optional<std::chrono::milliseconds> lag_time(const GroupOffset& offset, SystemTime now);
// That of the partition which is furthest behind; absent where none is known.
std::optional<std::chrono::milliseconds> lag_time(const GroupFacts& group, SystemTime now);

}  // namespace cli
