// Frames as bytes of gRPC: encoded into and decoded from raw ByteBuffers, so that records are passed on by reference in
// both directions (proto/cluster/replication.proto has the layout). Pure; any thread.
#pragma once
#include <optional>
#include <variant>

#include <grpcpp/support/byte_buffer.h>

#include "broker/replication/frames.h"
#include "common/model/result.h"

namespace broker::replication {

[[nodiscard]] grpc::ByteBuffer encode(const FollowerHello& hello);
[[nodiscard]] grpc::ByteBuffer encode(const FollowerFrame& frame);
[[nodiscard]] grpc::ByteBuffer encode(const LeaderHello& hello);
// The records' buffers are kept alive until gRPC has sent them.
[[nodiscard]] grpc::ByteBuffer encode(const LeaderFrame& frame);

using FromFollower = std::variant<FollowerHello, FollowerFrame>;
using FromLeader = std::variant<LeaderHello, LeaderFrame>;
// An error: not a frame of ours. The stream is to be ended.
[[nodiscard]] common::model::Result<FromFollower> decode_from_follower(const grpc::ByteBuffer& bytes);
// The records are slices of `bytes`.
[[nodiscard]] common::model::Result<FromLeader> decode_from_leader(const grpc::ByteBuffer& bytes);

}  // namespace broker::replication
