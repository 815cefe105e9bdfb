#include "cli/drain_plan.h"

#include <algorithm>

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

// Of the other replicas the one that is the first of the fewest partitions.
int32_t least_preferred(const Replicas& replicas, std::map<int32_t, int>& firsts) {
  return *std::min_element(replicas.begin() + 1, replicas.end(),
                           [&](int32_t a, int32_t b) { return firsts[a] < firsts[b]; });
}

// The broker becomes the first of partitions that it holds, or is it no longer, until it is that of its share.
void share_leaders(std::vector<TopicFacts>& topics, int32_t broker, size_t brokers) {
  std::map<int32_t, int> firsts = count_firsts(topics);
  int partitions = 0;
  for (const auto& [id, count] : firsts) partitions += count;
  const int among = static_cast<int>(std::max<size_t>(brokers, 1));
  const int least = partitions / among;
  const int most = (partitions + among - 1) / among;
  for (TopicFacts& topic : topics) {
    for (PartitionFacts& p : topic.partitions) {
      if (p.replicas.size() < 2 || !is_held_by(p.replicas, broker)) continue;
      const int32_t first = p.replicas.front();
      int32_t next = first;
      if (first == broker && firsts[broker] > most) next = least_preferred(p.replicas, firsts);
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

std::vector<Move> leaders_away(const std::vector<TopicFacts>& topics, int32_t broker) {
  std::vector<TopicFacts> then = topics;
  std::map<int32_t, int> firsts = count_firsts(topics);
  for (TopicFacts& topic : then) {
    for (PartitionFacts& p : topic.partitions) {
      if (p.replicas.size() < 2 || p.replicas.front() != broker) continue;
      const int32_t next = least_preferred(p.replicas, firsts);
      ++firsts[next];
      put_first(p.replicas, next);
    }
  }
  return differences(topics, then);
}

Outcome<std::vector<Move>> plan_undrain(const std::vector<TopicFacts>& topics, const MoveRules& rules, int32_t broker) {
  MoveRules even = rules;
  even.balance = true;
  const auto moves = plan_moves(topics, even);
  if (!moves) return tl::unexpected(moves.error());
  std::vector<TopicFacts> then = after(topics, *moves);
  share_leaders(then, broker, rules.allowed.size());
  return differences(topics, then);
}

}  // namespace cli
