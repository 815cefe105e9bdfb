// Frames as gRPC's runtime takes and gives them (wire_frames.h has their layout). Any thread.
#pragma once
#include <grpcpp/support/byte_buffer.h>

#include "broker/replication/wire_frames.h"

namespace broker::replication {

[[nodiscard]] grpc::ByteBuffer encode(const FollowerHello& hello);
[[nodiscard]] grpc::ByteBuffer encode(const FollowerFrame& frame);
[[nodiscard]] grpc::ByteBuffer encode(const LeaderHello& hello);
// The records' buffers are kept alive until gRPC has sent them.
[[nodiscard]] grpc::ByteBuffer encode(const LeaderFrame& frame);

// An error: not a frame of ours. The stream is to be ended.
[[nodiscard]] common::model::Result<FromFollower> decode_from_follower(const grpc::ByteBuffer& bytes);
// The records are slices of `bytes`.
[[nodiscard]] common::model::Result<FromLeader> decode_from_leader(const grpc::ByteBuffer& bytes);

}  // namespace broker::replication
