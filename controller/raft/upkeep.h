// What the leader of the quorum does about its voters by itself, without an operator:
//   - A voter whose disk is gone comes back as an observer under another directory (R4). Its former self is taken out
//   by
//     one committed change, which also writes down that its id is awaited, so that the next leader goes on where this
//     one stops; and once the new directory has caught up, it is added by another. One change at a time (R12): at no
//     moment do two sets of voters hold that have no majority in common, and what the former self has promised counts
//     no more from the moment at which its removal is in the leader's log.
//   - A voter that has registered at another address is written down there (R112).
// Nobody becomes a voter by this whose id an operator has not made one.
//
// Pure function.
#pragma once
#include <map>
#include <optional>
#include <variant>

#include "controller/raft/status.h"

namespace controller::raft {

struct ReplaceLostVoter {
  NodeKey former;
  friend bool operator==(const ReplaceLostVoter&, const ReplaceLostVoter&) = default;
};
struct AddAwaitedVoter {
  Voter voter;
  friend bool operator==(const AddAwaitedVoter&, const AddAwaitedVoter&) = default;
};
struct MoveVoter {
  NodeKey key;
  Endpoint endpoint;
  friend bool operator==(const MoveVoter&, const MoveVoter&) = default;
};
using Upkeep = std::variant<ReplaceLostVoter, AddAwaitedVoter, MoveVoter>;

// `status` is the leader's, `registered` where brokers say that they are reached. Nothing: all is as it should be, or
// nothing can be done about it yet.
[[nodiscard]] std::optional<Upkeep> decide_upkeep(const QuorumStatus& status,
                                                  const std::map<BrokerId, Endpoint>& registered, Instant now);

}  // namespace controller::raft
