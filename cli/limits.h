// What the loss of one more broker would do to a cluster, as naru doctor says it. Pure.
#pragma once
#include <string>
#include <vector>

#include "cli/facts.h"

namespace cli {

enum class FindingState { good, note, bad };

struct Finding {
  std::string subject;
  FindingState state = FindingState::good;
  std::string text;
  std::string next_step;  // may be empty
};

// Empty where nothing can be said, as of one broker.
[[nodiscard]] std::vector<Finding> find_limits(const ClusterFacts& cluster);

}  // namespace cli
