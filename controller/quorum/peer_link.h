// Keeps one stream to one peer: asks, opens, watches, and starts over. Made by PeerTransport.
// Lives on the controller's shard; its loop ends by itself after stop().
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "controller/quorum/peer_transport.h"

namespace controller::quorum {

class PeerLink : public std::enable_shared_from_this<PeerLink> {
 public:
  struct Callbacks {
    std::function<void()> on_connected;
    std::function<void()> on_gone;
    std::function<void()> on_older_image;
  };
  // `connections_before`: of a link to the same peer that was before this one.
  PeerLink(common::Shard& shard, RaftWire& wire, TransportIdentity identity, common::model::BrokerId peer,
           LinkTimes times, Callbacks callbacks, common::Logger logger, uint32_t connections_before);

  void start();
  // `done` when its loop, and with it its stream, has ended.
  void stop(std::function<void()> done);
  // Tried first from now on; older addresses stay as a second choice (R112).
  void prefer(const raft::Endpoint& endpoint);
  void fall_back_on(const raft::Endpoint& endpoint);
  void send(const raft::Message& message);
  // The peer has come to us, or has said something.
  void note_heard() {
    if (unreached_since_) unreached_since_ = shard_.now();
  }
  // None: a stream stands.
  [[nodiscard]] std::optional<common::Instant> unreached_since() const { return unreached_since_; }
  // How many streams it has begun, with those of the links before it.
  [[nodiscard]] uint32_t connections() const { return connections_; }
  // Where it stands, and why not where it does not: for people.
  [[nodiscard]] LinkStatus status() const;

 private:
  static common::Awaitable<void> run(std::shared_ptr<PeerLink> self);
  void on_open(uint64_t session, uint64_t heard);
  common::Awaitable<bool> connect_once();
  common::Awaitable<void> watch();
  common::Awaitable<void> pause(common::Duration duration);

  common::Shard& shard_;
  RaftWire& wire_;
  const TransportIdentity identity_;
  const common::model::BrokerId peer_;
  const LinkTimes times_;
  Callbacks callbacks_;
  common::Logger logger_;

  std::deque<raft::Endpoint> endpoints_;  // in order of preference, a few at most
  size_t next_endpoint_ = 0;
  std::shared_ptr<RaftWireStream> stream_;
  bool is_open_ = false;
  bool has_ended_ = false;
  std::string why_closed_;  // the last attempt that failed, or the last stream
  common::Event changed_;  // pulsed when the stream opens or ends, an address comes, or stop
  uint32_t connections_;
  uint64_t newest_session_ = 0;
  common::Duration retry_;
  // Or since the peer was heard.
  std::optional<common::Instant> unreached_since_;
  bool was_open_ = false;    // since the last evidence: only a stream that stood can break
  bool complained_ = false;  // one line for each time it becomes unreachable
  bool stopping_ = false;
  std::function<void()> on_stopped_;
};

}  // namespace controller::quorum
