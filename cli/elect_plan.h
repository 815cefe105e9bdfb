// What an election would do to each partition, so that it can be said before it is done. The controller decides by what
// it knows then (controller/metadata/election.cc); this goes by what it last told. Pure.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/facts.h"

namespace cli {

struct Election {
  enum class Kind {
    needless,    // it is led as it should be
    clean,       // by one that holds everything acknowledged
    unclean,     // by one that may not
    impossible,  // nobody is there who could lead
  };
  int32_t partition = 0;
  Kind kind = Kind::needless;
  std::optional<int32_t> leader;
  std::optional<int32_t> next;     // who would lead
  std::vector<int32_t> live;       // replicas whose brokers are up, `next` among them
  std::vector<int32_t> given_up;   // replicas that are known to hold everything, and whose brokers are down
};

// Bytes by partition and broker, as far as the brokers tell.
using ReplicaSizes = std::map<std::pair<int32_t, int32_t>, int64_t>;
// What there is of copies, by the brokers that hold them.
struct Copies {
  ReplicaSizes sizes;
  std::set<int32_t> told;  // brokers that have said what they hold of what was asked for
};
// The metadata has those as offline whose brokers are down. A broker can be up that has lost its copy with a disk: the
// controller takes it only where there is no other.
void note_lost_copies(std::vector<PartitionFacts>& partitions, const Copies& copies);

// By the preferred replicas: the first of each list.
std::vector<Election> plan_preferred(const std::vector<BrokerFacts>& brokers,
                                     const std::vector<PartitionFacts>& partitions);
// Where nobody leads, by any replica that is up (R39).
std::vector<Election> plan_unclean(const std::vector<BrokerFacts>& brokers,
                                   const std::vector<PartitionFacts>& partitions);

// A table: who leads, who would, what there is and what would be lost.
std::string unclean_text(const std::vector<Election>& elections, const ReplicaSizes& sizes);

}  // namespace cli
