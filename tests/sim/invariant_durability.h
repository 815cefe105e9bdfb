// No vote, no message of a new term and no acknowledgement of metadata leaves a node before a loss of power would leave what
// it promises (R1, R2): looked up in the durable image of the node's disk at the moment of sending.
#pragma once
#include <map>

#include "controller/raft/messages.h"
#include "sim/complaints.h"
#include "sim/node.h"

namespace sim {

class DurabilityInvariants {
 public:
  explicit DurabilityInvariants(Complaints& complaints) : complaints_(complaints) {}

  void on_started(const Node& node) { ends_.erase(node.host()); }
  void on_sent(Node& node, const controller::raft::Message& message);

 private:
  // How far a node's log was found durable, and where the walk over it stopped.
  struct End {
    std::string path;
    size_t position = 0;
    int64_t next = 0;
  };
  void check_vote(Node& node, const controller::raft::Message& message, const controller::raft::NodeKey& vote);
  [[nodiscard]] int64_t durable_end(Node& node);

  Complaints& complaints_;
  std::map<Host, End> ends_;
};

}  // namespace sim
