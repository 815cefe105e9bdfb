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
  TopicSettings settings_of(const metadata::MetadataImage& image, std::string_view topic) const override {
    TopicSettings settings;
    if (const auto value = image.topic_setting(topic, "min.insync.replicas")) settings.min_isr = std::stoi(*value);
    if (image.topic_setting(topic, "retention.ms") == "-1") settings.log.retention_ms.reset();
    return settings;
  }
};

// A broker's disk half, and a metadata log written by the test.
struct Broker {
  explicit Broker(std::vector<std::string> data_directories = {"data"}) : paths(std::move(data_directories)) {
    common::configure_logging(common::LogLevel::off, common::LogFormat::text);
    SimulatedDisk::Options o;
    o.scheduler = [this](Duration delay, std::function<void()> f) {
      world.after(delay + slower, [this, f = std::move(f), life = life] {
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
    std::vector<std::unique_ptr<LogDirectory>> all;
    std::vector<const LogDirectory*> views;
    for (size_t i = 0; i < paths.size(); ++i) {
      auto opened = LogDirectory::open(*disk, paths[i]);
      REQUIRE(opened.has_value());
      if (!(*opened)->identity())
        REQUIRE((*opened)->give_identity({"c", BrokerId(1), Uuid::from_halves(5, 5 + i)}).has_value());
      all.push_back(std::move(*opened));
      views.push_back(all.back().get());
    }
    previous_end = all.front()->previous_end();
    previous_epoch = common::log::agreed_previous_epoch(views);
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
    m.on_trouble = [this](metadata::ReplicaTrouble trouble) { troubles.push_back(std::move(trouble)); };
    manager = std::make_unique<ReplicaManager>(m);
    auto report = manager->open_logs(directories->found(0, 1));
    REQUIRE(report.has_value());
    REQUIRE(directories->begin_run(report->corrupt > 0 ? Claims::given_up : Claims::kept, report->failed).has_value());
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
  // Whether the stop was clean.
  bool try_close() {
    bool clean = false;
    shard->spawn("close", [](Directories& d, bool& clean) -> common::Awaitable<void> {
      const auto closed = co_await d.close();
      clean = closed.has_value();
    }(*directories, clean));
    advance(1s);
    stop();
    return clean;
  }
  void close() { REQUIRE(try_close()); }

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
    run([&] {
      manager->set_broker_epoch(epoch);
      for (const auto& d : directories->all()) d->note_broker_epoch(epoch, {});
    });
    advance(100ms);
  }
  static metadata::PartitionRecord partition_record(const Uuid& topic, int index) {
    metadata::PartitionState s;
    s.replicas = s.isr = {BrokerId(1)};
    s.leader = BrokerId(1);
    return {topic, PartitionIndex(index), s};
  }
  void create(const Uuid& topic, const std::string& name, int partitions = 1) {
    std::vector<metadata::MetadataRecord> records{metadata::TopicRecord{topic, name}};
    for (int i = 0; i < partitions; ++i) records.push_back(partition_record(topic, i));
    apply(records);
  }
  std::shared_ptr<Partition> find(const Uuid& topic, int index = 0) {
    return manager->find_or_null({topic, PartitionIndex(index)});
  }
  ErrorCode why_not(const Uuid& topic, int index = 0) {
    ErrorCode code = ErrorCode::none;
    run([&] {
      const auto found = manager->find({topic, PartitionIndex(index)});
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

  // Produces one batch.
  ErrorCode produce(const Uuid& topic, int index = 0) {
    std::optional<ProduceResult> result;
    run([&] {
      shard->spawn("write",
                   [](std::shared_ptr<Partition> p, Instant deadline,
                      std::optional<ProduceResult>& r) -> common::Awaitable<void> {
                     ProduceOptions o;
                     o.deadline = deadline;
                     r.emplace(co_await p->produce(Fixture::batch(), o));
                   }(find(topic, index), world.now() + 1s, result));
    });
    return result->error;
  }
  // A little is left, or plenty; looked at once a second.
  void set_room(bool plenty) {
    const common::disk::Space space = volumes().at(0).space.value();
    const uint64_t used = space.total_bytes - space.free_bytes;
    disk->set_capacity(plenty ? uint64_t{1} << 40 : used + used / 50);
    advance(3s);
  }
  std::vector<Volume> volumes() {
    std::vector<Volume> found;
    shard->spawn("volumes", [](Directories& d, Instant deadline, std::vector<Volume>& out) -> common::Awaitable<void> {
      out = co_await d.volumes(deadline);
    }(*directories, world.now() + 1s, found));
    advance(100ms);
    return found;
  }

  // Looks for a replica as requests do.
  static common::Awaitable<void> look(ReplicaManager* manager, TopicIdPartition id, int number,
                                      std::vector<std::pair<int, ErrorCode>>* seen) {
    if (manager->is_being_made(id)) co_await manager->until_made(id);
    const auto found = manager->find(id);
    seen->emplace_back(number, found ? ErrorCode::none : found.error().code);
  }
  void look_for(const Uuid& topic, int number = 1) {
    run([&] { shard->spawn("look", look(manager.get(), {topic, PartitionIndex(0)}, number, &seen)); });
  }

  const std::vector<std::string> paths;
  Duration slower{0};  // than usual: the disk
  std::vector<std::pair<int, ErrorCode>> seen;
  World world{1};
  std::unique_ptr<SimulatedDisk> disk;
  uint64_t life = 0;
  FixedSettings settings;
  HeldProposals proposals;
  std::vector<std::string> failures;
  std::vector<metadata::ReplicaTrouble> troubles;
  common::log::PreviousEnd previous_end = common::log::PreviousEnd::unknown;
  std::optional<common::model::BrokerEpoch> previous_epoch;
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

TEST_CASE("nothing is deleted by retention before the metadata says what may be (R82)") {
  Broker b;
  b.register_broker();
  b.apply({metadata::ConfigRecord{{metadata::ResourceType::topic, "orders"}, "retention.ms", "-1"}});
  b.create(orders, "orders");
  const Uuid logs = Uuid::from_halves(1, 12);
  b.create(logs, "logs");  // a week
  b.write(orders, 5);      // records of 1970
  b.write(logs, 5);
  b.advance(30s);
  b.stop();
  b.disk->kill();
  b.start();
  const auto begin_of = [&](const Uuid& topic) { return b.find(topic)->log_start_offset(); };
  REQUIRE(b.find(orders)->high_watermark() == Offset(5));
  // The others of the quorum are not there, and there is no metadata without them.
  b.advance(11min);
  REQUIRE(begin_of(orders) == Offset(0));
  REQUIRE(begin_of(logs) == Offset(0));
  b.register_broker();
  b.advance(11min);
  REQUIRE(begin_of(orders) == Offset(0));
  REQUIRE(begin_of(logs) == Offset(5));
}

namespace {
// Looks for the replica the moment it is led: before those who have waited for it run again.
struct LatestToLook final : ReplicaListener {
  explicit LatestToLook(Broker& broker) : b(broker) {}
  void on_leading(const std::shared_ptr<Partition>& partition) override {
    b.shard->post(
        [this, id = partition->id()] { b.shard->spawn("look", Broker::look(b.manager.get(), id, 3, &b.seen)); });
  }
  void on_following(const std::shared_ptr<Partition>&) override {}
  void on_stopped(const TopicIdPartition&, const std::string&) override {}
  Broker& b;
};
using Seen = std::vector<std::pair<int, ErrorCode>>;
}  // namespace

TEST_CASE("who asks for a replica while its directory is being made waits for it, and nobody overtakes (R87)") {
  Broker b;
  b.register_broker();
  LatestToLook last(b);
  b.run([&] { b.manager->add_listener(last); });
  b.slower = 1s;
  b.create(orders, "orders");
  REQUIRE_FALSE(b.find(orders));
  b.look_for(orders, 1);
  b.look_for(orders, 2);
  REQUIRE(b.seen.empty());
  b.advance(2s);
  REQUIRE(b.seen == Seen{{1, ErrorCode::none}, {2, ErrorCode::none}, {3, ErrorCode::none}});
  REQUIRE_FALSE(b.manager->is_being_made({orders, PartitionIndex(0)}));
}

TEST_CASE("who waits for a replica that cannot be made, or is not to be, is told so") {
  Broker b;
  b.register_broker();
  b.slower = 1s;
  SECTION("the disk refuses") {
    b.disk->add_fault({.operation = SimulatedDisk::Operation::create, .path_contains = "orders-0"});
    b.create(orders, "orders");
    b.look_for(orders);
    b.advance(2s);
    REQUIRE(b.seen == Seen{{1, ErrorCode::kafka_storage_error}});
  }
  SECTION("the topic is deleted") {
    b.create(orders, "orders");
    b.look_for(orders);
    b.apply({metadata::RemoveTopicRecord{orders}});
    b.advance(2s);
    REQUIRE(b.seen == Seen{{1, ErrorCode::unknown_topic_or_partition}});
  }
  SECTION("the disk hangs") {
    b.slower = 1h;
    b.create(orders, "orders");
    b.look_for(orders);
    b.advance(1min);
    REQUIRE(b.seen == Seen{{1, ErrorCode::not_leader_or_follower}});
  }
  SECTION("another broker leads it") {
    metadata::PartitionRecord record = Broker::partition_record(orders, 0);
    record.state.replicas = record.state.isr = {BrokerId(1), BrokerId(2)};
    record.state.leader = BrokerId(2);
    b.apply({metadata::TopicRecord{orders, "orders"}, record});
    b.look_for(orders);
    REQUIRE(b.seen == Seen{{1, ErrorCode::not_leader_or_follower}});
  }
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

TEST_CASE("what checkpoints say of a topic that is gone holds for no other of its name (R42, R73)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 20);
  b.run([&] {
    b.shard->spawn("delete", [](std::shared_ptr<Partition> p, Instant deadline) -> common::Awaitable<void> {
      REQUIRE(co_await p->delete_records(Offset(20), deadline));
    }(b.find(orders), b.world.now() + 1s));
  });
  b.advance(2min);
  for (const char* checkpoint : {"log-start-offset", "replication-offset"}) {
    const Buffer stored = b.disk->content(fmt::format("data/{}-checkpoint", checkpoint));
    INFO(checkpoint << ": " << stored.text());
    REQUIRE(stored.text().find("orders 0 20") != std::string_view::npos);
  }
  b.apply({metadata::RemoveTopicRecord{orders}, metadata::TopicRecord{orders_again, "orders"},
           Broker::partition_record(orders_again, 0)});
  b.advance(1s);
  b.write(orders_again, 5);
  b.stop();
  SECTION("after the death of the process") {
    b.disk->kill();
    REQUIRE(b.start().corrupt == 0);
    REQUIRE(b.find(orders_again)->log_start_offset() == Offset(0));
    REQUIRE(b.find(orders_again)->log_end_offset() == Offset(5));
  }
  SECTION("after a loss of power") {
    b.disk->crash(SimulatedDisk::Unsynced::lost);
    REQUIRE(b.start().corrupt == 0);
    REQUIRE(b.find(orders_again)->log_start_offset() == Offset(0));
    REQUIRE(b.find(orders_again)->high_watermark() == Offset(0));
  }
}

TEST_CASE("a topic that cannot be deleted keeps its name, and its records are nobody else's (R42)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  const bool may_pass = GENERATE(true, false);
  b.disk->add_fault({.operation = SimulatedDisk::Operation::rename,
                     .path_contains = "data/orders-0",
                     .fault = may_pass ? common::disk::IoFault::exhausted : common::disk::IoFault::failed});
  b.apply({metadata::RemoveTopicRecord{orders}, metadata::TopicRecord{orders_again, "orders"},
           Broker::partition_record(orders_again, 0)});
  REQUIRE_FALSE(b.find(orders_again));
  b.advance(3s);
  if (may_pass) {
    REQUIRE(b.find(orders_again)->log_end_offset() == Offset(0));
    REQUIRE(b.failures.empty());
  } else {
    REQUIRE_FALSE(b.find(orders_again));
    REQUIRE(b.failures == std::vector<std::string>{"data"});
  }
}

TEST_CASE("a stop in which a log could not be closed is not a clean one (R70)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 3);
  b.disk->add_fault({.operation = SimulatedDisk::Operation::sync,
                     .path_contains = "orders-0/00000000000000000000.log",
                     .fault = common::disk::IoFault::exhausted});
  REQUIRE_FALSE(b.try_close());
  REQUIRE_FALSE(b.has_path(".kafka_cleanshutdown"));
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

TEST_CASE("a recovery point that was lowered is not raised by a checkpoint that had begun before (R71)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.run([&] { b.find(orders)->log()->flush([](const auto&) {}); });
  const auto stored = [&] { return std::string(b.disk->content("data/recovery-point-offset-checkpoint").text()); };
  b.advance(70s);
  REQUIRE(stored().find("orders 0 5") != std::string::npos);
  bool is_lowered = false;
  b.run([&] {
    b.shard->spawn("checkpoint", b.directories->checkpoint());
    b.shard->post([&] {
      b.directories->lower_recovery_point({"orders", PartitionIndex(0)}, "data", Offset(2), *b.shard,
                                          [&] { is_lowered = true; });
    });
  });
  b.advance(1s);
  REQUIRE(is_lowered);
  REQUIRE(stored().find("orders 0 2") != std::string::npos);
  b.advance(70s);  // what is gathered later counts again
  REQUIRE(stored().find("orders 0 5") != std::string::npos);
}

TEST_CASE("a recovery point that cannot be lowered on a full disk is, when there is room (R71)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.run([&] { b.find(orders)->log()->flush([](const auto&) {}); });
  const auto stored = [&] { return std::string(b.disk->content("data/recovery-point-offset-checkpoint").text()); };
  b.advance(70s);
  REQUIRE(stored().find("orders 0 5") != std::string::npos);
  b.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = "recovery-point-offset-checkpoint",
                     .times = 3,
                     .fault = common::disk::IoFault::no_space});
  std::optional<bool> was_low;
  b.run([&] {
    b.directories->lower_recovery_point({"orders", PartitionIndex(0)}, "data", Offset(2), *b.shard,
                                        [&] { was_low = stored().find("orders 0 2") != std::string::npos; });
  });
  b.advance(100ms);
  REQUIRE_FALSE(was_low);  // whoever waits appends nothing
  b.advance(10s);
  REQUIRE(was_low == true);
  REQUIRE(b.failures.empty());
}

TEST_CASE("a stop whose checkpoints cannot be written is not a clean one (R70)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 3);
  b.disk->add_fault({.operation = SimulatedDisk::Operation::write, .path_contains = "replication-offset-checkpoint"});
  bool clean = true;
  b.shard->spawn("close", [](Directories& d, bool& result) -> common::Awaitable<void> {
    const auto closed = co_await d.close();
    result = closed.has_value();
  }(*b.directories, clean));
  b.advance(1s);
  REQUIRE_FALSE(clean);
  REQUIRE_FALSE(b.has_path(".kafka_cleanshutdown"));
  b.stop();
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

namespace {
// Two replicas, this broker and another one.
void lead(Broker& b, BrokerId leader, const std::vector<BrokerId>& isr, const std::vector<BrokerId>& elr = {}) {
  metadata::PartitionChangeRecord change{orders, PartitionIndex(0)};
  change.leader = metadata::LeaderChoice{leader};
  change.isr = isr;
  change.elr = elr;
  b.apply({change});
}
void create_shared(Broker& b) {
  metadata::PartitionRecord record = Broker::partition_record(orders, 0);
  record.state.replicas = {BrokerId(1), BrokerId(2)};
  b.apply({metadata::TopicRecord{orders, "orders"}, record});
}
const BrokerId other(2);
const metadata::ReplicaTrouble nothing{};
}  // namespace

TEST_CASE("a log that recovery finds damaged is offline, and begun anew only once another replica leads (R72)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  b.write(orders, 5);
  b.advance(10s);  // its high watermark is checkpointed
  b.stop();
  b.disk->kill();
  b.disk->flip_bit("data/orders-0/00000000000000000000.log", 8 * 70);
  REQUIRE(b.start().corrupt == 1);
  const auto is_offline = [&] {
    return b.why_not(orders) == ErrorCode::kafka_storage_error && !b.has_path("-stray") &&
           b.has_path("data/orders-0/00000000000000000000.log");
  };
  // The controller takes its claims away when it registers.
  const auto register_uncleanly = [&] {
    metadata::PartitionChangeRecord nobody{orders, PartitionIndex(0)};
    nobody.leader = metadata::LeaderChoice{std::nullopt};
    nobody.isr = std::vector<BrokerId>{};
    nobody.last_known_elr = std::vector<BrokerId>{BrokerId(1)};
    b.apply({nobody});
    b.register_broker();
  };
  SECTION("also if it dies before it is registered: the next start claims nothing either (R44)") {
    b.stop();
    b.disk->kill();
    REQUIRE(b.start().corrupt == 1);
    REQUIRE(b.previous_end == common::log::PreviousEnd::process_crash);
    REQUIRE_FALSE(b.previous_epoch);
  }
  SECTION("and keeps what tells damage from a torn tail, whatever is checkpointed") {
    register_uncleanly();
    b.advance(2min);
    b.stop();
    b.disk->crash(SimulatedDisk::Unsynced::kept);
    REQUIRE(b.start().corrupt == 1);
    REQUIRE(b.previous_end == common::log::PreviousEnd::unknown);
  }
  SECTION("nobody leads, so it waits; somebody does, so it starts over") {
    register_uncleanly();
    REQUIRE(is_offline());
    REQUIRE(b.troubles.back().failed.size() == 1);
    lead(b, other, {other}, {BrokerId(1)});
    REQUIRE(is_offline());  // it counts on us: there must be a mistake
    lead(b, other, {other});
    b.advance(1s);
    REQUIRE(b.has_path("-stray"));
    REQUIRE(b.find(orders)->log_end_offset() == Offset(0));
    REQUIRE(b.troubles.back() == nothing);
  }
  SECTION("it is made the leader all the same, by an unclean election: it begins with nothing (R39)") {
    register_uncleanly();
    lead(b, BrokerId(1), {BrokerId(1)});
    b.advance(1s);
    REQUIRE(b.has_path("-stray"));
    REQUIRE(b.find(orders)->is_leader());
  }
  SECTION("its topic is deleted, and it with it") {
    register_uncleanly();
    b.apply({metadata::RemoveTopicRecord{orders}});
    b.advance(1s);
    REQUIRE_FALSE(b.has_path("orders-0"));
    REQUIRE(b.troubles.back() == nothing);
  }
}

TEST_CASE("a log that ends in an epoch that never began starts over at once where nobody counts on it (R72)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  b.write(orders, 5);
  b.advance(1s);
  const bool is_counted = GENERATE(false, true);
  lead(b, other, is_counted ? std::vector<BrokerId>{BrokerId(1), other} : std::vector<BrokerId>{other});
  b.stop();
  b.disk->crash(SimulatedDisk::Unsynced::kept);
  b.disk->flip_bit("data/orders-0/00000000000000000000.log", 8 * 13);  // leader epoch 0 -> 65536
  REQUIRE(b.start().corrupt == 0);  // it may be of an epoch that the epoch file does not know yet
  b.register_broker();
  b.advance(1s);
  if (is_counted) {
    REQUIRE_FALSE(b.has_path("-stray"));
    REQUIRE(b.troubles.back().damaged.size() == 1);
    lead(b, other, {other});
    b.advance(1s);
  }
  REQUIRE(b.has_path("-stray"));
  REQUIRE(b.find(orders)->log_end_offset() == Offset(0));
  REQUIRE(b.find(orders)->role() == Role::follower);
  REQUIRE(b.troubles.back() == nothing);
}

TEST_CASE("a log that a read finds damaged is told of, goes on, and starts over once it does not count (R72)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  b.write(orders, 5);
  b.write(orders, 5);
  b.disk->flip_bit("data/orders-0/00000000000000000000.log", 8 * 70);
  ErrorCode code = ErrorCode::none;
  b.run([&] {
    b.shard->spawn("read", [](std::shared_ptr<Partition> p, ErrorCode& out) -> common::Awaitable<void> {
      ReadOptions o;
      o.from = Offset(0);
      const auto read = co_await p->read(o);
      out = read ? ErrorCode::none : read.error().code;
    }(b.find(orders), code));
  });
  b.advance(100ms);
  REQUIRE(code == ErrorCode::corrupt_message);
  REQUIRE(b.troubles.back().damaged.size() == 1);
  REQUIRE(b.failures.empty());
  const auto goes_on = [&] { return b.find(orders)->log_end_offset() == Offset(10) && !b.has_path("-stray"); };
  lead(b, other, {BrokerId(1), other});
  REQUIRE(goes_on());
  lead(b, other, {other}, {BrokerId(1)});
  REQUIRE(goes_on());
  b.run([&] { b.manager->on_image(b.image, std::make_shared<metadata::ImageDelta>()); });
  REQUIRE(goes_on());
  lead(b, other, {other});
  b.advance(1s);
  REQUIRE(b.has_path("-stray"));
  REQUIRE(b.find(orders)->log_end_offset() == Offset(0));
  REQUIRE(b.find(orders)->role() == Role::follower);
  REQUIRE(b.troubles.back() == nothing);
}

namespace {

// "leads 2", "follows 3": what is told from now on, with the leader epoch.
struct Roles final : ReplicaListener {
  explicit Roles(Broker& broker) : b(broker) {
    b.run([this] {
      b.manager->add_listener(*this);
      told.clear();  // the roles that there were already
    });
  }
  ~Roles() {
    b.run([this] { b.manager->remove_listener(*this); });
  }
  void on_leading(const std::shared_ptr<Partition>& p) override { told.push_back(fmt::format("leads {}", epoch(p))); }
  void on_following(const std::shared_ptr<Partition>& p) override {
    told.push_back(fmt::format("follows {}", epoch(p)));
  }
  void on_stopped(const TopicIdPartition&, const std::string&) override { told.push_back("stopped"); }
  static int32_t epoch(const std::shared_ptr<Partition>& p) { return p->leader_epoch().value; }
  Broker& b;
  std::vector<std::string> told;
};

}  // namespace

TEST_CASE("what one image says of a partition and of its minISR counts together (R48)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  const auto min_isr = [](const char* value) {
    return metadata::ConfigRecord{{metadata::ResourceType::topic, "orders"}, "min.insync.replicas", value};
  };
  const auto isr = [](std::vector<BrokerId> members) {
    metadata::PartitionChangeRecord change{orders, PartitionIndex(0)};
    change.isr = std::move(members);
    return change;
  };
  std::optional<ProduceResult> result;
  const auto produce = [&] {
    b.run([&] {
      b.shard->spawn("write",
                     [](std::shared_ptr<Partition> p, Instant deadline,
                        std::optional<ProduceResult>& r) -> common::Awaitable<void> {
                       ProduceOptions o;
                       o.deadline = deadline;
                       r.emplace(co_await p->produce(Fixture::batch(), o));
                     }(b.find(orders), b.world.now() + 5s, result));
    });
    REQUIRE_FALSE(result);  // waits for broker 2
  };
  SECTION("a leader that is deposed does not acknowledge by what holds after it") {
    b.apply({min_isr("2"), isr({BrokerId(1), other})});
    produce();
    b.apply({isr({BrokerId(1)})});
    REQUIRE_FALSE(result);  // too few
    metadata::PartitionChangeRecord change = isr({other});
    change.leader = metadata::LeaderChoice{other};
    b.apply({min_isr("1"), change});
    REQUIRE(result);
    REQUIRE(result->error == ErrorCode::not_leader_or_follower);
    REQUIRE(b.find(orders)->high_watermark() == Offset(0));
  }
  SECTION("a smaller ISR does not commit what it may not any more") {
    b.apply({min_isr("1"), isr({BrokerId(1), other})});
    produce();
    b.apply({min_isr("2"), isr({BrokerId(1)})});
    REQUIRE(b.find(orders)->high_watermark() == Offset(0));
    b.apply({min_isr("1")});
    REQUIRE(result);
    REQUIRE(result->error == ErrorCode::none);
  }
  b.advance(10s);
}

TEST_CASE("a leader that comes while a log is started over is told of when that is done") {
  Broker b;
  b.register_broker();
  create_shared(b);
  lead(b, other, {BrokerId(1), other});
  const Roles roles(b);
  const int32_t before = b.find(orders)->leader_epoch().value;
  b.slower = 5s;
  LeaderAnswer answer;
  answer.asked = b.find(orders)->position().ask;
  answer.error = ErrorCode::offset_out_of_range;
  answer.log_start_offset = Offset(50);
  answer.log_end_offset = Offset(80);
  b.run([&] { REQUIRE(b.find(orders)->apply(answer, {}) == Applied::busy); });
  const BrokerId leader = GENERATE(BrokerId(1), BrokerId(2));
  lead(b, leader, {BrokerId(1), other});
  REQUIRE(roles.told.empty());
  REQUIRE(b.find(orders)->leader_epoch().value == before);
  b.slower = 0s;
  b.advance(20s);
  REQUIRE(b.find(orders)->log_start_offset() == Offset(50));
  const std::string role = leader == BrokerId(1) ? "leads" : "follows";
  REQUIRE(roles.told == std::vector<std::string>{fmt::format("{} {}", role, before + 1)});
}

TEST_CASE("a leader that had to wait for its log begins with what brokers are by then (R51)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  const auto register_other = [&] {
    metadata::RegisterBrokerRecord r;
    r.broker_id = other;
    r.epoch = common::model::BrokerEpoch(b.next_index);
    r.incarnation_id = Uuid::from_halves(2, static_cast<uint64_t>(b.next_index));
    r.fenced = false;
    b.apply({r});
    return r.epoch;
  };
  register_other();
  lead(b, other, {BrokerId(1), other});
  b.slower = 5s;
  LeaderAnswer answer;
  answer.asked = b.find(orders)->position().ask;
  answer.error = ErrorCode::offset_out_of_range;
  answer.log_start_offset = Offset(50);
  answer.log_end_offset = Offset(80);
  b.run([&] { REQUIRE(b.find(orders)->apply(answer, {}) == Applied::busy); });
  lead(b, BrokerId(1), {BrokerId(1)});
  FollowerPosition position;
  position.follower = other;
  position.broker_epoch = register_other();
  REQUIRE_FALSE(b.find(orders)->is_leader());
  b.slower = 0s;
  b.advance(20s);
  REQUIRE(b.find(orders)->is_leader());
  REQUIRE(b.proposals.all.empty());
  position.leader_epoch = b.find(orders)->leader_epoch();
  position.partition_epoch = PartitionEpoch(100);
  position.fetch_offset = position.durable_offset = position.log_start_offset = Offset(50);
  b.run([&] { REQUIRE(b.find(orders)->on_follower_position(position, std::nullopt).error == ErrorCode::none); });
  REQUIRE(b.proposals.all.size() == 1);  // it may join
}

TEST_CASE("a process without descriptors keeps its directories: checkpoints and records wait (fault 40)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = "checkpoint",
                     .times = 1000,
                     .fault = common::disk::IoFault::exhausted});
  b.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = ".log",
                     .fault = common::disk::IoFault::exhausted});
  b.disk->add_fault({.operation = SimulatedDisk::Operation::truncate,
                     .path_contains = ".log",
                     .fault = common::disk::IoFault::exhausted});
  REQUIRE(b.produce(orders) == ErrorCode::kafka_storage_error);
  b.advance(2min);
  REQUIRE(b.failures.empty());
  REQUIRE(b.produce(orders) == ErrorCode::none);
  b.disk->clear_faults();
  b.close();
  REQUIRE(b.start().opened == 1);
  REQUIRE(b.previous_end == common::log::PreviousEnd::clean);
  b.register_broker();
  b.apply({});
  REQUIRE(b.find(orders)->log_end_offset() == Offset(6));
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
  b.set_room(false);
  const std::set<TopicIdPartition> all{{orders, PartitionIndex(0)}};
  REQUIRE(b.produce(orders) == ErrorCode::kafka_storage_error);
  REQUIRE(b.troubles.back().low_on_space == all);  // its leaderships should move
  b.set_room(true);
  REQUIRE(b.produce(orders) == ErrorCode::none);
  REQUIRE(b.troubles.back() == metadata::ReplicaTrouble{});
}

namespace {

// Four partitions over two directories, with something in each; which lies where is the hash's business.
struct TwoDirectories : Broker {
  TwoDirectories() : Broker({"a", "b"}) {
    register_broker();
    create(orders, "orders", 4);
    for (int i = 0; i < 4; ++i) {
      REQUIRE(produce(orders, i) == ErrorCode::none);
      (find(orders, i)->directory() == "a" ? in_a : in_b).push_back(i);
    }
    REQUIRE_FALSE(in_a.empty());
    REQUIRE_FALSE(in_b.empty());
  }
  void fail_a() {
    disk->add_fault({.operation = SimulatedDisk::Operation::write, .path_contains = "a/orders"});
    REQUIRE(produce(orders, in_a.front()) == ErrorCode::kafka_storage_error);
    advance(1s);
    REQUIRE(failures == std::vector<std::string>{"a"});
  }
  std::vector<int> in_a;
  std::vector<int> in_b;
};

}  // namespace

TEST_CASE("partitions are spread over the directories, and found there again") {
  TwoDirectories b;
  b.close();
  REQUIRE(b.start().opened == 4);
  REQUIRE(b.previous_epoch == common::model::BrokerEpoch(1));
  b.register_broker();
  b.apply({});
  for (int i = 0; i < 4; ++i) REQUIRE(b.find(orders, i)->log_end_offset() == Offset(1));
}

TEST_CASE("one of two directories fails: the other goes on, and the controller is told what is lost (R76)") {
  TwoDirectories b;
  b.fail_a();
  std::set<TopicIdPartition> lost;
  for (const int i : b.in_a) lost.insert({orders, PartitionIndex(i)});
  REQUIRE(b.troubles.back().failed == lost);
  for (const int i : b.in_a) REQUIRE(b.why_not(orders, i) == ErrorCode::kafka_storage_error);
  for (const int i : b.in_b) REQUIRE(b.produce(orders, i) == ErrorCode::none);
  // R46: what is offline may come back, and is known to have ended there.
  const auto end_of = [&](int i) { return b.manager->end_of_copy({orders, PartitionIndex(i)}); };
  for (const int i : b.in_a) {
    REQUIRE(end_of(i)->end == Offset(1));
    REQUIRE(end_of(i)->last_epoch.has_value());
  }
  for (const int i : b.in_b) REQUIRE(end_of(i)->end == Offset(2));
  REQUIRE_FALSE(end_of(7));

  // What comes next goes to the directory that is left.
  b.create(orders_again, "more", 3);
  b.advance(1s);
  for (int i = 0; i < 3; ++i) REQUIRE(b.find(orders_again, i)->directory() == "b");

  const std::vector<Volume> volumes = b.volumes();
  REQUIRE(volumes.size() == 2);
  REQUIRE(volumes[0].is_offline);
  REQUIRE_FALSE(volumes[1].is_offline);
  REQUIRE(volumes[1].space.has_value());
}

TEST_CASE("a directory of which a log cannot be opened is offline from the start, and the other goes on (R76)") {
  TwoDirectories b;
  b.disk->kill();
  b.stop();
  b.disk->add_fault({.operation = SimulatedDisk::Operation::read,
                     .path_contains = fmt::format("a/orders-{}/0", b.in_a.back()),
                     .times = 1000});
  REQUIRE(b.start().failed.contains("a"));
  REQUIRE(b.failures == std::vector<std::string>{"a"});
  b.register_broker();
  b.apply({});
  std::set<TopicIdPartition> lost;
  for (const int i : b.in_a) lost.insert({orders, PartitionIndex(i)});
  REQUIRE(b.troubles.back().failed == lost);
  for (const int i : b.in_a) REQUIRE(b.why_not(orders, i) == ErrorCode::kafka_storage_error);
  for (const int i : b.in_b) REQUIRE(b.produce(orders, i) == ErrorCode::none);
  REQUIRE_FALSE(b.try_close());  // R70: nor was this a clean run

  b.disk->clear_faults();
  const OpenReport report = b.start();
  REQUIRE(report.opened == 4);
  REQUIRE(report.failed.empty());
  REQUIRE_FALSE(b.previous_epoch.has_value());
}

TEST_CASE("no directory is left if a log of each cannot be opened") {
  TwoDirectories b;
  REQUIRE_FALSE(b.directories->begin_run(
      Claims::kept, {{"a", {ErrorCode::kafka_storage_error, "x"}}, {"b", {ErrorCode::kafka_storage_error, "y"}}}));
}

TEST_CASE("what a failed directory held is not made anew elsewhere while the process lives") {
  TwoDirectories b;
  b.fail_a();
  // The controller takes this broker out of the ISR: a change of a partition that we hold no replica of any more.
  std::vector<metadata::MetadataRecord> changes;
  for (const int i : b.in_a) {
    metadata::PartitionChangeRecord change;
    change.topic_id = orders;
    change.partition = PartitionIndex(i);
    change.isr = std::vector<BrokerId>{};
    change.leader = metadata::LeaderChoice{std::nullopt};
    changes.push_back(change);
  }
  b.apply(changes);
  b.advance(1s);
  for (const int i : b.in_a) {
    REQUIRE(b.why_not(orders, i) == ErrorCode::kafka_storage_error);
    REQUIRE_FALSE(b.has_path(fmt::format("b/orders-{}/", i)));
  }
}

TEST_CASE("a topic whose name lies in a failed directory is led by others, not waited for (R76)") {
  TwoDirectories b;
  const int lost = b.in_a.front();
  const auto make_again = [&] {
    metadata::PartitionRecord record = Broker::partition_record(orders_again, lost);
    b.apply({metadata::RemoveTopicRecord{orders}, metadata::TopicRecord{orders_again, "orders"}, record});
  };
  SECTION("it had failed before") {
    b.fail_a();
    make_again();
  }
  SECTION("it fails while the old one is removed") {
    b.disk->add_fault(
        {.operation = SimulatedDisk::Operation::rename, .path_contains = fmt::format("a/orders-{}", lost)});
    make_again();
  }
  b.advance(1s);
  REQUIRE(b.failures == std::vector<std::string>{"a"});
  REQUIRE(b.why_not(orders_again, lost) == ErrorCode::kafka_storage_error);
  REQUIRE(b.troubles.back().failed == std::set<TopicIdPartition>{{orders_again, PartitionIndex(lost)}});
  REQUIRE_FALSE(b.has_path(fmt::format("b/orders-{}/", lost)));
}

TEST_CASE("a run in which a directory failed was not clean, however it ends (R70, R75)") {
  TwoDirectories b;
  b.fail_a();
  SECTION("stopped in good order") {
    REQUIRE_FALSE(b.try_close());
  }
  SECTION("killed, on the same machine") {
    b.disk->kill();
    b.stop();
  }
  SECTION("registered anew meanwhile, then killed") {
    b.register_broker();
    b.disk->kill();
    b.stop();
  }
  b.disk->clear_faults();
  b.start();
  REQUIRE_FALSE(b.previous_epoch.has_value());
}

TEST_CASE("a partition that lies in two directories is a reason not to start") {
  SimulatedDisk disk;
  std::vector<std::unique_ptr<LogDirectory>> all;
  for (const char* path : {"a", "b"}) {
    auto opened = LogDirectory::open(disk, path);
    REQUIRE(opened.has_value());
    REQUIRE((*opened)->create_partition({"orders", PartitionIndex(0)}, orders).has_value());
  }
  std::vector<const LogDirectory*> views;
  for (const char* path : {"a", "b"}) {
    all.push_back(std::move(*LogDirectory::open(disk, path)));
    views.push_back(all.back().get());
  }
  const auto checked = common::log::check_each_partition_once(views);
  REQUIRE_FALSE(checked.has_value());
  REQUIRE(checked.error().message.find("orders-0 lies in two of log.dirs, a and b") == 0);
  views.pop_back();
  REQUIRE(common::log::check_each_partition_once(views).has_value());
}

TEST_CASE("a replica that could not be made is told of, and made once there is room") {
  Broker b;
  b.register_broker();
  b.disk->add_fault({.operation = SimulatedDisk::Operation::create, .path_contains = "orders-0", .times = 2,
                     .fault = common::disk::IoFault::no_space});
  b.create(orders, "orders");
  b.advance(1s);
  REQUIRE(b.why_not(orders) == ErrorCode::kafka_storage_error);
  REQUIRE(b.troubles.back().failed == std::set<TopicIdPartition>{{orders, PartitionIndex(0)}});
  b.set_room(false);
  b.disk->clear_faults();
  b.set_room(true);
  REQUIRE(b.find(orders)->is_leader());
  REQUIRE(b.troubles.back() == metadata::ReplicaTrouble{});
}

TEST_CASE("a replica that could not be made is tried again, also if its directory was there already") {
  Broker b;
  b.register_broker();
  const bool is_placed = GENERATE(false, true);
  b.disk->add_fault({.operation = is_placed ? SimulatedDisk::Operation::read : SimulatedDisk::Operation::create,
                     .path_contains = "orders-0",
                     .fault = common::disk::IoFault::exhausted});
  b.create(orders, "orders");
  REQUIRE(b.why_not(orders) == ErrorCode::kafka_storage_error);
  b.advance(30s);
  REQUIRE(b.find(orders)->is_leader());
  REQUIRE(b.troubles.back() == metadata::ReplicaTrouble{});
}
