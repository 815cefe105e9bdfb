// The quorum as one node sees it, for DescribeQuorum and `naru status`. Immutable values.
#pragma once
#include <optional>
#include <vector>

#include "controller/raft/types.h"

namespace controller::raft {

struct ReplicaStatus {
  NodeKey key;
  bool is_voter = false;
  LogIndex log_end;  // acknowledged as durable
  std::optional<Instant> last_contact;
  std::optional<Instant> last_caught_up;
};
struct QuorumStatus {
  Role role = Role::follower;
  Term term;
  std::optional<BrokerId> leader;
  LogIndex committed;
  LogIndex log_start, log_end, durable_end;
  VoterSet voters;
  std::vector<ReplicaStatus> replicas;  // known to the leader only, itself included
  std::optional<BrokerId> voted_for;    // in this term
};

}  // namespace controller::raft
