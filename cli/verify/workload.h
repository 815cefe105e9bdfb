// Ordinary clients at work while brokers are being killed (clients.h says which), driven over standard input and
// output, one line each way, by scripts/failover-demo, tests/cluster and whoever else does harm:
//   in   mark            -> {"event":"mark", "gap_ms", "partition", "sent", "acknowledged"}: the longest time without
//                           an acknowledgement since the last mark, and where
//   in   point           -> {"event":"point"}: "least" counts from here
//   in   fault NAME      -> {"event":"fault"}: what is done now; the verdict tells the gap and the rate around it
//   in   healed          -> {"event":"healed"}: that is over
//   in   stop            -> settles, reads everything once more, checks: {"event":"verdict", ...}, then ends; what the
//                           verdict holds is said by `naru verify -o help`
//   out  {"event":"ready"}, then ten times a second {"event":"progress", "sent", "acknowledged", "polled", "silent_ms"
//        (of the partition that waits longest), "least" (acknowledgements of the partition that had fewest), "failed"}
#pragma once
#include "cli/commands.h"

namespace cli {

Exit run(const WorkloadCommand& command);

}  // namespace cli
