// How Raft messages travel: the interface that the driver sees, so that tests and the simulator can replace gRPC.
// Everything happens on the controller's shard.
#pragma once
#include <map>

#include "controller/raft/messages.h"

namespace controller::quorum {

class RaftTransportListener {
 public:
  virtual ~RaftTransportListener() = default;
  // In the order of sending per peer; never twice (R23).
  virtual void on_message(raft::Message message) = 0;
  // An ordered stream to `peer` stands; what was sent before may be lost.
  virtual void on_peer_connected(common::model::BrokerId peer) = 0;
  // The stream to `peer` broke and its address refuses connections: the process is gone. Evidence, not proof.
  virtual void on_peer_gone(common::model::BrokerId peer) = 0;
};

class RaftTransport {
 public:
  virtual ~RaftTransport() = default;
  // To message.to.id. Dropped when there is no stream, or when too much waits: Raft sends again.
  virtual void send(raft::Message message) = 0;
  // Whom to keep streams to, and where they are. Streams to others end.
  virtual void set_peers(std::map<common::model::BrokerId, raft::Endpoint> peers) = 0;
};

}  // namespace controller::quorum
