// The HTTP side of a broker put together: the server, and who answers which path.
//
// Made, started, given its broker and stopped by the thread that owns the broker; the rest runs on the HTTP shard.
#pragma once
#include <memory>
#include <string>

#include "broker/http/parts.h"
#include "broker/http/server.h"
#include "controller/metadata/records.h"

namespace controller::quorum {
class RaftListener;
}

namespace broker::http {

inline constexpr const char* http_listener_name = "HTTP";
// In the place of a host: that by which a browser has reached the broker it looks at (published ports of containers).
inline constexpr const char* any_host = "*";

class Service {
 public:
  // What `process` points to outlives the service.
  Service(ProcessParts process, common::Logger log);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // By naru.http.*. A port that was not asked for by name and is taken is no reason not to start: the next free one is
  // used then.
  [[nodiscard]] common::model::Result<void> listen();
  [[nodiscard]] uint16_t port() const;
  // Where browsers find it, as a listener of the broker's registration, so that each broker's page knows all the
  // others. The host is empty where it is whatever the broker is reached by.
  [[nodiscard]] controller::metadata::Listener advertised() const;
  void start();
  // Between Raft and the controller's runtime: the page follows the metadata log from there. Once; lives with the
  // service.
  [[nodiscard]] controller::quorum::RaftListener& tap(controller::quorum::RaftListener& runtime);
  // The broker serves. Returns once it has been taken note of.
  void set_serving(BrokerParts parts);
  // After it nothing of the broker is used any more. Idempotent.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace broker::http
