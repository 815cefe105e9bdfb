// The client side of a broker: listeners, and the connections spread over the shards. It cuts frames and keeps limits;
// what a frame means is the dispatch function's business (broker/api).
//
// Start and stop from the thread that owns the broker; everything else runs on the shards.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/server/connection.h"
#include "common/logging.h"
#include "common/model/result.h"
#include "common/net/socket.h"
#include "common/rate_limit.h"
#include "common/shard.h"

namespace broker::server {

struct ListenerSpec {
  std::string name;  // PLAINTEXT, INTERNAL, ...
  std::string host;  // empty: all addresses
  uint16_t port = 0;
};

// How many clients may be connected (R111).
struct ConnectionCounts {
  uint32_t in_all = 10'000;                     // max.connections, or what the descriptors allow
  uint32_t per_ip = 10'000;                     // max.connections.per.ip
  std::map<std::string, uint32_t> of_single;    // max.connections.per.ip.overrides
  std::map<std::string, uint32_t> of_listener;  // listener.name.X.max.connections
};

struct ServerLimits {
  ConnectionLimits connection;
  // In all, over all shards.
  uint64_t request_memory_bytes = 16 * 1024 * 1024;
  uint64_t response_memory_bytes = 64 * 1024 * 1024;
  ConnectionCounts counts;
  common::net::ListenOptions listen;
};

struct ServerStats {
  struct OfListener {
    std::string name;
    uint64_t connections = 0;
    uint64_t accepted = 0;
  };
  uint64_t connections = 0;
  uint64_t accepted = 0;
  uint64_t refused = 0;
  std::vector<OfListener> listeners;
};

class Server {
 public:
  // `shards` and what `dispatch` refers to outlive the server. `dispatch[i]` runs on `shards[i]`.
  Server(std::vector<common::Shard*> shards, ServerLimits limits, std::vector<Dispatch> dispatch, common::Logger log);
  ~Server();

  // Binds. The error names the address. Before start().
  common::model::Result<void> listen(const std::vector<ListenerSpec>& listeners);
  // The port that a listener got (specs may ask for port 0).
  [[nodiscard]] uint16_t port(const std::string& listener) const;
  // Begins to accept.
  void start();
  // For connections from now on. Any thread.
  void set_connection_counts(ConnectionCounts counts);
  // Closes listeners and connections; returns when no connection is left on any shard. Not from a shard.
  void stop();
  [[nodiscard]] ServerStats stats() const;
  // Of the connections of one shard. On that shard.
  [[nodiscard]] const SoftwareTable& software(size_t shard) const;
  // What its requests are charged with now. On that shard.
  [[nodiscard]] uint64_t request_bytes_held(size_t shard) const;

 private:
  struct PerShard;
  struct Listener;
  static Awaitable<void> accept_loop(Server& server, Listener& listener);
  // The bound that one more connection from `ip` would break; nullptr: none.
  [[nodiscard]] const char* bound_reached(const Listener& listener, const std::string& ip, uint32_t from_ip) const;
  void hand_over(Listener& listener, common::net::Acceptor::Accepted accepted);

  const std::vector<common::Shard*> shards_;
  const ServerLimits limits_;
  ConnectionCounts counts_;  // on the first shard
  common::RateLimit refused_line_{std::chrono::seconds(10)};
  common::Logger log_;
  std::vector<std::unique_ptr<PerShard>> per_shard_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::atomic<uint64_t> next_id_{1};
  std::atomic<uint64_t> open_{0};
  std::atomic<uint64_t> accepted_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<bool> stopping_{false};
};

}  // namespace broker::server
