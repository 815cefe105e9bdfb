#include "cli/quorum_facts.h"

#include <fmt/format.h>

#include "kafka/add_raft_voter.h"
#include "kafka/remove_raft_voter.h"

namespace cli {

using common::model::ErrorCode;

int64_t QuorumFacts::leader_end() const {
  for (const QuorumReplica& replica : metadata.current_voters) {
    if (replica.replica_id == metadata.leader_id) return replica.log_end_offset;
  }
  return 0;
}

Outcome<QuorumFacts> fetch_quorum(client::Cluster& cluster) {
  kafka::DescribeQuorumRequest request;
  request.topics.push_back({.topic_name = "__cluster_metadata", .partitions = {{.partition_index = 0}}});
  auto answer = cluster.call<kafka::DescribeQuorumResponse>(request);
  if (!answer) return tl::unexpected(std::move(answer.error()));
  if (answer->error_code != ErrorCode::none)
    return tl::unexpected(refused("cannot describe the quorum", answer->error_code));
  if (answer->topics.empty() || answer->topics.front().partitions.empty()) {
    return problem(Exit::refused, "the quorum was not described");
  }
  auto metadata = answer->topics.front().partitions.front();
  if (metadata.error_code != ErrorCode::none) {
    return tl::unexpected(
        refused("cannot describe the quorum", metadata.error_code, metadata.error_message.value_or("")));
  }
  return QuorumFacts{std::move(*answer), std::move(metadata)};
}

Outcome<void> add_voter(client::Cluster& cluster, int32_t id, const common::model::Uuid& directory,
                        const std::vector<VoterEndpoint>& endpoints) {
  kafka::AddRaftVoterRequest request;
  request.cluster_id.reset();  // whichever it is
  request.timeout_ms = static_cast<int32_t>(cluster.timeout().count());
  request.voter_id = id;
  request.voter_directory_id = directory;
  for (const VoterEndpoint& e : endpoints)
    request.listeners.push_back({.name = e.listener, .host = e.host, .port = e.port});
  const auto answer = cluster.call<kafka::AddRaftVoterResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->error_code == ErrorCode::none) return {};
  return tl::unexpected(
      refused(fmt::format("cannot add voter {}", id), answer->error_code, answer->error_message.value_or("")));
}

Outcome<void> remove_voter(client::Cluster& cluster, int32_t id, const common::model::Uuid& directory) {
  kafka::RemoveRaftVoterRequest request;
  request.cluster_id.reset();
  request.voter_id = id;
  request.voter_directory_id = directory;
  const auto answer = cluster.call<kafka::RemoveRaftVoterResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->error_code == ErrorCode::none) return {};
  return tl::unexpected(
      refused(fmt::format("cannot remove voter {}", id), answer->error_code, answer->error_message.value_or("")));
}

}  // namespace cli
