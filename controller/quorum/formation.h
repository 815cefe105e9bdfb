// First start: how nodes with empty directories become one cluster, without a separate format step.
//
// An empty directory never votes until (a) a peer that belongs to a cluster names it, and the node joins as an
// observer; or (b) every configured voter has answered and all are empty: the lowest id then proposes the cluster id
// and the voter set of (node, directory) ids. Everybody writes the proposal down (`accepted`); only when all of them
// have it does the first election begin (`formed`). So no vote is ever given that a wiped or late node could
// contradict.
//
// Pure: told what peers answered, says what to write down next. Thread-compatible.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controller/quorum/raft_files.h"
#include "controller/raft/types.h"

namespace controller::quorum {

// An entry of controller.quorum.voters (id known) or controller.quorum.bootstrap.servers.
struct ConfiguredPeer {
  std::optional<common::model::BrokerId> id;
  raft::Endpoint endpoint;
};

struct PeerAnswer {
  raft::NodeKey key;
  raft::Endpoint endpoint;
  raft::VersionRange versions;
  bool is_ready = false;  // its own disk is open
  FormationState state = FormationState::empty;
  std::string cluster_id;
  raft::VoterSet voters;
};

struct FormationInput {
  QuorumProperties own;
  raft::Endpoint own_endpoint;
  std::vector<ConfiguredPeer> configured;  // empty: this node alone
  // What the cluster must be called: configured, or known from the data directories.
  std::optional<std::string> wanted_cluster_id;
  // The data directories belong to a cluster already: join it, never found another.
  bool must_join = false;
  std::string random_cluster_id;  // for a new cluster without a wish
};

struct KeepWaiting {
  std::string what;  // one line for the operator
};
// Write this down, tell it to whoever asks, and go on asking.
struct AcceptProposal {
  QuorumProperties properties;
};
// Write this down: the first start is over.
struct BeMember {
  QuorumProperties properties;
};
struct GiveUp {
  std::string reason;
};
using FormationStep = std::variant<KeepWaiting, AcceptProposal, BeMember, GiveUp>;

// `answers` are those of the configured peers, in their order; nothing from those that did not answer lately. A node's
// own answer may be among them.
[[nodiscard]] FormationStep decide_formation(const FormationInput& input,
                                             const std::vector<std::optional<PeerAnswer>>& answers);

}  // namespace controller::quorum
