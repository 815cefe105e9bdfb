// How frames travel: gRPC in a broker, memory in tests and in the simulator. A connection is one stream; it is ordered,
// takes one frame at a time, and is destroyed by its owner, after which none of its events come.
//
// Everything here happens on the owner's shard. Events come from the event loop, never inside a call.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "broker/replication/frames.h"
#include "common/shard.h"

namespace broker::replication {

struct Endpoint {
  std::string host;
  uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Why a stream ended. `refused`: nobody listens there, so the process is gone; a failure detector may want to know.
// `rejected` says nothing about whether the other end lives.
enum class BreakKind { ended, refused, unreachable, rejected };
struct Broken {
  BreakKind kind = BreakKind::ended;
  std::string why;
};

// --- the follower's end ---
class ConnectionToLeader {
 public:
  virtual ~ConnectionToLeader() = default;
  // true: write() may be called once. false: on_writable will say when. Ask only with something to write in hand: the
  // answer no has a price.
  [[nodiscard]] virtual bool can_write() = 0;
  virtual void write(FollowerFrame frame) = 0;
};
class ToLeaderEvents {
 public:
  virtual ~ToLeaderEvents() = default;
  virtual void on_connected(const LeaderHello& leader) = 0;  // the first event, unless it is on_broken
  virtual void on_frame(LeaderFrame frame) = 0;
  virtual void on_writable() = 0;
  virtual void on_broken(const Broken& broken) = 0;  // the last event
};
class FetchTransport {
 public:
  virtual ~FetchTransport() = default;
  // Resolves the address anew and says `hello`. `events` outlives the connection.
  virtual std::unique_ptr<ConnectionToLeader> connect(common::Shard& shard, const Endpoint& leader,
                                                      const FollowerHello& hello, ToLeaderEvents& events) = 0;
};

// --- the leader's end ---
class ConnectionToFollower {
 public:
  virtual ~ConnectionToFollower() = default;
  [[nodiscard]] virtual bool can_write() = 0;
  virtual void write(LeaderFrame frame) = 0;
  // First of all, once; counts as a write.
  virtual void accept(const LeaderHello& hello) = 0;
  // Instead of accept: tells the follower who we are and why not, and ends the stream.
  virtual void reject(const LeaderHello& hello, const std::string& why) = 0;
};
class ToFollowerEvents {
 public:
  virtual ~ToFollowerEvents() = default;
  virtual void on_frame(FollowerFrame frame) = 0;
  virtual void on_writable() = 0;
  virtual void on_broken(const Broken& broken) = 0;
};
// The shard that a follower asked for. Called on that shard.
class FollowerAcceptor {
 public:
  virtual ~FollowerAcceptor() = default;
  // The events' object outlives the connection, which the acceptor keeps or drops. Null: rejected.
  virtual ToFollowerEvents* on_follower(const FollowerHello& hello,
                                        std::unique_ptr<ConnectionToFollower> connection) = 0;
};

}  // namespace broker::replication
