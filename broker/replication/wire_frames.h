// Frames as bytes: proto/cluster/replication.proto has the layout. Records are passed on by reference in both directions.
// Pure; any thread.
#pragma once
#include <optional>
#include <variant>

#include "broker/replication/frames.h"
#include "common/model/result.h"

namespace broker::replication {

// A whole message of gRPC's wire format: five bytes that say how long it is, then the frame.
[[nodiscard]] BufferChain encode_message(const FollowerHello& hello);
[[nodiscard]] BufferChain encode_message(const FollowerFrame& frame);
[[nodiscard]] BufferChain encode_message(const LeaderHello& hello);
[[nodiscard]] BufferChain encode_message(const LeaderFrame& frame);

using FromFollower = std::variant<FollowerHello, FollowerFrame>;
using FromLeader = std::variant<LeaderHello, LeaderFrame>;
// Of a message without its five bytes. An error: not a frame of ours; the stream is to be ended.
[[nodiscard]] common::model::Result<FromFollower> decode_from_follower(const BufferChain& bytes);
// The records are slices of `bytes`.
[[nodiscard]] common::model::Result<FromLeader> decode_from_leader(const BufferChain& bytes);

}  // namespace broker::replication
