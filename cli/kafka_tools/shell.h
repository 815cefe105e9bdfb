// `sh -c LINE` in an image without a shell (shell_line.h). Starts programs, connects to ports.
#pragma once
#include "cli/commands.h"

namespace cli::kafka_tools {

// Its commands are this binary by its names, and the few others that health checks consist of.
Exit shell(int argc, const char* const* argv);

}  // namespace cli::kafka_tools
