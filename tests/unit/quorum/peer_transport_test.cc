// Whom a node keeps looking for.
#include "controller/quorum/peer_transport.h"

#include <map>
#include <memory>
#include <optional>

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

// Nobody listens anywhere.
class DeadWire final : public RaftWire {
 public:
  common::Awaitable<common::net::ProbeResult> probe(raft::Endpoint endpoint, Instant) override {
    ++probes[endpoint.port];
    co_return common::net::ProbeResult::refused;
  }
  common::Awaitable<std::optional<PeerAnswer>> identify(raft::Endpoint, Duration) override { co_return std::nullopt; }
  void set_answer(const PeerAnswer&) override {}
  std::shared_ptr<RaftWireStream> connect(const raft::Endpoint&, const RaftHello&, RaftWireStream::Callbacks) override {
    return nullptr;
  }
  void open(const TransportIdentity&, InboundSink opened) override { sink = std::move(opened); }
  void close() override { sink = {}; }

  std::map<int, int> probes;  // by port
  InboundSink sink;
};

struct Looking {
  Looking() {
    quorum_test::configure_test_logging();
    transport.listen({});
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
  for (int i = 0; i < 5; ++i) {
    l.pass(40s);
    l.say_hello();
    l.forget();
  }
  REQUIRE(l.looks_for(3));
}
