// naru start: a broker in the foreground, from a file, the environment and --set; or as an image's container starts it.
#include <fmt/format.h>

#include "broker/broker.h"
#include "cli/commands.h"
#include "cli/image.h"
#include "cli/output.h"
#include "common/config/config_load.h"

namespace cli {

namespace {

Outcome<common::config::ConfigSources> sources_of(const StartCommand& command) {
  if (command.as_image) return image_sources(command.variables);
  common::config::ConfigSources sources;
  if (!command.config_file.empty()) {
    auto file = common::config::read_properties_file(command.config_file);
    if (!file) return problem(Exit::usage, file.error());
    sources.file = std::move(*file);
  }
  sources.environment = common::config::process_environment();
  return sources;
}

}  // namespace

Exit run(const StartCommand& command) {
  Outcome<common::config::ConfigSources> sources = sources_of(command);
  if (!sources) return report(sources.error());
  sources->sets = command.sets;
  auto loaded = common::config::load_config(*sources);
  if (!loaded) {
    for (const std::string& wrong : loaded.error()) fmt::print(stderr, "naru: {}\n", wrong);
    return Exit::usage;
  }
  return static_cast<Exit>(broker::run_broker(loaded->config, loaded->warnings));
}

}  // namespace cli
