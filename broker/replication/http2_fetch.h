// Fetch streams as calls that the shards speak themselves (http2_call.h): the follower's transport, and the leader's end
// of a connection that the peer listener has sorted to a shard.
#pragma once
#include <memory>

#include "broker/replication/transport.h"
#include "common/net/socket.h"

namespace broker::replication {

[[nodiscard]] std::unique_ptr<FetchTransport> make_http2_fetch_transport();

// On `shard`. Serves one follower; a connection whose first message is no hello within a few seconds is closed.
// `acceptor` outlives the shard's loop.
void serve_follower(common::Shard& shard, common::net::Socket socket, FollowerAcceptor& acceptor);

}  // namespace broker::replication
