// A bound on what moves of replicas take of each leader, as Kafka's settings have it (KIP-73): the rate at the brokers,
// and at the topics which replicas it is for. Network, thread-compatible.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/facts.h"
#include "cli/move_plan.h"

namespace cli {

// "0:1,0:2,3:1": each partition of `topic` that is moved with each broker that may lead it meanwhile. Pure.
[[nodiscard]] std::string throttled_replicas(const std::vector<Move>& moves, std::string_view topic);
// Whether a move may set rates: not while topics are throttled for good, for which the operator has set them. Nobody
// would know afterwards what they were.
[[nodiscard]] Outcome<void> check_rates_are_free(client::Cluster& cluster, const ClusterFacts& facts);
// Before the moves begin. Replicas that are named already stay so, for what somebody else moves.
[[nodiscard]] Outcome<void> set_throttle(client::Cluster& cluster, const std::vector<Move>& moves,
                                         int64_t bytes_per_second);
// Another rate for what is under way and was throttled when it began.
[[nodiscard]] Outcome<void> set_throttle_rate(client::Cluster& cluster, const std::vector<int32_t>& brokers,
                                              int64_t bytes_per_second);
// Whether `list`, as a topic has it, is of an operator who throttles the topic as a whole ("*"): no move sets that, so
// the end of none takes it away. Pure.
[[nodiscard]] bool is_for_good(std::string_view list);
struct Lifted {
  bool any = false;                 // there was something to take away
  std::vector<std::string> topics;  // throttled for good: they stay so, and brokers keep their rates for them
};
// Once nothing is moved any more: no topic names a replica, of leaders or of followers, and unless some are throttled
// for good no broker has a rate.
[[nodiscard]] Outcome<Lifted> lift_throttle(client::Cluster& cluster);

}  // namespace cli
