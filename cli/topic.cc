// naru topic create|list|describe|grow.
#include <algorithm>
#include <regex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/facts.h"
#include "cli/items.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/topic_restore.h"
#include "kafka/create_partitions.h"
#include "kafka/create_topics.h"
#include "kafka/describe_configs.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;

constexpr std::string_view create_shape =
    R"([{"name": "text", "id": "text", "partitions": 6, "replicas": 3, "error": "CODE" or null}]
)";
constexpr std::string_view list_shape =
    R"([{"name": "text", "id": "text", "internal": false, "partitions": 6, "replicas": 3,
  "leaderless": 0, "under_replicated": 0}]
)";
constexpr std::string_view describe_shape =
    R"([{"name": "text", "id": "text", "internal": false, "error": "CODE" or null, "partitions": 1, "replicas": 3,
  "partition_list": [{"partition": 0, "leader": 1 or null, "leader_epoch": 0, "replicas": [1], "isr": [1],
                      "offline": [], "eligible": []}],
  "configs": [{"name": "text", "value": "text" or null, "source": "topic|broker|cluster|file|default"}]}]
)";
constexpr std::string_view outcome_shape = R"([{"name": "text", "error": "CODE" or null}]
)";

Json error_json(ErrorCode code) {
  return code == ErrorCode::none ? Json(nullptr) : Json(std::string(common::model::to_string(code)));
}

using TopicConfigs = std::vector<kafka::DescribeConfigsResponse::DescribeConfigsResourceResult>;

Outcome<std::map<std::string, TopicConfigs>> fetch_configs(client::Cluster& cluster,
                                                           const std::vector<TopicFacts>& topics) {
  kafka::DescribeConfigsRequest request;
  for (const TopicFacts& topic : topics) {
    if (topic.error != ErrorCode::none) continue;
    kafka::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = 2;
    resource.resource_name = topic.name;
    resource.configuration_keys.reset();
    request.resources.push_back(std::move(resource));
  }
  std::map<std::string, TopicConfigs> all;
  if (request.resources.empty()) return all;
  auto answer = cluster.call<kafka::DescribeConfigsResponse>(request);
  if (!answer) return tl::unexpected(std::move(answer.error()));
  for (auto& result : answer->results) all[result.resource_name] = std::move(result.configs);
  return all;
}

std::string state_of(const PartitionFacts& p, const TopicFacts& topic) {
  if (!p.led()) return "no leader";
  if (topic.min_isr && p.isr.size() < std::min<size_t>(static_cast<size_t>(*topic.min_isr), p.replicas.size()))
    return "below min ISR";
  if (!p.fully_replicated()) return "under-replicated";
  return {};
}

std::string describe_table(const TopicFacts& topic, const TopicConfigs& configs, Format format) {
  std::string out = fmt::format("{}   {} {}   {} {}   id {}\n", topic.name, topic.partitions.size(),
                                topic.partitions.size() == 1 ? "partition" : "partitions", topic.replication(),
                                topic.replication() == 1 ? "replica" : "replicas", topic.id.empty() ? "-" : topic.id);
  Table partitions({{"PARTITION", Align::right},
                    {"LEADER", Align::right},
                    {"EPOCH", Align::right},
                    {"REPLICAS"},
                    {"ISR"},
                    {"OFFLINE", Align::left, true},
                    {"ELIGIBLE", Align::left, true},
                    {"STATE", Align::left, true}});
  for (const PartitionFacts& p : topic.partitions) {
    partitions.add({std::to_string(p.index), p.leader ? std::to_string(*p.leader) : "", std::to_string(p.leader_epoch),
                    ids_text(p.replicas), ids_text(p.isr), ids_text(p.offline), ids_text(p.eligible),
                    state_of(p, topic)});
  }
  out += partitions.text();
  Table changed({{"CONFIG"}, {"VALUE"}, {"SOURCE"}});
  for (const auto& config : configs) {
    // Changed ones only: who wants all of them asks for -o wide.
    const bool is_changed = config.config_source != 5 && config.config_source != 4;
    if (is_changed || format == Format::wide)
      changed.add({config.name, config.value.value_or(""), std::string(source_text(config.config_source))});
  }
  if (!changed.empty()) out += changed.text();
  return out;
}

Json describe_json(const TopicFacts& topic, const TopicConfigs& configs) {
  Json partitions = Json::array();
  for (const PartitionFacts& p : topic.partitions) {
    partitions.push_back({{"partition", p.index},
                          {"leader", or_null(p.leader)},
                          {"leader_epoch", p.leader_epoch},
                          {"replicas", p.replicas},
                          {"isr", p.isr},
                          {"offline", p.offline},
                          {"eligible", p.eligible}});
  }
  Json all_configs = Json::array();
  for (const auto& config : configs) {
    all_configs.push_back({{"name", config.name},
                           {"value", or_null(config.value)},
                           {"source", source_text(config.config_source)}});
  }
  return {{"name", topic.name},
          {"id", topic.id},
          {"internal", topic.internal},
          {"error", error_json(topic.error)},
          {"partitions", topic.partitions.size()},
          {"replicas", topic.replication()},
          {"partition_list", std::move(partitions)},
          {"configs", std::move(all_configs)}};
}

using Assignments = std::vector<kafka::CreateTopicsRequest::CreatableReplicaAssignment>;

// "1:2:3,2:3:1": the brokers of partition 0, of partition 1, ...
Outcome<Assignments> parse_assignment(std::string_view text) {
  Assignments all;
  all.emplace_back();
  std::string digits;
  const auto take = [&] {
    if (digits.empty() || digits.size() > 9) return false;
    all.back().broker_ids.push_back(std::atoi(digits.c_str()));
    digits.clear();
    return true;
  };
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      digits += c;
    } else if ((c == ':' || c == ',') && take()) {
      if (c == ',') {
        const auto index = static_cast<int32_t>(all.size());
        all.emplace_back().partition_index = index;
      }
    } else {
      digits.clear();
      break;
    }
  }
  if (!take()) return problem(Exit::usage, fmt::format("--assign {}: must be broker ids as in 1:2:3,2:3:1", text));
  return all;
}

Outcome<kafka::CreateTopicsRequest> creation_request(const TopicCreateCommand& command) {
  kafka::CreateTopicsRequest request;
  request.timeout_ms = static_cast<int32_t>(command.shared.timeout.count());
  request.validate_only = command.dry_run;
  for (const std::string& name : command.names) {
    kafka::CreateTopicsRequest::CreatableTopic topic;
    topic.name = name;
    if (command.assignment.empty()) {
      topic.num_partitions = command.partitions;
      topic.replication_factor = static_cast<int16_t>(command.replicas);
    } else {
      auto assignments = parse_assignment(command.assignment);
      if (!assignments) return tl::unexpected(std::move(assignments.error()));
      topic.num_partitions = -1;
      topic.replication_factor = -1;
      topic.assignments = std::move(*assignments);
    }
    for (const std::string& text : command.configs) {
      const size_t equals = text.find('=');
      if (equals == std::string::npos) return problem(Exit::usage, fmt::format("-c {}: must be name=value", text));
      kafka::CreateTopicsRequest::CreatableTopicConfig config;
      config.name = text.substr(0, equals);
      config.value = text.substr(equals + 1);
      topic.configs.push_back(std::move(config));
    }
    request.topics.push_back(std::move(topic));
  }
  return request;
}

// A name typed wrongly most often means one that is there.
void report_missing(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    report({.exit = Exit::refused,
            .message = fmt::format("no such topic: {}", name),
            .next_step = "`naru topic list` shows what there is"});
  }
}

}  // namespace

Exit run(const TopicCreateCommand& command) {
  if (command.shared.format == Format::help) return print_out(create_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<kafka::CreateTopicsRequest> request = creation_request(command);
  if (!request) return report(request.error());
  const auto answer = cluster->call<kafka::CreateTopicsResponse>(*request);
  if (!answer) return report(answer.error());
  const std::string_view made = command.dry_run ? "would create" : "created";
  std::vector<ItemOutcome> items;
  Json all = Json::array();
  for (const auto& topic : answer->topics) {
    const bool there = topic.error_code == ErrorCode::topic_already_exists && command.if_absent;
    items.push_back({topic.name, there ? ErrorCode::none : topic.error_code, topic.error_message.value_or("")});
    all.push_back({{"name", topic.name},
                   {"id", topic.topic_id.is_zero() ? "" : topic.topic_id.to_string()},
                   {"partitions", topic.num_partitions},
                   {"replicas", topic.replication_factor},
                   {"error", error_json(items.back().error)}});
    if (command.shared.format == Format::json || items.back().error != ErrorCode::none) continue;
    if (command.shared.format == Format::name) {
      print_out(topic.name + "\n");
    } else if (there) {
      print_out(fmt::format("{} was there already\n", topic.name));
    } else if (topic.num_partitions > 0) {
      print_out(fmt::format("{} {} with {} {}, {} {}\n", made, topic.name, topic.num_partitions,
                            topic.num_partitions == 1 ? "partition" : "partitions", topic.replication_factor,
                            topic.replication_factor == 1 ? "replica" : "replicas"));
    } else {
      print_out(fmt::format("{} {}\n", made, topic.name));
    }
  }
  if (command.shared.format == Format::json) print_out(all.dump(2) + "\n");
  return conclude("create topic", items);
}

Exit run(const TopicListCommand& command) {
  if (command.shared.format == Format::help)
    return print_out(command.deleted ? deleted_topics_shape : list_shape) ? Exit::done : Exit::refused;
  std::regex pattern;
  try {
    pattern = std::regex(command.pattern);
  } catch (const std::regex_error&) {
    return report({.exit = Exit::usage,
                   .message = fmt::format("--regex {}: is not a regular expression", command.pattern),
                   .next_step = {}});
  }
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  if (command.deleted) return list_deleted_topics(*cluster, command.shared, pattern);
  const Outcome<std::vector<TopicFacts>> topics = fetch_topics(*cluster, std::nullopt);
  if (!topics) return report(topics.error());
  Table table({{"TOPIC"},
               {"PARTITIONS", Align::right},
               {"REPLICAS", Align::right},
               {"NO-LEADER", Align::right, true},
               {"UNDER-REPLICATED", Align::right, true},
               {"INTERNAL", Align::left, true}});
  Json all = Json::array();
  std::string names;
  for (const TopicFacts& topic : *topics) {
    const int leaderless = topic.leaderless();
    const int under = topic.under_replicated();
    if (topic.internal && !command.internal && !command.problems) continue;
    if (command.problems && leaderless == 0 && under == 0) continue;
    if (!command.pattern.empty() && !std::regex_search(topic.name, pattern)) continue;
    table.add({topic.name, std::to_string(topic.partitions.size()), std::to_string(topic.replication()),
               leaderless > 0 ? std::to_string(leaderless) : "", under > 0 ? std::to_string(under) : "",
               topic.internal ? "yes" : ""});
    all.push_back({{"name", topic.name},
                   {"id", topic.id},
                   {"internal", topic.internal},
                   {"partitions", topic.partitions.size()},
                   {"replicas", topic.replication()},
                   {"leaderless", leaderless},
                   {"under_replicated", under}});
    names += topic.name + "\n";
  }
  print_out(command.shared.format == Format::json   ? all.dump(2) + "\n"
            : command.shared.format == Format::name ? names
                                                    : table.text());
  return Exit::done;
}

Exit run(const TopicDescribeCommand& command) {
  if (command.shared.format == Format::help) return print_out(describe_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  Outcome<std::vector<TopicFacts>> topics = fetch_topics(*cluster, command.names);
  if (!topics) return report(topics.error());
  fetch_eligible(*cluster, *topics);
  const auto configs = fetch_configs(*cluster, *topics);
  if (!configs) return report(configs.error());
  std::vector<std::string> missing;
  Json all = Json::array();
  std::string text;
  for (TopicFacts& topic : *topics) {
    const auto found = configs->find(topic.name);
    const TopicConfigs none;
    const TopicConfigs& own = found == configs->end() ? none : found->second;
    for (const auto& config : own) {
      if (config.name == "min.insync.replicas" && config.value) topic.min_isr = std::atoi(config.value->c_str());
    }
    all.push_back(describe_json(topic, own));
    if (topic.error != ErrorCode::none) {
      missing.push_back(topic.name);
      continue;
    }
    text += command.shared.format == Format::name
                ? topic.name + "\n"
                : (text.empty() ? "" : "\n") + describe_table(topic, own, command.shared.format);
  }
  print_out(command.shared.format == Format::json ? all.dump(2) + "\n" : text);
  report_missing(missing);
  if (missing.empty()) return Exit::done;
  return missing.size() < topics->size() ? Exit::partly : Exit::refused;
}

Exit run(const TopicGrowCommand& command) {
  if (command.shared.format == Format::help) return print_out(outcome_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  kafka::CreatePartitionsRequest request;
  request.timeout_ms = static_cast<int32_t>(command.shared.timeout.count());
  kafka::CreatePartitionsRequest::CreatePartitionsTopic topic;
  topic.name = command.name;
  topic.count = command.partitions;
  topic.assignments.reset();
  request.topics.push_back(std::move(topic));
  request.validate_only = command.dry_run;
  const auto answer = cluster->call<kafka::CreatePartitionsResponse>(request);
  if (!answer) return report(answer.error());
  std::vector<ItemOutcome> items;
  for (const auto& result : answer->results)
    items.push_back({result.name, result.error_code, result.error_message.value_or("")});
  const std::string past = fmt::format(
      fmt::runtime(command.dry_run ? "would have {} partitions:" : "{} partitions now:"), command.partitions);
  const Exit exit = print_items(command.shared.format, "grow topic", past, items);
  if (exit == Exit::done && !command.shared.quiet) {
    fmt::print(stderr, "records with keys {} to other partitions than before from {} on\n",
               command.dry_run ? "would go" : "go", command.dry_run ? "then" : "now");
  }
  return exit;
}

}  // namespace cli
