// naru broker drain|undrain: a broker gives away what it holds, or only what it leads, before it is stopped or removed;
// and takes its share again.
#include <algorithm>

#include <fmt/format.h>

#include "cli/drain_plan.h"
#include "cli/items.h"
#include "cli/move_run.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/topic_restore.h"
#include "kafka/elect_leaders.h"

namespace cli {
namespace {

constexpr std::string_view drain_shape =
    R"({"done": true, "bytes": 0, "seconds": 0,
 "moves": [{"topic": "text", "partition": 0, "from": [1], "to": [2], "bytes": 0}]}
)";

// Who is up may hold and lead; the broker itself only when it comes back.
MoveRules rules_of(const BrokerDrainCommand& command, const ClusterFacts& facts) {
  MoveRules rules;
  for (const BrokerFacts& b : facts.brokers) {
    if (!b.fenced && (command.back || b.id != command.id)) rules.allowed.emplace(b.id, b.rack.value_or(""));
  }
  return rules;
}

Outcome<std::vector<Move>> plan(const BrokerDrainCommand& command, const ClusterFacts& facts, const MoveRules& rules) {
  if (std::ranges::find(facts.brokers, command.id, &BrokerFacts::id) == facts.brokers.end())
    return problem(Exit::refused, fmt::format("no such broker: {}", command.id),
                   "`naru broker list` shows what there is");
  if (command.back) {
    if (!rules.allowed.contains(command.id))
      return problem(Exit::refused, fmt::format("broker {} is down", command.id), "start it first");
    return plan_undrain(facts.topics, rules, command.id);
  }
  return command.leaders ? Outcome<std::vector<Move>>(leaders_away(facts.topics, rules, command.id))
                         : plan_drain(facts.topics, rules, command.id);
}

// Beside what is moved, what the broker leads in place of a first one that could lead.
std::vector<Move> with_led(std::vector<Move> moves, const std::vector<TopicFacts>& topics, const MoveRules& rules,
                           int32_t broker) {
  for (const TopicFacts& topic : topics) {
    for (const PartitionFacts& p : topic.partitions) {
      if (p.leader == broker && !p.replicas.empty() && rules.allowed.contains(p.replicas.front()))
        moves.push_back({topic.name, p.index, p.replicas, p.replicas});
    }
  }
  return moves;
}

// The first of each partition that changed shall lead it now, not when the controller next looks.
Exit elect(client::Cluster& cluster, std::vector<Move> moves) {
  std::ranges::sort(moves, {}, &Move::topic);
  kafka::ElectLeadersRequest request;
  request.timeout_ms = static_cast<int32_t>(cluster.timeout().count());
  std::vector<kafka::ElectLeadersRequest::TopicPartitions> wanted;
  for (const Move& move : moves) {
    if (wanted.empty() || wanted.back().topic != move.topic) wanted.push_back({.topic = move.topic, .partitions = {}});
    wanted.back().partitions.push_back(move.partition);
  }
  request.topic_partitions = std::move(wanted);
  const auto answer = cluster.call<kafka::ElectLeadersResponse>(request);
  if (!answer) return report(answer.error());
  if (answer->error_code != common::model::ErrorCode::none) return report(refused("cannot elect", answer->error_code));
  std::vector<ItemOutcome> items;
  for (const auto& topic : answer->replica_election_results) {
    for (const auto& p : topic.partition_result) {
      if (p.error_code == common::model::ErrorCode::election_not_needed) continue;
      items.push_back({fmt::format("{}-{}", topic.topic, p.partition_id), p.error_code, p.error_message.value_or("")});
    }
  }
  return conclude("elect the preferred leader of", items);
}

// What a reader does next.
std::string next_step(const BrokerDrainCommand& command, const ClusterFacts& facts, const MoveRules& rules) {
  const int id = command.id;
  if (command.back) return fmt::format("broker {} has its share", id);
  if (command.leaders) {
    const int alone = led_alone(facts.topics, rules, id);
    const std::string left = alone == 0
                                 ? "nothing"
                                 : fmt::format("{} {} of which no other broker that is up has a copy, and nothing else",
                                               alone, alone == 1 ? "partition" : "partitions");
    return fmt::format("broker {0} leads {1}; `naru broker undrain {0}` gives it its share again", id, left);
  }
  const bool votes = std::ranges::find(facts.voters, id) != facts.voters.end();
  return fmt::format(
      "broker {0} holds nothing. To be rid of it: {1}stop it, `naru broker remove {0}`; `naru broker undrain {0}` "
      "gives it its share again",
      id, votes ? fmt::format("`naru quorum remove {}`, ", id) : "");
}

// They are not in the plan, for no client sees them; but a broker that is removed takes its copies of them along.
void tell_of_deleted(client::Cluster& cluster) {
  const auto deleted = fetch_deleted_topics(cluster);
  if (!deleted || deleted->empty()) return;
  fmt::print(stderr,
             "deleted topics that can still be restored are not moved: `naru topic list --deleted` shows them, "
             "`naru topic delete NAME --keep 0` ends them\n");
}

}  // namespace

Exit run(const BrokerDrainCommand& command) {
  if (command.shared.format == Format::help) return print_out(drain_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  Outcome<ClusterFacts> facts = fetch_as_moved(*cluster);
  if (!facts) return report(facts.error());
  const MoveRules rules = rules_of(command, *facts);
  const auto moves = plan(command, *facts, rules);
  if (!moves) return report(moves.error());
  // Where only leaders go, what somebody else moves is no reason to wait: it may take hours.
  const bool wait = !command.leaders || !moves->empty();
  const Exit exit = run_moves(*cluster, *facts, *moves,
                              {.shared = command.shared,
                               .throttle = command.throttle,
                               .yes = command.yes,
                               .wait = wait,
                               .dry_run = command.dry_run});
  if (exit != Exit::done || command.dry_run) return exit;
  if (command.leaders || command.back) {
    const std::vector<Move> changed = command.leaders ? with_led(*moves, facts->topics, rules, command.id) : *moves;
    if (const Exit elected = changed.empty() ? Exit::done : elect(*cluster, changed); elected != Exit::done)
      return elected;
  }
  if (!command.leaders && !command.back) {
    facts = fetch_cluster(*cluster, WithDisks::no);
    if (!facts) return report(facts.error());
    if (const auto left = what_is_left(facts->topics, command.id)) return report(*left);
    if (!command.shared.quiet) tell_of_deleted(*cluster);
  }
  if (!command.shared.quiet) fmt::print(stderr, "{}\n", next_step(command, *facts, rules));
  return Exit::done;
}

}  // namespace cli
