// Fetch streams over real gRPC on loopback, with replicas that need no log: records arrive whole, a server that dies
// and comes back is found again, refusals say why. Each end is spoken by the shard itself, as in a broker, or by gRPC's
// runtime, and every pair has to understand each other: what we speak is gRPC.
#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <mutex>

#include <catch2/catch.hpp>

#include "broker/replication/grpc_fetch_service.h"
#include "broker/replication/grpc_fetch_transport.h"
#include "broker/replication/grpc_frames.h"
#include "broker/replication/http2_fetch.h"
#include "broker/replication/replication_follower.h"
#include "broker/replication/replication_leader.h"
#include "common/logging.h"
#include "common/net/socket.h"
#include "common/shard.h"
#include "controller/quorum/grpc_server.h"
#include "controller/quorum/one_poller.h"
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
// Not where outgoing connections come from, whose ports are the kernel's choice: one of those could have the port of a
// leader that is to come back.
const std::string host = "127.0.0.2";

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
  const auto limit = std::chrono::steady_clock::now() + 60s;
  while (!ask(shard, f)) {
    REQUIRE(std::chrono::steady_clock::now() < limit);
    std::this_thread::yield();
  }
}

// Who speaks at an end of a stream.
enum class Spoken { by_shard, by_runtime };

struct Pair {
  Spoken leader;
  Spoken follower;
};

// All four; Catch says which one failed.
Pair any_pair() {
  const auto leader = GENERATE(Spoken::by_shard, Spoken::by_runtime);
  const auto follower = GENERATE(Spoken::by_shard, Spoken::by_runtime);
  CAPTURE(leader == Spoken::by_shard, follower == Spoken::by_shard);
  return {leader, follower};
}

// Accepts on a shard and serves what comes there. One shard only: sorting is the peer listener's business.
struct DirectListener {
  DirectListener(Shard& on, uint16_t port, FollowerAcceptor& side) : shard(on) {
    ask(shard, [&] {
      auto bound = common::net::Acceptor::listen(shard, host, port);
      REQUIRE(bound.has_value());
      acceptor = std::move(*bound);
      shard.spawn("accept", accept(*this, side));
    });
  }
  ~DirectListener() {
    ask(shard, [&] { acceptor->close(); });
    ended.get_future().wait();
  }
  static common::Awaitable<void> accept(DirectListener& self, FollowerAcceptor& side) {
    for (;;) {
      const auto accepted = co_await self.acceptor->accept();
      if (accepted.failure != common::net::AcceptFailure::none) break;
      serve_follower(self.shard, common::net::Socket(self.shard, accepted.descriptor), side);
    }
    self.ended.set_value();
  }
  Shard& shard;
  std::unique_ptr<common::net::Acceptor> acceptor;
  std::promise<void> ended;
};

struct LeaderBroker {
  explicit LeaderBroker(int shard_count, uint16_t port = 0, Spoken spoken = Spoken::by_runtime) {
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
    if (spoken == Spoken::by_shard) {
      REQUIRE(shard_count == 1);
      direct = std::make_unique<DirectListener>(*shards[0], port, *sides[0]);
      return;
    }
    service = make_grpc_fetch_service(acceptors);
    controller::quorum::GrpcServerOptions options;
    options.host = host;
    options.port = port;
    server = std::make_unique<controller::quorum::GrpcServer>(options);
    server->add(*service);
    REQUIRE(server->start().has_value());
  }
  ~LeaderBroker() {
    direct.reset();
    if (server) server->stop();
    for (size_t s = 0; s < shards.size(); ++s) ask(*shards[s], [&] { sides[s].reset(); });
  }
  [[nodiscard]] uint16_t port() const { return direct ? direct->acceptor->port() : server->port(); }
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
  std::unique_ptr<DirectListener> direct;
};

struct FollowerBroker {
  explicit FollowerBroker(uint16_t leader_port, Uuid cluster_id = cluster, Spoken spoken = Spoken::by_runtime)
      : port(leader_port) {
    shard = make_thread_shard(0, clock, "follower");
    transport = spoken == Spoken::by_shard ? make_http2_fetch_transport() : make_grpc_fetch_transport();
    ReplicationFollowerOptions o;
    o.shard = shard.get();
    o.cluster_id = cluster_id;
    o.self = BrokerId(2);
    o.transport = transport.get();
    o.endpoint_of = [this](BrokerId) { return Endpoint{host, port}; };
    o.on_broken = [this](BrokerId, const Broken& broken) { breaks.push_back(broken); };
    o.writes = &writes;
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
  broker::partition::RecentMean writes;
  std::unique_ptr<ReplicationFollower> side;
  std::vector<Broken> breaks;
};

}  // namespace

namespace {
// Streams come and go; nobody reads about it here. gRPC's runtime is kept up to the end: were its last call to end on one
// of its own threads, which is where calls do end, that thread would have to wait for itself.
const bool quiet = [] {
  static const auto* const runtime = new std::shared_ptr(controller::quorum::OnePoller::hold());
  static_cast<void>(runtime);
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
  a.answer.counts_synced = true;
  const Buffer one = Buffer::copy_of(std::string(3000, 'a'));
  const Buffer two = Buffer::copy_of(std::string(100, 'b'));
  a.records.append(one);
  a.records.append(two);
  frame.answers.push_back(a);
  SlotAnswer b{.slot = 4, .number = 10, .answer = {}, .records = {}};
  b.answer.error = ErrorCode::offset_out_of_range;
  b.answer.diverging = EpochEnd{LeaderEpoch(2), Offset(33)};
  b.answer.differs = true;
  frame.answers.push_back(b);
  frame.high_watermarks.push_back(
      {.slot = 8, .leader_epoch = LeaderEpoch(1), .high_watermark = Offset(2), .log_start_offset = Offset(1)});
  frame.high_watermarks.push_back({.slot = 9,
                                   .leader_epoch = LeaderEpoch(1),
                                   .high_watermark = Offset(3),
                                   .log_start_offset = Offset(1),
                                   .counts_synced = true});

  const grpc::ByteBuffer bytes = encode(frame);
  const auto decoded = decode_from_leader(bytes);
  REQUIRE(decoded.has_value());
  const auto& got = std::get<LeaderFrame>(*decoded);
  REQUIRE(got.sequence == 7);
  REQUIRE(got.answers.size() == 2);
  REQUIRE(got.answers[0].answer.asked == a.answer.asked);
  REQUIRE(got.answers[0].answer.has_records);
  REQUIRE(got.answers[0].answer.counts_synced);
  REQUIRE_FALSE(got.answers[1].answer.counts_synced);
  REQUIRE(got.answers[0].records.flatten().text() == std::string(3000, 'a') + std::string(100, 'b'));
  REQUIRE(got.answers[0].records.parts()[0].data() == one.data());  // the very bytes
  REQUIRE(got.answers[1].answer.error == ErrorCode::offset_out_of_range);
  REQUIRE(got.answers[1].answer.diverging == b.answer.diverging);
  REQUIRE(got.answers[1].answer.differs);
  REQUIRE_FALSE(got.answers[0].answer.differs);
  REQUIRE_FALSE(got.answers[1].answer.asked.last_epoch);
  REQUIRE(got.high_watermarks.size() == 2);
  REQUIRE(got.high_watermarks[0].high_watermark == Offset(2));
  REQUIRE_FALSE(got.high_watermarks[0].counts_synced);
  REQUIRE(got.high_watermarks[1].counts_synced);

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

TEST_CASE("what a copy ends with survives its encoding, and is not there where nothing was said") {
  FollowerFrame frame;
  frame.sequence = 1;
  const BatchIdentity last{Offset(60), Offset(69), LeaderEpoch(4), 0xfedcba98};
  frame.positions.push_back({.slot = 3, .answers = 0, .position = {}, .last_batch = last});
  frame.positions.push_back({.slot = 4, .answers = 2, .position = {}, .last_batch = {}});
  const auto decoded = decode_from_follower(encode(frame));
  REQUIRE(decoded.has_value());
  const auto& got = std::get<FollowerFrame>(*decoded);
  REQUIRE(got.positions.size() == 2);
  REQUIRE(got.positions[0].last_batch == last);
  REQUIRE_FALSE(got.positions[1].last_batch);
}

TEST_CASE("a follower fetches over gRPC from a leader with another number of shards") {
  const auto spoken = GENERATE(Spoken::by_shard, Spoken::by_runtime);
  LeaderBroker leader(3);
  for (int n = 0; n < 6; ++n) leader.lead(n)->log.assign(100'000 + static_cast<size_t>(n), static_cast<char>('a' + n));
  FollowerBroker follower(leader.port(), cluster, spoken);
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
  // What was written has been timed.
  REQUIRE(ask(*follower.shard, [&] { return follower.writes.look().has_value(); }));
}

TEST_CASE("records of every size arrive whole, however full the connection is") {
  const Pair pair = any_pair();
  LeaderBroker leader(1, 0, pair.leader);
  const std::vector<size_t> sizes = {1, 4, 5, 1000, 16'384, 65'536, 300'001, 20'000'000};
  FollowerBroker follower(leader.port(), cluster, pair.follower);
  std::vector<std::shared_ptr<FakeFollower>> replicas;
  for (size_t n = 0; n < sizes.size(); ++n) {
    std::string log(sizes[n], '\0');
    for (size_t i = 0; i < log.size(); ++i) log[i] = static_cast<char>('a' + (i * 31 + n) % 26);
    leader.lead(static_cast<int>(n))->log = std::move(log);
    replicas.push_back(follower.follow(static_cast<int>(n)));
  }
  for (size_t n = 0; n < sizes.size(); ++n) {
    wait_until(*follower.shard, [&] { return replicas[n]->log.size() == sizes[n]; });
    REQUIRE(ask(*follower.shard, [&] { return replicas[n]->log == leader.lead(static_cast<int>(n))->log; }));
  }
}

TEST_CASE("a leader that dies and comes back is found again") {
  const Pair pair = any_pair();
  auto leader = std::make_unique<LeaderBroker>(1, 0, pair.leader);
  const uint16_t port = leader->port();
  leader->lead(0)->log = "first";
  FollowerBroker follower(port, cluster, pair.follower);
  const auto replica = follower.follow(0);
  wait_until(*follower.shard, [&] { return replica->log == "first"; });
  leader.reset();
  wait_until(*follower.shard, [&] {
    return std::any_of(follower.breaks.begin(), follower.breaks.end(),
                       [](const Broken& b) { return b.kind == BreakKind::refused; });
  });
  leader = std::make_unique<LeaderBroker>(1, port, pair.leader);
  {
    const auto led = leader->lead(0);
    ask(leader->shard_of(0), [&] { led->log = "first second"; });
  }
  ask(leader->shard_of(0), [&] { leader->sides[0]->on_partition_appeared(id(0)); });
  wait_until(*follower.shard, [&] { return replica->log == "first second"; });
}

TEST_CASE("a follower that registers anew begins its streams anew, and calls no leader lost") {
  const Pair pair = any_pair();
  LeaderBroker leader(1, 0, pair.leader);
  leader.lead(0)->log = "first";
  FollowerBroker follower(leader.port(), cluster, pair.follower);
  const auto replica = follower.follow(0);
  wait_until(*follower.shard, [&] { return replica->log == "first"; });
  ask(*follower.shard, [&] { follower.side->set_broker_epoch(BrokerEpoch(201)); });
  {
    const auto led = leader.lead(0);
    ask(leader.shard_of(0), [&] { led->append(5); });
  }
  wait_until(*follower.shard, [&] { return replica->log == "firstxxxxx"; });
  const std::vector<Broken> breaks = ask(*follower.shard, [&] { return follower.breaks; });
  REQUIRE_FALSE(breaks.empty());
  for (const Broken& broken : breaks) {
    CAPTURE(broken.why);
    REQUIRE(broken.kind == BreakKind::rejected);
  }
}

TEST_CASE("a follower without descriptors says nothing about its leader (fault 40)") {
  LeaderBroker leader(1, 0, Spoken::by_shard);
  leader.lead(0)->log = "kept";
  FollowerBroker follower(leader.port(), cluster, Spoken::by_shard);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{3, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto replica = follower.follow(0);
  wait_until(*follower.shard, [&] { return !follower.breaks.empty(); });
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  wait_until(*follower.shard, [&] { return replica->log == "kept"; });
  for (const Broken& broken : ask(*follower.shard, [&] { return follower.breaks; })) {
    CAPTURE(broken.why);
    REQUIRE(broken.kind == BreakKind::rejected);
  }
}

TEST_CASE("a stranger is told why it is not served") {
  const Pair pair = any_pair();
  LeaderBroker leader(1, 0, pair.leader);
  leader.lead(0)->log = "secret";
  FollowerBroker follower(leader.port(), Uuid::from_halves(6, 6), pair.follower);
  const auto replica = follower.follow(0);
  wait_until(*follower.shard, [&] { return !follower.breaks.empty(); });
  const Broken first = ask(*follower.shard, [&] { return follower.breaks[0]; });
  REQUIRE(first.kind == BreakKind::rejected);
  REQUIRE(first.why.find(cluster.to_string()) != std::string::npos);  // whom it reached
  REQUIRE(replica->log.empty());
}

TEST_CASE("garbage on the port ends a stream and nothing else") {
  const grpc::Slice garbage(std::string(200, '\xff'));
  const grpc::ByteBuffer bytes(&garbage, 1);
  REQUIRE_FALSE(decode_from_follower(bytes).has_value());
  REQUIRE_FALSE(decode_from_leader(bytes).has_value());
}

TEST_CASE("garbage on a connection that a shard serves ends it and no other") {
  LeaderBroker leader(1, 0, Spoken::by_shard);
  leader.lead(0)->log = "kept";
  FollowerBroker follower(leader.port(), cluster, Spoken::by_shard);
  const auto replica = follower.follow(0);
  wait_until(*follower.shard, [&] { return replica->log == "kept"; });

  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  const std::vector<std::string> garbage = {
      std::string(64, '\xff'),
      "GET / HTTP/1.1\r\nHost: naru\r\n\r\n",
      preface + std::string(200, '\xff'),
      preface + settings + std::string("\xff\xff\xff\0\0\0\0\0\1", 9),          // DATA of 16 MiB, of no stream
      preface + settings + std::string("\0\0\4\1\4\0\0\0\1\x82\xff\xff\xff", 13),  // headers that do not decode
  };
  for (const std::string& bytes : garbage) {
    CAPTURE(bytes);
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(leader.port());
    REQUIRE(::inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    char answer[4096];
    while (::recv(fd, answer, sizeof answer, 0) > 0) {  // it may say why; then it closes
    }
    ::close(fd);
  }
  ask(leader.shard_of(0), [&] { leader.lead(0)->append(6); });
  wait_until(*follower.shard, [&] { return replica->log.size() == 10; });
}
