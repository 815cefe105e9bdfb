// The log as a configuration asks for it, which may name a file that cannot be written. Apart from logging.h, which
// everybody includes and which costs only fmt.
#pragma once
#include <string>

#include "common/logging.h"
#include "common/model/result.h"

namespace common {

// configure_logging, or why not: the log then goes to standard error, so that this can be said.
model::Result<void> set_up_logging(LogLevel level, LogFormat format, const std::string& file);

}  // namespace common
