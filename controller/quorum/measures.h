// How long things take in the metadata quorum and on the active controller, and how much waits there: counted where it
// happens in plain values, read for /metrics.
//
// Everything on the controller's shard.
#pragma once
#include <cstdint>
#include <optional>

#include "common/histogram.h"

namespace controller::quorum {

// Of a node of the quorum.
struct RaftMeasures {
  common::Histogram commit_latency;    // of what this node proposed as leader: until the state machine had it
  common::Histogram election_latency;  // from the moment this node stood for election until a leader was known
  uint64_t snapshots_loaded = 0;
  std::optional<common::model::Instant> snapshot_made_at;  // here, by this process
  uint64_t snapshot_bytes = 0;
};

// Of the active controller; on other nodes what it counted when it last was that.
struct ControllerMeasures {
  common::Histogram lateness;    // of the controller's regular turn: what waits for its thread waits as long
  common::Histogram processing;  // of requests: the decision, without the commit
  uint64_t requests = 0;
  uint64_t timed_out = 0;  // answered before every leader had applied what was decided
  size_t waiting = 0;      // answers that wait for a commit, or for brokers
  // Of controller/metadata/slow_brokers.h; none where another node is active.
  size_t slow_brokers = 0;
};

}  // namespace controller::quorum
