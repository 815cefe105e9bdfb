// A request as handlers see it, and what they answer. Boost.Beast, which reads and writes them, stays behind
// message_codec.cc. Plain values.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/shard.h"

namespace broker::http {

struct Request {
  std::string method;  // GET or HEAD once it reaches a handler
  std::string path;    // decoded, without the query
  std::map<std::string, std::string, std::less<>> query;
  std::string host;  // the Host header
  std::string origin;
  std::string last_event_id;
  std::string if_none_match;
  bool accepts_gzip = false;
  bool keep_alive = false;

  // Empty if it was not given.
  [[nodiscard]] std::string_view parameter(std::string_view name) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string_view() : std::string_view(found->second);
  }
};

// Where a handler writes an endless answer. Lives as long as the handler's stream coroutine.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  // False: the client is gone, or the server ends.
  virtual common::Awaitable<bool> write(std::string text) = 0;
  [[nodiscard]] virtual bool is_open() const = 0;
};
// Runs until there is nothing more to say or write() says false.
using Stream = std::function<common::Awaitable<void>(StreamWriter& writer)>;

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // beyond those that every answer has
  Stream stream;                                             // set: after the headers this, and then the end
};

using Handler = std::function<common::Awaitable<Response>(std::shared_ptr<const Request> request)>;

}  // namespace broker::http
