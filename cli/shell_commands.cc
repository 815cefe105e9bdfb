// naru completion and naru man: what is derived from the tree of commands.
#include <fmt/format.h>

#include "cli/command_tree.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/version.h"

namespace cli {

Exit run(const CompletionCommand& command) {
  const CommandNode tree = command_tree();
  const std::string text = command.shell == "bash"  ? bash_completion(tree)
                           : command.shell == "zsh" ? zsh_completion(tree)
                                                    : fish_completion(tree);
  return print_out(text) ? Exit::done : Exit::refused;
}

Exit run(const ManCommand&) {
  return print_out(man_page(command_tree(), std::string(version_text))) ? Exit::done : Exit::refused;
}

}  // namespace cli
