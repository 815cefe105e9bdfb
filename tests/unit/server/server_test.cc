// The framing layer against a plain blocking socket: order of answers, limits, bad lengths.
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include <catch2/catch.hpp>

#include "broker/server/server.h"

using namespace broker::server;
using namespace std::chrono_literals;
using common::model::Buffer;

// In the place of libc's: how often a server has given answers to the kernel. Clients here use send().
static std::atomic<int> given_to_kernel = 0;
extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  ++given_to_kernel;
  return ::syscall(SYS_sendmsg, socket, message, flags);
}

namespace {

// Answers with the request itself. "hold" waits for "free" after settling its order, "slow" before; "turn" waits until
// those before it are answered; "bye" closes, "last" after its answer; "much" asks for memory first; "room" is told
// whether that is scarce; "poll" waits, with its order unsettled, for news that never come. What begins with "mark" has
// the shard note how many have begun when it comes to what was left for it.
struct EchoBroker {
  explicit EchoBroker(ServerLimits limits = {}) {
    shard = common::make_thread_shard(0, clock, "shard");
    freed = std::make_unique<common::Event>(*shard);
    Dispatch dispatch = [this](InFlight& request) { return echo(request); };
    server = std::make_unique<Server>(std::vector<common::Shard*>{shard.get()}, limits, std::vector{dispatch},
                                      common::Logger("test"));
    REQUIRE(server->listen(
        {{.name = "PLAINTEXT", .host = "127.0.0.1", .port = 0}, {.name = "INTERNAL", .host = "127.0.0.1", .port = 0}}));
    server->start();
  }
  ~EchoBroker() {
    server->stop();
    common::stop_shard(*shard);
  }

  Awaitable<Outcome> echo(InFlight& request) {
    const Buffer frame = request.frame();
    begun.emplace_back(frame.text().substr(0, 4));
    ++begun_count;
    if (frame.text() == "slow") {
      co_await common::until(*freed);
      begun.emplace_back("slow ends");
    }
    if (frame.text().starts_with("much")) co_await request.reserve_answer(frame.size());
    if (frame.text() == "bye") co_return Outcome::close("told to");
    if (frame.text() == "hold") {
      request.settle_order();
      co_await common::until(*freed);
    }
    if (frame.text() == "poll") {
      common::Event news(*shard);
      const bool is_news = co_await request.wait_for(news, shard->now() + 1h);
      ++(is_news || !request.is_abandoned() ? answered_polls : abandoned_polls);
    }
    if (frame.text() == "turn") {
      request.settle_order();
      co_await request.until_turn();
      begun.emplace_back("turn comes");
      ++turns;
    }
    if (frame.text().starts_with("mark")) shard->post([this] { begun_at_mark = begun_count.load(); });
    if (frame.text() == "free") freed->set();
    if (frame.text() == "room")
      co_return Outcome{.kind = Outcome::Kind::answer,
                        .response = Buffer::copy_of(std::string(request.is_memory_scarce() ? "little" : "enough")),
                        .is_last = false,
                        .reason = {}};
    if (frame.text() == "quiet")
      co_return Outcome{.kind = Outcome::Kind::nothing, .response = {}, .is_last = false, .reason = {}};
    const bool is_last = frame.text() == "last";
    co_return Outcome{.kind = Outcome::Kind::answer, .response = frame, .is_last = is_last, .reason = {}};
  }

  // What requests are charged with.
  uint64_t held() {
    std::promise<uint64_t> told;
    shard->post([&] { told.set_value(server->request_bytes_held(0)); });
    return told.get_future().get();
  }

  common::SystemClock clock;
  std::vector<std::string> begun;  // on the shard
  std::atomic<int> begun_count = 0;
  std::atomic<int> begun_at_mark = 0;
  std::atomic<int> turns = 0;
  std::atomic<int> answered_polls = 0;
  std::atomic<int> abandoned_polls = 0;
  std::unique_ptr<common::Shard> shard;
  std::unique_ptr<common::Event> freed;
  std::unique_ptr<Server> server;
};

class Client {
 public:
  explicit Client(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval at_most{.tv_sec = 10, .tv_usec = 0};
    REQUIRE(::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &at_most, sizeof at_most) == 0);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  ~Client() { ::close(fd_); }
  // As much of it as the server reads before it closes.
  void send_if_read(const std::string& payload) {
    const std::string frame = framed(payload);
    size_t sent = 0;
    while (sent < frame.size()) {
      const ssize_t n = ::send(fd_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
  }
  void send_raw(const std::string& bytes) {
    REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  static std::string framed(const std::string& payload) {
    const uint32_t n = htonl(static_cast<uint32_t>(payload.size()));
    return std::string(reinterpret_cast<const char*>(&n), 4) + payload;
  }
  void send(const std::string& payload) { send_raw(framed(payload)); }
  // Until all that was sent lies in the server's receive buffer.
  void await_delivery() const {
    int outstanding = 1;
    while (outstanding > 0) {
      REQUIRE(::ioctl(fd_, SIOCOUTQ, &outstanding) == 0);
      std::this_thread::yield();
    }
  }
  // It sends no more, and still reads.
  void end() { REQUIRE(::shutdown(fd_, SHUT_WR) == 0); }
  // nullopt: closed by the server.
  std::optional<std::string> receive() {
    std::string prefix = exactly(4);
    if (prefix.size() < 4) return std::nullopt;
    uint32_t n = 0;
    std::memcpy(&n, prefix.data(), 4);
    return exactly(ntohl(n));
  }

 private:
  std::string exactly(size_t n) {
    std::string got(n, 0);
    size_t have = 0;
    while (have < n) {
      const ssize_t r = ::recv(fd_, got.data() + have, n - have, 0);
      if (r < 0) REQUIRE(errno == ECONNRESET);  // not: nothing came for ten seconds
      if (r <= 0) break;
      have += static_cast<size_t>(r);
    }
    got.resize(have);
    return got;
  }
  int fd_;
};

// All that this process has asked for, whether it touched it or not.
uint64_t address_space_bytes() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

const std::string claim_of_100_mib("\x06\x40\x00\x00xx", 6);  // the beginning of a request of 100 MiB

}  // namespace

TEST_CASE("requests are answered in order although a later one is ready first") {
  EchoBroker broker;
  Client client(broker.server->port("PLAINTEXT"));
  client.send_raw(Client::framed("hold") + Client::framed("two") + Client::framed("quiet") + Client::framed("free"));
  CHECK(client.receive() == "hold");
  CHECK(client.receive() == "two");
  CHECK(client.receive() == "free");
}

TEST_CASE("answers that are ready together go out together, and nothing after the last one") {
  EchoBroker broker;
  Client client(broker.server->port("PLAINTEXT"));
  given_to_kernel = 0;
  client.send_raw(Client::framed("hold") + Client::framed("two") + Client::framed("quiet") + Client::framed("free") +
                  Client::framed("hold") + Client::framed("last") + Client::framed("beyond"));
  CHECK(client.receive() == "hold");
  CHECK(client.receive() == "two");
  CHECK(client.receive() == "free");
  CHECK(client.receive() == "hold");
  CHECK(client.receive() == "last");
  CHECK_FALSE(client.receive());
  CHECK(given_to_kernel <= 3);  // of five answers
}

TEST_CASE("a request is not begun before the one ahead of it has settled the order (R87)") {
  EchoBroker broker;
  Client client(broker.server->port("PLAINTEXT"));
  client.send_raw(Client::framed("slow") + Client::framed("next"));
  while (broker.begun_count == 0) std::this_thread::yield();
  broker.shard->post([&] { broker.freed->set(); });
  CHECK(client.receive() == "slow");
  CHECK(client.receive() == "next");
  CHECK(broker.begun == std::vector<std::string>{"slow", "slow ends", "next"});
}

TEST_CASE("requests that have come together are begun together, so many that others do not wait long") {
  const auto [requests, bytes, together] = GENERATE(table<int, size_t, int>({{5, 600, 5}, {12, 600, 8}, {3, 5000, 3}}));
  CAPTURE(requests, bytes);
  EchoBroker broker;
  Client client(broker.server->port("PLAINTEXT"));
  client.send("slow");  // what follows is not read while this is not settled
  while (broker.begun_count == 0) std::this_thread::yield();
  std::vector<std::string> asked{"mark" + std::string(bytes, 'x')};
  for (int i = 1; i < requests; ++i) asked.push_back(std::to_string(1000 + i) + std::string(bytes, 'y'));
  std::string all;
  for (const std::string& payload : asked) all += Client::framed(payload);
  client.send_raw(all);
  client.await_delivery();
  broker.shard->post([&] { broker.freed->set(); });
  CHECK(client.receive() == "slow");
  for (const std::string& payload : asked) CHECK(client.receive() == payload);
  CHECK(broker.begun_at_mark == 1 + together);
}

TEST_CASE("large requests that have come together are begun a few at a time") {
  EchoBroker broker;
  Client client(broker.server->port("PLAINTEXT"));
  const std::string first = "mark" + std::string(40'000, 'x');
  const std::string later(40'000, 'y');
  client.send_raw(Client::framed(first) + Client::framed(later) + Client::framed(later) + Client::framed(later) +
                  Client::framed(later) + Client::framed(later));
  CHECK(client.receive() == first);
  for (int i = 0; i < 5; ++i) CHECK(client.receive() == later);
  CHECK(broker.begun_at_mark >= 1);
  CHECK(broker.begun_at_mark <= 4);  // however many lie there
}

TEST_CASE("who waits for its turn gets it when everything before is answered, and holds up nobody behind (R87)") {
  EchoBroker broker;
  Client client(broker.server->port("PLAINTEXT"));
  client.send("turn");  // nobody is ahead
  CHECK(client.receive() == "turn");
  client.send_raw(Client::framed("hold") + Client::framed("turn") + Client::framed("turn") + Client::framed("free"));
  CHECK(client.receive() == "hold");
  CHECK(client.receive() == "turn");
  CHECK(client.receive() == "turn");
  CHECK(client.receive() == "free");
  CHECK(broker.begun ==
        std::vector<std::string>{"turn", "turn comes", "hold", "turn", "turn", "free", "turn comes", "turn comes"});
}

TEST_CASE("who waits for its turn does not wait beyond the connection (R87)") {
  ServerLimits limits;
  limits.connection.unheard_max = 1ms;
  EchoBroker broker(limits);
  auto client = std::make_unique<Client>(broker.server->port("PLAINTEXT"));
  client->send_raw(Client::framed("hold") + Client::framed("turn"));
  while (broker.begun_count < 2) std::this_thread::yield();
  CHECK(broker.turns == 0);
  client.reset();
  while (broker.turns == 0) std::this_thread::yield();
  broker.shard->post([&] { broker.freed->set(); });
}

TEST_CASE("a client that has gone is not counted among those connected, though its request still waits") {
  ServerLimits limits;
  limits.connection.unheard_max = 1ms;
  EchoBroker broker(limits);
  auto client = std::make_unique<Client>(broker.server->port("PLAINTEXT"));
  client->send("hold");
  while (broker.begun_count == 0) std::this_thread::yield();
  client.reset();
  while (broker.server->stats().connections > 0) std::this_thread::yield();
  std::atomic<int> counted = -1;
  broker.shard->post([&] {
    broker.freed->set();
    counted = static_cast<int>(broker.server->software(0).counts().size());
  });
  while (counted < 0) std::this_thread::yield();
  CHECK(counted == 0);
}

TEST_CASE("a client that leaves while its request waits is noticed, and nobody waits for it any more (R111)") {
  ServerLimits limits;
  limits.connection.unheard_max = 1ms;
  EchoBroker broker(limits);
  Client stays(broker.server->port("PLAINTEXT"));
  stays.send("poll");
  auto leaves = std::make_unique<Client>(broker.server->port("PLAINTEXT"));
  leaves->send("poll");
  while (broker.begun_count < 2) std::this_thread::yield();
  leaves.reset();
  while (broker.server->stats().connections > 1) std::this_thread::yield();
  CHECK(broker.answered_polls == 1);  // who is there and says nothing is left in peace
  CHECK(broker.abandoned_polls == 0);
  const std::vector<ServerStats::OfListener> listeners = broker.server->stats().listeners;
  const auto own = std::ranges::find(listeners, "PLAINTEXT", &ServerStats::OfListener::name);
  REQUIRE(own != listeners.end());
  CHECK(own->connections == 1);
  CHECK(own->accepted == 2);
}

TEST_CASE("who only ends its side of the connection is answered all that it asked, and then closed (R111)") {
  ServerLimits limits;
  SECTION("what waits for others") {
    EchoBroker broker(limits);
    Client client(broker.server->port("PLAINTEXT"));
    client.send_raw(Client::framed("hold") + Client::framed("two"));
    client.end();
    Client other(broker.server->port("PLAINTEXT"));
    for (int i = 0; i < 3; ++i) {  // the shard has seen the end meanwhile
      other.send("tick");
      REQUIRE(other.receive() == "tick");
    }
    broker.shard->post([&] { broker.freed->set(); });
    CHECK(client.receive() == "hold");
    CHECK(client.receive() == "two");
    CHECK_FALSE(client.receive());
    CHECK(broker.begun_count == 5);
  }
  SECTION("what waits for news, with what there is") {
    limits.connection.unheard_max = 1ms;
    EchoBroker broker(limits);
    Client client(broker.server->port("PLAINTEXT"));
    client.send("poll");
    client.end();
    CHECK(client.receive() == "poll");
    CHECK_FALSE(client.receive());
  }
  SECTION("an answer that is taken in pieces") {
    EchoBroker broker(limits);
    Client client(broker.server->port("PLAINTEXT"));
    const std::string large(8 << 20, 'x');
    client.send(large);
    client.end();
    CHECK(client.receive() == large);
    CHECK_FALSE(client.receive());
  }
}

TEST_CASE("what a client sent before it left is handled, and its leaving noticed after that (R111)") {
  ServerLimits limits;
  limits.connection.unheard_max = 1ms;
  EchoBroker broker(limits);
  const std::string tail = "tail" + std::string(GENERATE(0, 1000), 'x');  // read ahead, or only in part
  auto leaves = std::make_unique<Client>(broker.server->port("PLAINTEXT"));
  leaves->send_raw(Client::framed("slow") + Client::framed(tail));
  while (broker.begun_count == 0) std::this_thread::yield();
  leaves.reset();
  auto noticed = std::make_unique<Client>(broker.server->port("PLAINTEXT"));
  noticed->send("poll");
  while (broker.begun_count < 2) std::this_thread::yield();
  noticed.reset();
  while (broker.answered_polls == 0) std::this_thread::yield();  // all connections have been looked at
  CHECK(broker.begun_count == 2);
  broker.shard->post([&] { broker.freed->set(); });
  while (broker.server->stats().connections > 0) std::this_thread::yield();
  CHECK(broker.begun == std::vector<std::string>{"slow", "poll", "slow ends", "tail"});
}

TEST_CASE("a client that leaves while its requests wait one behind the other is noticed (R111)") {
  ServerLimits limits;
  limits.connection.unheard_max = 1ms;
  EchoBroker broker(limits);
  auto leaves = std::make_unique<Client>(broker.server->port("PLAINTEXT"));
  leaves->send_raw(Client::framed("poll") + Client::framed("poll"));  // the second one is read ahead
  while (broker.begun_count == 0) std::this_thread::yield();
  leaves.reset();
  while (broker.server->stats().connections > 0) std::this_thread::yield();
  while (broker.answered_polls + broker.abandoned_polls < broker.begun_count) std::this_thread::yield();
  CHECK(broker.answered_polls >= 1);  // the first one did not wait on
}

TEST_CASE("a large request passes although it exceeds the memory budget") {
  EchoBroker broker({.connection = {}, .request_memory_bytes = 64 * 1024});
  Client client(broker.server->port("PLAINTEXT"));
  const std::string large(1 << 20, 'x');
  client.send(large);
  CHECK(client.receive() == large);
}

TEST_CASE("memory is scarce while more than half of the budget is held") {
  EchoBroker broker({.connection = {}, .request_memory_bytes = 10});
  Client asks(broker.server->port("PLAINTEXT"));
  Client holds(broker.server->port("PLAINTEXT"));
  asks.send("room");
  CHECK(asks.receive() == "enough");
  holds.send("hold");
  while (broker.begun_count < 2) std::this_thread::yield();
  asks.send("room");
  CHECK(asks.receive() == "little");
  broker.shard->post([&] { broker.freed->set(); });
  CHECK(holds.receive() == "hold");
  asks.send("room");
  CHECK(asks.receive() == "enough");
}

TEST_CASE("who waits for memory is not late with its request") {
  ServerLimits limits{.connection = {}, .request_memory_bytes = 18};
  limits.connection.frame_time_max = 1ms;
  EchoBroker broker(limits);
  Client half(broker.server->port("PLAINTEXT"));
  half.send_raw(std::string("\0\0\0\x10half", 8));  // with it, one of the two goes beyond the limit
  Client holds(broker.server->port("PLAINTEXT"));
  holds.send("hold");
  while (broker.begun_count == 0) std::this_thread::yield();
  Client waits(broker.server->port("PLAINTEXT"));
  waits.send("later");
  CHECK_FALSE(half.receive());  // all have been looked at, and what it held is free
  CHECK(waits.receive() == "later");
  broker.shard->post([&] { broker.freed->set(); });
  CHECK(holds.receive() == "hold");
}

TEST_CASE("many that claim large requests and send nothing hold no memory back from others") {
  EchoBroker broker({.connection = {}, .request_memory_bytes = 4 << 20});
  std::vector<std::unique_ptr<Client>> claimants;
  for (int i = 0; i < 50; ++i) {
    claimants.push_back(std::make_unique<Client>(broker.server->port("PLAINTEXT")));
    claimants.back()->send_raw(std::string("\x03\x00\x00\x00xx", 6));
  }
  Client good(broker.server->port("PLAINTEXT"));
  good.send(std::string(100'000, 'x'));
  CHECK(good.receive() == std::string(100'000, 'x'));
}

TEST_CASE("what is claimed and does not come is not allocated, and hardly charged (R109)") {
  EchoBroker broker;
  const uint64_t before = address_space_bytes();
  REQUIRE(before > 0);
  std::vector<std::unique_ptr<Client>> claimants;
  for (int i = 0; i < 50; ++i) {
    claimants.push_back(std::make_unique<Client>(broker.server->port("PLAINTEXT")));
    claimants.back()->send_raw(claim_of_100_mib);
  }
  while (broker.held() < 50 * 4096) std::this_thread::yield();  // each has room by then
  CHECK(broker.held() == 50 * 4096);
  CHECK(address_space_bytes() < before + (uint64_t{500} << 20));  // of 5,000 MiB that were claimed
}

TEST_CASE("who has sent a large request may have room for the next at once, while memory is not scarce (R109)") {
  EchoBroker broker({.connection = {}, .request_memory_bytes = 150'000});
  const std::string large(100'000, 'x');
  Client one(broker.server->port("PLAINTEXT"));
  Client other(broker.server->port("PLAINTEXT"));
  for (Client* client : {&one, &other}) {
    client->send(large);
    REQUIRE(client->receive() == large);
  }
  REQUIRE(broker.held() == 0);
  one.send_raw(claim_of_100_mib);
  while (broker.held() == 0) std::this_thread::yield();
  CHECK(broker.held() == 100'000);
  other.send_raw(claim_of_100_mib);
  while (broker.held() == 100'000) std::this_thread::yield();
  CHECK(broker.held() == 100'000 + 4096);
}

TEST_CASE("a length that cannot be is answered by closing, and others go on") {
  EchoBroker broker;
  Client good(broker.server->port("PLAINTEXT"));
  const std::string prefix = GENERATE(std::string("\x7f\xff\xff\xff", 4), std::string("\xff\xff\xff\xff", 4),
                                      std::string("\0\0\0\0", 4), std::string("GET / HTTP/1.1\r\n\r\n"));
  Client bad(broker.server->port("PLAINTEXT"));
  bad.send_raw(prefix);
  CHECK_FALSE(bad.receive());
  good.send("still here");
  CHECK(good.receive() == "still here");
}

TEST_CASE("a handler may close its connection") {
  EchoBroker broker;
  Client client(broker.server->port("PLAINTEXT"));
  client.send("bye");
  CHECK_FALSE(client.receive());
}

TEST_CASE("what is ready is written before a handler closes its connection, and nothing else is waited for") {
  ServerLimits limits;
  limits.listen.send_buffer = 4096;
  EchoBroker broker(limits);
  Client client(broker.server->port("PLAINTEXT"));
  SECTION("answers that are ready") {
    const std::string large(1 << 20, 'x');  // is still being written when the next request is handled
    client.send(large);
    client.send_raw(Client::framed("bye") + Client::framed("beyond"));
    while (broker.begun_count < 2) std::this_thread::yield();
    CHECK(client.receive() == large);
    CHECK_FALSE(client.receive());
    CHECK(broker.begun_count == 2);
  }
  SECTION("one that is not") {
    client.send_raw(Client::framed("hold") + Client::framed("bye"));
    CHECK_FALSE(client.receive());
    broker.shard->post([&] { broker.freed->set(); });
  }
}

TEST_CASE("a handler may close its connection after its answer") {
  EchoBroker broker;
  Client client(broker.server->port("PLAINTEXT"));
  client.send("first");
  client.send("last");
  CHECK(client.receive() == "first");
  CHECK(client.receive() == "last");
  CHECK_FALSE(client.receive());
}

TEST_CASE("a half frame is closed when its time is over") {
  ServerLimits limits;
  limits.connection.frame_time_max = 1ms;
  EchoBroker broker(limits);
  Client client(broker.server->port("PLAINTEXT"));
  client.send_raw(std::string("\0\0\0\x10half", 8));
  CHECK_FALSE(client.receive());
}

TEST_CASE("a connection without requests is closed when its time is over (R111)") {
  ServerLimits limits;
  limits.connection.idle_max = 1ms;
  EchoBroker broker(limits);
  Client client(broker.server->port("PLAINTEXT"));
  CHECK_FALSE(client.receive());
}

TEST_CASE("who does not read its responses is closed (R111)") {
  ServerLimits limits;
  limits.connection.write_stall_max = 1ms;
  EchoBroker broker(limits);
  Client client(broker.server->port("PLAINTEXT"));
  const std::string large(64 << 20, 'x');
  client.send(large);  // more than the kernel's buffers take on the way back
  while (broker.server->stats().connections > 0) std::this_thread::yield();
  const std::optional<std::string> cut = client.receive();
  CHECK((!cut || cut->size() < large.size()));
}

TEST_CASE("no request is read from a connection on which too much waits to be taken (R109)") {
  ServerLimits limits;
  limits.listen.send_buffer = 4096;
  limits.connection.write_stall_max = 1s;
  EchoBroker broker(limits);
  Client client(broker.server->port("PLAINTEXT"));
  const std::string request(1 << 20, 'x');
  for (int i = 0; i < 40; ++i) client.send_if_read(request);  // until it is closed, as it reads nothing
  while (broker.server->stats().connections > 0) std::this_thread::yield();
  // What the kernel's buffers took, the one being written, and one more than the limit allows.
  CHECK(broker.begun_count >= 2);
  CHECK(broker.begun_count <= 12);
}

TEST_CASE("who holds memory that others wait for has to read sooner (R109)") {
  ServerLimits limits;
  limits.response_memory_bytes = 2 << 20;
  limits.connection.short_stall_max = 1ms;  // write_stall_max is longer than the client below waits for an answer
  EchoBroker broker(limits);
  Client stuck(broker.server->port("PLAINTEXT"));
  stuck.send("much" + std::string(64 << 20, 'x'));
  while (broker.begun_count == 0) std::this_thread::yield();
  Client good(broker.server->port("PLAINTEXT"));
  const std::string asked = "much" + std::string(1 << 20, 'y');
  good.send(asked);
  CHECK(good.receive() == asked);
  while (broker.server->stats().connections > 1) std::this_thread::yield();
}

TEST_CASE("connections beyond the cap are refused") {
  EchoBroker broker({.connection = {}, .counts = {.in_all = 1}});
  Client first(broker.server->port("PLAINTEXT"));
  first.send("a");
  CHECK(first.receive() == "a");
  Client second(broker.server->port("PLAINTEXT"));
  CHECK_FALSE(second.receive());
  CHECK(broker.server->stats().refused == 1);
}

TEST_CASE("connections of one address are counted, with exceptions, and the counts can change") {
  const bool has_exception = GENERATE(false, true);
  ServerLimits limits;
  limits.counts.per_ip = 1;
  if (has_exception) limits.counts.of_single["127.0.0.1"] = 2;
  EchoBroker broker(limits);
  const auto answers = [](Client& client) {
    client.send("a");
    return client.receive() == "a";
  };
  Client first(broker.server->port("PLAINTEXT"));
  REQUIRE(answers(first));
  Client second(broker.server->port("PLAINTEXT"));
  if (has_exception) {
    CHECK(answers(second));
  } else {
    CHECK_FALSE(second.receive());
  }
  broker.server->set_connection_counts({.in_all = 10, .per_ip = 10});
  Client third(broker.server->port("PLAINTEXT"));
  CHECK(answers(third));
}

TEST_CASE("a listener may have a bound of its own, which takes nothing from the others (R111)") {
  ServerLimits limits;
  limits.counts.of_listener["PLAINTEXT"] = 1;
  EchoBroker broker(limits);
  const auto answers = [](Client& client) {
    client.send("a");
    return client.receive() == "a";
  };
  auto first = std::make_unique<Client>(broker.server->port("PLAINTEXT"));
  REQUIRE(answers(*first));
  Client second(broker.server->port("PLAINTEXT"));
  CHECK_FALSE(second.receive());
  for (int i = 0; i < 3; ++i) {
    Client other(broker.server->port("INTERNAL"));
    CHECK(answers(other));
  }
  first.reset();
  while (broker.server->stats().connections > 0) std::this_thread::yield();
  static_cast<void>(broker.held());  // what it told its shard by then is done: it is not counted any more
  Client third(broker.server->port("PLAINTEXT"));
  CHECK(answers(third));
}

TEST_CASE("a taken port is refused with a sentence") {
  EchoBroker broker;
  Server other({broker.shard.get()}, {}, {Dispatch{}}, common::Logger("test"));
  const auto bound = other.listen({{.name = "X", .host = "127.0.0.1", .port = broker.server->port("PLAINTEXT")}});
  REQUIRE_FALSE(bound);
  CHECK(bound.error().message.find("in use") != std::string::npos);
}
