// HTTP/1.1 as bytes, by Boost.Beast; its templates stay in message_codec.cc because they cost many seconds to compile.
//
// RequestReader: thread-compatible. The rest: pure functions.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "broker/http/message.h"

namespace broker::http {

struct MessageLimits {
  uint32_t header_bytes_max = 8 << 10;
  uint32_t body_bytes_max = 4 << 10;  // no request of ours has a body
};

// Cuts one request out of a stream of bytes.
class RequestReader {
 public:
  explicit RequestReader(const MessageLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  enum class State { needs_more, complete, refused };
  // Bytes as they came; what lies beyond the end of the request stays for the next one.
  State put(std::span<const std::byte> bytes);
  // complete: the request, and begins with the next (whose first bytes may be here already: put({}) tells).
  Request take();
  // refused: the status to answer with before closing.
  [[nodiscard]] int refusal() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Head and body. A HEAD request and a stream get no body here; a stream ends with the connection.
[[nodiscard]] std::string encode_response(const Response& response, const Request& request);

// "/a/b%20c?x=1&y" as path and query; false if it is not well formed.
[[nodiscard]] bool split_target(std::string_view target, Request& into);

}  // namespace broker::http
