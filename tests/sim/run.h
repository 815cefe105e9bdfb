// One run of one seed: the cluster under faults (safety), then healed (liveness), then the verdict on what clients saw.
#pragma once
#include <memory>
#include <string>

#include "sim/complaints.h"
#include "sim/injector.h"
#include "sim/invariant_durability.h"
#include "sim/invariant_identity.h"
#include "sim/invariant_partition.h"
#include "sim/invariant_raft.h"
#include "sim/sightings.h"
#include "sim/workload.h"

namespace sim {

struct Outcome {
  std::string failure;  // empty: every promise was kept
  std::string invalid;  // not empty: the run says nothing (too little happened)
  double simulated_seconds = 0;
  uint64_t events = 0;
  uint64_t messages = 0;
  uint64_t faults = 0;
  uint64_t partition_leader_changes = 0;
  uint64_t raft_leader_changes = 0;
  uint64_t acknowledged = 0;
  uint64_t trace_hash = 0;
  Probes probes;
  std::array<uint64_t, fault_kinds> faults_by_kind{};
};

struct RunSettings {
  Options options;
  std::vector<Fault> plan;
  bool trace = false;
  bool progress = false;  // of a long life: a line for each calm, on standard error
};

[[nodiscard]] Outcome run(const RunSettings& settings);

}  // namespace sim
