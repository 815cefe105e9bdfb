// kafka-configs: describe and alter the settings of topics and brokers, with ConfigCommand's flags and lines.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/facts.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/instead.h"
#include "cli/kafka_tools/offsets.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"
#include "common/config/config_load.h"
#include "kafka/describe_configs.h"
#include "kafka/incremental_alter_configs.h"

namespace cli::kafka_tools {
namespace {

using common::model::ErrorCode;

constexpr int8_t topic_type = 2;
constexpr int8_t broker_type = 4;

struct Options {
  Target target;
  bool describe = false, alter = false, all = false, default_entity = false, broker_defaults = false;
  std::string type, name, topic, broker, add, add_file, remove;
};

// What is described or altered; no name: the default of all brokers.
struct Entity {
  int8_t type = topic_type;
  std::string name;
  [[nodiscard]] bool is_topic() const { return type == topic_type; }
  [[nodiscard]] std::string text() const { return fmt::format("{} {}", is_topic() ? "topic" : "broker", name); }
};

std::optional<Exit> parse(Options& o, int argc, const char* const* argv) {
  Flags flags("kafka-configs", "This tool helps to manipulate and describe entity config for a topic or broker.");
  o.target.add_to(flags);
  flags.toggle("--describe", o.describe, "List configs of the entity.");
  flags.toggle("--alter", o.alter, "Alter the configuration of the entity.");
  flags.toggle("--all", o.all, "List all configs, the static and default ones too.");
  flags.text("--entity-type", o.type, "topics or brokers.");
  flags.text("--entity-name", o.name, "The topic's name or the broker's id.");
  flags.toggle("--entity-default", o.default_entity, "The default of all brokers.");
  flags.text("--topic", o.topic, "The topic's name.");
  flags.text("--broker", o.broker, "The broker's id.");
  flags.toggle("--broker-defaults", o.broker_defaults, "The default of all brokers.");
  flags.text("--add-config", o.add, "k1=v1,k2=[v1,v2]");
  flags.text("--add-config-file", o.add_file, "A file of properties to add.");
  flags.text("--delete-config", o.remove, "k1,k2");
  if (const auto over = flags.parse(argc, argv)) return over;
  if (o.describe == o.alter) return fail("Command must include exactly one action: --describe, --alter");
  if (!o.topic.empty()) o.type = "topics", o.name = o.topic;
  if (!o.broker.empty()) o.type = "brokers", o.name = o.broker;
  if (o.broker_defaults) o.type = "brokers", o.default_entity = true;
  if (o.type.empty()) return fail("At least one entity type must be specified with --entity-type, --topic or --broker");
  if (o.type != "topics" && o.type != "brokers") {
    // "users" is what --user says in one word.
    const std::string flag = "--" + o.type;
    std::string_view instead = instead_of_flag("kafka-configs", flag);
    if (instead.empty()) instead = instead_of_flag("kafka-configs", std::string_view(flag).substr(0, flag.size() - 1));
    return fail(fmt::format("--entity-type {}: only topics and brokers have settings here{}{}", o.type,
                            instead.empty() ? "" : "; ", instead));
  }
  if (o.alter && o.name.empty() && !o.default_entity)
    return fail("An entity name must be specified with --alter of topics and brokers");
  if (o.alter && o.add.empty() && o.add_file.empty() && o.remove.empty()) {
    return fail("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter");
  }
  return std::nullopt;
}

std::string_view source_name(int8_t source) {
  switch (source) {
    case 1:
      return "DYNAMIC_TOPIC_CONFIG";
    case 2:
      return "DYNAMIC_BROKER_CONFIG";
    case 3:
      return "DYNAMIC_DEFAULT_BROKER_CONFIG";
    case 4:
      return "STATIC_BROKER_CONFIG";
    case 5:
      return "DEFAULT_CONFIG";
    default:
      return "UNKNOWN";
  }
}

using Setting = kafka::DescribeConfigsResponse::DescribeConfigsResourceResult;

std::string line_of(const Setting& setting) {
  std::vector<std::string> synonyms;
  for (const auto& s : setting.synonyms) {
    synonyms.push_back(fmt::format("{}:{}={}", source_name(s.source), s.name, s.value.value_or("null")));
  }
  return fmt::format("  {}={} sensitive={} synonyms={{{}}}\n", setting.name, setting.value.value_or("null"),
                     setting.is_sensitive, fmt::join(synonyms, ", "));
}

// Asked of the broker itself where it is about one broker's own settings.
Outcome<std::vector<Setting>> fetch_settings(client::Cluster& cluster, const Entity& entity) {
  kafka::DescribeConfigsRequest request;
  kafka::DescribeConfigsRequest::DescribeConfigsResource resource;
  resource.resource_type = entity.type;
  resource.resource_name = entity.name;
  resource.configuration_keys.reset();
  request.resources.push_back(std::move(resource));
  request.include_synonyms = true;
  Outcome<kafka::DescribeConfigsResponse> answer = kafka::DescribeConfigsResponse{};
  if (!entity.is_topic() && !entity.name.empty()) {
    const auto nodes = fetch_nodes(cluster);
    if (!nodes) return tl::unexpected(nodes.error());
    const auto node = nodes->brokers.find(std::atoi(entity.name.c_str()));
    if (node == nodes->brokers.end())
      return problem(Exit::refused, fmt::format("The broker '{}' doesn't exist.", entity.name));
    answer = cluster.call_on<kafka::DescribeConfigsResponse>(node->second, request);
  } else {
    answer = cluster.call<kafka::DescribeConfigsResponse>(request);
  }
  if (!answer) return tl::unexpected(answer.error());
  if (answer->results.empty()) return std::vector<Setting>();
  auto& result = answer->results.front();
  if (result.error_code != ErrorCode::none) {
    return tl::unexpected(refused(entity.text(), result.error_code, result.error_message.value_or("")));
  }
  std::ranges::sort(result.configs, {}, &Setting::name);
  return std::move(result.configs);
}

Exit describe_one(client::Cluster& cluster, const Entity& entity, bool all) {
  const auto settings = fetch_settings(cluster, entity);
  if (!settings) return fail(settings.error());
  const bool default_entity = entity.name.empty();
  std::string out = default_entity ? "Default configs for brokers in the cluster are:\n"
                                   : fmt::format("{} configs for {} are:\n", all ? "All" : "Dynamic", entity.text());
  // What was set on this entity alone, unless all is asked for.
  const int8_t own = entity.is_topic() ? 1 : default_entity ? 3 : 2;
  for (const Setting& setting : *settings) {
    if (all || setting.config_source == own) out += line_of(setting);
  }
  print_out(out);
  return Exit::done;
}

Exit describe(client::Cluster& cluster, const Options& o) {
  if (o.type == "topics") {
    const auto topics = fetch_topics(cluster, std::nullopt);
    if (!topics) return fail(topics.error());
    bool found = false;
    for (const TopicFacts& topic : *topics) {
      if (!o.name.empty() && topic.name != o.name) continue;
      found = true;
      if (const Exit exit = describe_one(cluster, {topic_type, topic.name}, o.all); exit != Exit::done) return exit;
    }
    if (!found && !o.name.empty())
      print_out(fmt::format("The topic '{}' doesn't exist and doesn't have dynamic config.\n", o.name));
    return Exit::done;
  }
  if (o.default_entity || !o.name.empty())
    return describe_one(cluster, {broker_type, o.default_entity ? "" : o.name}, o.all);
  const auto nodes = fetch_nodes(cluster);
  if (!nodes) return fail(nodes.error());
  for (const auto& [id, broker] : nodes->brokers) {
    if (const Exit exit = describe_one(cluster, {broker_type, std::to_string(id)}, o.all); exit != Exit::done)
      return exit;
  }
  return describe_one(cluster, {broker_type, ""}, o.all);
}

Outcome<kafka::IncrementalAlterConfigsRequest> changes_of(const Options& o) {
  kafka::IncrementalAlterConfigsRequest request;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = o.type == "topics" ? topic_type : broker_type;
  resource.resource_name = o.default_entity ? "" : o.name;
  const auto put = [&](std::string name, std::string value) {
    resource.configs.push_back({.name = std::move(name), .config_operation = 0, .value = std::move(value)});
  };
  if (!o.add_file.empty()) {
    const auto file = common::config::read_properties_file(o.add_file);
    if (!file) return problem(Exit::refused, file.error());
    for (const auto& [name, value] : *file) put(name, value);
  }
  auto settings = parse_settings(o.add);
  if (!settings) return tl::unexpected(settings.error());
  for (auto& [name, value] : *settings) put(std::move(name), std::move(value));
  for (size_t at = 0; at < o.remove.size();) {
    const size_t comma = std::min(o.remove.find(',', at), o.remove.size());
    if (comma > at)
      resource.configs.push_back({.name = o.remove.substr(at, comma - at), .config_operation = 1, .value = {}});
    at = comma + 1;
  }
  return request;
}

Exit alter(client::Cluster& cluster, const Options& o) {
  const auto request = changes_of(o);
  if (!request) return fail(request.error());
  const auto answer = cluster.call<kafka::IncrementalAlterConfigsResponse>(*request);
  if (!answer) return fail(answer.error());
  for (const auto& result : answer->responses) {
    if (result.error_code == ErrorCode::none) continue;
    return fail(fmt::format("Error while executing config command: {}",
                            result.error_message.value_or(std::string(common::model::to_string(result.error_code)))));
  }
  const Entity entity{o.type == "topics" ? topic_type : broker_type, o.name};
  print_out(o.default_entity ? "Completed updating default config for brokers in the cluster.\n"
                             : fmt::format("Completed updating config for {}.\n", entity.text()));
  return Exit::done;
}

}  // namespace

Exit configs(int argc, const char* const* argv) {
  Options o;
  if (const auto over = parse(o, argc, argv)) return *over;
  Outcome<client::Cluster> cluster = o.target.open();
  if (!cluster) return fail(cluster.error());
  return o.describe ? describe(*cluster, o) : alter(*cluster, o);
}

}  // namespace cli::kafka_tools
