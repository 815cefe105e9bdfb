#include "cli/why.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/output.h"

namespace cli {
namespace {

using common::model::ErrorCode;

const BrokerFacts* find_broker(const ClusterFacts& cluster, int32_t id) {
  for (const BrokerFacts& b : cluster.brokers) {
    if (b.id == id) return &b;
  }
  return nullptr;
}

bool is_down(const ClusterFacts& cluster, int32_t id) {
  const BrokerFacts* broker = find_broker(cluster, id);
  return broker == nullptr || broker->fenced;
}

std::vector<int32_t> down_among(const ClusterFacts& cluster, const std::vector<int32_t>& ids) {
  std::vector<int32_t> down;
  for (const int32_t id : ids) {
    if (is_down(cluster, id)) down.push_back(id);
  }
  return down;
}

std::string brokers_text(const std::vector<int32_t>& ids) {
  return fmt::format("{} {}", ids.size() == 1 ? "broker" : "brokers", ids_text(ids));
}
std::string are_down(const std::vector<int32_t>& ids) {
  return fmt::format("{} {} down", brokers_text(ids), ids.size() == 1 ? "is" : "are");
}

Reason bad(std::string sentence, std::string next_step = {}) {
  return {.well = false, .sentence = std::move(sentence), .next_step = std::move(next_step)};
}

// All of its brokers are up, and none of them can be elected: what they had is not there, or damaged (R44, R46).
std::optional<Reason> without_a_copy(const ClusterFacts& cluster, const TopicFacts& topic, const std::string& which) {
  for (const PartitionFacts& p : topic.partitions) {
    if (p.led() || !p.isr.empty() || !p.eligible.empty()) continue;
    const std::string next_step =
        fmt::format("start {} again once the disk is there; `naru partition elect {} --unclean` gives up what only "
                    "that copy holds",
                    p.replicas.size() == 1 ? "it" : "them", topic.name);
    for (const int32_t id : p.replicas) {
      const BrokerFacts* broker = find_broker(cluster, id);
      if (broker == nullptr || broker->offline_dirs.empty()) continue;
      return bad(fmt::format("{}, because no copy of partition {} is in sync, and broker {} has lost its data "
                             "directory {}",
                             which, p.index, id, broker->offline_dirs.front()),
                 next_step);
    }
    return bad(fmt::format("{}, because no copy of partition {} is in sync: what {} held was not there, or damaged, "
                           "when {} started (the log there says which)",
                           which, p.index, brokers_text(p.replicas), p.replicas.size() == 1 ? "it" : "they"),
               next_step);
  }
  return std::nullopt;
}

// What stands in the way of everybody: no such topic, no leader.
std::optional<Reason> obstacle(const ClusterFacts& cluster, const std::string& name, const TopicFacts*& topic) {
  const auto found =
      std::find_if(cluster.topics.begin(), cluster.topics.end(), [&](const TopicFacts& t) { return t.name == name; });
  if (found == cluster.topics.end()) {
    return bad(fmt::format("there is no topic {}", name),
               fmt::format("`naru topic create {}` makes it; names are case-sensitive", name));
  }
  topic = &*found;
  if (topic->error != ErrorCode::none) return bad(fmt::format("topic {} answers {}", name, topic->error));
  std::vector<int32_t> leaderless;
  std::set<int32_t> missing;
  bool lost_majority = !cluster.controller;
  for (const PartitionFacts& p : topic->partitions) {
    if (p.led()) continue;
    leaderless.push_back(p.index);
    // Who could lead: the last in sync, or the eligible.
    std::vector<int32_t> candidates = p.isr;
    candidates.insert(candidates.end(), p.eligible.begin(), p.eligible.end());
    if (candidates.empty()) candidates = p.replicas;
    for (const int32_t id : down_among(cluster, candidates)) missing.insert(id);
  }
  if (leaderless.empty() && lost_majority) {
    return bad(fmt::format("it is not known who leads {}: there is no controller, and what the brokers say may be old", name),
               "a majority of the voters must run: `naru status` shows which are missing");
  }
  if (leaderless.empty()) return std::nullopt;
  const std::string which =
      leaderless.size() == topic->partitions.size()
          ? fmt::format("no partition of {} has a leader", name)
          : fmt::format("{} {} of {} {} no leader", leaderless.size() == 1 ? "partition" : "partitions",
                        ids_text(leaderless), name, leaderless.size() == 1 ? "has" : "have");
  if (!missing.empty()) {
    const std::vector<int32_t> down(missing.begin(), missing.end());
    return bad(fmt::format("{}, because {}, and only {} hold everything that was acknowledged", which, are_down(down),
                           down.size() == 1 ? "it is known to" : "they are known to"),
               fmt::format("start {}; `naru partition elect {} --unclean` gives up records instead",
                           down.size() == 1 ? "it" : "them", name));
  }
  if (lost_majority)
    return bad(fmt::format("{}, because there is no controller to elect one", which),
               "a majority of the voters must run: `naru status` shows which are missing");
  if (auto reason = without_a_copy(cluster, *topic, which)) return reason;
  return bad(fmt::format("{} at this moment", which), "an election takes less than a second: ask again");
}

}  // namespace

Reason why_produce(const ClusterFacts& cluster, const std::string& name) {
  const TopicFacts* topic = nullptr;
  if (auto reason = obstacle(cluster, name, topic)) return std::move(*reason);
  for (const PartitionFacts& p : topic->partitions) {
    const size_t needed = std::min<size_t>(static_cast<size_t>(topic->min_isr.value_or(1)), p.replicas.size());
    if (p.isr.size() >= needed) continue;
    std::vector<int32_t> out;
    for (const int32_t id : p.replicas) {
      if (std::find(p.isr.begin(), p.isr.end(), id) == p.isr.end()) out.push_back(id);
    }
    const std::vector<int32_t> down = down_among(cluster, out);
    return bad(
        fmt::format("acks=all is refused: partition {} of {} has {} of the {} copies in sync that min.insync.replicas "
                    "asks for, because {}",
                    p.index, name, p.isr.size(), needed,
                    down.empty() ? fmt::format("{} {} catching up", brokers_text(out), out.size() == 1 ? "is" : "are")
                                 : are_down(down)),
        down.empty() ? "it passes by itself" : "start what is down");
  }
  for (const PartitionFacts& p : topic->partitions) {
    const BrokerFacts* leader = find_broker(cluster, *p.leader);
    if (leader != nullptr && !leader->offline_dirs.empty()) {
      return bad(fmt::format("broker {} leads partition {} of {} and has lost its data directory {}", leader->id,
                             p.index, name, leader->offline_dirs.front()),
                 "repair the disk and start the broker again");
    }
    if (leader != nullptr && !leader->low_dirs.empty()) {
      return bad(fmt::format("broker {}, which leads partition {} of {}, is low on space: produces to what lies in {} "
                             "are refused, and no replica in sync has more",
                             leader->id, p.index, name, fmt::join(leader->low_dirs, " and ")),
                 "make room, or shorten retention: `naru config set topic NAME retention.ms=...`");
    }
    constexpr int64_t full = int64_t{1} << 20;  // however little the broker was told to keep
    if (leader != nullptr && leader->disk_free && *leader->disk_free < full) {
      return bad(fmt::format("the disk of broker {}, which leads partition {} of {}, is full ({} free)", leader->id,
                             p.index, name, bytes_text(*leader->disk_free)),
                 "make room, or shorten retention: `naru config set topic NAME retention.ms=...`");
    }
  }
  return {.well = true,
          .sentence =
              fmt::format("nothing stands in the way: {} of {} partitions of {} are led, with enough copies in sync",
                          topic->partitions.size(), topic->partitions.size(), name),
          .next_step = "`naru doctor` looks at the way from here to the brokers"};
}

Reason why_under_replicated(const ClusterFacts& cluster) {
  if (!cluster.controller) {
    return bad("it is not known which copies are in sync: there is no controller, and what the brokers say may be old",
               "a majority of the voters must run: `naru status` shows which are missing");
  }
  const int count = cluster.under_replicated();
  if (count == 0) {
    return {.well = true,
            .sentence = fmt::format("all copies of all {} partitions are in sync", cluster.partitions()),
            .next_step = {}};
  }
  const std::vector<int32_t> behind = brokers_not_in_sync(cluster);
  const std::vector<int32_t> down = down_among(cluster, behind);
  const std::string which =
      count == 1 ? "1 partition lacks a copy in sync" : fmt::format("{} partitions lack copies in sync", count);
  if (!down.empty()) {
    const std::string others = down.size() == behind.size() ? "" : "; others are catching up";
    return bad(
        fmt::format("{}, because {}{}", which, are_down(down), others),
        fmt::format("start {}: what was missed is copied by itself; `naru topic list --problems` names the topics",
                    down.size() == 1 ? "it" : "them"));
  }
  for (const int32_t id : behind) {
    const BrokerFacts* broker = find_broker(cluster, id);
    if (broker == nullptr || broker->offline_dirs.empty()) continue;
    return bad(
        fmt::format("{}, because broker {} has lost its data directory {}", which, id, broker->offline_dirs.front()),
        "repair the disk and start the broker again");
  }
  return bad(
      fmt::format("{}, because {} {} catching up", which, brokers_text(behind), behind.size() == 1 ? "is" : "are"),
      "it passes by itself; `naru topic list --problems` names the topics");
}

Reason why_consume(const ClusterFacts& cluster, const std::string& name) {
  const TopicFacts* topic = nullptr;
  if (auto reason = obstacle(cluster, name, topic)) return std::move(*reason);
  for (const PartitionFacts& p : topic->partitions) {
    const size_t needed = std::min<size_t>(static_cast<size_t>(topic->min_isr.value_or(1)), p.replicas.size());
    if (p.isr.size() >= needed) continue;
    return bad(
        fmt::format("what was written last to partition {} of {} is not shown yet: {} of {} copies are in sync, and "
                    "nothing counts as committed until there are {}",
                    p.index, name, p.isr.size(), p.replicas.size(), needed),
        fmt::format("`naru why produce {}` says what is missing", name));
  }
  return {.well = true,
          .sentence =
              fmt::format("nothing stands in the way: all {} partitions of {} are led", topic->partitions.size(), name),
          .next_step = "without records, `naru topic offsets` shows that start and end are equal"};
}

namespace {

// What it has not read is gone already.
std::optional<Reason> is_behind_the_start(const GroupFacts& group) {
  for (const GroupOffset& o : group.offsets) {
    if (o.committed && o.start && *o.committed < *o.start) {
      return bad(
          fmt::format("group {} is at {} in {}, and records before {} are deleted: it goes on as auto.offset.reset "
                      "says",
                      group.name, *o.committed, o.partition, *o.start),
          "read faster, or keep records for longer (retention.ms)");
    }
  }
  return std::nullopt;
}

// It is behind in a partition that none of its members reads.
std::optional<Reason> is_left_out(const GroupFacts& group) {
  for (const GroupOffset& o : group.offsets) {
    const bool owned = std::any_of(group.members.begin(), group.members.end(), [&](const MemberFacts& m) {
      return std::find(m.assigned.begin(), m.assigned.end(), o.partition) != m.assigned.end();
    });
    if (!owned && o.lag().value_or(0) > 0)
      return bad(
          fmt::format("no member of group {} reads {}, which is {} records behind", group.name, o.partition, *o.lag()),
          "its members subscribe to other topics, or assign partitions by hand");
  }
  return std::nullopt;
}

}  // namespace

Reason why_group(const ClusterFacts& cluster, const GroupFacts& group) {
  if (group.error == ErrorCode::group_id_not_found)
    return bad(fmt::format("nobody has ever committed or joined as group {}", group.name), "names are case-sensitive");
  if (group.error != ErrorCode::none)
    return bad(fmt::format("the coordinator of group {} answers {}", group.name, group.error),
               "`naru why consume __consumer_offsets` says whether its topic is led");
  if (group.state == "PreparingRebalance" || group.state == "CompletingRebalance") {
    return bad(fmt::format("group {} is rebalancing ({}): its {} members wait until all have joined again", group.name,
                           group.state, group.members.size()),
               "if it lasts, one of them does not poll within max.poll.interval.ms");
  }
  const int64_t lag = group.total_lag();
  if (group.members.empty()) {
    if (lag == 0)
      return {.well = true,
              .sentence = fmt::format("group {} has no members, and has read everything", group.name),
              .next_step = {}};
    return bad(fmt::format("group {} has no members: nobody reads the {} records behind which it is", group.name, lag),
               "start a consumer with this group.id");
  }
  std::set<std::string> topics;
  for (const GroupOffset& o : group.offsets) topics.insert(o.partition.topic);
  for (const std::string& name : topics) {
    if (Reason reason = why_consume(cluster, name); !reason.well) return reason;
  }
  if (std::optional<Reason> reason = is_behind_the_start(group)) return *std::move(reason);
  if (std::optional<Reason> reason = is_left_out(group)) return *std::move(reason);
  const GroupOffset* worst = nullptr;
  for (const GroupOffset& o : group.offsets) {
    if (worst == nullptr || o.lag().value_or(0) > worst->lag().value_or(0)) worst = &o;
  }
  if (lag == 0 || worst == nullptr)
    return {.well = true, .sentence = fmt::format("group {} has read everything", group.name), .next_step = {}};
  return {.well = true,
          .sentence = fmt::format("group {} reads on and is {} records behind, most of them ({}) in {}", group.name,
                                  lag, worst->lag().value_or(0), worst->partition),
          .next_step = "more members help as long as there are partitions without one of their own"};
}

}  // namespace cli
