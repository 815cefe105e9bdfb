// A broker's disk half, its replica manager, and a metadata log written by the test: what the tests of replica managers
// and data directories share.
#pragma once
#include <catch2/catch.hpp>

#include "broker/partition/replica_manager.h"
#include "common/disk/simulated_disk.h"
#include "common/log/log_directories.h"
#include "partition/partition_fixture.h"

namespace sim {

using common::log::LogDirectory;
using common::model::TopicPartition;
using common::model::Uuid;
namespace metadata = controller::metadata;

class FixedSettings final : public TopicSettingsSource {
 public:
  TopicSettings settings_of(const metadata::MetadataImage& image, std::string_view topic) const override {
    TopicSettings settings;
    if (const auto value = image.topic_setting(topic, "min.insync.replicas")) settings.min_isr = std::stoi(*value);
    if (image.topic_setting(topic, "retention.ms") == "-1") settings.log.retention_ms.reset();
    settings.sync_before_ack = image.topic_setting(topic, "flush.messages") == "1";
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
      all.push_back(std::move(*opened));
      views.push_back(all.back().get());
    }
    made_way = common::log::make_way(all);
    common::log::note_if_less(all);
    common::log::set_aside(made_way, world.random(), common::Logger());
    for (size_t i = 0; i < all.size(); ++i) {
      if (!all[i]->identity())
        REQUIRE(all[i]->give_identity({"c", BrokerId(1), Uuid::from_halves(5, 5 + i)}).has_value());
    }
    common::log::note_siblings(all);
    previous_end = all.front()->previous_end();
    previous_epoch = common::log::agreed_previous_epoch(views);
    lost = common::log::lost_partitions(views);
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
      directories->note_broker_epoch(epoch);
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
  std::vector<TopicPartition> lost;            // missed by the last start
  std::vector<common::log::MadeWay> made_way;  // copies that it disowned
  std::unique_ptr<SimShard> shard;
  std::unique_ptr<Directories> directories;
  std::unique_ptr<ReplicaManager> manager;
  metadata::ImagePtr image;
  int64_t next_index = 1;
};

inline const Uuid orders = Uuid::from_halves(1, 10);
inline const Uuid orders_again = Uuid::from_halves(1, 11);

// Two replicas, this broker and another one.
inline void lead(Broker& b, BrokerId leader, const std::vector<BrokerId>& isr, const std::vector<BrokerId>& elr = {}) {
  metadata::PartitionChangeRecord change{orders, PartitionIndex(0)};
  change.leader = metadata::LeaderChoice{leader};
  change.isr = isr;
  change.elr = elr;
  b.apply({change});
}
inline void create_shared(Broker& b) {
  metadata::PartitionRecord record = Broker::partition_record(orders, 0);
  record.state.replicas = {BrokerId(1), BrokerId(2)};
  b.apply({metadata::TopicRecord{orders, "orders"}, record});
}
inline const BrokerId other(2);
inline const metadata::ReplicaTrouble nothing{};

}  // namespace sim
