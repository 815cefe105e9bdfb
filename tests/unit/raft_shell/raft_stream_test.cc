#include <atomic>
#include <future>

#include <catch2/catch.hpp>

#include "controller/quorum/raft_stream.h"
#include "raft_shell/quorum_node.h"

namespace raft_shell_test {

using namespace std::chrono_literals;
using common::model::Uuid;

// A sender with nothing more to say must learn that its last words arrived: otherwise two followers, who are silent
// between elections, would take their link for dead and start over.
TEST_CASE("the last message of a burst is acknowledged") {
  common::SystemClock clock;
  const auto shard = common::make_thread_shard(0, clock, "controller");
  const common::Logger logger("raft");
  RaftService service(*shard, logger);
  GrpcServer server({.host = "127.0.0.1"});
  server.add(service);
  REQUIRE(server.start());
  const raft::Endpoint endpoint{"127.0.0.1", server.port()};
  const TransportIdentity here{{BrokerId(1), raft::DirectoryId(Uuid::from_halves(1, 1))}, "a cluster", endpoint, 1};
  const TransportIdentity there{{BrokerId(2), raft::DirectoryId(Uuid::from_halves(2, 2))}, "a cluster", endpoint, 1};

  std::atomic<int> arrived = 0, opened = 0;
  std::atomic<uint64_t> heard = 0;
  std::promise<void> listening, ended;
  std::shared_ptr<RaftStream> stream;
  shard->post([&] {
    service.open(there, {.on_hello = [](const auto&, const auto&) { return uint64_t{7}; },
                         .on_message = [&](uint64_t, uint64_t, const raft::Message&) { ++arrived; }});
    stream =
        RaftStream::open(*shard, endpoint, RaftHello{here.cluster_id, here.self, BrokerId(2), {}, 1, here.endpoint},
                         {.on_open = [&](const raft::NodeKey&, uint64_t session) { heard = session, ++opened; },
                          .on_end = [&](const std::string&) { ended.set_value(); }});
    listening.set_value();
  });
  listening.get_future().wait();
  REQUIRE(QuorumNode::wait([&] { return opened == 1; }));
  CHECK(heard == 7);
  for (int burst = 1; burst <= 20; ++burst) {
    for (int i = 0; i < 5; ++i) stream->send({here.self, there.self, Term(1), raft::TimeoutNow{}});
    CHECK(QuorumNode::wait([&] { return arrived == burst * 5 && stream->silence() == 0ms; }));
  }

  shard->post([&] { stream->close(); });
  ended.get_future().wait();
  std::promise<void> closed;
  shard->post([&] {
    service.close();
    closed.set_value();
  });
  closed.get_future().wait();
  server.stop();
  stream.reset();
  common::stop_shard(*shard);
}

}  // namespace raft_shell_test
