// The command's own Kafka client against a broker of a few lines: versions, answers, and everything that is no broker.
#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "cli/client/cluster.h"
#include "kafka/api_versions.h"
#include "kafka/list_groups.h"
#include "kafka/request_header.h"
#include "kafka/response_header.h"

using namespace cli;
using namespace cli::client;
using common::config::HostPort;
using common::model::Buffer;
using common::model::ErrorCode;

namespace {

// Accepts one connection on a free loopback port and hands it to `serve` on a thread.
class OneConnection {
 public:
  explicit OneConnection(std::function<void(int)> serve) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(listener_, 1) == 0);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, serve = std::move(serve)] {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      serve(connection);
      close(connection);
    });
  }
  ~OneConnection() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  [[nodiscard]] HostPort address() const { return {"127.0.0.1", port_}; }

 private:
  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

bool read_exactly(int socket, void* into, size_t size) {
  return recv(socket, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

struct Asked {
  kafka::RequestHeader header;
  Buffer frame;
};
std::optional<Asked> read_request(int socket) {
  uint32_t length = 0;
  if (!read_exactly(socket, &length, sizeof(length))) return std::nullopt;
  std::vector<std::byte> bytes(ntohl(length));
  if (!read_exactly(socket, bytes.data(), bytes.size())) return std::nullopt;
  Asked asked;
  asked.frame = Buffer::own(std::move(bytes));
  kafka::Reader reader(asked.frame);
  const auto header = kafka::decode<kafka::RequestHeader>(reader, 1);
  if (!header) return std::nullopt;
  asked.header = *header;
  return asked;
}

template <kafka::Message T>
void answer(int socket, const Asked& asked, const T& body, int16_t version, int32_t correlation_offset = 0) {
  kafka::Writer writer;
  kafka::ResponseHeader header;
  header.correlation_id = asked.header.correlation_id + correlation_offset;
  kafka::encode(writer, header, kafka::response_header_version(T::api_key, version));
  kafka::encode(writer, body, version);
  const auto chain = writer.finish();
  const Buffer bytes = chain->flatten();
  const uint32_t length = htonl(static_cast<uint32_t>(bytes.size()));
  send(socket, &length, sizeof(length), MSG_NOSIGNAL);
  send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

kafka::ApiVersionsResponse versions(int16_t list_groups_max) {
  kafka::ApiVersionsResponse response;
  kafka::ApiVersionsResponse::ApiVersion one;
  one.api_key = kafka::ListGroupsRequest::api_key;
  one.max_version = list_groups_max;
  response.api_keys.push_back(one);
  return response;
}

Deadline soon() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(10);
}

}  // namespace

TEST_CASE("a call in the newest version that both speak") {
  OneConnection broker([](int socket) {
    auto asked = read_request(socket);
    answer(socket, *asked, versions(3), 3);
    asked = read_request(socket);
    kafka::ListGroupsResponse response;
    kafka::ListGroupsResponse::ListedGroup group;
    group.group_id = "v" + std::to_string(asked->header.request_api_version);
    response.groups.push_back(group);
    answer(socket, *asked, response, 3);
  });
  auto connection = Connection::open(broker.address(), soon());
  REQUIRE(connection);
  const auto groups = (*connection)->call<kafka::ListGroupsResponse>(kafka::ListGroupsRequest{}, soon());
  REQUIRE(groups);
  CHECK(groups->groups.front().group_id == "v3");
  // What the broker did not announce is refused without asking, and the connection lives on.
  const auto no = (*connection)->call<kafka::ApiVersionsResponse>(kafka::ApiVersionsRequest{}, soon());
  REQUIRE_FALSE(no);
  CHECK(no.error().exit == Exit::refused);
  CHECK_FALSE((*connection)->broken());
}

TEST_CASE("a connection that the broker closes between two calls is seen to have ended") {
  std::atomic<bool> may_close = false;
  OneConnection broker([&may_close](int socket) {
    auto asked = read_request(socket);
    answer(socket, *asked, versions(3), 3);
    may_close.wait(false);
  });
  auto connection = Connection::open(broker.address(), soon());
  if (!connection) may_close = true, may_close.notify_all();
  REQUIRE(connection);
  const bool at_first = (*connection)->has_ended();
  may_close = true;
  may_close.notify_all();
  const Deadline until = soon();
  while (!(*connection)->has_ended() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  CHECK_FALSE(at_first);
  CHECK((*connection)->has_ended());
  CHECK((*connection)->broken());
}

TEST_CASE("a broker that closes the connection is not asked again before the others") {
  OneConnection closes([](int socket) {
    auto asked = read_request(socket);
    answer(socket, *asked, versions(3), 3);
    read_request(socket);
  });
  OneConnection answers([](int socket) {
    auto asked = read_request(socket);
    answer(socket, *asked, versions(3), 3);
    asked = read_request(socket);
    answer(socket, *asked, kafka::ListGroupsResponse{}, 3);
  });
  Cluster cluster({closes.address(), answers.address()}, std::chrono::seconds(10));
  CHECK(cluster.call<kafka::ListGroupsResponse>(kafka::ListGroupsRequest{}));
  CHECK(cluster.connected_to() == "127.0.0.1:" + std::to_string(answers.address().port));
}

TEST_CASE("an old broker answers version 3 with the body of version 0") {
  OneConnection broker([](int socket) {
    auto asked = read_request(socket);
    kafka::ApiVersionsResponse refusal;
    refusal.error_code = ErrorCode::unsupported_version;
    answer(socket, *asked, refusal, 0);
    asked = read_request(socket);
    if (asked->header.request_api_version == 0) answer(socket, *asked, versions(2), 0);
  });
  auto connection = Connection::open(broker.address(), soon());
  REQUIRE(connection);
  CHECK((*connection)->version_of(kafka::ListGroupsRequest::api_key, 0, 5) == 2);
}

TEST_CASE("whatever is no Kafka broker is said to be none") {
  const auto [name, reply] = GENERATE(table<std::string, std::string>({
      {"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n"},
      {"a huge length", std::string("\x7f\xff\xff\xff", 4)},
      {"too short", std::string("\x00\x00\x00\x02zz", 6)},
      {"another question's answer", std::string("\x00\x00\x00\x06\x00\x00\x00\x63\x00\x00", 10)},
      {"nothing", ""},
  }));
  INFO(name);
  OneConnection broker([reply = reply](int socket) {
    read_request(socket);
    send(socket, reply.data(), reply.size(), MSG_NOSIGNAL);
  });
  const auto connection = Connection::open(broker.address(), soon());
  REQUIRE_FALSE(connection);
  CHECK(connection.error().exit == Exit::unreachable);
  CHECK(connection.error().message.starts_with("127.0.0.1:"));
}

TEST_CASE("silence ends at the deadline") {
  OneConnection broker([](int socket) {
    char byte = 0;
    while (recv(socket, &byte, 1, 0) > 0) {
    }
  });
  const auto connection =
      Connection::open(broker.address(), std::chrono::steady_clock::now() + std::chrono::milliseconds(50));
  REQUIRE_FALSE(connection);
  CHECK(connection.error().message.find("no answer in time") != std::string::npos);
}

TEST_CASE("no broker at all: every address with its reason, and what to do") {
  HostPort closed;
  {
    OneConnection gone([](int) {});
    closed = gone.address();
  }
  Cluster cluster({closed, {"no-such-host.invalid", 9092}}, std::chrono::seconds(10));
  const auto answer = cluster.call<kafka::ListGroupsResponse>(kafka::ListGroupsRequest{});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().exit == Exit::unreachable);
  CHECK(answer.error().message.starts_with("no broker answered: 127.0.0.1:" + std::to_string(closed.port) +
                                           " connection refused"));
  CHECK(answer.error().message.find("no-such-host.invalid:9092 ") != std::string::npos);
  CHECK_FALSE(answer.error().next_step.empty());
}
