// The log as a configuration asks for it, which may name a file that cannot be written. Apart from logging.h, which
// everybody includes and which costs only fmt.
#pragma once
#include <string>

#include "common/logging.h"
#include "common/model/result.h"

namespace common {

// configure_logging, or why not: the log then goes to standard error, so that this can be said. From now on lines are
// written by a thread of their own, and who logs never waits (log_writer.h): once, and after any fork.
model::Result<void> set_up_logging(LogLevel level, LogFormat format, const std::string& file);

// Waits until what was logged before is written. False: who takes the lines has not taken them for 2 s. For the end of
// the process; may be called in a signal handler.
bool drain_log();

}  // namespace common
