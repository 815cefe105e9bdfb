#include "cli/drain_plan.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace cli {
namespace {

using Replicas = std::vector<int32_t>;

bool is_held_by(const Replicas& replicas, int32_t id) {
  return std::find(replicas.begin(), replicas.end(), id) != replicas.end();
}

// For how many partitions each broker is the preferred leader.
std::map<int32_t, int> count_firsts(const std::vector<TopicFacts>& topics) {
  std::map<int32_t, int> firsts;
  for (const TopicFacts& topic : topics) {
    for (const PartitionFacts& p : topic.partitions) {
      for (const int32_t id : p.replicas) firsts.try_emplace(id, 0);
      if (!p.replicas.empty()) ++firsts[p.replicas.front()];
    }
  }
  return firsts;
}

// The topics as they are once the moves are done.
std::vector<TopicFacts> after(std::vector<TopicFacts> topics, const std::vector<Move>& moves) {
  for (TopicFacts& topic : topics) {
    for (PartitionFacts& p : topic.partitions) {
      const auto move = std::find_if(moves.begin(), moves.end(),
                                     [&](const Move& m) { return m.topic == topic.name && m.partition == p.index; });
      if (move != moves.end()) p.replicas = move->to;
    }
  }
  return topics;
}

// What changes between the two, which have the same partitions.
std::vector<Move> differences(const std::vector<TopicFacts>& before, const std::vector<TopicFacts>& after) {
  std::vector<Move> moves;
  for (size_t t = 0; t < before.size(); ++t) {
    for (size_t p = 0; p < before[t].partitions.size(); ++p) {
      const PartitionFacts& from = before[t].partitions[p];
      const PartitionFacts& to = after[t].partitions[p];
      if (from.replicas != to.replicas) moves.push_back({before[t].name, from.index, from.replicas, to.replicas});
    }
  }
  return moves;
}

void put_first(Replicas& replicas, int32_t id) {
  const auto found = std::find(replicas.begin(), replicas.end(), id);
  std::rotate(replicas.begin(), found, found + 1);
}

// Of the replicas that may lead in place of the broker the one that is the first of the fewest partitions.
std::optional<int32_t> least_preferred(const Replicas& replicas, const MoveRules& rules, int32_t broker,
                                       const std::map<int32_t, int>& firsts) {
  std::optional<int32_t> least;
  for (const int32_t id : replicas) {
    if (id == broker || !rules.allowed.contains(id)) continue;
    if (!least || firsts.at(id) < firsts.at(*least)) least = id;
  }
  return least;
}

// The broker becomes the first of partitions that it holds, or is it no longer, until it is that of its share.
void share_leaders(std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker) {
  std::map<int32_t, int> firsts = count_firsts(topics);
  for (const auto& [id, rack] : rules.allowed) firsts.try_emplace(id, 0);
  int partitions = 0;
  for (const auto& [id, count] : firsts) partitions += count;
  const int among = static_cast<int>(std::max<size_t>(firsts.size(), 1));
  const int least = partitions / among;
  const int most = (partitions + among - 1) / among;
  for (TopicFacts& topic : topics) {
    for (PartitionFacts& p : topic.partitions) {
      if (p.replicas.size() < 2 || !is_held_by(p.replicas, broker)) continue;
      const int32_t first = p.replicas.front();
      if (!rules.allowed.contains(first)) continue;
      int32_t next = first;
      if (first == broker && firsts[broker] > most)
        next = least_preferred(p.replicas, rules, broker, firsts).value_or(first);
      if (first != broker && firsts[broker] < least && firsts[first] > least) next = broker;
      --firsts[first];
      ++firsts[next];
      put_first(p.replicas, next);
    }
  }
}

}  // namespace

Outcome<std::vector<Move>> plan_drain(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker) {
  for (const TopicFacts& topic : topics) {
    for (const PartitionFacts& p : topic.partitions) {
      if (!is_held_by(p.replicas, broker) || p.replicas.size() <= rules.allowed.size()) continue;
      return problem(
          Exit::refused,
          fmt::format("broker {} cannot be emptied: {}-{} has {} replicas, and {} other {} up", broker, topic.name,
                      p.index, p.replicas.size(), rules.allowed.size(),
                      rules.allowed.size() == 1 ? "broker is" : "brokers are"),
          fmt::format("`naru broker drain {0} --leaders` moves what it leads; `naru partition move --off {0} "
                      "--replicas {1}` keeps a copy fewer",
                      broker, std::max<size_t>(rules.allowed.size(), 1)));
    }
  }
  auto moves = plan_moves(topics, rules);  // all of them, so that those with the fewest replicas are known
  if (moves) std::erase_if(*moves, [&](const Move& m) { return !is_held_by(m.from, broker); });
  return moves;
}

std::optional<Problem> what_is_left(const std::vector<TopicFacts>& topics, int32_t broker) {
  int held = 0;
  for (const TopicFacts& topic : topics) {
    for (const PartitionFacts& p : topic.partitions) held += is_held_by(p.replicas, broker) ? 1 : 0;
  }
  if (held == 0) return std::nullopt;
  return Problem{.exit = Exit::refused,
                 .message = fmt::format("broker {} still holds {} {}: made, or turned back, meanwhile", broker, held,
                                        held == 1 ? "replica" : "replicas"),
                 .next_step = fmt::format("`naru broker drain {} --yes` once more moves them", broker)};
}

std::vector<Move> leaders_away(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker) {
  std::vector<TopicFacts> then = topics;
  std::map<int32_t, int> firsts = count_firsts(topics);
  for (TopicFacts& topic : then) {
    for (PartitionFacts& p : topic.partitions) {
      if (p.replicas.empty()) continue;
      const bool leads_for_another = p.leader == broker && !rules.allowed.contains(p.replicas.front());
      if (p.replicas.front() != broker && !leads_for_another) continue;
      const auto next = least_preferred(p.replicas, rules, broker, firsts);
      if (!next) continue;
      ++firsts[*next];
      put_first(p.replicas, *next);
    }
  }
  return differences(topics, then);
}

int led_alone(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker) {
  int count = 0;
  for (const TopicFacts& topic : topics) {
    for (const PartitionFacts& p : topic.partitions) {
      const bool has_another =
          std::ranges::any_of(p.replicas, [&](int32_t id) { return id != broker && rules.allowed.contains(id); });
      if (p.leader == broker && !has_another) ++count;
    }
  }
  return count;
}

Outcome<std::vector<Move>> plan_undrain(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker) {
  MoveRules even = rules;
  even.balance = true;
  for (const auto& [id, count] : count_firsts(topics)) {
    if (!rules.allowed.contains(id)) even.awaited.insert(id);
  }
  auto moves = plan_moves(topics, even);
  if (!moves) return tl::unexpected(moves.error());
  std::erase_if(*moves, [&](const Move& m) { return is_held_by(m.from, broker) || !is_held_by(m.to, broker); });
  std::vector<TopicFacts> then = after(topics, *moves);
  share_leaders(then, rules, broker);
  return differences(topics, then);
}

}  // namespace cli
