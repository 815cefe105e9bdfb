#include "controller/quorum/formation.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "common/model/address_text.h"

namespace controller::quorum {
namespace {

using Answers = std::vector<std::optional<PeerAnswer>>;

std::string name_of(const ConfiguredPeer& peer) {
  const std::string address = common::model::address_text(peer.endpoint.host, peer.endpoint.port);
  return peer.id ? fmt::format("{}@{}", *peer.id, address) : address;
}

QuorumProperties member(const FormationInput& in, const std::string& cluster_id, const raft::VoterSet& first_voters) {
  return {in.own.key, FormationState::formed, cluster_id, first_voters};
}

std::optional<GiveUp> wrong_cluster(const FormationInput& in, const std::string& cluster_id,
                                    const raft::NodeKey& peer) {
  if (in.wanted_cluster_id && *in.wanted_cluster_id != cluster_id)
    return GiveUp{fmt::format("node {} belongs to cluster {}, but this node is to be part of cluster {}", peer.id,
                              cluster_id, *in.wanted_cluster_id)};
  if (in.own.state == FormationState::accepted && in.own.cluster_id != cluster_id)
    return GiveUp{fmt::format("node {} belongs to cluster {}, but this node has begun to form cluster {}", peer.id,
                              cluster_id, in.own.cluster_id)};
  return std::nullopt;
}

// (a) A peer belongs to a cluster.
FormationStep follow_member(const FormationInput& in, const PeerAnswer& peer) {
  if (auto stop = wrong_cluster(in, peer.cluster_id, peer.key)) return *stop;
  // It is formed, so all first voters had accepted, this one included if it had.
  if (in.own.state == FormationState::accepted) return BeMember{member(in, peer.cluster_id, in.own.first_voters)};
  if (peer.voters.contains(in.own.key))
    return GiveUp{fmt::format("cluster {} counts this directory among its voters, but it is empty", peer.cluster_id)};
  return BeMember{member(in, peer.cluster_id, {})};
}

// A proposal is on this disk: wait until it is on all.
FormationStep await_acceptance(const FormationInput& in, const Answers& answers) {
  for (const raft::Voter& voter : in.own.first_voters.voters()) {
    if (voter.key == in.own.key) continue;
    const auto found = std::find_if(answers.begin(), answers.end(),
                                    [&](const auto& a) { return a && a->is_ready && a->key.id == voter.key.id; });
    if (found == answers.end())
      return KeepWaiting{fmt::format("node {} to accept cluster {}", voter.key.id, in.own.cluster_id)};
    const PeerAnswer& peer = **found;
    if (peer.key != voter.key)
      return KeepWaiting{
          fmt::format("node {} with its former disk: its directory changed during the first start "
                      "(to start over, empty the directories of all voters)",
                      voter.key.id)};
    if (peer.state == FormationState::empty)
      return KeepWaiting{fmt::format("node {} to accept cluster {}", voter.key.id, in.own.cluster_id)};
    if (auto stop = wrong_cluster(in, peer.cluster_id, peer.key)) return *stop;
  }
  return BeMember{member(in, in.own.cluster_id, in.own.first_voters)};
}

// (b) Everybody is empty: the lowest id proposes.
FormationStep propose(const FormationInput& in, const Answers& answers) {
  std::string missing;
  std::vector<raft::Voter> voters;
  std::set<common::model::BrokerId> ids;
  bool is_listed = false;
  for (size_t i = 0; i < in.configured.size(); ++i) {
    const auto& answer = answers[i];
    if (!answer || !answer->is_ready) {
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name_of(in.configured[i]));
      continue;
    }
    if (in.configured[i].id && *in.configured[i].id != answer->key.id)
      return KeepWaiting{fmt::format("{}, where node {} answers", name_of(in.configured[i]), answer->key.id)};
    if (!ids.insert(answer->key.id).second)
      return GiveUp{fmt::format("two of the configured voters call themselves node {}", answer->key.id)};
    is_listed = is_listed || answer->key == in.own.key;
    voters.push_back({answer->key, in.configured[i].endpoint, answer->versions});
  }
  if (!missing.empty()) return KeepWaiting{missing};
  if (!is_listed) return KeepWaiting{"the configured voters to form a cluster"};
  if (in.must_join) return KeepWaiting{fmt::format("a node of cluster {}", in.wanted_cluster_id.value_or("?"))};
  if (voters.size() > raft::voters_max)
    return GiveUp{fmt::format("more than {} voters are configured", raft::voters_max)};
  if (*ids.begin() != in.own.key.id) return KeepWaiting{fmt::format("node {} to propose the cluster", *ids.begin())};
  QuorumProperties proposal{in.own.key, FormationState::accepted, in.wanted_cluster_id.value_or(in.random_cluster_id),
                            raft::VoterSet(std::move(voters))};
  return AcceptProposal{std::move(proposal)};
}

}  // namespace

FormationStep decide_formation(const FormationInput& in, const Answers& answers) {
  if (in.configured.empty()) {
    if (in.must_join) return GiveUp{"the metadata log is missing, and no other voter is configured that could have it"};
    const raft::VoterSet alone({{in.own.key, in.own_endpoint, {}}});
    return BeMember{member(in, in.wanted_cluster_id.value_or(in.random_cluster_id), alone)};
  }
  NARU_CHECK(answers.size() == in.configured.size(), "{} answers of {}", answers.size(), in.configured.size());
  for (const auto& answer : answers)
    if (answer && answer->is_ready && answer->state == FormationState::formed && answer->key != in.own.key)
      return follow_member(in, *answer);
  if (in.own.state == FormationState::accepted) return await_acceptance(in, answers);
  for (const auto& answer : answers) {
    if (!answer || !answer->is_ready || answer->state != FormationState::accepted || answer->key == in.own.key)
      continue;
    if (auto stop = wrong_cluster(in, answer->cluster_id, answer->key)) return *stop;
    if (!answer->voters.contains(in.own.key))
      return KeepWaiting{fmt::format("cluster {}, which others form", answer->cluster_id)};
    return AcceptProposal{{in.own.key, FormationState::accepted, answer->cluster_id, answer->voters}};
  }
  return propose(in, answers);
}

}  // namespace controller::quorum
