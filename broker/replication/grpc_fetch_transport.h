// The follower's end of fetch streams over gRPC. Each stream has a TCP connection of its own, apart from those of Raft
// and broker sessions, so that records never delay them; each attempt makes a new channel, so that the address is
// resolved anew and gRPC's backoff never hides a refusal.
//
// Thread-safe.
#pragma once
#include <memory>

#include "broker/replication/transport.h"

namespace broker::replication {

[[nodiscard]] std::unique_ptr<FetchTransport> make_grpc_fetch_transport();

}  // namespace broker::replication
