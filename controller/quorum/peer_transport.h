// Raft's messages over streams of any wire: one to each peer, kept up by one PeerLink each (R23, R112).
//
// A link asks by a plain connect before it opens a stream, because a gRPC channel backs off and hides the difference
// that matters: *refused* means that the peer's process is gone, *silence* that nobody can know. Lives on the
// controller's shard.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/logging.h"
#include "common/shard.h"
#include "controller/quorum/raft_transport.h"
#include "controller/quorum/raft_wire.h"
#include "controller/raft/sequence_filter.h"

namespace controller::quorum {

struct LinkTimes {
  common::Duration connect = std::chrono::milliseconds(500);
  common::Duration greeting = std::chrono::seconds(1);
  // Sent without a sign of arrival for so long: the connection is dead, whatever TCP thinks (fault 22).
  common::Duration silence = std::chrono::milliseconds(1500);
  common::Duration refused_again = std::chrono::milliseconds(10);  // three refusals in 30 ms are evidence
  common::Duration retry_min = std::chrono::milliseconds(50);
  common::Duration retry_max = std::chrono::milliseconds(500);
  common::Duration forget_after = std::chrono::hours(1);  // who need not be reached
};

class PeerLink;

class PeerTransport final : public RaftTransport {
 public:
  // `wire` must outlive it.
  PeerTransport(common::Shard& shard, RaftWire& wire, TransportIdentity identity, common::Logger logger,
                LinkTimes times = {});
  ~PeerTransport() override;

  void listen(Events events) override;
  void send(const raft::Message& message) override;
  void set_peer(BrokerId peer, const raft::Endpoint& endpoint) override;
  void add_fallback(BrokerId peer, const raft::Endpoint& endpoint) override;
  void forget_unreached(const std::set<BrokerId>& but) override;
  void stop(std::function<void()> done) override;
  [[nodiscard]] std::map<BrokerId, LinkStatus> links() const override;

 private:
  // nullptr: nobody to speak to (itself, or no address).
  PeerLink* link_to(BrokerId peer, const raft::Endpoint& endpoint);
  void note_heard(BrokerId peer);

  common::Shard& shard_;
  RaftWire& wire_;
  const TransportIdentity identity_;
  common::Logger logger_;
  const LinkTimes times_;
  Events events_;
  raft::SequenceFilter filter_;
  std::map<BrokerId, std::shared_ptr<PeerLink>> links_;
  // Of peers that were forgotten. Whoever was only cut off remembers our sessions: one that is not above them would be
  // one of an older image of this directory (R21, R23).
  std::map<BrokerId, uint32_t> connections_before_;
  std::vector<std::weak_ptr<PeerLink>> ending_;  // forgotten; alive while their loops have not ended
};

}  // namespace controller::quorum
