// What a broker process asks of the kernel before anything else: descriptors, signals. Once, from main.
#pragma once
#include <functional>
#include <string>

#include "common/logging.h"

namespace broker {

// Raises the soft descriptor limit to the hard one, ignores SIGPIPE (a peer that left is an error value) and SIGXFSZ
// (a file size limit is then an error like a full disk: fault 26).
void prepare_process(const common::Logger& log);

// SIGTERM and SIGINT: the first asks for a controlled shutdown, the second ends the process at once. Blocks the calling
// thread until the first arrives or `give_up()` was called from another thread. Call block_signals() before threads
// start.
void block_signals();
enum class WaitResult { signalled, given_up };
WaitResult wait_for_end();
void give_up();
// From now on a further SIGTERM or SIGINT ends the process with exit code 130.
void end_on_next_signal();

}  // namespace broker
