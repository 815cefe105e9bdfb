#include "controller/quorum/tcp_prober.h"

#include "common/net/probe.h"

namespace controller::quorum {
namespace {

common::Awaitable<void> run(common::Shard& shard, metadata::ProbeOrder order, common::Duration timeout,
                            std::function<void(metadata::ProbeResult)> done) {
  const auto result =
      co_await common::net::probe(shard, order.endpoint.host, order.endpoint.port, shard.now() + timeout);
  switch (result) {
    case common::net::ProbeResult::refused:
      co_return done(metadata::ProbeResult::refused);
    case common::net::ProbeResult::connected:
      co_return done(metadata::ProbeResult::connected);
    case common::net::ProbeResult::no_answer:
    case common::net::ProbeResult::unresolved:  // a name that is gone says nothing about the process
      co_return done(metadata::ProbeResult::no_answer);
  }
}

}  // namespace

void TcpProber::probe(const metadata::ProbeOrder& order, std::function<void(metadata::ProbeResult)> done) {
  shard_.spawn("broker probe", run(shard_, order, timeout_, std::move(done)));
}

}  // namespace controller::quorum
