// The replicas of a shard follow the metadata image; what lies on disk is taken up, set aside or deleted.
#include <catch2/catch.hpp>

#include "broker/partition/replica_manager.h"
#include "common/disk/simulated_disk.h"
#include "partition/partition_fixture.h"

using namespace sim;
using common::log::LogDirectory;
using common::model::TopicPartition;
using common::model::Uuid;
namespace metadata = controller::metadata;

namespace {

class FixedSettings final : public TopicSettingsSource {
 public:
  TopicSettings settings_of(const metadata::MetadataImage&, std::string_view) const override { return {}; }
};

// A broker's disk half, and a metadata log written by the test.
struct Broker {
  Broker() {
    common::configure_logging(common::LogLevel::off, common::LogFormat::text);
    SimulatedDisk::Options o;
    o.scheduler = [this](Duration delay, std::function<void()> f) {
      world.after(delay, [this, f = std::move(f), life = life] {
        if (life == this->life && shard) shard->post(f);
      });
    };
    disk = std::make_unique<SimulatedDisk>(o);
    start();
  }
  ~Broker() { stop(); }

  OpenReport start() {
    ++life;
    shard = std::make_unique<SimShard>(0, world.clock());
    world.add(*shard);
    auto opened = LogDirectory::open(*disk, "data");
    REQUIRE(opened.has_value());
    if (!(*opened)->identity())
      REQUIRE((*opened)->give_identity({"c", BrokerId(1), Uuid::from_halves(5, 5)}).has_value());
    previous_end = (*opened)->previous_end();
    std::vector<std::unique_ptr<LogDirectory>> all;
    all.push_back(std::move(*opened));
    DirectoriesOptions d;
    d.home = shard.get();
    d.disk = disk.get();
    d.random = &world.random();
    d.stray_delay = 1h;
    d.on_failure = [this](const std::string& path, const common::model::Error&) { failures.push_back(path); };
    directories = std::make_unique<Directories>(d, std::move(all));
    ReplicaManagerOptions m;
    m.shard = shard.get();
    m.self = BrokerId(1);
    m.disk = disk.get();
    m.directories = directories.get();
    m.settings = &settings;
    m.sender = &proposals;
    manager = std::make_unique<ReplicaManager>(m);
    auto report = manager->open_logs(directories->found(0, 1));
    REQUIRE(report.has_value());
    REQUIRE(directories->begin_run().has_value());
    directories->start({shard.get()}, {manager.get()});
    run([&] { manager->start(); });
    return *report;
  }
  void stop() {
    if (!shard) return;
    run([&] {
      manager->for_each([](const std::shared_ptr<Partition>& p) { p->release_log(ErrorCode::none).reset(); });
      manager.reset();
    });
    directories.reset();
    world.remove(*shard);
    shard.reset();
  }
  void close() {
    bool clean = false;
    shard->spawn("close", [](Directories& d, bool& clean) -> common::Awaitable<void> {
      const auto closed = co_await d.close();
      clean = closed.has_value();
    }(*directories, clean));
    advance(1s);
    REQUIRE(clean);
    stop();
  }

  void run(std::function<void()> f) {
    shard->post(std::move(f));
    world.settle();
  }
  void advance(Duration d) {
    world.run_until(world.now() + d, [] {});
  }

  void apply(const std::vector<metadata::MetadataRecord>& records) {
    auto applied =
        metadata::apply(image ? *image : metadata::MetadataImage(), records, common::model::LogIndex(next_index++));
    REQUIRE(applied.has_value());
    image = std::make_shared<const metadata::MetadataImage>(std::move(applied->image));
    const auto delta = std::make_shared<const metadata::ImageDelta>(std::move(applied->delta));
    run([&] { manager->on_image(image, delta); });
    advance(100ms);
  }
  void register_broker() {
    metadata::RegisterBrokerRecord r;
    r.broker_id = BrokerId(1);
    r.epoch = common::model::BrokerEpoch(next_index);
    r.incarnation_id = Uuid::from_halves(1, static_cast<uint64_t>(next_index));
    r.fenced = false;
    const auto epoch = r.epoch;
    apply({r});
    run([&] { manager->set_broker_epoch(epoch); });
    advance(100ms);
  }
  static metadata::PartitionRecord partition_record(const Uuid& topic, int index) {
    metadata::PartitionState s;
    s.replicas = s.isr = {BrokerId(1)};
    s.leader = BrokerId(1);
    return {topic, PartitionIndex(index), s};
  }
  void create(const Uuid& topic, const std::string& name) {
    apply({metadata::TopicRecord{topic, name}, partition_record(topic, 0)});
  }
  std::shared_ptr<Partition> find(const Uuid& topic) { return manager->find_or_null({topic, PartitionIndex(0)}); }
  ErrorCode why_not(const Uuid& topic) {
    ErrorCode code = ErrorCode::none;
    run([&] {
      const auto found = manager->find({topic, PartitionIndex(0)});
      if (!found) code = found.error().code;
    });
    return code;
  }
  void write(const Uuid& topic, int records) {
    run([&] {
      shard->spawn("write", [](std::shared_ptr<Partition> p, Instant deadline, int n) -> common::Awaitable<void> {
        ProduceOptions o;
        o.deadline = deadline;
        const ProduceResult r = co_await p->produce(Fixture::batch(n), o);
        REQUIRE(r.error == ErrorCode::none);
      }(find(topic), world.now() + 1s, records));
    });
  }
  bool has_path(const std::string& part) {
    for (const std::string& path : disk->paths()) {
      if (path.find(part) != std::string::npos) return true;
    }
    return false;
  }

  World world{1};
  std::unique_ptr<SimulatedDisk> disk;
  uint64_t life = 0;
  FixedSettings settings;
  HeldProposals proposals;
  std::vector<std::string> failures;
  common::log::PreviousEnd previous_end = common::log::PreviousEnd::unknown;
  std::unique_ptr<SimShard> shard;
  std::unique_ptr<Directories> directories;
  std::unique_ptr<ReplicaManager> manager;
  metadata::ImagePtr image;
  int64_t next_index = 1;
};

const Uuid orders = Uuid::from_halves(1, 10);
const Uuid orders_again = Uuid::from_halves(1, 11);

}  // namespace

TEST_CASE("nothing is led before this very process is registered") {
  Broker b;
  b.create(orders, "orders");
  REQUIRE_FALSE(b.find(orders));
  b.register_broker();
  REQUIRE(b.find(orders)->is_leader());
  REQUIRE(b.why_not(orders_again) == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("a topic that is deleted and made again under its name starts empty, once the old one is gone") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.apply({metadata::RemoveTopicRecord{orders}, metadata::TopicRecord{orders_again, "orders"},
           Broker::partition_record(orders_again, 0)});
  b.advance(1s);
  REQUIRE_FALSE(b.find(orders));
  REQUIRE(b.find(orders_again)->is_leader());
  REQUIRE(b.find(orders_again)->log_end_offset() == Offset(0));
  REQUIRE_FALSE(b.has_path("-delete"));
}

TEST_CASE("a clean stop keeps everything, and the next start knows it") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.close();
  const OpenReport report = b.start();
  REQUIRE(b.previous_end == common::log::PreviousEnd::clean);
  REQUIRE(report.opened == 1);
  b.register_broker();
  b.apply({});
  REQUIRE(b.find(orders)->high_watermark() == Offset(5));
}

TEST_CASE("what the cluster does not know is set aside, and deleted only later (R42)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.close();
  b.start();
  b.image = nullptr;  // a cluster that has lost, or never had, this topic
  b.register_broker();
  b.create(orders_again, "orders");
  b.advance(1s);
  REQUIRE(b.has_path("-stray"));
  REQUIRE(b.find(orders_again)->log_end_offset() == Offset(0));
  b.advance(2h);
  REQUIRE_FALSE(b.has_path("-stray"));
}

TEST_CASE("a log that is damaged below what was committed is begun anew, and the broker says so (R72)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.close();
  b.disk->flip_bit("data/orders-0/00000000000000000000.log", 8 * 70);
  b.disk->crash(SimulatedDisk::Unsynced::kept);
  b.disk->erase("data/.kafka_cleanshutdown");
  const OpenReport report = b.start();
  REQUIRE(report.corrupt.size() == 1);
  b.register_broker();
  b.advance(1s);
  REQUIRE(b.has_path("-stray"));
  REQUIRE(b.find(orders)->log_end_offset() == Offset(0));
}

TEST_CASE("a directory that fails takes its replicas with it, once") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.disk->add_fault({.operation = SimulatedDisk::Operation::write, .path_contains = ".log"});
  b.run([&] {
    b.shard->spawn("write", [](std::shared_ptr<Partition> p, Instant deadline) -> common::Awaitable<void> {
      ProduceOptions o;
      o.deadline = deadline;
      const ProduceResult r = co_await p->produce(Fixture::batch(), o);
      REQUIRE(r.error == ErrorCode::kafka_storage_error);
    }(b.find(orders), b.world.now() + 1s));
  });
  b.advance(1s);
  REQUIRE(b.failures == std::vector<std::string>{"data"});
  REQUIRE(b.why_not(orders) == ErrorCode::kafka_storage_error);
}

TEST_CASE("little space is noticed, and its end too (R81)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.disk->set_capacity(1);
  b.advance(3s);
  const auto produce = [&] {
    std::optional<ProduceResult> result;
    b.run([&] {
      b.shard->spawn("write",
                     [](std::shared_ptr<Partition> p, Instant deadline,
                        std::optional<ProduceResult>& r) -> common::Awaitable<void> {
                       ProduceOptions o;
                       o.deadline = deadline;
                       r.emplace(co_await p->produce(Fixture::batch(), o));
                     }(b.find(orders), b.world.now() + 1s, result));
    });
    return result->error;
  };
  REQUIRE(produce() == ErrorCode::kafka_storage_error);
  b.disk->set_capacity(uint64_t{1} << 40);
  b.advance(3s);
  REQUIRE(produce() == ErrorCode::none);
}
