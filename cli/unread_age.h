// Since when a group lags: the time of the first record that it has not read, read from the partition's leader. The lag
// in records says how much there is to do; this one says how old what its consumers see is.
// It costs a read of records for each partition with a lag, so it is asked for, and what is read is bounded.
// fetch_unread_since: network, thread-compatible. All else: pure.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "cli/group_facts.h"

namespace cli {

// A partition and the offset that a group reads next there.
struct Place {
  common::model::TopicPartition partition;
  int64_t offset = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

// Bytes of an answer, and of one partition in it. The first batch of an answer comes whole, however large it is
// (KIP-74).
struct ReadSize {
  int32_t all = 0;
  int32_t each = 0;
};
struct PlaceTimes {
  std::map<Place, int64_t> times;
  int64_t bytes = 0;     // that were read
  bool is_whole = true;  // false: the bounds ended it
};
// Asks a leader for places of which no two are in the same partition; answers as many of them as there is room for.
using AskLeader = std::function<PlaceTimes(int32_t leader, const std::vector<Place>& places, ReadSize size)>;

constexpr int64_t unread_bytes_max = 64 << 20;
constexpr int unread_rounds_max = 64;

// Each round asks every leader once and learns something, or ends. Several groups in one partition take a round each.
PlaceTimes learn_times(std::set<Place> places, const std::map<common::model::TopicPartition, int32_t>& leader_of,
                       const AskLeader& ask);

// Fills GroupOffset::unread_since of partitions with a lag; it stays absent where the leader does not answer, and where
// the bounds were reached: then it returns false.
bool fetch_unread_since(client::Cluster& cluster, std::vector<GroupFacts>& groups);

using SystemTime = std::chrono::system_clock::time_point;
// Zero without a lag; absent where it is not known.
std::optional<std::chrono::milliseconds> lag_time(const GroupOffset& offset, SystemTime now);
// That of the partition which is furthest behind, of those that are known; absent where none is.
std::optional<std::chrono::milliseconds> lag_time(const GroupFacts& group, SystemTime now);

}  // namespace cli
