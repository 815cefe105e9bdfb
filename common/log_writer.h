// Who takes the log may stand still: a journal whose disk is full, a pipe that nobody reads, the hanging disk of
// naru.log.file. Lines that a broker logs therefore wait in a bounded queue for a thread that writes nothing else, so
// that neither Raft nor a shard ever waits for them; when the queue is full the oldest are lost, and the log says how
// many (R32, R78). An empty queue takes no memory. For logging.cc; spdlog formats and writes.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include <spdlog/logger.h>

namespace common {

// The text of the line that stands where so many are missing.
using LossText = std::string (*)(uint64_t lines);

// Hands its lines to *sink* in a thread that is started here: after any fork, and with the signals blocked that it is
// not to take. Makes a crash of the process wait for the lines on their way, like drain_log() (log_set_up.h), which is
// about the logger made last. Throws what std::thread throws.
std::shared_ptr<spdlog::logger> make_queued_logger(spdlog::sink_ptr sink, LossText loss_text);

// Before each line for the logger made last, so that drain_log() waits for it.
void count_queued_line();

}  // namespace common
