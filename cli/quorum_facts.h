// The metadata quorum as the cluster describes it, and changes of its voters. Network; thread-compatible.
#pragma once
#include <string>
#include <vector>

#include "cli/client/cluster.h"
#include "kafka/describe_quorum.h"

namespace cli {

using QuorumReplica = kafka::DescribeQuorumResponse::ReplicaState;

struct QuorumFacts {
  kafka::DescribeQuorumResponse answer;
  kafka::DescribeQuorumResponse::PartitionData metadata;  // leader, voters, observers
  [[nodiscard]] int64_t leader_end() const;               // of the leader's log; 0 without one
};
Outcome<QuorumFacts> fetch_quorum(client::Cluster& cluster);

struct VoterEndpoint {
  std::string listener;
  std::string host;
  uint16_t port = 0;
};
// `endpoints` matter only where the broker has not registered.
Outcome<void> add_voter(client::Cluster& cluster, int32_t id, const common::model::Uuid& directory,
                        const std::vector<VoterEndpoint>& endpoints);
Outcome<void> remove_voter(client::Cluster& cluster, int32_t id, const common::model::Uuid& directory);

}  // namespace cli
