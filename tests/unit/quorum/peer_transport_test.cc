// Whom a node keeps looking for.
#include "controller/quorum/peer_transport.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "quorum/sim_world.h"

using namespace std::chrono_literals;
using common::Duration;
using common::Instant;
using common::model::BrokerId;
using common::model::Uuid;
using controller::quorum::InboundSink;
using controller::quorum::LinkTimes;
using controller::quorum::PeerAnswer;
using controller::quorum::PeerTransport;
using controller::quorum::RaftHello;
using controller::quorum::RaftWire;
using controller::quorum::RaftWireStream;
using controller::quorum::TransportIdentity;
namespace raft = controller::raft;

namespace {

// Nobody says anything in it.
class SilentStream final : public RaftWireStream {
 public:
  explicit SilentStream(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}
  void send(const raft::Message&) override {}
  void close() override {
    if (!std::exchange(is_closed_, true)) callbacks_.on_end("closed");
  }
  [[nodiscard]] Duration silence() const override { return Duration{0}; }

 private:
  const Callbacks callbacks_;
  bool is_closed_ = false;
};

// Nobody answers anywhere.
class DeadWire final : public RaftWire {
 public:
  common::Awaitable<common::net::ProbeResult> probe(raft::Endpoint endpoint, Instant) override {
    ++probes[endpoint.port];
    using common::net::ProbeResult;
    co_return is_listening ? ProbeResult::connected : ProbeResult::refused;
  }
  common::Awaitable<std::optional<PeerAnswer>> identify(raft::Endpoint, Duration) override { co_return std::nullopt; }
  void set_answer(const PeerAnswer&) override {}
  std::shared_ptr<RaftWireStream> connect(const raft::Endpoint& endpoint, const RaftHello& hello,
                                          RaftWireStream::Callbacks callbacks) override {
    sessions[endpoint.port].push_back(hello.session);
    return std::make_shared<SilentStream>(std::move(callbacks));
  }
  void open(const TransportIdentity&, InboundSink opened) override { sink = std::move(opened); }
  void close() override { sink = {}; }

  bool is_listening = false;
  std::map<int, int> probes;                      // by port
  std::map<int, std::vector<uint64_t>> sessions;  // likewise
  InboundSink sink;
};

struct Looking {
  Looking() {
    quorum_test::configure_test_logging();
    controller::quorum::RaftTransport::Events events;
    events.on_message = [](const raft::Message&) {};
    transport.listen(std::move(events));
    transport.set_peer(BrokerId(2), {"host", 2});
    transport.set_peer(BrokerId(3), {"host", 3});
    pass(1s);
  }
  ~Looking() {
    bool stopped = false;
    transport.stop([&] { stopped = true; });
    pass(1s);
    CHECK(stopped);
  }
  void pass(Duration time) {
    for (Duration passed{0}; passed < time; passed += 50ms) {
      shard.io_context().restart();
      shard.io_context().poll();
      world.run_for(50ms);
    }
  }
  // 3 is no voter.
  void forget() { transport.forget_unreached({BrokerId(2)}); }
  void say_hello() { wire.sink.on_hello({BrokerId(3), Uuid::from_halves(3, 3)}, {"host", 3}); }
  void say_something() {
    raft::Message message;
    message.from = {BrokerId(3), Uuid::from_halves(3, 3)};
    wire.sink.on_message(1, ++said, message);
  }
  bool looks_for(int id) {
    const int before = wire.probes[id];
    pass(2s);
    return wire.probes[id] > before;
  }
  static LinkTimes times() {
    LinkTimes short_ones;
    short_ones.forget_after = 1min;
    return short_ones;
  }

  uint64_t said = 0;
  quorum_test::SimWorld world;
  quorum_test::SimShard shard{0, world};
  DeadWire wire;
  PeerTransport transport{shard,
                          wire,
                          {{BrokerId(1), Uuid::from_halves(1, 1)}, "a cluster", {"host", 1}, 1},
                          common::Logger("raft"),
                          times()};
};

}  // namespace

TEST_CASE("a peer that is gone for long and need not be reached is looked for no more, until it comes") {
  Looking l;
  REQUIRE(l.looks_for(2));
  REQUIRE(l.looks_for(3));
  l.forget();
  REQUIRE(l.looks_for(3));  // not yet
  l.pass(1min);
  l.forget();
  REQUIRE(l.transport.links().size() == 1);
  l.pass(1s);
  REQUIRE_FALSE(l.looks_for(3));
  REQUIRE(l.looks_for(2));
  l.say_hello();
  REQUIRE(l.looks_for(3));
}

TEST_CASE("a peer that comes to us is looked for, also if it cannot be reached") {
  Looking l;
  l.say_hello();
  const bool by_new_streams = GENERATE(true, false);
  for (int i = 0; i < 5; ++i) {
    l.pass(40s);
    if (by_new_streams) {
      l.say_hello();
    } else {
      l.say_something();
    }
    l.forget();
  }
  REQUIRE(l.looks_for(3));
}

TEST_CASE("R21, R23: sessions with a peer that was forgotten go on where they were") {
  Looking l;
  l.wire.is_listening = true;
  l.pass(1min);
  l.forget();
  REQUIRE(l.transport.links().size() == 1);
  l.pass(2s);
  const std::vector<uint64_t> before = l.wire.sessions[3];
  REQUIRE(before.size() > 3);
  l.say_hello();
  l.pass(2s);
  REQUIRE(l.wire.sessions[3].size() > before.size());
  // The peer has not been restarted, and has heard us in them.
  REQUIRE(l.wire.sessions[3][before.size()] > before.back());
}
