// Which replicas go where when partitions are moved: everything that may stay stays, what is missing goes to the
// brokers with the fewest replicas, to other racks first. No move leaves a partition's copies in fewer racks than they
// could keep: the loss of a rack costs no more copies than before. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/facts.h"

namespace cli {

struct MoveRules {
  std::map<int32_t, std::string> allowed;  // brokers that may hold replicas, with their racks
  int replicas = -1;                       // of each partition; -1: as many as it has
  bool balance = false;  // brokers with more replicas than others give some away, as far as racks allow
  // Brokers that are down and come back: what they hold a copy of stays as it is. A move would wait for them (R40).
  std::set<int32_t> awaited;
};

struct Move {
  std::string topic;
  int32_t partition = 0;
  std::vector<int32_t> from;
  std::vector<int32_t> to;
  // Brokers that hold no copy yet.
  [[nodiscard]] std::vector<int32_t> added() const;
  friend bool operator==(const Move&, const Move&) = default;
};

// Only partitions that change. Fewer brokers than replicas are an error.
Outcome<std::vector<Move>> plan_moves(const std::vector<TopicFacts>& topics, const MoveRules& rules);

}  // namespace cli
