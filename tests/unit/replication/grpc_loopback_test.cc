// Fetch streams over real gRPC on loopback, with replicas that need no log: records arrive whole, a server that dies
// and comes back is found again, refusals say why.
#include <future>
#include <mutex>

#include <catch2/catch.hpp>

#include "broker/replication/grpc_fetch_service.h"
#include "broker/replication/grpc_fetch_transport.h"
#include "broker/replication/grpc_frames.h"
#include "broker/replication/replication_follower.h"
#include "broker/replication/replication_leader.h"
#include "common/logging.h"
#include "common/shard.h"
#include "controller/quorum/grpc_server.h"
#include "replication/fake_replicas.h"

#include <grpcpp/impl/codegen/service_type.h>

using namespace broker::replication;
using namespace test_support;
using namespace std::chrono_literals;
using common::make_thread_shard;
using common::Shard;
using common::model::PartitionIndex;

namespace {

const Uuid cluster = Uuid::from_halves(9, 9);

TopicIdPartition id(int n) {
  return {.topic_id = Uuid::from_halves(7, 7), .partition = PartitionIndex(n)};
}

// Runs `f` on the shard and waits for it.
template <class F>
auto ask(Shard& shard, F f) {
  std::promise<decltype(f())> done;
  shard.post([&] {
    if constexpr (std::is_void_v<decltype(f())>) {
      f();
      done.set_value();
    } else {
      done.set_value(f());
    }
  });
  return done.get_future().get();
}

// Asks until the answer is yes; the test's own limit ends it otherwise.
template <class F>
void wait_until(Shard& shard, F f) {
  const auto limit = std::chrono::steady_clock::now() + 30s;
  while (!ask(shard, f)) {
    REQUIRE(std::chrono::steady_clock::now() < limit);
    std::this_thread::yield();
  }
}

struct LeaderBroker {
  explicit LeaderBroker(int shard_count, uint16_t port = 0) {
    for (int s = 0; s < shard_count; ++s) {
      shards.push_back(make_thread_shard(s, clock, "leader"));
      ReplicationLeaderOptions o;
      o.shard = shards.back().get();
      o.cluster_id = cluster;
      o.self = BrokerId(1);
      o.shard_index = s;
      o.shards = shard_count;
      o.find = [this](const TopicIdPartition& p) -> std::shared_ptr<LeaderReplica> {
        const std::lock_guard lock(mutex);
        const auto found = replicas.find(p);
        return found != replicas.end() ? found->second : nullptr;
      };
      sides.push_back(std::make_unique<ReplicationLeader>(o));
      ask(*shards.back(), [&] { sides.back()->set_broker_epoch(BrokerEpoch(100)); });
    }
    std::vector<ShardAcceptor> acceptors;
    for (int s = 0; s < shard_count; ++s)
      acceptors.push_back({shards[static_cast<size_t>(s)].get(), sides[static_cast<size_t>(s)].get()});
    service = make_grpc_fetch_service(acceptors);
    controller::quorum::GrpcServerOptions options;
    options.host = "127.0.0.1";
    options.port = port;
    server = std::make_unique<controller::quorum::GrpcServer>(options);
    server->add(*service);
    REQUIRE(server->start().has_value());
  }
  ~LeaderBroker() {
    server->stop();
    for (size_t s = 0; s < shards.size(); ++s) ask(*shards[s], [&] { sides[s].reset(); });
  }
  std::shared_ptr<FakeLeader> lead(int n) {
    const std::lock_guard lock(mutex);
    auto& r = replicas[id(n)];
    if (!r) r = std::make_shared<FakeLeader>();
    return r;
  }
  Shard& shard_of(int n) {
    return *shards[static_cast<size_t>(
        broker::partition::home_shard(id(n).topic_id, id(n).partition, static_cast<int>(shards.size())))];
  }

  common::SystemClock clock;
  std::mutex mutex;
  std::map<TopicIdPartition, std::shared_ptr<FakeLeader>> replicas;
  std::vector<std::unique_ptr<Shard>> shards;
  std::vector<std::unique_ptr<ReplicationLeader>> sides;
  std::unique_ptr<grpc::Service> service;
  std::unique_ptr<controller::quorum::GrpcServer> server;
};

struct FollowerBroker {
  explicit FollowerBroker(uint16_t leader_port, Uuid cluster_id = cluster) : port(leader_port) {
    shard = make_thread_shard(0, clock, "follower");
    transport = make_grpc_fetch_transport();
    ReplicationFollowerOptions o;
    o.shard = shard.get();
    o.cluster_id = cluster_id;
    o.self = BrokerId(2);
    o.transport = transport.get();
    o.endpoint_of = [this](BrokerId) { return Endpoint{"127.0.0.1", port}; };
    o.on_broken = [this](BrokerId, const Broken& broken) { breaks.push_back(broken); };
    side = std::make_unique<ReplicationFollower>(o);
    ask(*shard, [&] { side->set_broker_epoch(BrokerEpoch(200)); });
  }
  ~FollowerBroker() {
    ask(*shard, [&] { side.reset(); });
  }
  std::shared_ptr<FakeFollower> follow(int n) {
    auto r = std::make_shared<FakeFollower>();
    ask(*shard, [&] { side->follow(id(n), r, BrokerId(1)); });
    return r;
  }

  common::SystemClock clock;
  uint16_t port;
  std::unique_ptr<Shard> shard;
  std::unique_ptr<FetchTransport> transport;
  std::unique_ptr<ReplicationFollower> side;
  std::vector<Broken> breaks;
};

}  // namespace

namespace {
// Streams come and go; nobody reads about it here.
const bool quiet = [] {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  return true;
}();
}  // namespace

TEST_CASE("frames survive their encoding, and records are not copied") {
  LeaderFrame frame;
  frame.sequence = 7;
  SlotAnswer a{.slot = 3, .number = 9, .answer = {}, .records = {}};
  a.answer.asked = {.leader_epoch = LeaderEpoch(5), .fetch_offset = Offset(70), .last_epoch = LeaderEpoch(4)};
  a.answer.high_watermark = Offset(60);
  a.answer.log_end_offset = Offset(99);
  const Buffer one = Buffer::copy_of(std::string(3000, 'a'));
  const Buffer two = Buffer::copy_of(std::string(100, 'b'));
  a.records.append(one);
  a.records.append(two);
  frame.answers.push_back(a);
  SlotAnswer b{.slot = 4, .number = 10, .answer = {}, .records = {}};
  b.answer.error = ErrorCode::offset_out_of_range;
  b.answer.diverging = EpochEnd{LeaderEpoch(2), Offset(33)};
  frame.answers.push_back(b);
  frame.high_watermarks.push_back(
      {.slot = 8, .leader_epoch = LeaderEpoch(1), .high_watermark = Offset(2), .log_start_offset = Offset(1)});

  const grpc::ByteBuffer bytes = encode(frame);
  const auto decoded = decode_from_leader(bytes);
  REQUIRE(decoded.has_value());
  const auto& got = std::get<LeaderFrame>(*decoded);
  REQUIRE(got.sequence == 7);
  REQUIRE(got.answers.size() == 2);
  REQUIRE(got.answers[0].answer.asked == a.answer.asked);
  REQUIRE(got.answers[0].answer.has_records);
  REQUIRE(got.answers[0].records.flatten().text() == std::string(3000, 'a') + std::string(100, 'b'));
  REQUIRE(got.answers[0].records.parts()[0].data() == one.data());  // the very bytes
  REQUIRE(got.answers[1].answer.error == ErrorCode::offset_out_of_range);
  REQUIRE(got.answers[1].answer.diverging == b.answer.diverging);
  REQUIRE_FALSE(got.answers[1].answer.asked.last_epoch);
  REQUIRE(got.high_watermarks[0].high_watermark == Offset(2));

  // A message that any Protobuf reader understands, cut at every place: an error, never a crash.
  std::vector<grpc::Slice> slices;
  REQUIRE(const_cast<grpc::ByteBuffer&>(bytes).Dump(&slices).ok());
  std::string flat;
  for (const grpc::Slice& s : slices) flat.append(reinterpret_cast<const char*>(s.begin()), s.size());
  for (size_t n = 0; n < flat.size(); n += n < 200 ? 1 : 97) {
    const grpc::Slice cut(flat.data(), n);
    REQUIRE_FALSE(decode_from_leader(grpc::ByteBuffer(&cut, 1)).has_value());
  }
  // In any pieces.
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{1000}}) {
    std::vector<grpc::Slice> pieces;
    for (size_t at = 0; at < flat.size(); at += piece)
      pieces.emplace_back(flat.data() + at, std::min(piece, flat.size() - at));
    const auto again = decode_from_leader(grpc::ByteBuffer(pieces.data(), pieces.size()));
    REQUIRE(again.has_value());
    REQUIRE(std::get<LeaderFrame>(*again).answers[0].records.size() == 3100);
  }
}

TEST_CASE("a follower fetches over gRPC from a leader with another number of shards") {
  LeaderBroker leader(3);
  for (int n = 0; n < 6; ++n) leader.lead(n)->log.assign(100'000 + static_cast<size_t>(n), static_cast<char>('a' + n));
  FollowerBroker follower(leader.server->port());
  std::vector<std::shared_ptr<FakeFollower>> replicas;
  for (int n = 0; n < 6; ++n) replicas.push_back(follower.follow(n));
  for (int n = 0; n < 6; ++n) {
    wait_until(*follower.shard,
               [&] { return replicas[static_cast<size_t>(n)]->log.size() == 100'000u + static_cast<size_t>(n); });
    REQUIRE(ask(*follower.shard, [&] { return replicas[static_cast<size_t>(n)]->log == leader.lead(n)->log; }));
  }
  REQUIRE(ask(*follower.shard, [&] { return follower.side->stream_count(); }) == 3);

  // News travel without being asked for: records, and a high watermark alone.
  ask(leader.shard_of(2), [&] { leader.lead(2)->append(5'000'000); });
  wait_until(*follower.shard, [&] { return replicas[2]->log.size() == 5'100'002u; });
  ask(leader.shard_of(2), [&] { leader.lead(2)->commit(5'100'002); });
  wait_until(*follower.shard, [&] { return replicas[2]->high_watermark == Offset(5'100'002); });
}

TEST_CASE("a leader that dies and comes back is found again") {
  auto leader = std::make_unique<LeaderBroker>(1);
  const uint16_t port = leader->server->port();
  leader->lead(0)->log = "first";
  FollowerBroker follower(port);
  const auto replica = follower.follow(0);
  wait_until(*follower.shard, [&] { return replica->log == "first"; });
  leader.reset();
  wait_until(*follower.shard, [&] {
    return std::any_of(follower.breaks.begin(), follower.breaks.end(),
                       [](const Broken& b) { return b.kind == BreakKind::refused; });
  });
  leader = std::make_unique<LeaderBroker>(1, port);
  {
    const auto led = leader->lead(0);
    ask(leader->shard_of(0), [&] { led->log = "first second"; });
  }
  ask(leader->shard_of(0), [&] { leader->sides[0]->on_partition_appeared(id(0)); });
  wait_until(*follower.shard, [&] { return replica->log == "first second"; });
}

TEST_CASE("a stranger is told why it is not served") {
  LeaderBroker leader(1);
  leader.lead(0)->log = "secret";
  FollowerBroker follower(leader.server->port(), Uuid::from_halves(6, 6));
  const auto replica = follower.follow(0);
  wait_until(*follower.shard, [&] { return !follower.breaks.empty(); });
  REQUIRE(ask(*follower.shard, [&] { return follower.breaks[0].kind == BreakKind::rejected; }));
  REQUIRE(replica->log.empty());
}

TEST_CASE("garbage on the port ends a stream and nothing else") {
  const grpc::Slice garbage(std::string(200, '\xff'));
  const grpc::ByteBuffer bytes(&garbage, 1);
  REQUIRE_FALSE(decode_from_follower(bytes).has_value());
  REQUIRE_FALSE(decode_from_leader(bytes).has_value());
}
