// What must hold of a cluster that lives for days, beside all that holds at any time: retention takes nothing early and
// leaves nothing for ever, compaction comes round in time, and deleted files do go. Also how old records are, and what
// of a long history need not be kept any more.
#pragma once
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "sim/cluster.h"
#include "sim/complaints.h"
#include "sim/consumer.h"

namespace sim {

namespace long_life {
using namespace std::chrono_literals;
// What a topic keeps by itself, and what all but the first of a long life do.
constexpr Duration default_retention = 7 * 24h;
constexpr Duration default_segment = 7 * 24h;
constexpr Duration short_retention = 4h;
constexpr Duration short_segment = 1h;
constexpr Duration compaction_lag_max = 6h;  // of the compacted topic
}  // namespace long_life

class History;
class PartitionInvariants;

class LongLife {
 public:
  LongLife(Cluster& cluster, Complaints& complaints) : cluster_(cluster), complaints_(complaints) {}

  void on_acknowledged(const Place& place, int64_t offset);
  // Every few hundred events: where logs start now.
  void sweep();
  // When all is well: nothing is too old, and what retention took is forgotten.
  void look(History& history, PartitionInvariants& partitions);
  // The whole compacted partition, in the end.
  void check_compacted(const std::vector<FinalRecord>& records, int keys);
  // For the line of progress.
  [[nodiscard]] std::string sizes() const;

 private:
  struct Limits {
    Duration retention;
    Duration segment;
  };
  struct Age {
    int64_t offset = 0;
    Instant acknowledged;
  };
  [[nodiscard]] static std::optional<Limits> limits_of(const std::string& topic);
  void check_taken(const Place& place, const std::string& what, int64_t start, const Limits& limits);
  void check_left(const Place& place, const std::string& what, int64_t start, const Limits& limits);
  void check_files();
  void check_strays();
  [[nodiscard]] Duration most_ahead() const;

  Cluster& cluster_;
  Complaints& complaints_;
  std::map<Place, std::deque<Age>> ages_;  // now and then one
  std::map<Place, int64_t> starts_;        // the highest that any replica had
  std::map<Host, std::set<std::string>> leftovers_;
  std::map<std::pair<Host, std::string>, Instant> strays_;  // since when each is seen
};

}  // namespace sim
