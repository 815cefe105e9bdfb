// Raft's messages as Protobuf (proto/cluster/raft.proto) and back. What comes from a socket is checked here: a message
// that cannot be meant is an error, never a crash. Pure functions; any thread.
#pragma once
#include "common/model/result.h"
#include "controller/raft/messages.h"
#include "proto/cluster/raft.pb.h"

namespace controller::quorum {

void encode(const raft::NodeKey& key, naru::cluster::NodeKey& out);
common::model::Result<raft::NodeKey> decode(const naru::cluster::NodeKey& in);

void encode(const raft::Message& message, naru::cluster::RaftMessage& out);
common::model::Result<raft::Message> decode(const naru::cluster::RaftMessage& in);

}  // namespace controller::quorum
