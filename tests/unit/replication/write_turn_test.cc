// A fetch stream wakes its shard for the end of a write only if there is more to write.
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "broker/replication/replication_leader.h"
#include "broker/replication/write_turn.h"
#include "common/shard.h"
#include "replication/fake_replicas.h"

using namespace broker::replication;
using namespace test_support;
using common::model::PartitionIndex;

namespace {

const TopicIdPartition partition_id{.topic_id = Uuid::from_halves(7, 7), .partition = PartitionIndex(0)};

// A stream whose writes end when the test says so.
struct Wire {
  WriteTurn turn;
  std::vector<LeaderFrame> written;
  int refusals = 0;
};

class FakeConnection final : public ConnectionToFollower {
 public:
  explicit FakeConnection(Wire& wire) : wire_(wire) {}
  bool can_write() override {
    const bool free = wire_.turn.is_free();
    if (!free) ++wire_.refusals;
    return free;
  }
  void write(LeaderFrame frame) override {
    wire_.turn.begin();
    wire_.written.push_back(std::move(frame));
  }
  void accept(const LeaderHello&) override { wire_.turn.begin(); }
  void reject(const LeaderHello&, const std::string& why) override { FAIL(why); }

 private:
  Wire& wire_;
};

struct Leader {
  Leader() : shard(common::make_manual_shard(0, clock, io)) {
    ReplicationLeaderOptions options;
    options.shard = shard.get();
    options.self = BrokerId(1);
    // Nothing happens by time here.
    options.heartbeat = options.silence_max = options.fetch.high_watermark_delay = std::chrono::hours(1);
    options.find = [this](const TopicIdPartition&) { return replica; };
    side = std::make_unique<ReplicationLeader>(options);
    side->set_broker_epoch(BrokerEpoch(1));
    FollowerHello hello;
    hello.node_id = BrokerId(2);
    hello.broker_epoch = BrokerEpoch(2);
    hello.to_node = BrokerId(1);
    hello.leader_shards = 1;
    hello.session = 1;
    events = side->on_follower(hello, std::make_unique<FakeConnection>(wire));
    REQUIRE(events != nullptr);
    REQUIRE_FALSE(wire.turn.end());  // the hello
    says_position(0);
  }
  // As gRPC's thread: a write ends; the shard is told only if it has asked.
  void end_write() {
    if (wire.turn.end()) events->on_writable();
    run();
  }
  void says_position(int64_t offset) {
    FollowerFrame frame;
    frame.sequence = ++sequence;
    if (sequence == 1) frame.opened.push_back({.slot = 0, .partition = partition_id});
    frame.positions.push_back({.slot = 0, .answers = answered(), .position = {}});
    frame.positions.back().position.ask.leader_epoch = replica->epoch;
    frame.positions.back().position.ask.fetch_offset = Offset(offset);
    events->on_frame(std::move(frame));
    run();
  }
  [[nodiscard]] uint64_t answered() const {
    for (auto frame = wire.written.rbegin(); frame != wire.written.rend(); ++frame) {
      if (!frame->answers.empty()) return frame->answers.back().number;
    }
    return 0;
  }
  void append(size_t bytes) {
    replica->append(bytes);
    run();
  }
  void run() {
    io.restart();
    turns = io.poll();
  }

  common::SystemClock clock;
  boost::asio::io_context io;
  std::unique_ptr<common::Shard> shard;
  std::shared_ptr<FakeLeader> replica = std::make_shared<FakeLeader>();
  Wire wire;
  std::unique_ptr<ReplicationLeader> side;
  ToFollowerEvents* events = nullptr;
  uint64_t sequence = 0;
  size_t turns = 0;  // of the loop, in the last run
};

}  // namespace

TEST_CASE("the end of a write is told to whom was refused, once") {
  WriteTurn turn;
  REQUIRE(turn.is_free());
  turn.begin();
  REQUIRE_FALSE(turn.end());
  turn.begin();
  REQUIRE_FALSE(turn.is_free());
  REQUIRE_FALSE(turn.is_free());
  REQUIRE(turn.end());
  REQUIRE(turn.is_free());
  turn.begin();
  REQUIRE_FALSE(turn.end());
}

TEST_CASE("batches that are answered one by one never wait for the end of a write") {
  Leader leader;
  for (int64_t i = 1; i <= 10; ++i) {
    leader.append(100);
    REQUIRE(leader.answered() == static_cast<uint64_t>(i));
    leader.end_write();
    leader.says_position(100 * i);
  }
  REQUIRE(leader.wire.refusals == 0);
}

TEST_CASE("what comes during a write goes out at its end") {
  Leader leader;
  leader.append(100);
  REQUIRE(leader.answered() == 1);
  leader.append(50);
  leader.says_position(100);  // the follower was quicker than the end of our write
  REQUIRE(leader.answered() == 1);
  REQUIRE(leader.wire.refusals > 0);
  leader.end_write();
  REQUIRE(leader.answered() == 2);
  REQUIRE(leader.wire.written.back().answers.back().records.size() == 50);
}

TEST_CASE("what a frame leads to goes out with it, and the loop does not turn once more for it") {
  Leader leader;
  leader.append(100);
  leader.end_write();
  leader.append(50);
  leader.says_position(100);
  REQUIRE(leader.answered() == 2);
  REQUIRE(leader.turns == 0);
}
