// The naru command; started by the name of one of Kafka's scripts, it is that script.
#include <cstdio>
#include <cstdlib>
#include <variant>

#include "cli/command_line.h"
#include "cli/kafka_tools/dispatch.h"
#include "cli/output.h"
#include "common/model/mutant.h"

int main(int argc, char** argv) {
  if constexpr (common::model::mutants_enabled) {
    const char* chosen = std::getenv("NARU_MUTANT");
    if (chosen != nullptr && !common::model::activate_mutant(chosen)) {
      std::fprintf(stderr, "naru: there is no mutant %s\n", chosen);
      return 77;
    }
  }
  if (const std::optional<cli::KafkaTool> tool = cli::kafka_tool_named(argv[0]))
    return static_cast<int>(cli::after_output((*tool)(argc, argv)));
  const tl::expected<cli::Command, cli::Exit> command = cli::parse_command_line(argc, argv);
  const cli::Exit exit =
      command ? std::visit([](const auto& chosen) { return cli::run(chosen); }, *command) : command.error();
  return static_cast<int>(cli::after_output(exit));
}
