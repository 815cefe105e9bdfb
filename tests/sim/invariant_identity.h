// Who a process is: a broker epoch is one process's alone, of all that ever ran under whatever id and with whatever copy of a
// disk (R24-R26), and a broker with the disk of another one never serves (R24, R83).
#pragma once
#include <map>
#include <utility>

#include "sim/cluster.h"
#include "sim/complaints.h"
#include "sim/probes.h"

namespace sim {

class IdentityInvariants {
 public:
  IdentityInvariants(Complaints& complaints, Probes& probes) : complaints_(complaints), probes_(probes) {}

  void on_ended(const Node& node);
  // Now and then.
  void sweep(Cluster& cluster);

 private:
  using Life = std::pair<Host, uint64_t>;
  void look_at(const Node& node);

  Complaints& complaints_;
  Probes& probes_;
  std::map<common::model::BrokerEpoch, Life> owners_;
};

}  // namespace sim
