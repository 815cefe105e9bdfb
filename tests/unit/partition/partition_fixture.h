// One replica on a simulated disk in simulated time, whose followers and controller are played by the test.
#pragma once
#include <catch2/catch.hpp>

#include "broker/partition/partition.h"
#include "common/disk/simulated_disk.h"
#include "common/records/batch_builder.h"
#include "partition/sim_world.h"

namespace sim {

using namespace broker::partition;
using namespace std::chrono_literals;
using common::disk::SimulatedDisk;
using common::model::as_bytes;

class HeldProposals final : public AlterPartitionSender {
 public:
  void send(IsrProposal proposal, Done done) override { all.emplace_back(std::move(proposal), std::move(done)); }
  std::vector<std::pair<IsrProposal, Done>> all;
};

inline BrokerEpoch epoch_of(BrokerId id) {
  return BrokerEpoch(id.value * 100);
}

struct Fixture {
  explicit Fixture(TopicSettings s = {}) : settings(std::move(s)) {
    common::configure_logging(common::LogLevel::off, common::LogFormat::text);
    SimulatedDisk::Options o;
    o.scheduler = [this](Duration delay, std::function<void()> f) {
      world.after(delay, [this, f = std::move(f)] { shard.post(f); });
    };
    disk = std::make_unique<SimulatedDisk>(o);
    world.add(shard);
    state.self = BrokerId(1);
    state.broker_epoch = epoch_of(state.self);
    settings.log.retention_ms.reset();
    partition = make();
  }
  ~Fixture() {
    run([&] { partition->release_log(ErrorCode::not_leader_or_follower).reset(); });
  }

  std::shared_ptr<Partition> make() {
    common::log::LogEnvironment environment;
    environment.disk = disk.get();
    environment.tail_cache = &cache;
    environment.on_damage = [this](const common::model::Error& error) { damages.push_back(error.message); };
    auto log = common::log::Log::open(environment, "data/orders-0", settings.log, {}, shard.clock().wall_now());
    REQUIRE(log.has_value());
    PartitionOptions p;
    p.id = {common::model::TopicId::from_halves(3, 3), PartitionIndex(0)};
    p.topic = "orders";
    p.directory = "data";
    p.log = std::move(*log);
    p.settings = settings;
    if (notes_cuts) {
      p.lower_checkpoints = [this](const common::log::Ceilings& most, std::function<void()> done) {
        cuts.emplace_back(most, std::move(done));
      };
    }
    p.state = &state;
    p.sender = &proposals;
    return std::make_shared<Partition>(shard, std::move(p));
  }

  // On the shard; everything that follows at once has happened when it returns.
  void run(std::function<void()> f) {
    shard.post(std::move(f));
    world.settle();
  }
  void advance(Duration d) {
    world.run_until(world.now() + d, [] {});
  }

  static Assignment assignment(std::optional<int> leader, int epoch, std::vector<int> isr, int partition_epoch = 0,
                               std::vector<int> replicas = {1, 2, 3}) {
    Assignment a;
    if (leader) a.leader = BrokerId(*leader);
    a.leader_epoch = LeaderEpoch(epoch);
    a.recorded.partition_epoch = PartitionEpoch(partition_epoch);
    for (const int id : replicas) {
      a.recorded.replicas.push_back(BrokerId(id));
      a.brokers.push_back({BrokerId(id), epoch_of(BrokerId(id)), true});
    }
    for (const int id : isr) a.recorded.isr.push_back(BrokerId(id));
    return a;
  }
  void assign(const Assignment& a) {
    run([&] { partition->assign(a); });
  }
  void lead(int epoch = 1, std::vector<int> isr = {1, 2, 3}, int partition_epoch = 0) {
    assign(assignment(1, epoch, std::move(isr), partition_epoch));
  }

  PositionVerdict position(int follower, int64_t offset, std::optional<int> epoch = {}, int64_t log_start = 0) {
    PositionVerdict verdict;
    run([&] {
      FollowerPosition p;
      p.follower = BrokerId(follower);
      p.broker_epoch = epoch_of(p.follower);
      p.leader_epoch = epoch ? LeaderEpoch(*epoch) : partition->leader_epoch();
      p.partition_epoch = PartitionEpoch(100);
      p.fetch_offset = p.durable_offset = Offset(offset);
      p.log_start_offset = Offset(log_start);
      verdict = partition->on_follower_position(p, std::nullopt);
    });
    return verdict;
  }

  static Buffer batch(int records = 1, std::optional<common::records::ProducerStamp> stamp = {}) {
    common::records::BatchOptions o;
    o.producer = stamp;
    common::records::BatchBuilder builder(o);
    for (int i = 0; i < records; ++i) {
      builder.add({.timestamp = TimestampMs(1000 + i), .key = {}, .value = as_bytes("value"), .headers = {}});
    }
    return builder.build();
  }

  template <class T>
  struct Answer {
    std::optional<T> value;
  };
  template <class T>
  static common::Awaitable<void> keep(common::Awaitable<T> work, std::shared_ptr<Answer<T>> answer) {
    answer->value.emplace(co_await std::move(work));
  }
  // Starts work on the shard; the answer appears when it is done.
  template <class F>
  auto start(F f) {
    using T = typename std::invoke_result_t<F>::value_type;
    auto answer = std::make_shared<Answer<T>>();
    run([this, answer, f] { shard.spawn("test", keep<T>(f(), answer)); });
    return answer;
  }
  auto produce(Buffer b, Acks acks = Acks::all, Duration timeout = 10s) {
    ProduceOptions o;
    o.acks = acks;
    o.deadline = world.now() + timeout;
    return start([this, b, o] { return partition->produce(b, o); });
  }
  auto read(ReadOptions o) {
    return start([this, o] { return partition->read(o); });
  }

  World world{1};
  SimShard shard{0, world.clock()};
  std::unique_ptr<SimulatedDisk> disk;
  common::log::TailCache cache{1 << 20};
  std::vector<std::string> damages;
  bool notes_cuts = false;  // of the next make()
  std::vector<std::pair<common::log::Ceilings, std::function<void()>>> cuts;
  ShardState state;
  HeldProposals proposals;
  TopicSettings settings;
  std::shared_ptr<Partition> partition;
};

}  // namespace sim
