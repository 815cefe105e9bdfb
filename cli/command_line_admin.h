// The part of the command line that changes and explains a running cluster. Apart, so that no file grows too long.
#pragma once

namespace cli {

class CommandBuilder;
void add_admin_commands(CommandBuilder& tree);

}  // namespace cli
