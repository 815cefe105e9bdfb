#include "cli/move_plan.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

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

  // Keeps what may stay, in its order. Where fewer are wanted, those go first whose rack has another.
  void keep(const std::string& topic, const PartitionFacts& p) {
    const size_t wanted = rules_.replicas > 0 ? static_cast<size_t>(rules_.replicas) : p.replicas.size();
    Move move{topic, p.index, p.replicas, {}};
    std::ranges::copy_if(p.replicas, std::back_inserter(move.to),
                         [&](int32_t id) { return rules_.allowed.contains(id); });
    while (move.to.size() > wanted) {
      const auto doubled = std::find_if(move.to.rbegin(), move.to.rend(),
                                        [&](int32_t id) { return beside(move.to, id, rack_of(id)) > 0; });
      move.to.erase(doubled == move.to.rend() ? move.to.end() - 1 : doubled.base() - 1);
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

  // One replica at a time, until all brokers have as many but for one, or what would even them out further would bring
  // copies of a partition together in a rack.
  void balance() {
    for (size_t steps = 0; steps < moves_.size() * load_.size() && step(); ++steps) {
    }
  }

  std::vector<Move> take() {
    std::erase_if(moves_, [](const Move& m) { return m.from == m.to; });
    return std::move(moves_);
  }

 private:
  using Load = std::pair<int32_t, int64_t>;  // a broker, and how many replicas it holds

  // Moves one from the fullest that can give to the emptiest that can take.
  bool step() {
    std::vector<Load> givers(load_.begin(), load_.end());
    std::vector<Load> takers = givers;
    std::ranges::sort(givers, {}, [](const Load& l) { return std::pair(-l.second, l.first); });
    std::ranges::sort(takers, {}, [](const Load& l) { return std::pair(l.second, l.first); });
    for (const auto& [full, most] : givers) {
      for (const auto& [empty, least] : takers) {
        if (most - least <= 1) break;
        const auto movable =
            std::ranges::find_if(moves_, [&](const Move& m) { return may_replace(m.to, full, empty); });
        if (movable == moves_.end()) continue;
        std::ranges::replace(movable->to, full, empty);
        --load_[full];
        ++load_[empty];
        return true;
      }
    }
    return false;
  }

  // No rack is to have more copies than the rack that gives had: so as many racks have one as before.
  bool may_replace(const Brokers& replicas, int32_t old, int32_t other) const {
    return holds(replicas, old) && !holds(replicas, other) &&
           beside(replicas, old, rack_of(other)) <= beside(replicas, old, rack_of(old));
  }

  // Of brokers that may hold replicas.
  const std::string& rack_of(int32_t id) const { return rules_.allowed.at(id); }

  // How many of the replicas but for one are in a rack.
  size_t beside(const Brokers& replicas, int32_t one, const std::string& rack) const {
    return static_cast<size_t>(
        std::ranges::count_if(replicas, [&](int32_t id) { return id != one && rack_of(id) == rack; }));
  }

  int32_t emptiest(const Brokers& taken) const {
    std::tuple<size_t, int64_t, int32_t> best{SIZE_MAX, 0, -1};
    for (const auto& [id, rack] : rules_.allowed) {
      if (!holds(taken, id)) best = std::min(best, std::tuple(beside(taken, id, rack), load_.at(id), id));
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
