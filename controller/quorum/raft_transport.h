// How a Raft node reaches the others: the interface that the driver uses, so that the simulator can bring its own.
// Lives on the controller's shard; events come there too, never inside a call.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>

#include "controller/raft/messages.h"

namespace controller::quorum {

using common::model::BrokerId;

// One peer, as an operator asks for it.
struct LinkStatus {
  bool stands = false;
  std::string address;  // tried last
  std::string why;      // it does not stand
};

class RaftTransport {
 public:
  // Set before the first call.
  struct Events {
    // In the order of one stream; older streams' messages and repetitions are gone already (R23).
    std::function<void(const raft::Message&)> on_message;
    // Our stream to it stands; what was sent before may be lost.
    std::function<void(BrokerId)> on_connected;
    // Our stream to it broke and connections are refused: its process is gone (evidence, correctness section 4).
    std::function<void(BrokerId)> on_gone;
    // It has heard this directory in a later session than its disk knows of: the disk is an older image (R21).
    std::function<void(BrokerId)> on_older_image;
    // It says itself where it is reached.
    std::function<void(BrokerId, const raft::Endpoint&)> on_endpoint;
  };

  virtual ~RaftTransport() = default;
  virtual void listen(Events events) = 0;
  // Dropped when there is no stream, or too much waits on it: Raft repeats what matters.
  virtual void send(const raft::Message& message) = 0;
  // Keeps a stream to `peer`, from now on at this address first. Names are resolved anew at each attempt (R112).
  virtual void set_peer(BrokerId peer, const raft::Endpoint& endpoint) = 0;
  // The same, but tried only when the addresses known already do not answer.
  virtual void add_fallback(BrokerId peer, const raft::Endpoint& endpoint) = 0;
  // Looks no more for those, but these, that have neither been reached nor come here for long: a broker that was
  // removed would be called twice a second for ever. Whoever comes after all is a peer again.
  virtual void forget_unreached(const std::set<BrokerId>& but) = 0;
  [[nodiscard]] virtual std::map<BrokerId, LinkStatus> links() const = 0;
  // No event comes any more; `done` when no thread of the transport will touch the shard again.
  virtual void stop(std::function<void()> done) = 0;
};

}  // namespace controller::quorum
