// naru profile save|use|list|remove.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/client_properties.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/profile_files.h"

namespace cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view profiles_shape = R"([
  {
    "name": text,
    "brokers": text,
    "current": true or false,
    "file": text
  }
]
)";

Exit save_as_profile(const ProfileCommand& command) {
  const Shared& given = command.shared;
  const bool named_by_property = std::ranges::any_of(given.properties, names_brokers);
  if (given.brokers.empty() && given.command_config.empty() && !named_by_property) {
    return report({.exit = Exit::usage,
                   .message = "where is the cluster?",
                   .next_step = fmt::format("`naru profile save {} -b host:9092`", command.name)});
  }
  const Outcome<ClientProperties> properties = client_properties(given);
  if (!properties) return report(properties.error());
  const Outcome<OwnSettings> own = own_settings(*properties);
  if (!own) return report(own.error());
  if (Outcome<void> saved = save_profile(command.name, all_of(*properties)); !saved) return report(saved.error());
  if (Outcome<void> used = use_profile(command.name); !used) return report(used.error());
  if (!command.shared.quiet) print_out(fmt::format("saved {} ({}); in use from now on\n", command.name, own->brokers));
  return Exit::done;
}

std::string brokers_of(const Profile& profile) {
  Shared only;
  only.command_config = profile.path;
  const Outcome<ClientProperties> properties = client_properties(only);
  const Outcome<OwnSettings> own = properties ? own_settings(*properties) : tl::unexpected(properties.error());
  return own ? own->brokers : "";
}

Exit list_profiles(const ProfileCommand& command) {
  if (command.shared.format == Format::help) return print_out(profiles_shape) ? Exit::done : Exit::refused;
  Table table({{"PROFILE"}, {"BROKERS"}, {"CURRENT"}});
  Json all = Json::array();
  std::string names;
  for (const Profile& profile : profiles()) {
    const std::string brokers = brokers_of(profile);
    table.add({profile.name, brokers, profile.is_current ? "yes" : ""});
    all.push_back(
        {{"name", profile.name}, {"brokers", brokers}, {"current", profile.is_current}, {"file", profile.path}});
    names += profile.name + "\n";
  }
  print_out(command.shared.format == Format::json   ? all.dump(2) + "\n"
            : command.shared.format == Format::name ? names
                                                    : table.text());
  return Exit::done;
}

}  // namespace

Exit run(const ProfileCommand& command) {
  using Action = ProfileCommand::Action;
  if (command.action == Action::save) return save_as_profile(command);
  if (command.action == Action::list) return list_profiles(command);
  const bool uses = command.action == Action::use;
  const Outcome<void> done = uses ? use_profile(command.name) : remove_profile(command.name);
  if (!done) return report(done.error());
  if (command.shared.quiet) return Exit::done;
  print_out(!uses                  ? fmt::format("removed {}\n", command.name)
            : command.name.empty() ? "no profile is in use\n"
                                   : fmt::format("using {}\n", command.name));
  return Exit::done;
}

}  // namespace cli
