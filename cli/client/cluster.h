// The cluster as a command sees it: any broker answers for all, and where it matters (a group's coordinator, a
// partition's leader) the right one is asked. Finds a living broker among the given addresses, remembers connections,
// and tries again within the deadline where an error says that trying again may help.
// Thread-compatible.
#pragma once
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/client/connection.h"

namespace cli::client {

struct Broker {
  int32_t id = -1;
  common::config::HostPort address;
};

class Cluster {
 public:
  // `timeout` bounds each call from outside, including tries of several addresses.
  Cluster(std::vector<common::config::HostPort> bootstrap, std::chrono::milliseconds timeout)
      : bootstrap_(std::move(bootstrap)), timeout_(timeout) {}

  [[nodiscard]] Deadline deadline() const { return std::chrono::steady_clock::now() + timeout_; }
  [[nodiscard]] std::chrono::milliseconds timeout() const { return timeout_; }

  // Asks any living broker.
  template <kafka::Message Response, kafka::Message Request>
  Outcome<Response> call(const Request& request) {
    return call_until<Response>(request, deadline());
  }
  template <kafka::Message Response, kafka::Message Request>
  Outcome<Response> call_until(const Request& request, Deadline until) {
    for (std::chrono::milliseconds pause(20);; pause = std::min(2 * pause, retry_pause_max)) {
      Outcome<Connection*> connection = any(until);
      if (!connection) return tl::unexpected(std::move(connection.error()));
      Outcome<Response> answer = (*connection)->template call<Response>(request, until);
      if (answer || !(*connection)->broken() || std::chrono::steady_clock::now() + pause >= until) return answer;
      try_another(pause);
    }
  }
  // Asks one broker.
  template <kafka::Message Response, kafka::Message Request>
  Outcome<Response> call_on(const Broker& broker, const Request& request) {
    return call_on_until<Response>(broker, request, deadline());
  }
  template <kafka::Message Response, kafka::Message Request>
  Outcome<Response> call_on_until(const Broker& broker, const Request& request, Deadline until) {
    Outcome<Connection*> connection = at(broker, until);
    if (!connection) return tl::unexpected(std::move(connection.error()));
    return (*connection)->template call<Response>(request, until);
  }

  // The address that answered; empty before the first call.
  [[nodiscard]] std::string connected_to() const;

 private:
  static constexpr std::chrono::milliseconds retry_pause_max{500};

  Outcome<Connection*> any(Deadline until);
  // After a connection that ended without an answer. A broker that closes each one is not to be stormed, nor to keep us
  // from the others: it may be cut off, or not like what it is asked.
  void try_another(std::chrono::milliseconds pause);
  Outcome<Connection*> at(const Broker& broker, Deadline until);

  std::vector<common::config::HostPort> bootstrap_;
  std::chrono::milliseconds timeout_;
  size_t first_ = 0;  // of bootstrap_, to try
  std::unique_ptr<Connection> any_;
  std::map<int32_t, std::unique_ptr<Connection>> by_id_;
};

// "a:9092,b" with 9092 where no port stands.
Outcome<std::vector<common::config::HostPort>> parse_bootstrap(std::string_view text);

}  // namespace cli::client
