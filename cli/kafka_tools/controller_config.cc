#include "cli/kafka_tools/controller_config.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "common/config/config_load.h"
#include "common/config/listeners.h"

namespace cli::kafka_tools {
namespace {

using common::config::ConfigMap;
using common::model::Uuid;

constexpr const char* not_one = "Is this a valid controller configuration file?";

std::string value_of(const ConfigMap& properties, const std::string& key) {
  const auto found = properties.find(key);
  return found == properties.end() ? std::string() : found->second;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    std::string item = list.substr(at, end - at);
    item.erase(0, item.find_first_not_of(' '));
    item.erase(item.find_last_not_of(' ') + 1);
    if (!item.empty()) items.push_back(std::move(item));
    at = end + 1;
  }
  return items;
}

// A data directory says in meta.properties who it is; one that holds nothing but the metadata log, in the log's folder.
Outcome<Uuid> directory_id(const std::string& directory) {
  for (const char* file : {"/meta.properties", "/__cluster_metadata-0/quorum.properties"}) {
    const auto properties = common::config::read_properties_file(directory + file);
    const auto id = properties ? Uuid::parse(value_of(*properties, "directory.id")) : std::nullopt;
    if (id) return *id;
  }
  return problem(Exit::refused, fmt::format("No directory id found in {}", directory));
}

std::vector<VoterEndpoint> endpoints_of(const ConfigMap& properties) {
  std::vector<VoterEndpoint> endpoints;
  for (const std::string& name : split(value_of(properties, "controller.listener.names"))) {
    std::optional<VoterEndpoint> best;
    for (const char* key : {"listeners", "advertised.listeners"}) {
      const auto listeners = common::config::parse_listeners(value_of(properties, key));
      if (!listeners) continue;
      for (const auto& l : *listeners)
        if (l.name == name) best = VoterEndpoint{l.name, l.host.empty() ? "localhost" : l.host, l.port};
    }
    if (best) endpoints.push_back(*best);
  }
  return endpoints;
}

}  // namespace

Outcome<ControllerConfig> read_controller_config(const ConfigMap& properties) {
  ControllerConfig config;
  const std::string id = value_of(properties, "node.id");
  if (id.empty()) return problem(Exit::refused, fmt::format("node.id not found in configuration file. {}", not_one));
  const auto parsed = std::from_chars(id.data(), id.data() + id.size(), config.id);
  if (parsed.ec != std::errc() || parsed.ptr != id.data() + id.size() || config.id < 0)
    return problem(Exit::refused, fmt::format("node.id was negative in configuration file. {}", not_one));
  std::string directory = value_of(properties, "metadata.log.dir");
  if (directory.empty()) {
    const auto dirs = split(value_of(properties, properties.contains("log.dirs") ? "log.dirs" : "log.dir"));
    if (dirs.empty())
      return problem(Exit::refused, fmt::format("Neither metadata.log.dir nor log.dirs were found. {}", not_one));
    directory = dirs.front();
  }
  auto found = directory_id(directory);
  if (!found) return tl::unexpected(std::move(found.error()));
  config.directory = *found;
  config.endpoints = endpoints_of(properties);
  if (config.endpoints.empty())
    return problem(Exit::refused, fmt::format("controller.listener.names was not found. {}", not_one));
  return config;
}

}  // namespace cli::kafka_tools
