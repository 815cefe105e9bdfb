// How nodes reach the active controller: an ordered session and single calls. GrpcControllerLinks is the production
// form; tests and the simulator connect nodes directly.
//
// Everything happens on the controller's shard: calls and callbacks alike. No callback comes from inside a call.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controller/quorum/controller_runtime.h"

namespace controller::quorum {

using common::model::BrokerEpoch;
using common::model::Error;
using common::model::IncarnationId;
using common::model::Uuid;
using metadata::RequestOrigin;

// ---- what a session carries; sequences are the sender's, answers name them ----

struct SessionHello {
  Uuid cluster_id;
  BrokerId broker_id;
  IncarnationId incarnation_id;
  BrokerId to_node;  // whom the caller believes to reach; another refuses (R112)
  int32_t version_min = 1;
  int32_t version_max = 1;
};
struct Witness {
  BrokerId broker_id;
  BrokerEpoch broker_epoch;
};
using SessionUp = std::variant<SessionHello, metadata::RegisterBroker, metadata::BrokerHeartbeat, Witness>;

struct SessionWelcome {
  int32_t version = 1;
  std::chrono::milliseconds session_timeout{0};  // of the controller; zero: it does not say
};
struct SessionRefused {
  Error error;
};
using SessionDown =
    std::variant<SessionWelcome, SessionRefused, metadata::RegisterBrokerAnswer, metadata::BrokerHeartbeatAnswer>;

// ---- the broker's end ----

struct SessionEvents {
  std::function<void(uint64_t sequence, SessionDown message)> on_message;
  std::function<void(const std::string& why)> on_closed;  // at most once, last
};
class SessionStream {
 public:
  virtual ~SessionStream() = default;  // closes; no event comes afterwards
  virtual void send(uint64_t sequence, SessionUp message) = 0;
};

class ControllerLinks {
 public:
  virtual ~ControllerLinks() = default;
  // Always gives a stream; if `controller` cannot be reached it closes soon.
  virtual std::unique_ptr<SessionStream> open_session(BrokerId controller, SessionEvents events) = 0;
  // An error means that nobody knows whether the request was taken.
  virtual void call(BrokerId controller, const ControllerRequest& request, const RequestOrigin& origin,
                    Instant deadline, std::function<void(Result<Reply>)> done) = 0;
};

struct LinksOptions {
  BrokerId self;
  std::function<Uuid()> cluster_id;
  // Where a node's gRPC may listen now, best first: its registration, then what the voters or the configuration say
  // (R112). Asked anew for every session and call; the next one is tried when one was not reached.
  std::function<std::vector<metadata::ClusterEndpoint>(BrokerId)> endpoints;
};

// ---- the controller's end ----

class SessionPort {
 public:
  virtual ~SessionPort() = default;
  virtual void send(uint64_t sequence, SessionDown message) = 0;
  virtual void close() = 0;  // after what was sent; on_closed follows
};

}  // namespace controller::quorum
