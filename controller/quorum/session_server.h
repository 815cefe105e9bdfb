// The controller's side of broker sessions: checks who is there, hands registrations and heartbeats to the runtime, and
// tells it when a stream ends, which is evidence. One session of a process counts: the newest. Of two processes under
// one id (the second has a copy of the first one's disk, or comes back sooner than the first one's end is known) that
// one's end is evidence which is registered; the other's session stands beside it until it is registered itself (R26).
//
// Lives on the controller's shard.
#pragma once
#include <cstdint>
#include <map>
#include <memory>

#include "common/logging.h"
#include "controller/quorum/controller_links.h"

namespace controller::quorum {

class SessionServer {
 public:
  SessionServer(ControllerRuntime& runtime, BrokerId self, common::Logger log);

  using Session = uint64_t;
  // A broker has opened a stream. `port` stays usable until on_closed.
  Session open(std::shared_ptr<SessionPort> port);
  void on_message(Session session, uint64_t sequence, SessionUp message);
  void on_closed(Session session);
  // Ends every session and refuses new ones.
  void close_all();
  // Expires with it: for what is posted to its shard and may come after its end.
  [[nodiscard]] std::weak_ptr<const bool> alive() const { return alive_; }

 private:
  struct Peer {
    std::shared_ptr<SessionPort> port;
    bool greeted = false;
    bool refused = false;
    BrokerId broker_id;
    IncarnationId incarnation_id;
    bool replaced = false;             // a newer one has taken over
    uint64_t last_sequence = 0;        // R23
    std::optional<BrokerEpoch> epoch;  // once registered or heard
  };
  void on(Session session, Peer& peer, uint64_t sequence, SessionHello hello);
  void on(Session session, Peer& peer, uint64_t sequence, metadata::RegisterBroker request);
  void on(Session session, Peer& peer, uint64_t sequence, metadata::BrokerHeartbeat heartbeat);
  void on(Session session, Peer& peer, uint64_t sequence, Witness witness);
  void answer(Session session, uint64_t sequence, const Reply& reply);
  enum class Which { all, all_but_the_registered };
  void take_over(Session session, Which others);
  void refuse(Peer& peer, uint64_t sequence, Error error);
  void on_leader_change();

  ControllerRuntime& runtime_;
  const BrokerId self_;
  const common::Logger log_;
  std::map<Session, Peer> peers_;
  std::map<BrokerId, Session> current_;  // of each broker, the one whose end is evidence
  Session next_ = 1;
  bool closing_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace controller::quorum
