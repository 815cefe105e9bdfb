// One connection of the command to one broker: a request out, its answer in, each within a deadline. Plain sockets and
// poll(), so that a command starts and ends in milliseconds without an event loop.
// Thread-compatible.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "cli/problem.h"
#include "common/config/config.h"
#include "common/model/bytes.h"
#include "proto/kafka/runtime/apis.h"
#include "proto/kafka/runtime/message.h"

namespace cli::client {

using Deadline = std::chrono::steady_clock::time_point;

// An answer larger than this is refused before anything is allocated for it.
constexpr size_t answer_bytes_max = size_t{256} << 20;

class Connection {
 public:
  // Connects to the first address of `where` that answers and asks which versions the broker speaks. A failure's next
  // step is for an address that a broker gave.
  static Outcome<std::unique_ptr<Connection>> open(const common::config::HostPort& where, Deadline deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] const common::config::HostPort& where() const { return where_; }
  [[nodiscard]] bool broken() const { return socket_ < 0; }
  // Between calls: whether the broker has closed it meanwhile, as one does that is started again. Broken then.
  [[nodiscard]] bool has_ended();
  // The newest version of an API that both sides speak; absent if there is none.
  [[nodiscard]] std::optional<int16_t> version_of(int16_t api_key, int16_t min, int16_t max) const;

  // Sends `request` in the newest version that both speak and returns the answer. After an error of the connection
  // itself (not of the cluster) it is broken and must be opened anew.
  template <kafka::Message Response, kafka::Message Request>
  Outcome<Response> call(const Request& request, Deadline deadline) {
    const std::optional<int16_t> version = version_of(Request::api_key, Request::min_version, Request::max_version);
    if (!version) return problem(Exit::refused, no_common_version(Request::message_name));
    return call_version<Response>(request, *version, deadline);
  }
  template <kafka::Message Response, kafka::Message Request>
  Outcome<Response> call_version(const Request& request, int16_t version, Deadline deadline) {
    kafka::Writer writer;
    write_header(writer, Request::api_key, version);
    kafka::encode(writer, request, version);
    auto bytes = writer.finish();
    if (!bytes) return problem(Exit::usage, bytes.error().message);
    Outcome<kafka::Reader> reader = exchange(*bytes, Request::api_key, version, deadline);
    if (!reader) return tl::unexpected(std::move(reader.error()));
    auto response = kafka::decode<Response>(*reader, version);
    if (!response) return problem(Exit::unreachable, fail(response.error().message));
    return std::move(*response);
  }

 private:
  Connection(int socket, common::config::HostPort where) : socket_(socket), where_(std::move(where)) {}

  Outcome<void> agree_on_versions(Deadline deadline);
  void write_header(kafka::Writer& writer, int16_t api_key, int16_t version);
  // The answer's body, behind its header.
  Outcome<kafka::Reader> exchange(const common::model::BufferChain& request, int16_t api_key, int16_t version,
                                  Deadline deadline);
  Outcome<common::model::Buffer> round_trip(const common::model::BufferChain& request, Deadline deadline);
  Outcome<void> send_all(common::model::BytesView bytes, Deadline deadline);
  Outcome<void> receive_all(std::byte* into, size_t size, Deadline deadline);
  // Closes the socket; returns "host:port: reason".
  std::string fail(std::string_view reason);
  [[nodiscard]] std::string no_common_version(const char* message_name) const;

  int socket_;
  common::config::HostPort where_;
  int32_t correlation_ = 0;
  struct Range {
    int16_t min, max;
  };
  std::map<int16_t, Range> versions_;  // as the broker announced
};

}  // namespace cli::client
