// The naru command.
#include <variant>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  const tl::expected<cli::Command, cli::Exit> command = cli::parse_command_line(argc, argv);
  if (!command) return static_cast<int>(command.error());
  return static_cast<int>(std::visit([](const auto& chosen) { return cli::run(chosen); }, *command));
}
