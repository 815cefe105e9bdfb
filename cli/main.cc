// The naru command.
#include <cstdio>
#include <cstdlib>
#include <variant>

#include "cli/command_line.h"
#include "common/model/mutant.h"

int main(int argc, char** argv) {
  if constexpr (common::model::mutants_enabled) {
    const char* chosen = std::getenv("NARU_MUTANT");
    if (chosen != nullptr && !common::model::activate_mutant(chosen)) {
      std::fprintf(stderr, "naru: there is no mutant %s\n", chosen);
      return 77;
    }
  }
  const tl::expected<cli::Command, cli::Exit> command = cli::parse_command_line(argc, argv);
  if (!command) return static_cast<int>(command.error());
  return static_cast<int>(std::visit([](const auto& chosen) { return cli::run(chosen); }, *command));
}
