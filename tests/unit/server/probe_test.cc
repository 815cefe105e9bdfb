#include <future>

#include <catch2/catch.hpp>

#include "common/net/probe.h"

using namespace common;
using namespace std::chrono_literals;
using net::ProbeResult;

namespace {

Awaitable<void> ask(Shard& shard, std::string host, uint16_t port, std::promise<ProbeResult>& answer) {
  answer.set_value(co_await net::probe(shard, std::move(host), port, shard.now() + 5s));
}

ProbeResult probe_now(Shard& shard, std::string host, uint16_t port) {
  std::promise<ProbeResult> answer;
  auto future = answer.get_future();
  shard.spawn("probe", ask(shard, std::move(host), port, answer));
  return future.get();
}

}  // namespace

TEST_CASE("a probe tells a listener from a dead process from a name that is none") {
  SystemClock clock;
  auto shard = make_thread_shard(0, clock, "probe");
  uint16_t port = 0;
  {
    auto acceptor = net::Acceptor::listen(*shard, "127.0.0.1", 0);
    REQUIRE(acceptor);
    port = (*acceptor)->port();
    CHECK(probe_now(*shard, "127.0.0.1", port) == ProbeResult::connected);
    CHECK(probe_now(*shard, "localhost", port) == ProbeResult::connected);
  }
  CHECK(probe_now(*shard, "127.0.0.1", port) == ProbeResult::refused);
  CHECK(probe_now(*shard, "no-such-host.invalid", port) == ProbeResult::unresolved);
  stop_shard(*shard);
}
