#include "cli/client_properties.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "cli/profile_files.h"
#include "common/config/config_load.h"

namespace cli {

namespace {

constexpr std::array<std::string_view, 2> names_of_brokers = {"bootstrap.servers", "metadata.broker.list"};
constexpr std::array<std::string_view, 2> names_of_timeouts = {"default.api.timeout.ms", "request.timeout.ms"};

bool is_of(std::string_view property, std::string_view name) {
  return property.size() > name.size() && property.starts_with(name) && property[name.size()] == '=';
}

Outcome<std::vector<std::string>> properties_of_file(const std::string& path) {
  const auto file = common::config::read_properties_file(path);
  if (!file) return problem(Exit::usage, file.error());
  std::vector<std::string> lines;
  for (const auto& [name, value] : *file) lines.push_back(fmt::format("{}={}", name, value));
  return lines;
}

// Whoever uses a profile means its cluster. If it is gone, or does not say where that is, this machine's own must not get
// what was meant for it, such as a deletion.
Outcome<std::vector<std::string>> properties_of_profile(const std::string& path) {
  constexpr const char* way_out = "`naru profile save` makes it anew, `naru profile use` without a name uses none";
  auto lines = properties_of_file(path);
  if (!lines) lines.error().next_step = way_out;
  if (lines && std::ranges::none_of(*lines, names_brokers))
    return problem(Exit::usage, fmt::format("{}, the profile in use, names no bootstrap.servers", path), way_out);
  return lines;
}

}  // namespace

bool names_brokers(std::string_view property) {
  return std::ranges::any_of(names_of_brokers, [&](std::string_view name) { return is_of(property, name); });
}

Outcome<ClientProperties> client_properties(const Shared& shared) {
  ClientProperties properties;
  const bool are_named_by_property = std::ranges::any_of(shared.properties, names_brokers);
  // Whoever names brokers means these, and not the cluster of a profile, whose passwords are none of theirs. A file
  // that is named, too, is meant for them.
  const std::string& path = shared.command_config;
  if (path.empty() && shared.brokers.empty() && !are_named_by_property) {
    if (const auto profile = current_profile_file()) {
      auto lines = properties_of_profile(*profile);
      if (!lines) return tl::unexpected(std::move(lines.error()));
      properties.before = std::move(*lines);
    }
  } else if (!path.empty()) {
    auto lines = properties_of_file(path);
    if (!lines) return tl::unexpected(std::move(lines.error()));
    properties.before = std::move(*lines);
  }
  if (are_named_by_property) {
    std::erase_if(properties.before, names_brokers);
  } else if (!shared.brokers.empty()) {
    std::erase_if(properties.before, names_brokers);
    properties.before.push_back("bootstrap.servers=" + shared.brokers);
  } else if (std::ranges::none_of(properties.before, names_brokers)) {
    properties.before.emplace_back("bootstrap.servers=localhost:9092");
  }
  for (const std::string& property : shared.properties) {
    if (property.find('=') == std::string::npos || property.starts_with('='))
      return problem(Exit::usage, fmt::format("-X {}: must be name=value", property));
  }
  properties.after = shared.properties;
  return properties;
}

std::vector<std::string> all_of(const ClientProperties& properties) {
  std::vector<std::string> all = properties.before;
  all.insert(all.end(), properties.after.begin(), properties.after.end());
  return all;
}

std::optional<std::string> value_of(const ClientProperties& properties, std::string_view name) {
  std::optional<std::string> found;
  for (const std::string& property : all_of(properties)) {
    if (is_of(property, name)) found = property.substr(name.size() + 1);
  }
  return found;
}

Outcome<OwnSettings> own_settings(const ClientProperties& properties) {
  OwnSettings own;
  for (const std::string& property : all_of(properties)) {
    if (names_brokers(property)) own.brokers = property.substr(property.find('=') + 1);
  }
  for (const std::string_view name : names_of_timeouts) {
    const std::optional<std::string> text = value_of(properties, name);
    if (!text) continue;
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc() || end != text->data() + text->size() || number < 1)
      return problem(Exit::usage, fmt::format("{}={}: must be a number of milliseconds", name, *text));
    if (!own.timeout) own.timeout = std::chrono::milliseconds(number);
  }
  own.speaks_plainly = value_of(properties, "security.protocol").value_or("PLAINTEXT") == "PLAINTEXT";
  for (const std::string& property : properties.after) {
    const std::string name = property.substr(0, property.find('='));
    const bool has_effect = names_brokers(property) || name == "security.protocol" ||
                            std::ranges::find(names_of_timeouts, name) != names_of_timeouts.end();
    if (!has_effect) own.without_effect.push_back(name);
  }
  return own;
}

}  // namespace cli
