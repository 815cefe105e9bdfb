// Raft's messages as Protobuf and back. Whatever a peer sends is checked here: ids of 16 bytes, known enums, sane
// numbers; a frame that does not hold together is an error and ends the stream, never a crash. Pure; any thread.
#pragma once
#include "common/model/result.h"
#include "controller/raft/messages.h"
#include "proto/cluster/raft.pb.h"

namespace controller::quorum {

void to_wire(const raft::Message& message, naru::cluster::RaftMessage& out);
[[nodiscard]] common::model::Result<raft::Message> from_wire(const naru::cluster::RaftMessage& in);

void to_wire(const raft::NodeKey& key, naru::cluster::NodeKey& out);
[[nodiscard]] common::model::Result<raft::NodeKey> from_wire(const naru::cluster::NodeKey& in);

void to_wire(const raft::Voter& voter, naru::cluster::Voter& out);
[[nodiscard]] common::model::Result<raft::Voter> from_wire(const naru::cluster::Voter& in);

// 16 bytes; empty means the zero id.
[[nodiscard]] std::string uuid_bytes(const common::model::Uuid& id);
[[nodiscard]] common::model::Result<common::model::Uuid> uuid_from(const std::string& bytes);

}  // namespace controller::quorum
