#include "controller/raft/upkeep.h"

#include <algorithm>

#include "common/model/mutant.h"

namespace controller::raft {
namespace {

using common::model::mutant;

// A voter that lives answers several times a second. Two processes that share an id by mistake, each with a directory
// of its own, must not push each other out of the set.
constexpr auto lost_after = std::chrono::seconds(3);
constexpr auto caught_up_age_max = std::chrono::seconds(1);

bool has_caught_up(const ReplicaStatus& replica, Instant now) {
  return replica.last_caught_up && now - *replica.last_caught_up <= caught_up_age_max;
}

// The directory under which a node that is no voter follows now.
const ReplicaStatus* find_observer(const QuorumStatus& status, BrokerId id, Instant now) {
  const ReplicaStatus* newest = nullptr;
  for (const ReplicaStatus& replica : status.replicas) {
    if (replica.key.id != id || replica.is_voter || !has_caught_up(replica, now)) continue;
    if (newest == nullptr || replica.last_contact > newest->last_contact) newest = &replica;
  }
  return newest;
}

bool is_lost(const QuorumStatus& status, const NodeKey& voter, Instant now) {
  if (mutant<"R4-replaces-a-voter-that-lives">()) return true;
  const auto found = std::find_if(status.replicas.begin(), status.replicas.end(),
                                  [&](const ReplicaStatus& replica) { return replica.key == voter; });
  return found != status.replicas.end() && found->last_contact && now - *found->last_contact > lost_after;
}

}  // namespace

std::optional<Upkeep> decide_upkeep(const QuorumStatus& status, const std::map<BrokerId, Endpoint>& registered,
                                    Instant now) {
  if (status.role != Role::leader) return std::nullopt;
  for (const BrokerId id : status.voters.awaited()) {
    const ReplicaStatus* observer = find_observer(status, id, now);
    const auto endpoint = registered.find(id);
    if (observer == nullptr || endpoint == registered.end() || status.voters.size() >= voters_max) continue;
    return AddAwaitedVoter{{observer->key, endpoint->second, {}}};
  }
  for (const Voter& voter : status.voters.voters()) {
    if (find_observer(status, voter.key.id, now) != nullptr && is_lost(status, voter.key, now) &&
        status.voters.size() > 1)
      return ReplaceLostVoter{voter.key};
  }
  for (const Voter& voter : status.voters.voters()) {
    const auto endpoint = registered.find(voter.key.id);
    if (endpoint != registered.end() && endpoint->second != voter.endpoint)
      return MoveVoter{voter.key, endpoint->second};
  }
  return std::nullopt;
}

}  // namespace controller::raft
