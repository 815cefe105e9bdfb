// How many copies may be harmed at once: a run breaks no promise by itself. A loss of data that the promises do not cover
// (correctness: one machine without power at D0, one disk destroyed, f = minISR - 1) is not inflicted; until a harmed broker
// is back in every ISR it counts as harmed.
#pragma once
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/cluster.h"

namespace sim {

class Atlas {
 public:
  explicit Atlas(Cluster& cluster) : cluster_(cluster) {}

  // Whether `node` may lose records that it has acknowledged; if so, it counts as harmed from now on.
  [[nodiscard]] bool may_lose_records(const Node& node);
  // A loss that was granted is still to come: until end_threat `node` counts as harmed, however whole it is now.
  void begin_threat(const Node& node) { threatened_.insert(node.id()); }
  void end_threat(const Node& node);
  void end_threats() { threatened_.clear(); }
  // A bit of this file has flipped. Nobody may have noticed: the disk counts as harmed until the file is another one,
  // and not only until its broker is in every ISR, which it may never have left.
  void on_rot(Node& node, std::string path, size_t byte);
  // What is still there: whose disk, and in which file.
  [[nodiscard]] std::vector<std::pair<BrokerId, std::string>> rotten();
  // The directory was taken away with all that had rotted in it: a byte that is the same in what comes in its place is
  // chance.
  void end_rot(const Node& node, const std::string& directory);
  // Whether `node` may lose its metadata log, or a part of it that was durable. What it promised then never counts
  // again; it votes again, under another directory, once the others have agreed on that (R4), and may then lose that
  // one too.
  [[nodiscard]] bool may_lose_metadata(const Node& node);
  // Whether a voter may be taken out for a while; no metadata may be lost in this run afterwards.
  [[nodiscard]] bool may_change_voters();
  // Whether a second machine may be started with a copy of its disk. Never of a voter's, and nobody is made a voter in
  // this run afterwards: two that speak for one voter may vote twice in a term, and Raft counts on none that does.
  [[nodiscard]] bool may_have_twin(const Node& node);
  // Whether all the others ought to go on for good without `out`, as things stand by this metadata: they have a majority
  // of the votes, and of each partition enough replicas, and everybody in its ISR but `out` is up under the epoch that
  // the metadata knows and has lost nothing. (Who leaves an ISR of less than min ISR is still counted on, so a change
  // of it that is on its way does no harm where that is 2 at least.)
  [[nodiscard]] bool can_do_without(const Node& out, const controller::metadata::MetadataImage& image) const;
  // Whether power loss may take what was not synced.
  [[nodiscard]] bool may_lose_unsynced(const Node& node) { return cluster_.options().synced || may_lose_records(node); }

 private:
  struct Rot {
    BrokerId broker;
    std::string path;
    size_t byte = 0;
    std::byte value{};
  };
  [[nodiscard]] bool is_whole(BrokerId id) const;
  [[nodiscard]] bool stands_firm(BrokerId id, const controller::metadata::MetadataImage& image) const;
  [[nodiscard]] bool is_there(const Rot& rot) const;

  Cluster& cluster_;
  std::set<BrokerId> harmed_;
  std::multiset<BrokerId> threatened_;
  std::vector<Rot> rots_;
  std::set<BrokerId> lost_voters_;
  bool voters_changed_ = false;
  bool had_twins_ = false;
};

}  // namespace sim
