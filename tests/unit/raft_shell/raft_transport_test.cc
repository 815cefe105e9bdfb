// Two nodes' transports over real gRPC on loopback: order, handshake, a peer that dies and comes back.
#include <condition_variable>
#include <future>
#include <mutex>

#include <catch2/catch.hpp>

#include "controller/quorum/grpc_raft_transport.h"
#include "controller/quorum/grpc_server.h"
#include "controller/quorum/raft_wire.h"

using namespace controller;
using namespace controller::quorum;
using namespace std::chrono_literals;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::LogIndex;
using common::model::Term;
using common::model::Uuid;

namespace {

const Uuid cluster = Uuid::from_halves(1, 2);

// Collects what a transport reports, for a thread that waits.
class Listener final : public RaftTransportListener {
 public:
  void on_message(raft::Message message) override {
    note([&] { messages_.push_back(std::move(message)); });
  }
  void on_peer_connected(BrokerId) override {
    note([&] { ++connected_; });
  }
  void on_peer_gone(BrokerId) override {
    note([&] { ++gone_; });
  }

  void wait_connected(int n) {
    wait([&] { return connected_ >= n; });
  }
  void wait_gone() {
    wait([&] { return gone_ > 0; });
  }
  std::vector<raft::Message> wait_messages(size_t n) {
    wait([&] { return messages_.size() >= n; });
    const std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  template <class F>
  void note(F f) {
    const std::lock_guard lock(mutex_);
    f();
    changed_.notify_all();
  }
  template <class F>
  void wait(F until) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, 20s, until));
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<raft::Message> messages_;
  int connected_ = 0;
  int gone_ = 0;
};

class Endpoint {
 public:
  Endpoint(int id, uint64_t session_base, uint16_t port = 0, Uuid cluster_id = cluster)
      : shard_(common::make_thread_shard(id, clock_, "controller")),
        service_(*shard_),
        server_({.host = "127.0.0.1", .port = port}) {
    server_.add(service_);
    REQUIRE(server_.start());
    key = {BrokerId(id), Uuid::from_halves(0, static_cast<uint64_t>(id))};
    run([&] {
      transport_ = std::make_unique<GrpcRaftTransport>(
          *shard_, RaftTransportOptions{.self = key, .cluster_id = cluster_id, .session_base = session_base}, listener,
          common::Logger(fmt::format("b{}", id)));
      service_.attach(transport_.get());
    });
  }
  ~Endpoint() {
    std::promise<void> done;
    shard_->spawn("shut down", shut_down(done));
    done.get_future().wait();
    server_.stop();
    run([&] { service_.attach(nullptr); });
    // What the streams posted in their last reactions is done after one more turn.
    run([] {});
    common::stop_shard(*shard_);
    transport_.reset();
  }
  template <class F>
  void run(F f) {
    std::promise<void> done;
    shard_->post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  void peer(int id, uint16_t port) {
    run([&] { transport_->set_peers({{BrokerId(id), raft::Endpoint{"127.0.0.1", port}}}); });
  }
  void send(int to, int n) {
    run([&] {
      transport_->send({.from = key, .to = {BrokerId(to), Uuid()}, .term = Term(n), .body = raft::TimeoutNow{}});
    });
  }
  uint16_t port() const { return server_.port(); }

  Listener listener;
  raft::NodeKey key;

 private:
  common::Awaitable<void> shut_down(std::promise<void>& done) {
    co_await transport_->shut_down();
    done.set_value();
  }
  common::SystemClock clock_;
  std::unique_ptr<common::Shard> shard_;
  RaftService service_;
  GrpcServer server_;
  std::unique_ptr<GrpcRaftTransport> transport_;
};

}  // namespace

TEST_CASE("messages arrive once and in order") {
  Endpoint a(1, 1);
  Endpoint b(2, 1);
  a.peer(2, b.port());
  a.listener.wait_connected(1);
  for (int i = 1; i <= 200; ++i) a.send(2, i);
  const auto got = b.listener.wait_messages(200);
  for (int i = 0; i < 200; ++i) REQUIRE(got[static_cast<size_t>(i)].term == Term(i + 1));
}

TEST_CASE("a peer that dies is reported gone and found again when it is back") {
  Endpoint a(1, 1);
  uint16_t port = 0;
  {
    Endpoint b(2, 1);
    port = b.port();
    a.peer(2, port);
    a.listener.wait_connected(1);
  }
  a.listener.wait_gone();
  Endpoint again(2, 1000, port);
  a.listener.wait_connected(2);
  a.send(2, 7);
  REQUIRE(again.listener.wait_messages(1).front().term == Term(7));
}

TEST_CASE("a node of another cluster is refused") {
  Endpoint a(1, 1);
  Endpoint stranger(2, 1, 0, Uuid::from_halves(9, 9));
  Endpoint b(2, 5);
  stranger.peer(1, a.port());
  b.peer(1, a.port());
  b.listener.wait_connected(1);
  stranger.send(1, 3);
  b.send(1, 4);
  const auto got = a.listener.wait_messages(1);
  REQUIRE(got.size() == 1);
  REQUIRE(got.front().term == Term(4));
}

TEST_CASE("every body survives the wire") {
  raft::Entry entry{
      .term = Term(3), .index = LogIndex(7), .kind = raft::EntryKind::data, .payload = Buffer::copy_of("x")};
  const raft::VoterSet voters({{.key = {BrokerId(1), Uuid::from_halves(1, 1)}, .endpoint = {"h", 9}, .versions = {}}});
  const raft::LogPosition position{.end = LogIndex(7), .last_term = Term(2), .checksum = 99};
  const std::vector<raft::MessageBody> bodies = {
      raft::VoteRequest{.kind = raft::VoteKind::transfer, .log_end = LogIndex(5), .last_term = Term(2)},
      raft::VoteResponse{.kind = raft::VoteKind::vote, .asked_in = Term(3), .granted = true},
      raft::AppendRequest{.previous = position, .entries = {entry}, .committed = LogIndex(6), .round = 8},
      raft::AppendResponse{.outcome = raft::AppendOutcome::mismatch,
                           .matched = LogIndex(1),
                           .held = LogIndex(2),
                           .log_end = LogIndex(3),
                           .hint = position,
                           .round = 4},
      raft::SnapshotRequest{.meta = {.position = position, .voters = voters, .size_bytes = 10},
                            .offset = 4,
                            .bytes = Buffer::copy_of("abc"),
                            .round = 2},
      raft::SnapshotResponse{.snapshot_end = LogIndex(7), .next_offset = 3, .installed = true, .round = 2},
      raft::TimeoutNow{},
      raft::ObserverHello{.log = position},
      raft::VotersHint{.voters = voters},
      raft::StateLostNotice{.acknowledged = LogIndex(12)}};
  for (const raft::MessageBody& body : bodies) {
    const raft::Message message{
        .from = {BrokerId(1), Uuid::from_halves(5, 6)}, .to = {BrokerId(2), Uuid()}, .term = Term(3), .body = body};
    naru::cluster::RaftMessage wire;
    to_wire(message, wire);
    const auto back = from_wire(wire);
    REQUIRE(back);
    CHECK(raft::describe(*back) == raft::describe(message));
    naru::cluster::RaftMessage again;
    to_wire(*back, again);
    CHECK(again.SerializeAsString() == wire.SerializeAsString());
  }
}
