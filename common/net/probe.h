// One plain TCP connection attempt, closed at once: tells a process that is gone (refused) from a host that is silent.
// gRPC channels back off and hide that difference.
#pragma once
#include <string>

#include "common/net/socket.h"
#include "common/shard.h"

namespace common::net {

enum class ProbeResult {
  connected,   // something listens there
  refused,     // the host is up, nothing listens: the process is gone
  no_answer,   // deadline passed, or no route
  unresolved,  // the name has no address now
};
std::string_view to_string(ProbeResult result);

// Resolves anew each time (R112) and tries the addresses in turn until one connects or `deadline` passes. On `shard`.
Awaitable<ProbeResult> probe(Shard& shard, std::string host, uint16_t port, Instant deadline);

}  // namespace common::net
