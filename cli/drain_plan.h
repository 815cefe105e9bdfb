// What leaves a broker when it is drained, and what comes back when it is undrained. Pure.
#pragma once
#include <vector>

#include "cli/move_plan.h"

namespace cli {

// Every replica that the broker holds, to others of `allowed` (where the broker itself is not); what does not concern
// it stays as it is.
Outcome<std::vector<Move>> plan_drain(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker);

// The broker keeps its replicas and is no longer the first of any: others lead then, those first that are preferred for
// the fewest partitions. A partition that only it holds stays.
std::vector<Move> leaders_away(const std::vector<TopicFacts>& topics, int32_t broker);

// Replicas evened out over `allowed`, and the broker the first of its share of the partitions that it holds.
Outcome<std::vector<Move>> plan_undrain(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker);

}  // namespace cli
