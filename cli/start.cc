// naru start: a broker in the foreground, from a file, the environment and --set.
#include <fmt/format.h>

#include "broker/broker.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "common/config/config_load.h"

namespace cli {

Exit run(const StartCommand& command) {
  common::config::ConfigSources sources;
  if (!command.config_file.empty()) {
    auto file = common::config::read_properties_file(command.config_file);
    if (!file) return report({.exit = Exit::usage, .message = file.error(), .next_step = {}});
    sources.file = std::move(*file);
  }
  sources.environment = common::config::process_environment();
  sources.sets = command.sets;
  auto loaded = common::config::load_config(sources);
  if (!loaded) {
    for (const std::string& wrong : loaded.error()) fmt::print(stderr, "naru: {}\n", wrong);
    return Exit::usage;
  }
  return static_cast<Exit>(broker::run_broker(loaded->config, loaded->warnings));
}

}  // namespace cli
