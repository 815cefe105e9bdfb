#include "cli/image.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>

#include "common/model/address_text.h"

namespace cli {
namespace {

using common::config::ConfigMap;
using common::config::ConfigSources;

// A file that somebody mounted. Kafka's image copies what lies in /mnt/shared/config over its own configuration.
constexpr std::array config_files = {"/mnt/shared/config/server.properties", "/opt/kafka/config/server.properties",
                                     "/bitnami/kafka/config/server.properties"};
// Where the images keep data that should outlive a container, if the configuration does not say: bitnami's where a
// volume is mounted there, else Kafka's.
constexpr auto bitnami_volume = "/bitnami/kafka";
constexpr auto kafka_volume = "/var/lib/kafka/data";

bool is_mounted(const std::string& dir) {
  struct stat own{};
  struct stat parent{};
  return ::stat(dir.c_str(), &own) == 0 && ::stat((dir + "/..").c_str(), &parent) == 0 && own.st_dev != parent.st_dev;
}

bool is_named(const ConfigSources& sources, std::string_view property) {
  if (sources.file.contains(property)) return true;
  return std::ranges::any_of(sources.environment, [&](const auto& variable) {
    return common::config::property_of_variable(variable.first) == property;
  });
}

void set_data_dir(ConfigSources& sources) {
  if (is_named(sources, "log.dirs") || is_named(sources, "log.dir")) return;
  std::error_code error;
  if (is_mounted(bitnami_volume)) {
    sources.file.emplace("log.dirs", std::string(bitnami_volume) + "/data");
  } else if (std::filesystem::is_directory(kafka_volume, error)) {
    sources.file.emplace("log.dirs", kafka_volume);
  }
}

}  // namespace

Outcome<ConfigSources> image_sources(const std::vector<std::string>& variables) {
  ConfigSources sources;
  for (const char* path : config_files) {
    if (::access(path, F_OK) != 0) continue;
    auto file = common::config::read_properties_file(path);
    if (!file) return problem(Exit::usage, file.error());
    sources.file = std::move(*file);
    break;
  }
  sources.environment = common::config::process_environment();
  for (const std::string& variable : variables) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) {
      return problem(Exit::usage, fmt::format("'{}' must be a variable as in KAFKA_NODE_ID=1", variable));
    }
    const std::string name = variable.substr(0, equals);
    std::erase_if(sources.environment, [&](const auto& entry) { return entry.first == name; });
    sources.environment.emplace_back(name, variable.substr(equals + 1));
  }
  set_data_dir(sources);
  return sources;
}

std::string local_address() {
  const auto sources = image_sources();
  if (!sources) return "localhost:9092";
  const auto loaded = common::config::load_config(*sources);
  if (!loaded) return "localhost:9092";
  const common::config::Listener& listener = loaded->config.listeners.front();
  const bool any = listener.host.empty() || listener.host == "0.0.0.0" || listener.host == "::";
  return common::model::address_text(any ? "localhost" : listener.host, listener.port);
}

}  // namespace cli
