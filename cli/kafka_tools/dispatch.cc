#include "cli/kafka_tools/dispatch.h"

#include <random>

#include <fmt/format.h>

#include "cli/kafka_tools/instead.h"
#include "cli/kafka_tools/shell.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"
#include "common/model/uuid.h"

namespace cli {
namespace {

// run [NAME=VALUE...]: what Kafka's image starts.
Exit image_run(int argc, const char* const* argv) {
  StartCommand command;
  command.as_image = true;
  for (int i = 1; i < argc; ++i) command.variables.emplace_back(argv[i]);
  return run(command);
}

// kafka-server-start.sh [-daemon] FILE [--override NAME=VALUE]...
Exit server_start(int argc, const char* const* argv) {
  StartCommand command;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "-daemon") {
      return report({.exit = Exit::usage,
                     .message = "-daemon: a broker stays in the foreground",
                     .next_step = "let systemd or a container keep it running"});
    }
    if (word == "--override" && i + 1 < argc) {
      command.sets.emplace_back(argv[++i]);
    } else if (command.config_file.empty() && !word.starts_with('-')) {
      command.config_file = word;
    } else {
      command.config_file.clear();
      break;
    }
  }
  if (command.config_file.empty()) {
    fmt::print(stderr, "USAGE: {} [-daemon] server.properties [--override property=value]*\n", argv[0]);
    return Exit::refused;
  }
  return run(command);
}

// kafka-storage.sh random-uuid | format ... | info ...
Exit storage(int argc, const char* const* argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "random-uuid") {
    std::random_device device;
    const auto half = [&] { return (static_cast<uint64_t>(device()) << 32) | device(); };
    print_out(common::model::random_uuid(half(), half()).to_string() + "\n");
    return Exit::done;
  }
  if (what == "format") {
    print_out("There is nothing to format: a broker prepares its directories when it starts for the first time.\n");
    return Exit::done;
  }
  return report({.exit = Exit::usage,
                 .message = fmt::format("kafka-storage {}: not known here", what),
                 .next_step =
                     "random-uuid and format are; of a running broker `naru broker describe ID` shows the data "
                     "directories, `naru status -o json` the cluster's id"});
}

struct Named {
  std::string_view name;
  KafkaTool tool;
};
constexpr Named tools[] = {
    {"run", &image_run},
    {"sh", &kafka_tools::shell},
    {"bash", &kafka_tools::shell},
    {"kafka-broker-api-versions", &kafka_tools::broker_api_versions},
    {"kafka-configs", &kafka_tools::configs},
    {"kafka-console-consumer", &kafka_tools::console_consumer},
    {"kafka-console-producer", &kafka_tools::console_producer},
    {"kafka-consumer-groups", &kafka_tools::consumer_groups},
    {"kafka-get-offsets", &kafka_tools::get_offsets},
    {"kafka-metadata-quorum", &kafka_tools::metadata_quorum},
    {"kafka-server-start", &server_start},
    {"kafka-storage", &storage},
    {"kafka-topics", &kafka_tools::topics},
};

std::string_view base_name(std::string_view program) {
  const size_t slash = program.rfind('/');
  if (slash != std::string_view::npos) program.remove_prefix(slash + 1);
  return program;
}

std::string_view tool_name(std::string_view program) {
  program = base_name(program);
  if (program.ends_with(".sh")) program.remove_suffix(3);
  return program;
}

// Any other script of Kafka's.
Exit not_offered(int argc, const char* const* argv) {
  std::string instead = kafka_tools::instead_of_tool(tool_name(argv[0]), argc > 1 ? argv[1] : "");
  if (!instead.empty()) {
    const bool is_class = tool_name(argv[0]) == "kafka-run-class" && argc > 1;
    return report({.exit = Exit::usage,
                   .message = fmt::format("{}{}{} is none of the tools that naru stands for", base_name(argv[0]),
                                          is_class ? " " : "", is_class ? argv[1] : ""),
                   .next_step = "instead: " + std::move(instead)});
  }
  std::string known;
  for (const Named& named : tools) {
    if (named.name.starts_with("kafka-")) known += fmt::format("{}{}", known.empty() ? "" : ", ", named.name);
  }
  return report({.exit = Exit::usage,
                 .message = fmt::format("{} is none of the tools that naru stands for: {}", base_name(argv[0]), known),
                 .next_step = "Kafka's own tools work with this cluster; `naru --help` shows what naru has"});
}

}  // namespace

std::optional<KafkaTool> kafka_tool_named(std::string_view program) {
  program = tool_name(program);
  for (const Named& named : tools) {
    if (named.name == program) return named.tool;
  }
  if (program.starts_with("kafka-")) return &not_offered;
  return std::nullopt;
}

}  // namespace cli
