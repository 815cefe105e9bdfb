// naru broker remove: the cluster forgets a broker that is gone for good, so that nobody waits for it any more. Not one
// that lives (it would come back at once), votes, or still holds replicas.
#include <algorithm>

#include <fmt/format.h>

#include "cli/facts.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/quorum_facts.h"
#include "cli/session.h"
#include "kafka/list_partition_reassignments.h"
#include "kafka/unregister_broker.h"

namespace cli {
namespace {

constexpr std::string_view remove_shape = R"([{"name": "4", "error": "CODE" or null}]
)";

// A broker may be behind with the metadata, and a replica that somebody has just put on the one that is to go would be
// overlooked. This answer is not older than its question, and what the same broker says after it neither.
Outcome<ClusterFacts> current_facts(client::Cluster& cluster) {
  kafka::ListPartitionReassignmentsRequest none;
  none.timeout_ms = static_cast<int32_t>(cluster.timeout().count());
  none.topics.emplace();
  const auto current = cluster.call<kafka::ListPartitionReassignmentsResponse>(none);
  if (!current) return tl::unexpected(current.error());
  if (current->error_code != common::model::ErrorCode::none)
    return tl::unexpected(
        refused("cannot tell what brokers hold", current->error_code, current->error_message.value_or("")));
  return fetch_cluster(cluster, WithDisks::no);
}

bool is_voter(const QuorumFacts& quorum, int id) {
  return std::ranges::find(quorum.metadata.current_voters, id, &QuorumReplica::replica_id) !=
         quorum.metadata.current_voters.end();
}

// Why it stays, or nothing.
std::optional<Problem> objection(const ClusterFacts& facts, const QuorumFacts& quorum, int id) {
  const auto found = std::ranges::find(facts.brokers, id, &BrokerFacts::id);
  if (found == facts.brokers.end()) {
    return Problem{.exit = Exit::refused,
                   .message = fmt::format("no such broker: {}", id),
                   .next_step = "`naru broker list` shows what there is"};
  }
  if (!found->fenced) {
    return Problem{.exit = Exit::refused,
                   .message = fmt::format("broker {} is up", id),
                   .next_step = "stop it first: a broker that lives registers again"};
  }
  if (is_voter(quorum, id)) {
    return Problem{
        .exit = Exit::refused,
        .message = fmt::format("broker {} is a voter of the metadata quorum", id),
        .next_step = fmt::format("`naru quorum remove {} --yes` takes its vote away; or start another broker "
                                 "with its node.id, which replaces it",
                                 id)};
  }
  if (found->replicas > 0) {
    return Problem{.exit = Exit::refused,
                   .message = fmt::format("broker {} holds {} replicas", id, found->replicas),
                   .next_step = fmt::format("`naru broker drain {} --yes` moves them", id)};
  }
  return std::nullopt;
}

}  // namespace

Exit run(const BrokerRemoveCommand& command) {
  if (command.shared.format == Format::help) return print_out(remove_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<ClusterFacts> facts = current_facts(*cluster);
  if (!facts) return report(facts.error());
  const Outcome<QuorumFacts> quorum = fetch_quorum(*cluster);  // that nobody says who votes is no leave to remove one
  if (!quorum) return report(quorum.error());
  if (const auto why_not = objection(*facts, *quorum, command.id)) return report(*why_not);
  if (command.dry_run) {
    return print_items(command.shared.format, "remove broker", "would remove broker",
                       {{std::to_string(command.id), common::model::ErrorCode::none, ""}});
  }
  if (!confirmed(command.yes, "removes", fmt::format("Remove broker {} from the cluster?", command.id)))
    return Exit::usage;
  const auto answer =
      cluster->call<kafka::UnregisterBrokerResponse>(kafka::UnregisterBrokerRequest{.broker_id = command.id});
  if (!answer) return report(answer.error());
  return print_items(command.shared.format, "remove broker", "removed broker",
                     {{std::to_string(command.id), answer->error_code, answer->error_message.value_or("")}});
}

}  // namespace cli
