#include "cli/client/connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/model/address_text.h"
#include "kafka/api_versions.h"
#include "kafka/request_header.h"
#include "kafka/response_header.h"

namespace cli::client {
namespace {

using common::model::Buffer;
using common::model::BufferChain;
using common::model::BytesView;
using common::model::ErrorCode;

// What to do about an address that a broker gave.
constexpr std::string_view look_who_is_down = "nothing listens there: `naru status` shows which brokers are down";
constexpr std::string_view advertise_what_is_reached =
    "its advertised.listeners must be an address that this machine can reach";

int milliseconds_left(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

// Waits for `events`; an empty text is success.
std::string wait_for(int socket, short events, Deadline deadline) {
  for (;;) {
    pollfd entry{.fd = socket, .events = events, .revents = 0};
    const int ready = poll(&entry, 1, milliseconds_left(deadline));
    if (ready > 0) return {};
    if (ready == 0) return "no answer in time";
    if (errno != EINTR) return std::strerror(errno);
  }
}

struct NotConnected {
  std::string reason;
  bool refused = false;  // the machine is there, and says that nobody listens
};

// Connects to one resolved address.
tl::expected<int, NotConnected> connect_to(const addrinfo& address, Deadline deadline) {
  const int socket =
      ::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol);
  if (socket < 0) return tl::unexpected(NotConnected{std::strerror(errno)});
  const auto give_up = [&](std::string reason, int error = 0) {
    ::close(socket);
    for (char& c : reason) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return tl::unexpected(NotConnected{std::move(reason), error == ECONNREFUSED});
  };
  const int one = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (connect(socket, address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return give_up(std::strerror(errno), errno);
    if (std::string reason = wait_for(socket, POLLOUT, deadline); !reason.empty()) return give_up(std::move(reason));
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return give_up(std::strerror(error), error);
  }
  return socket;
}

}  // namespace

Outcome<std::unique_ptr<Connection>> Connection::open(const common::config::HostPort& where, Deadline deadline) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(where.port);
  const int status = getaddrinfo(where.host.c_str(), port.c_str(), &hints, &found);
  if (status != 0) {
    const bool unknown = status == EAI_NONAME || status == EAI_NODATA;
    return problem(Exit::unreachable,
                   fmt::format("{} {}", common::model::address_text(where.host, where.port),
                               unknown ? "name not found" : gai_strerror(status)),
                   std::string(advertise_what_is_reached));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  NotConnected failure{"no address"};
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    tl::expected<int, NotConnected> socket = connect_to(*address, deadline);
    if (!socket) {
      failure = std::move(socket.error());
      continue;
    }
    std::unique_ptr<Connection> connection(new Connection(*socket, where));
    if (Outcome<void> agreed = connection->agree_on_versions(deadline); !agreed) {
      return tl::unexpected(std::move(agreed.error()));
    }
    return connection;
  }
  return problem(Exit::unreachable,
                 fmt::format("{} {}", common::model::address_text(where.host, where.port), failure.reason),
                 std::string(failure.refused ? look_who_is_down : advertise_what_is_reached));
}

bool Connection::has_ended() {
  if (broken()) return true;
  std::byte byte{};
  const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
  // Nor has a broker anything to say that nobody asked for.
  (void)fail("closed the connection");
  return true;
}

Connection::~Connection() {
  if (socket_ >= 0) ::close(socket_);
}

Outcome<void> Connection::agree_on_versions(Deadline deadline) {
  constexpr int16_t asked_version = 3;
  kafka::ApiVersionsRequest request;
  request.client_software_name = "naru";
  request.client_software_version = "0.1.0";
  kafka::Writer writer;
  write_header(writer, kafka::ApiVersionsRequest::api_key, asked_version);
  kafka::encode(writer, request, asked_version);
  const auto bytes = writer.finish();
  if (!bytes) return problem(Exit::usage, bytes.error().message);
  Outcome<kafka::Reader> body = exchange(*bytes, kafka::ApiVersionsRequest::api_key, asked_version, deadline);
  if (!body) return tl::unexpected(std::move(body.error()));
  // Every version begins with the error code; a broker that does not know version 3 answers with the body of version 0.
  kafka::Reader peek = *body;
  int16_t version = asked_version;
  if (peek.error_code() == ErrorCode::unsupported_version) version = 0;
  Outcome<kafka::ApiVersionsResponse> answer;
  if (version == 0) {
    answer = call_version<kafka::ApiVersionsResponse>(kafka::ApiVersionsRequest{}, version, deadline);
    if (!answer) return tl::unexpected(std::move(answer.error()));
  } else {
    auto decoded = kafka::decode<kafka::ApiVersionsResponse>(*body, version);
    if (!decoded) return problem(Exit::unreachable, fail("is not a Kafka broker (its answer makes no sense)"));
    answer = std::move(*decoded);
  }
  if (answer->error_code != ErrorCode::none) {
    return problem(Exit::unreachable,
                   fail(fmt::format("does not say which versions it speaks ({})", answer->error_code)));
  }
  for (const auto& api : answer->api_keys) versions_[api.api_key] = {api.min_version, api.max_version};
  return {};
}

std::optional<int16_t> Connection::version_of(int16_t api_key, int16_t min, int16_t max) const {
  const auto it = versions_.find(api_key);
  if (it == versions_.end()) return std::nullopt;
  if (const kafka::ApiFacts* facts = kafka::find_api(api_key)) max = std::min(max, facts->stable_version);
  const int16_t version = std::min(max, it->second.max);
  if (version < min || version < it->second.min) return std::nullopt;
  return version;
}

std::string Connection::no_common_version(const char* message_name) const {
  return fmt::format("{} does not speak {} in a version that this command knows",
                     common::model::address_text(where_.host, where_.port), message_name);
}

void Connection::write_header(kafka::Writer& writer, int16_t api_key, int16_t version) {
  kafka::RequestHeader header;
  header.request_api_key = api_key;
  header.request_api_version = version;
  header.correlation_id = ++correlation_;
  header.client_id = "naru";
  kafka::encode(writer, header, kafka::request_header_version(api_key, version));
}

Outcome<kafka::Reader> Connection::exchange(const BufferChain& request, int16_t api_key, int16_t version,
                                            Deadline deadline) {
  Outcome<Buffer> answer = round_trip(request, deadline);
  if (!answer) return tl::unexpected(std::move(answer.error()));
  kafka::Reader reader(std::move(*answer));
  const auto header = kafka::decode<kafka::ResponseHeader>(reader, kafka::response_header_version(api_key, version));
  if (!header) return problem(Exit::unreachable, fail("is not a Kafka broker (its answer makes no sense)"));
  if (header->correlation_id != correlation_) {
    return problem(Exit::unreachable, fail("is not a Kafka broker (it answered a question that was not asked)"));
  }
  return reader;
}

Outcome<Buffer> Connection::round_trip(const BufferChain& request, Deadline deadline) {
  if (broken())
    return problem(Exit::unreachable,
                   fmt::format("{} is no longer connected", common::model::address_text(where_.host, where_.port)));
  const auto size = static_cast<uint32_t>(request.size());
  const std::byte prefix[4] = {std::byte(size >> 24), std::byte(size >> 16), std::byte(size >> 8), std::byte(size)};
  if (Outcome<void> sent = send_all(prefix, deadline); !sent) return tl::unexpected(std::move(sent.error()));
  for (const Buffer& part : request.parts()) {
    if (Outcome<void> sent = send_all(part.view(), deadline); !sent) return tl::unexpected(std::move(sent.error()));
  }
  std::byte length[4];
  if (Outcome<void> got = receive_all(length, sizeof(length), deadline); !got)
    return tl::unexpected(std::move(got.error()));
  const uint32_t answer_size = std::to_integer<uint32_t>(length[0]) << 24 | std::to_integer<uint32_t>(length[1]) << 16 |
                               std::to_integer<uint32_t>(length[2]) << 8 | std::to_integer<uint32_t>(length[3]);
  if (answer_size > answer_bytes_max) {
    return problem(Exit::unreachable, fail("is not a Kafka broker (its answer has no sensible length)"));
  }
  std::vector<std::byte> answer(answer_size);
  if (Outcome<void> got = receive_all(answer.data(), answer.size(), deadline); !got) {
    return tl::unexpected(std::move(got.error()));
  }
  return Buffer::own(std::move(answer));
}

Outcome<void> Connection::send_all(BytesView bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (const std::string reason = wait_for(socket_, POLLOUT, deadline); !reason.empty()) {
        return problem(Exit::unreachable, fail(reason));
      }
    } else if (errno != EINTR) {
      return problem(Exit::unreachable, fail(std::strerror(errno)));
    }
  }
  return {};
}

Outcome<void> Connection::receive_all(std::byte* into, size_t size, Deadline deadline) {
  while (size > 0) {
    const ssize_t got = ::recv(socket_, into, size, 0);
    if (got > 0) {
      into += got;
      size -= static_cast<size_t>(got);
    } else if (got == 0) {
      return problem(Exit::unreachable, fail("closed the connection"));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (const std::string reason = wait_for(socket_, POLLIN, deadline); !reason.empty()) {
        return problem(Exit::unreachable, fail(reason));
      }
    } else if (errno != EINTR) {
      return problem(Exit::unreachable, fail(std::strerror(errno)));
    }
  }
  return {};
}

std::string Connection::fail(std::string_view reason) {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  return fmt::format("{} {}", common::model::address_text(where_.host, where_.port), reason);
}

}  // namespace cli::client
