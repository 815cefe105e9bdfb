// The HTTP server against a plain socket: answers in a row, refusals, limits, streams, and an end that ends everything.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "broker/http/server.h"
#include "common/clock.h"

using namespace broker::http;
using namespace std::chrono_literals;

namespace {

struct Running {
  explicit Running(ServerLimits limits = {}) {
    shard = common::make_thread_shard(0, clock, "http");
    go_on = std::make_unique<common::Event>(*shard);
    server = std::make_unique<Server>(
        *shard, limits, [this](std::shared_ptr<const Request> r) { return handle(std::move(r)); },
        common::Logger("test"));
    REQUIRE(server->listen("127.0.0.1", 0));
    server->start();
  }
  ~Running() {
    server->stop();
    common::stop_shard(*shard);
  }
  common::Awaitable<Response> handle(std::shared_ptr<const Request> request) {
    Response response;
    response.body = request->path;
    if (request->path == "/stream") {
      response.content_type = "text/event-stream";
      response.stream = [this](StreamWriter& writer) { return stream(&writer); };
    }
    co_return response;
  }
  common::Awaitable<void> stream(StreamWriter* writer) {
    for (int i = 0; co_await writer->write(fmt::format("data: {}\n\n", i)) && i < 1000000; ++i) {
      co_await common::yield_to(*shard);
    }
  }
  common::SystemClock clock;
  std::unique_ptr<common::Shard> shard;
  std::unique_ptr<common::Event> go_on;
  std::unique_ptr<Server> server;
};

class Client {
 public:
  explicit Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  ~Client() { close(fd_); }
  void send(const std::string& text) const {
    REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  // Reads until `text` was seen or the server closed; returns everything.
  std::string until(const std::string& text) {
    while (seen_.find(text) == std::string::npos) {
      pollfd p{.fd = fd_, .events = POLLIN, .revents = 0};
      REQUIRE(poll(&p, 1, 20000) == 1);
      char buffer[4096];
      const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) return seen_ + "<closed>";
      seen_.append(buffer, static_cast<size_t>(n));
    }
    return seen_;
  }
  std::string until_closed() { return until("<never sent>"); }

 private:
  int fd_;
  std::string seen_;
};

}  // namespace

TEST_CASE("several requests on one connection are answered in order") {
  Running running;
  Client client(running.server->port());
  client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.until_closed();
  CHECK(all.find("/a") < all.find("/b"));
  CHECK(all.ends_with("/b<closed>"));
}

TEST_CASE("it is read-only, and says so") {
  Running running;
  Client client(running.server->port());
  client.send("DELETE /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.until_closed();
  CHECK(all.starts_with("HTTP/1.1 405"));
  CHECK(all.find("Allow: GET, HEAD\r\n") != std::string::npos);
}

TEST_CASE("rubbish is refused and the connection closed") {
  Running running;
  Client client(running.server->port());
  client.send("\x16\x03\x01\x02\r\n\r\n");
  CHECK(client.until_closed().starts_with("HTTP/1.1 400"));
}

TEST_CASE("who says half a request is closed when the time is over") {
  Running running(ServerLimits{.request_time_max = 50ms});
  Client client(running.server->port());
  client.send("GET /a HTT");
  CHECK(client.until_closed() == "<closed>");
}

TEST_CASE("no more connections than allowed") {
  Running running(ServerLimits{.connections_max = 1});
  Client first(running.server->port());
  first.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  first.until("data: 3\n\n");
  Client second(running.server->port());
  CHECK(second.until_closed() == "<closed>");
}

TEST_CASE("who waits for its next request gives way to who comes: a probe is answered") {
  Running running(ServerLimits{.connections_max = 2});
  Client oldest(running.server->port());
  oldest.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  oldest.until("/a");
  Client newer(running.server->port());
  newer.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  newer.until("/b");
  Client probe(running.server->port());
  probe.send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(probe.until_closed().ends_with("/livez<closed>"));
  CHECK(oldest.until_closed().ends_with("/a<closed>"));
  newer.send("GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(newer.until_closed().ends_with("/c<closed>"));
}

TEST_CASE("a stream goes on until the client leaves or the server ends") {
  Running running(ServerLimits{.streams_max = 1});
  Client client(running.server->port());
  client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.until("data: 3\n\n").find("text/event-stream") != std::string::npos);
  Client other(running.server->port());
  other.send("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(other.until_closed().starts_with("HTTP/1.1 503"));
  running.server->stop();
  CHECK(client.until_closed().ends_with("<closed>"));
}
