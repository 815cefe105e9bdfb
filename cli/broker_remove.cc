// naru broker remove: the cluster forgets a broker that is gone for good, so that nobody waits for it any more. Not one
// that lives (it would come back at once), votes, or still holds replicas.
#include <algorithm>

#include <fmt/format.h>

#include "cli/facts.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/session.h"
#include "kafka/unregister_broker.h"

namespace cli {
namespace {

constexpr std::string_view remove_shape = R"([{"name": "4", "error": "CODE" or null}]
)";

// Why it stays, or nothing.
std::optional<Problem> objection(const ClusterFacts& facts, int id) {
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
  if (std::ranges::find(facts.voters, id) != facts.voters.end()) {
    return Problem{.exit = Exit::refused,
                   .message = fmt::format("broker {} is a voter of the metadata quorum", id),
                   .next_step = "a voter that is gone is replaced: start another broker with its node.id"};
  }
  if (found->replicas > 0) {
    return Problem{.exit = Exit::refused,
                   .message = fmt::format("broker {} holds {} replicas", id, found->replicas),
                   .next_step = fmt::format("`naru partition move --off {} --yes --wait` moves them", id)};
  }
  return std::nullopt;
}

}  // namespace

Exit run(const BrokerRemoveCommand& command) {
  if (command.shared.format == Format::help) return print_out(remove_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<ClusterFacts> facts = fetch_cluster(*cluster, WithDisks::no);
  if (!facts) return report(facts.error());
  if (const auto why_not = objection(*facts, command.id)) return report(*why_not);
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
