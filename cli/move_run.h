// Moves that are decided, carried out: the plan with its bytes and time first, a question, the request, and the way to
// the end. Network, thread-compatible. See move.cc.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/move_plan.h"

namespace cli {

struct MoveRun {
  const Shared& shared;
  std::optional<int64_t> throttle;  // bytes a second of each leader; taken away again by whoever waits for the end
  bool yes = false;
  bool wait = false;
  bool dry_run = false;
};
// The cluster as it will be once what is under way is done, and not older than this question. A partition that is
// being moved has its old and its new replicas together: here it has those that it is to have, so that a plan neither
// takes it for one with more copies nor counts on those that go.
Outcome<ClusterFacts> fetch_as_moved(client::Cluster& cluster);
Exit run_moves(client::Cluster& cluster, const ClusterFacts& facts, std::vector<Move> moves, const MoveRun& how);

}  // namespace cli
