// What leaves a broker when it is drained, and what comes back when it is undrained. Pure.
#pragma once
#include <optional>
#include <vector>

#include "cli/move_plan.h"

namespace cli {

// Every replica that the broker holds, to others of `allowed` (where the broker itself is not); what does not concern
// it stays as it is.
Outcome<std::vector<Move>> plan_drain(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker);

// What it holds after that all the same, or nothing. Moves can be turned back by others while they are waited for, and
// a broker that is up gets its part of what is made new: who takes it for empty may stop it with the only copy.
std::optional<Problem> what_is_left(const std::vector<TopicFacts>& topics, int32_t broker);

// The broker keeps its replicas, is no longer the first of any, and leads none for one that is down: others of
// `allowed` are the first then, those first that are preferred for the fewest partitions. What none of them holds
// stays.
std::vector<Move> leaders_away(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker);

// How many partitions the broker leads of which no other of `allowed` has a copy.
int led_alone(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker);

// The broker's share of the replicas, from those of `allowed` that have more, and the broker the first of its share of
// the partitions that it holds. Who is not in `allowed` is down: its partitions stay where they are, and its
// leaderships are kept for it.
Outcome<std::vector<Move>> plan_undrain(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker);

}  // namespace cli
