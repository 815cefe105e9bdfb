// How many copies may be harmed at once: a run breaks no promise by itself. A loss of data that the promises do not cover
// (correctness: one machine without power at D0, one disk destroyed, f = minISR - 1) is not inflicted; until a harmed broker
// is back in every ISR it counts as harmed.
#pragma once
#include <set>

#include "sim/cluster.h"

namespace sim {

class Atlas {
 public:
  explicit Atlas(Cluster& cluster) : cluster_(cluster) {}

  // Whether `node` may lose records that it has acknowledged; if so, it counts as harmed from now on.
  [[nodiscard]] bool may_lose_records(const Node& node);
  // Whether `node` may lose its metadata log, or a part of it that was durable. Such a voter never counts again.
  [[nodiscard]] bool may_lose_metadata(const Node& node);
  // Whether a voter may be taken out for a while; no metadata may be lost in this run afterwards.
  [[nodiscard]] bool may_change_voters();
  // Whether power loss may take what was not synced.
  [[nodiscard]] bool may_lose_unsynced(const Node& node) { return cluster_.options().synced || may_lose_records(node); }

 private:
  [[nodiscard]] bool is_whole(BrokerId id) const;

  Cluster& cluster_;
  std::set<BrokerId> harmed_;
  std::set<BrokerId> lost_voters_;
  bool voters_changed_ = false;
};

}  // namespace sim
