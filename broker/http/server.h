// A small HTTP server on a shard of its own, so that a scrape or a page never takes time from records: those shards see
// nothing of it but short pieces of posted work. What one client can hold is bounded: connections, bytes of a request,
// time for a request and for reading its answer (rule 7).
//
// Made, started and stopped by the thread that owns the broker; the rest runs on the shard.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "broker/http/message.h"
#include "broker/http/message_codec.h"
#include "common/logging.h"
#include "common/model/result.h"
#include "common/net/socket.h"
#include "common/shard.h"

namespace broker::http {

struct ServerLimits {
  MessageLimits message;
  size_t connections_max = 100;
  size_t streams_max = 50;                             // of those
  std::chrono::milliseconds request_time_max{30'000};  // from the end of one answer to the end of the next request
  std::chrono::milliseconds write_stall_max{10'000};
};

class Server {
 public:
  // `shard` and what `handler` refers to outlive the server.
  Server(common::Shard& shard, ServerLimits limits, Handler handler, common::Logger log);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  common::model::Result<void> listen(const std::string& host, uint16_t port);
  [[nodiscard]] uint16_t port() const { return acceptor_ ? acceptor_->port() : 0; }
  void start();
  // Closes everything; returns once no handler runs any more. Not from the shard. Idempotent.
  void stop();
  // Called on the shard once the connections are closed: streams that wait for something else must look at their
  // writers.
  void on_stop(std::function<void()> wake_streams) { wake_streams_ = std::move(wake_streams); }

 private:
  class Connection;
  static common::Awaitable<void> accept_loop(Server* server);
  static common::Awaitable<void> serve(Server* server, std::shared_ptr<Connection> connection);
  common::Awaitable<Response> answer(std::shared_ptr<const Request> request);
  // Whoever has waited longest for its next request gives way to a newcomer: connections that say nothing must not have
  // /livez refused, which would get the broker restarted. False: none waits.
  bool make_room();
  void check_ended();

  common::Shard& shard_;
  const ServerLimits limits_;
  const Handler handler_;
  const common::Logger log_;
  std::unique_ptr<common::net::Acceptor> acceptor_;
  std::set<std::shared_ptr<Connection>> connections_;
  size_t streams_ = 0;
  bool accepting_ = false;
  bool stopping_ = false;
  std::function<void()> on_ended_;
  std::function<void()> wake_streams_;
};

// A problem as JSON: {"error": "..."}.
[[nodiscard]] Response refuse(int status, const std::string& why);

}  // namespace broker::http
