// naru partition elect: leadership for the preferred replicas, or, where nobody can lead, for what is left.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/elect_plan.h"
#include "cli/facts.h"
#include "cli/items.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/session.h"
#include "kafka/describe_log_dirs.h"
#include "kafka/elect_leaders.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;
using Kind = Election::Kind;

constexpr std::string_view elect_shape =
    R"([{"topic": "text", "partition": 0, "error": "CODE" or null}]
With --dry-run each has "leader": 1 or null, "would_lead": 1 or null and "may_lose": false too.
)";

struct Elected {
  int32_t partition = 0;
  ErrorCode error = ErrorCode::none;
  std::string message;
};

// What there is of each copy that could lead, where its broker tells.
Copies fetch_copies(client::Cluster& cluster, const ClusterFacts& facts, const std::string& topic,
                    const std::vector<PartitionFacts>& partitions) {
  Copies copies;
  for (const BrokerFacts& broker : facts.brokers) {
    kafka::DescribeLogDirsRequest::DescribableLogDirTopic wanted;
    wanted.topic = topic;
    for (const PartitionFacts& p : partitions) {
      if (std::ranges::find(p.replicas, broker.id) != p.replicas.end()) wanted.partitions.push_back(p.index);
    }
    if (wanted.partitions.empty() || broker.fenced) continue;
    kafka::DescribeLogDirsRequest request;
    request.topics = std::vector{std::move(wanted)};
    const auto answer = cluster.call_on<kafka::DescribeLogDirsResponse>(
        client::Broker{.id = broker.id, .address = {.host = broker.host, .port = broker.port}}, request);
    if (!answer || answer->error_code != ErrorCode::none) continue;
    copies.told.insert(broker.id);
    for (const auto& directory : answer->results) {
      for (const auto& of : directory.topics) {
        for (const auto& p : of.partitions) {
          if (!p.is_future_key) copies.sizes[{p.partition_index, broker.id}] = p.partition_size;
        }
      }
    }
  }
  return copies;
}

Outcome<std::vector<Elected>> ask_for(client::Cluster& cluster, const PartitionElectCommand& command,
                                      std::vector<int32_t> partitions) {
  kafka::ElectLeadersRequest request;
  request.timeout_ms = static_cast<int32_t>(command.shared.timeout.count());
  if (command.unclean) request.election_type = 1;
  kafka::ElectLeadersRequest::TopicPartitions wanted;
  wanted.topic = command.topic;
  wanted.partitions = std::move(partitions);
  request.topic_partitions = std::vector{std::move(wanted)};
  const auto answer = cluster.call<kafka::ElectLeadersResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->error_code != ErrorCode::none) return tl::unexpected(refused("cannot elect", answer->error_code));
  std::vector<Elected> all;
  for (const auto& topic : answer->replica_election_results) {
    for (const auto& p : topic.partition_result) {
      // A partition that is led as it was wanted needs no election.
      const ErrorCode error = p.error_code == ErrorCode::election_not_needed ? ErrorCode::none : p.error_code;
      all.push_back({p.partition_id, error, p.error_message.value_or("")});
    }
  }
  return all;
}

Exit print_elected(const PartitionElectCommand& command, std::string_view past, const std::vector<Elected>& all) {
  const std::string_view what = command.unclean ? "elect a leader of" : "elect the preferred leader of";
  std::vector<ItemOutcome> items;
  Json json = Json::array();
  for (const Elected& e : all) {
    items.push_back({fmt::format("{}-{}", command.topic, e.partition), e.error, e.message});
    json.push_back({{"topic", command.topic},
                    {"partition", e.partition},
                    {"error", e.error == ErrorCode::none ? Json(nullptr) : Json(std::string(to_string(e.error)))}});
  }
  if (command.shared.format != Format::json) return print_items(command.shared.format, what, past, items);
  print_out(json.dump(2) + "\n");
  return conclude(what, items);
}

ErrorCode refusal_of(const PartitionElectCommand& command, const Election& election) {
  if (election.kind != Kind::impossible) return ErrorCode::none;
  return command.unclean ? ErrorCode::eligible_leaders_not_available : ErrorCode::preferred_leader_not_available;
}

Exit show(const PartitionElectCommand& command, const std::vector<Election>& elections) {
  std::vector<Elected> all;
  Json json = Json::array();
  for (const Election& e : elections) {
    const ErrorCode error = refusal_of(command, e);
    all.push_back({e.partition, error, ""});
    json.push_back({{"topic", command.topic},
                    {"partition", e.partition},
                    {"error", error == ErrorCode::none ? Json(nullptr) : Json(std::string(to_string(error)))},
                    {"leader", or_null(e.leader)},
                    {"would_lead", or_null(e.next ? e.next : e.leader)},
                    {"may_lose", e.kind == Kind::unclean}});
  }
  if (command.shared.format != Format::json)
    return print_elected(command, command.unclean ? "would have a leader:" : "preferred leader would lead", all);
  print_out(json.dump(2) + "\n");
  const bool is_refused = std::ranges::any_of(all, [](const Elected& e) { return e.error != ErrorCode::none; });
  return is_refused ? Exit::refused : Exit::done;
}

// Says what it costs, and asks. Only partitions that were shown are asked for: one that loses its leader while the
// question stands there was not meant.
Exit elect_uncleanly(client::Cluster& cluster, const PartitionElectCommand& command, const ClusterFacts& facts,
                     std::vector<PartitionFacts> partitions) {
  const Copies copies = fetch_copies(cluster, facts, command.topic, partitions);
  note_lost_copies(partitions, copies);
  const std::vector<Election> elections = plan_unclean(facts.brokers, partitions);
  const bool is_for_people = command.shared.format != Format::json && command.shared.format != Format::name;
  if (is_for_people) print_out(unclean_text(elections, copies.sizes));
  if (command.dry_run) return show(command, elections);
  std::vector<int32_t> wanted;
  std::vector<Elected> all;
  for (const Election& e : elections) {
    if (e.kind == Kind::clean || e.kind == Kind::unclean) {
      wanted.push_back(e.partition);
    } else {
      all.push_back({e.partition, refusal_of(command, e), ""});
    }
  }
  const std::string question =
      fmt::format("elect whoever is left in {} {} of {}? What is lost does not come back with the brokers that hold it",
                  wanted.size(), wanted.size() == 1 ? "partition" : "partitions", command.topic);
  // Also of those that one could lead who holds everything: if it has gone when the controller is asked, another does.
  if (!wanted.empty() && !confirmed(command.yes, "elects uncleanly", question)) return Exit::usage;
  if (!wanted.empty()) {
    const Outcome<std::vector<Elected>> asked = ask_for(cluster, command, std::move(wanted));
    if (!asked) return report(asked.error());
    all.insert(all.end(), asked->begin(), asked->end());
    std::ranges::sort(all, {}, &Elected::partition);
  }
  return print_elected(command, "has a leader:", all);
}

}  // namespace

Exit run(const PartitionElectCommand& command) {
  if (command.shared.format == Format::help) return print_out(elect_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  Outcome<std::vector<TopicFacts>> topics = fetch_topics(*cluster, std::vector{command.topic});
  if (!topics) return report(topics.error());
  if (topics->front().error != ErrorCode::none)
    return report(refused(fmt::format("cannot elect leaders of {}", command.topic), topics->front().error));
  if (command.unclean) fetch_eligible(*cluster, *topics);
  std::vector<PartitionFacts> partitions = topics->front().partitions;
  std::erase_if(partitions,
                [&](const PartitionFacts& p) { return command.partition >= 0 && command.partition != p.index; });
  if (partitions.empty()) {
    return report({.exit = Exit::usage,
                   .message = fmt::format("topic {} has no partition {}", command.topic, command.partition),
                   .next_step = {}});
  }
  if (command.unclean || command.dry_run) {
    const Outcome<ClusterFacts> facts = fetch_cluster(*cluster, WithDisks::no);
    if (!facts) return report(facts.error());
    if (command.unclean) return elect_uncleanly(*cluster, command, *facts, partitions);
    return show(command, plan_preferred(facts->brokers, partitions));
  }
  std::vector<int32_t> wanted;
  for (const PartitionFacts& p : partitions) wanted.push_back(p.index);
  const Outcome<std::vector<Elected>> all = ask_for(*cluster, command, std::move(wanted));
  if (!all) return report(all.error());
  return print_elected(command, "preferred leader leads", *all);
}

}  // namespace cli
