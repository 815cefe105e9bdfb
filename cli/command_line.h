// Words of a command line to a Command. The one place that knows CLI11.
// Pure but for what it prints for --help and wrong usage.
#pragma once
#include <tl/expected.hpp>

#include "cli/commands.h"

namespace cli {

// The error is the exit code: help was printed (done), or what is wrong was said (usage).
tl::expected<Command, Exit> parse_command_line(int argc, const char* const* argv);

}  // namespace cli
