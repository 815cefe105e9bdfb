// naru config check|explain|reference, and naru version.
#include <algorithm>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/version.h"
#include "common/config/config_load.h"
#include "common/config/config_table.h"

namespace cli {
namespace {

using common::config::ConfigProblems;
using common::config::Effect;
using common::config::LoadedConfig;
using common::config::Property;
using common::config::Update;

std::string explain(const Property& property, std::string_view scope) {
  std::string out = fmt::format("{} ({} property)\n  {}\n", property.key, scope, property.doc);
  if (!property.note.empty()) {
    out += property.effect == Effect::accepted ? fmt::format("  Accepted without effect here: {}.\n", property.note)
                                               : fmt::format("  {}\n", property.note);
  }
  out += fmt::format("  default   {}\n  may be    {}\n", property.default_text ? *property.default_text : "not set",
                     allowed_text(property));
  if (!property.synonyms.empty()) {
    std::string from;
    for (const auto& synonym : property.synonyms) from += fmt::format("{}{}", from.empty() ? "" : ", ", synonym.key);
    out += fmt::format("  broker's  {}\n", from);
  } else {
    out += fmt::format("  changes   {}\n",
                       property.update == Update::at_restart ? "at a restart" : "at once, while running");
  }
  return out;
}

// Each problem begins with the name of its property.
common::config::ConfigMap without_the_wrong(common::config::ConfigMap given, const ConfigProblems& problems) {
  std::erase_if(given, [&](const auto& entry) {
    return std::ranges::any_of(problems, [&](const std::string& problem) {
      return problem.starts_with(entry.first + "=") || problem.starts_with(entry.first + ":");
    });
  });
  return given;
}

}  // namespace

Exit run(const ConfigCheckCommand& command) {
  auto file = common::config::read_properties_file(command.file);
  if (!file) return report({.exit = Exit::usage, .message = file.error(), .next_step = {}});
  const tl::expected<LoadedConfig, ConfigProblems> loaded =
      common::config::load_config({.file = *file, .environment = {}, .sets = {}});
  std::string out;
  if (!loaded) {
    for (const std::string& wrong : loaded.error()) out += fmt::format("wrong    {}\n", wrong);
  }
  // What is wrong does not hide what would become of the rest.
  const common::config::ConfigMap rest = loaded ? loaded->config.given : without_the_wrong(*file, loaded.error());
  for (const std::string& line : common::config::checked_lines(rest)) out += line + "\n";
  for (size_t i = loaded ? loaded->warnings_about_names : 0; loaded && i < loaded->warnings.size(); ++i)
    out += fmt::format("note     {}\n", loaded->warnings[i]);
  out += loaded ? "a broker would start with it\n" : "a broker would not start with it\n";
  print_out(out);
  return loaded ? Exit::done : Exit::usage;
}

Exit run(const ConfigExplainCommand& command) {
  const Property* broker = common::config::find_broker_property(command.key);
  const Property* topic = common::config::find_topic_property(command.key);
  if (broker == nullptr && topic == nullptr) {
    const auto near_broker = common::config::nearest_broker_property(command.key);
    const auto near_topic = common::config::nearest_topic_property(command.key);
    const auto nearest = near_topic ? near_topic : near_broker;
    return report({.exit = Exit::refused,
                   .message = fmt::format("no such property: {}", command.key),
                   .next_step = nearest ? fmt::format("did you mean {}?", *nearest) : ""});
  }
  if (topic != nullptr) print_out(explain(*topic, "topic"));
  if (broker != nullptr) print_out(explain(*broker, "broker"));
  return Exit::done;
}

Exit run(const ConfigReferenceCommand&) {
  return print_out(common::config::configuration_reference()) ? Exit::done : Exit::refused;
}

Exit run(const VersionCommand&) {
  return print_out(fmt::format("naru {}\n", version_text)) ? Exit::done : Exit::refused;
}

}  // namespace cli
