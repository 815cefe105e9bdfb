// Ordinary clients at work while brokers are being killed: an idempotent acks=all producer that writes numbered records
// into every partition at a steady pace, and a consumer group that reads them. What they see goes to a HistoryChecker.
// Both are librdkafka at its defaults, so that what is measured is what users get.
//
// Driven over standard input and output, one line each way, by scripts/failover-demo and tests/cluster:
//   in   mark            -> {"event":"mark", "gap_ms", "partition", "sent", "acknowledged"}: the longest time without
//   an
//                           acknowledgement since the last mark, and where
//   in   point           -> {"event":"point"}: "least" counts from here
//   in   stop            -> settles, reads everything once more, checks: {"event":"verdict", ...}, then ends
//   out  {"event":"ready"}, then ten times a second {"event":"progress", "sent", "acknowledged", "polled", "silent_ms"
//   (of
//        the partition that waits longest), "least" (acknowledgements of the partition that had fewest)}
#pragma once
#include "cli/commands.h"

namespace cli {

Exit run(const WorkloadCommand& command);

}  // namespace cli
