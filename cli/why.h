// Why a topic cannot be written or read, or a group does not move on: the first cause that explains it, in one
// sentence. Pure.
#pragma once
#include <optional>
#include <string>

#include "cli/facts.h"
#include "cli/group_facts.h"

namespace cli {

struct Reason {
  bool well = true;
  std::string sentence;
  std::string next_step;  // may be empty
};

[[nodiscard]] Reason why_produce(const ClusterFacts& cluster, const std::string& topic);
// Of the whole cluster: whose copies are missing, and why.
[[nodiscard]] Reason why_under_replicated(const ClusterFacts& cluster);
[[nodiscard]] Reason why_consume(const ClusterFacts& cluster, const std::string& topic);
[[nodiscard]] Reason why_group(const ClusterFacts& cluster, const GroupFacts& group);

}  // namespace cli
