// The leader's end of fetch streams over gRPC: a service for the broker's one gRPC server. gRPC's threads decode frames
// and post them to the shard that the follower asked for; nothing else happens on them.
//
// Made before the server starts; acceptors outlive the server. Thread-safe.
#pragma once
#include <memory>
#include <vector>

#include "broker/replication/transport.h"
#include "common/shard.h"

namespace grpc {
class Service;
}

namespace broker::replication {

struct ShardAcceptor {
  common::Shard* shard = nullptr;
  FollowerAcceptor* acceptor = nullptr;
};

// acceptors[i] serves the leader's shard i. A follower that asks for a shard that does not exist reaches shard 0, which
// tells it how many there are.
[[nodiscard]] std::unique_ptr<grpc::Service> make_grpc_fetch_service(std::vector<ShardAcceptor> acceptors);

}  // namespace broker::replication
