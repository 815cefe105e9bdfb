#include "cli/move_plan.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

namespace cli {
namespace {

using Brokers = std::vector<int32_t>;

bool holds(const Brokers& replicas, int32_t id) {
  return std::find(replicas.begin(), replicas.end(), id) != replicas.end();
}

class Planner {
 public:
  explicit Planner(const MoveRules& rules) : rules_(rules) {
    for (const auto& [id, rack] : rules.allowed) load_[id] = 0;
  }

  // What is not moved, and counts as load all the same.
  void leave(const PartitionFacts& p) {
    for (const int32_t id : p.replicas) {
      if (const auto load = load_.find(id); load != load_.end()) ++load->second;
    }
  }

  // Keeps what may stay, in its order.
  void keep(const std::string& topic, const PartitionFacts& p) {
    const size_t wanted = rules_.replicas > 0 ? static_cast<size_t>(rules_.replicas) : p.replicas.size();
    Move move{topic, p.index, p.replicas, {}};
    for (const int32_t id : p.replicas) {
      if (move.to.size() < wanted && rules_.allowed.contains(id)) move.to.push_back(id);
    }
    for (const int32_t id : move.to) ++load_[id];
    moves_.push_back(std::move(move));
    wanted_.push_back(wanted);
  }

  void fill() {
    for (size_t i = 0; i < moves_.size(); ++i) {
      while (moves_[i].to.size() < wanted_[i]) {
        const int32_t id = emptiest(moves_[i].to);
        moves_[i].to.push_back(id);
        ++load_[id];
      }
    }
  }

  // One replica at a time from the fullest to the emptiest, until they differ by one at most.
  void balance() {
    for (size_t steps = 0; steps < moves_.size() * load_.size(); ++steps) {
      const auto by_load = [](const auto& a, const auto& b) { return a.second < b.second; };
      const auto full = std::max_element(load_.begin(), load_.end(), by_load);
      const auto empty = std::min_element(load_.begin(), load_.end(), by_load);
      if (full->second - empty->second <= 1) return;
      const auto movable = std::find_if(moves_.begin(), moves_.end(), [&](const Move& m) {
        return holds(m.to, full->first) && !holds(m.to, empty->first);
      });
      if (movable == moves_.end()) return;
      std::replace(movable->to.begin(), movable->to.end(), full->first, empty->first);
      --full->second;
      ++empty->second;
    }
  }

  std::vector<Move> take() {
    std::erase_if(moves_, [](const Move& m) { return m.from == m.to; });
    return std::move(moves_);
  }

 private:
  int32_t emptiest(const Brokers& taken) const {
    std::tuple<size_t, int64_t, int32_t> best{SIZE_MAX, 0, -1};
    for (const auto& [id, rack] : rules_.allowed) {
      if (holds(taken, id)) continue;
      const auto same_rack = static_cast<size_t>(std::count_if(taken.begin(), taken.end(), [&](int32_t other) {
        const auto found = rules_.allowed.find(other);
        return found != rules_.allowed.end() && found->second == rack;
      }));
      best = std::min(best, std::tuple(same_rack, load_.at(id), id));
    }
    return std::get<2>(best);
  }

  const MoveRules& rules_;
  std::map<int32_t, int64_t> load_;
  std::vector<Move> moves_;
  std::vector<size_t> wanted_;
};

}  // namespace

std::vector<int32_t> Move::added() const {
  std::vector<int32_t> ids;
  for (const int32_t id : to) {
    if (!holds(from, id)) ids.push_back(id);
  }
  return ids;
}

Outcome<std::vector<Move>> plan_moves(const std::vector<TopicFacts>& topics, const MoveRules& rules) {
  Planner planner(rules);
  for (const TopicFacts& topic : topics) {
    for (const PartitionFacts& p : topic.partitions) {
      if (std::ranges::any_of(p.replicas, [&](int32_t id) { return rules.awaited.contains(id); })) {
        planner.leave(p);
        continue;
      }
      const size_t wanted = rules.replicas > 0 ? static_cast<size_t>(rules.replicas) : p.replicas.size();
      if (wanted > rules.allowed.size()) {
        return problem(
            Exit::usage,
            fmt::format("{}-{} has {} replicas, and {} may hold them", topic.name, p.index, wanted,
                        rules.allowed.size() == 1 ? "one broker" : fmt::format("{} brokers", rules.allowed.size())),
            "allow more brokers, or say fewer --replicas");
      }
      planner.keep(topic.name, p);
    }
  }
  planner.fill();
  if (rules.balance) planner.balance();
  return planner.take();
}

}  // namespace cli
