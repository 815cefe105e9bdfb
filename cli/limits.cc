#include "cli/limits.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cli {
namespace {

std::string some_of(const std::vector<std::string>& names) {
  return names.size() > 3 ? fmt::format("{}, {}, {} and {} more", names[0], names[1], names[2], names.size() - 3)
                          : fmt::format("{}", fmt::join(names, ", "));
}

// The copies that a topic has are enough to lose one, but those in sync now are not.
bool is_down_to_the_minimum(const TopicFacts& topic) {
  const auto least = static_cast<size_t>(topic.min_isr.value_or(1));
  return std::ranges::any_of(topic.partitions, [&](const PartitionFacts& p) { return p.isr.size() <= least; });
}

// Voters that are up, less those without which nothing can be decided.
ptrdiff_t voters_to_spare(const ClusterFacts& cluster) {
  const auto up = std::ranges::count_if(cluster.voters, [&](int32_t id) {
    const auto broker = std::ranges::find(cluster.brokers, id, &BrokerFacts::id);
    return broker != cluster.brokers.end() && !broker->fenced;
  });
  return up - static_cast<ptrdiff_t>(cluster.voters.size() / 2 + 1);
}

}  // namespace

std::vector<Finding> find_limits(const ClusterFacts& cluster) {
  std::vector<Finding> found;
  const auto say = [&](FindingState state, std::string text, std::string next_step = {}) {
    found.push_back({"limits", state, std::move(text), std::move(next_step)});
  };
  std::vector<std::string> single;
  std::vector<std::string> tight;
  std::vector<std::string> at_minimum;
  for (const TopicFacts& topic : cluster.topics) {
    if (topic.partitions.empty()) continue;
    if (topic.replication() == 1) {
      single.push_back(topic.name);
    } else if (topic.min_isr && static_cast<size_t>(*topic.min_isr) >= topic.replication()) {
      tight.push_back(topic.name);
    } else if (is_down_to_the_minimum(topic)) {
      at_minimum.push_back(topic.name);
    }
  }
  if (!single.empty() && cluster.brokers.size() > 1) {
    say(FindingState::note, fmt::format("one copy only, gone with its broker: {}", some_of(single)),
        "`naru partition move TOPIC --replicas 3` adds copies");
  }
  if (!tight.empty()) {
    say(FindingState::note,
        fmt::format("min.insync.replicas is the number of copies, so one dead broker stops writes: {}", some_of(tight)),
        "`naru config set topic TOPIC min.insync.replicas=...`");
  }
  if (!at_minimum.empty()) {
    say(FindingState::note,
        fmt::format("no copy in sync to spare at the moment, so one more dead broker stops writes: {}",
                    some_of(at_minimum)),
        "`naru why under-replicated` says what is missing");
  }
  const bool has_spare_voters = voters_to_spare(cluster) > 0;
  if (cluster.voters.size() == 2) {
    say(FindingState::bad, "two voters: the loss of either stops the cluster", "three voters survive one");
  } else if (cluster.voters.size() > 2 && !has_spare_voters) {
    say(FindingState::bad, "no voter to spare at the moment: the loss of one more stops the cluster",
        "`naru quorum status` shows who is missing");
  }
  if (single.empty() && tight.empty() && at_minimum.empty() && cluster.brokers.size() > 2 &&
      cluster.voters.size() > 2 && has_spare_voters)
    say(FindingState::good, "any one broker may be lost, and everything goes on");
  return found;
}

}  // namespace cli
