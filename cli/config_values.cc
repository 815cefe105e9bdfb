// naru config get|set|unset: what a topic, a broker, the cluster or a group is set to, where that comes from, and
// changes.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/items.h"
#include "cli/facts.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/session.h"
#include "common/config/config_table.h"
#include "kafka/describe_configs.h"
#include "kafka/incremental_alter_configs.h"
#include "kafka/metadata.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;
using Config = kafka::DescribeConfigsResponse::DescribeConfigsResourceResult;

constexpr std::string_view get_shape =
    R"([{"name": "text", "value": "text" or null, "source": "topic|broker|cluster|file|default|group",
  "read_only": false, "sensitive": false,
  "origins": [{"name": "text", "value": "text" or null, "source": "text"}]}]
)";
constexpr std::string_view set_shape = R"([{"name": "text", "error": "CODE" or null}]
)";

struct Resource {
  int8_t type = 0;
  std::string name;
};

Outcome<Resource> resource_of(const ConfigTarget& target) {
  if (target.kind == "cluster") return Resource{4, ""};
  if (target.name.empty()) return problem(Exit::usage, fmt::format("config: which {}?", target.kind));
  if (target.kind == "topic") return Resource{2, target.name};
  if (target.kind == "group") return Resource{32, target.name};
  int id = -1;
  const char* end = target.name.data() + target.name.size();
  if (const auto [at, error] = std::from_chars(target.name.data(), end, id);
      error != std::errc() || at != end || id < 0)
    return problem(Exit::usage, fmt::format("config: broker {}: must be a number", target.name));
  return Resource{4, target.name};
}

std::string text_of(const ConfigTarget& target) {
  return target.name.empty() ? target.kind : fmt::format("{} {}", target.kind, target.name);
}

bool is_default(const Config& config) {
  return source_text(config.config_source) == "default";
}

std::string value_text(const Config& config) {
  if (config.is_sensitive) return "(hidden)";
  return config.value ? *config.value : "";
}

Json config_json(const Config& config) {
  Json origins = Json::array();
  for (const auto& s : config.synonyms) {
    origins.push_back(
        {{"name", s.name}, {"value", or_null(s.value)}, {"source", source_text(s.source)}});
  }
  return {{"name", config.name},
          {"value", or_null(config.value)},
          {"source", source_text(config.config_source)},
          {"read_only", config.read_only},
          {"sensitive", config.is_sensitive},
          {"origins", std::move(origins)}};
}

// What would hold if this were unset.
std::string next_origin(const Config& config) {
  if (is_default(config) || config.synonyms.size() < 2) return {};
  const auto& next = config.synonyms[1];
  return fmt::format("{} ({})", next.value.value_or("-"), source_text(next.source));
}

Outcome<client::Broker> living_broker(client::Cluster& cluster, const std::string& id) {
  kafka::MetadataRequest brokers_only;
  brokers_only.topics.emplace();
  brokers_only.allow_auto_topic_creation = false;
  const auto answer = cluster.call<kafka::MetadataResponse>(brokers_only);
  if (!answer) return tl::unexpected(answer.error());
  for (const auto& b : answer->brokers) {
    if (std::to_string(b.node_id) == id) return client::Broker{b.node_id, {b.host, static_cast<uint16_t>(b.port)}};
  }
  return problem(Exit::refused, fmt::format("broker {} is not up, and only it knows its settings", id),
                 "`naru broker list` shows which are");
}

// Of topics and of the cluster any broker tells; of a broker, only that one.
Outcome<kafka::DescribeConfigsResponse> ask(client::Cluster& cluster, const Resource& resource,
                                            const kafka::DescribeConfigsRequest& request) {
  constexpr int8_t of_brokers = 4;
  if (resource.type != of_brokers || resource.name.empty())
    return cluster.call<kafka::DescribeConfigsResponse>(request);
  const Outcome<client::Broker> broker = living_broker(cluster, resource.name);
  if (!broker) return tl::unexpected(broker.error());
  return cluster.call_on<kafka::DescribeConfigsResponse>(*broker, request);
}

Outcome<std::vector<Config>> fetch(client::Cluster& cluster, const ConfigGetCommand& command,
                                   const Resource& resource) {
  kafka::DescribeConfigsRequest request;
  request.include_synonyms = true;
  kafka::DescribeConfigsRequest::DescribeConfigsResource one;
  one.resource_type = resource.type;
  one.resource_name = resource.name;
  one.configuration_keys.reset();
  if (!command.keys.empty()) one.configuration_keys = command.keys;
  request.resources.push_back(std::move(one));
  const auto answer = ask(cluster, resource, request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->results.empty()) return std::vector<Config>{};
  const auto& result = answer->results.front();
  if (result.error_code != ErrorCode::none) {
    return tl::unexpected(refused(fmt::format("cannot read the settings of {}", text_of(command.target)),
                                  result.error_code, result.error_message.value_or("")));
  }
  std::vector<Config> configs = result.configs;
  std::sort(configs.begin(), configs.end(), [](const Config& a, const Config& b) { return a.name < b.name; });
  return configs;
}

// Brokers take anything for a name to unset, as Kafka's do: who misspells one would hear that it is unset, and what was
// meant goes on, such as a retention that deletes.
Outcome<void> check_is_known(const ConfigTarget& target, const std::string& name) {
  const bool is_of_topic = target.kind == "topic";
  if (target.kind == "group" || name.starts_with("listener.name.")) return {};
  if ((is_of_topic ? common::config::find_topic_property(name) : common::config::find_broker_property(name)) != nullptr)
    return {};
  const auto nearest =
      is_of_topic ? common::config::nearest_topic_property(name) : common::config::nearest_broker_property(name);
  return problem(Exit::refused, fmt::format("{} has no setting {}", text_of(target), name),
                 nearest ? fmt::format("did you mean {}?", *nearest) : "");
}

// "a=b" or, to unset, "a".
Outcome<kafka::IncrementalAlterConfigsRequest> change_of(const ConfigSetCommand& command, const Resource& resource) {
  kafka::IncrementalAlterConfigsRequest request;
  request.validate_only = command.dry_run;
  kafka::IncrementalAlterConfigsRequest::AlterConfigsResource one;
  one.resource_type = resource.type;
  one.resource_name = resource.name;
  for (const std::string& setting : command.settings) {
    kafka::IncrementalAlterConfigsRequest::AlterableConfig config;
    const size_t equals = setting.find('=');
    if (command.unset == (equals != std::string::npos) || equals == 0)
      return problem(Exit::usage, fmt::format("{}: must be {}", setting, command.unset ? "a name" : "name=value"));
    config.name = setting.substr(0, equals);
    if (command.unset) {
      if (const Outcome<void> known = check_is_known(command.target, config.name); !known)
        return tl::unexpected(known.error());
    }
    config.config_operation = command.unset ? 1 : 0;
    if (!command.unset) config.value = setting.substr(equals + 1);
    one.configs.push_back(std::move(config));
  }
  request.resources.push_back(std::move(one));
  return request;
}

}  // namespace

Exit run(const ConfigGetCommand& command) {
  if (command.shared.format == Format::help) return print_out(get_shape) ? Exit::done : Exit::refused;
  const Outcome<Resource> resource = resource_of(command.target);
  if (!resource) return report(resource.error());
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<std::vector<Config>> configs = fetch(*cluster, command, *resource);
  if (!configs) return report(configs.error());
  Json all = Json::array();
  Table table({{"NAME"}, {"VALUE"}, {"FROM"}, {"OTHERWISE", Align::left, true}});
  std::string names;
  for (const Config& config : *configs) {
    if (!command.all && command.keys.empty() && is_default(config)) continue;
    all.push_back(config_json(config));
    table.add({config.name, value_text(config), std::string(source_text(config.config_source)), next_origin(config)});
    names += config.name + "\n";
  }
  for (const std::string& key : command.keys) {
    const bool found = std::any_of(configs->begin(), configs->end(), [&](const Config& c) { return c.name == key; });
    if (!found) {
      return report({.exit = Exit::refused,
                     .message = fmt::format("{} has no setting {}", text_of(command.target), key),
                     .next_step = fmt::format("`naru config get {} --all` lists them", text_of(command.target))});
    }
  }
  if (command.shared.format == Format::json) {
    print_out(all.dump(2) + "\n");
  } else if (command.shared.format == Format::name) {
    print_out(names);
  } else if (all.empty()) {
    print_out(fmt::format("{}: everything is at its default (--all shows it)\n", text_of(command.target)));
  } else {
    print_out(table.text());
  }
  return Exit::done;
}

Exit run(const ConfigSetCommand& command) {
  if (command.shared.format == Format::help) return print_out(set_shape) ? Exit::done : Exit::refused;
  const Outcome<Resource> resource = resource_of(command.target);
  if (!resource) return report(resource.error());
  const Outcome<kafka::IncrementalAlterConfigsRequest> request = change_of(command, *resource);
  if (!request) return report(request.error());
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const auto answer = cluster->call<kafka::IncrementalAlterConfigsResponse>(*request);
  if (!answer) return report(answer.error());
  std::vector<ItemOutcome> items;
  for (const auto& r : answer->responses)
    items.push_back({text_of(command.target), r.error_code, r.error_message.value_or("")});
  return print_items(command.shared.format, command.unset ? "unset settings of" : "set settings of",
                     command.dry_run ? "would change"
                     : command.unset ? "unset for"
                                     : "set for",
                     items);
}

}  // namespace cli
