// Data directories that fail, fill up or cannot be opened, and where replicas go that could not be made.
#include <algorithm>

#include <catch2/catch.hpp>

#include "partition/managed_broker.h"

using namespace sim;
using common::log::NewCopy;

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

TEST_CASE("a look at the room that is left needs its directory no more once it is under way") {
  World world{1};
  SimulatedDisk disk;  // does what it is given when it is told to
  SimShard shard(0, world.clock());
  auto opened = LogDirectory::open(disk, "data");
  REQUIRE(opened.has_value());
  std::vector<std::unique_ptr<LogDirectory>> all;
  all.push_back(std::move(*opened));
  DirectoriesOptions options;
  options.home = &shard;
  options.disk = &disk;
  options.random = &world.random();
  auto directories = std::make_unique<Directories>(options, std::move(all));
  directories->start({&shard}, {});
  directories.reset();
  REQUIRE(disk.run_one());
}

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

TEST_CASE("directories are made and deleted a few at a time: syncs pass between those of a big topic (R32)") {
  Broker b;
  b.register_broker();
  const auto there = [&] {
    const auto paths = b.disk->paths();
    return std::ranges::count_if(paths, [](const std::string& path) {
      return path.starts_with("data/orders-") && path.ends_with("-checkpoint") &&
             path.find("-delete") == std::string::npos;
    });
  };
  b.slower = 40ms;  // and 2 ms: one after the other ends within the 100 ms of apply()
  b.create(orders, "orders", 40);
  CHECK(there() > 0);
  CHECK(there() <= 12);
  b.advance(1s);
  for (int i = 0; i < 40; ++i) REQUIRE(b.find(orders, i));
  REQUIRE(there() == 40);
  b.apply({metadata::RemoveTopicRecord{orders}});
  CHECK(there() < 40);
  CHECK(there() >= 28);
  b.advance(1s);
  CHECK(there() == 0);
  CHECK_FALSE(b.has_path("-delete"));
}

TEST_CASE("a stop while a big topic is made makes no more of it (R32)") {
  Broker b;
  b.register_broker();
  b.slower = 40ms;
  b.create(orders, "orders", 40);
  b.slower = 0ms;
  b.close();  // a second, in which all of them could be made
  size_t made = 0;
  for (int i = 0; i < 40; ++i) made += b.has_path(fmt::format("data/orders-{}/", i)) ? 1 : 0;
  CHECK(made > 0);
  CHECK(made <= 16);
}

TEST_CASE("a disk that cannot delete what was a replica is offline (R76)") {
  TwoDirectories b;
  b.disk->add_fault({.operation = SimulatedDisk::Operation::remove,
                     .path_contains = fmt::format("a/orders-{}.", b.in_a.front())});  // once it is renamed
  b.apply({metadata::RemoveTopicRecord{orders}});
  b.advance(1s);
  CHECK(b.failures == std::vector<std::string>{"a"});
}

TEST_CASE("no replica is made in the place of a disk that was taken away (R44, R76)") {
  Broker b({"a", "b"});
  b.register_broker();
  const bool is_another_there = GENERATE(false, true);
  REQUIRE(b.disk->remove_file("a/meta.properties").has_value());
  if (is_another_there) {
    auto other = LogDirectory::open(*b.disk, "other");
    REQUIRE((*other)->give_identity({"c", BrokerId(1), Uuid::from_halves(6, 6)}).has_value());
    REQUIRE(b.disk->rename("other/meta.properties", "a/meta.properties").has_value());
  }
  b.create(orders, "orders", 8);
  b.advance(1s);
  REQUIRE(b.failures == std::vector<std::string>{"a"});
  REQUIRE_FALSE(b.has_path("a/orders-"));
  REQUIRE(b.has_path("b/orders-"));
  REQUIRE(std::ranges::any_of(b.troubles, [](const auto& trouble) { return !trouble.failed.empty(); }));
  // The cluster is told, and what it says next has them made where there is a disk.
  std::vector<metadata::MetadataRecord> next;
  for (int i = 0; i < 8; ++i) next.emplace_back(metadata::PartitionChangeRecord{orders, PartitionIndex(i)});
  b.apply(next);
  b.advance(1s);
  for (int i = 0; i < 8; ++i) REQUIRE(b.find(orders, i)->directory() == "b");
}

TEST_CASE("who listens is told once of each replica that a failed directory takes: its stream closes them (R56, R76)") {
  struct Listener final : ReplicaListener {
    void on_leading(const std::shared_ptr<Partition>&) override {}
    void on_following(const std::shared_ptr<Partition>&) override {}
    void on_stopped(const TopicIdPartition& id, const std::string&) override { stopped.push_back(id.partition.value); }
    std::vector<int32_t> stopped;
  };
  TwoDirectories b;
  Listener listener;
  b.run([&] { b.manager->add_listener(listener); });
  b.fail_a();
  b.run([&] { b.manager->remove_listener(listener); });
  std::sort(listener.stopped.begin(), listener.stopped.end());
  REQUIRE(listener.stopped == std::vector<int32_t>(b.in_a.begin(), b.in_a.end()));
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

TEST_CASE("an empty copy that was begun while a disk was not mounted makes way for what lies there (R46)") {
  Broker b({"a", "b"});
  b.register_broker();
  create_shared(b);
  b.write(orders, 5);
  b.advance(10s);
  const std::string mounted = b.find(orders)->directory();
  const std::string other_one = mounted == "a" ? "b" : "a";
  b.stop();
  b.disk->kill();
  {
    auto meanwhile = LogDirectory::open(*b.disk, other_one);
    REQUIRE(meanwhile.has_value());
    const auto made = (*meanwhile)->create_partition({"orders", PartitionIndex(0)}, orders, NewCopy::counts_later);
    REQUIRE(made.has_value());
  }
  b.start();
  REQUIRE(b.made_way.size() == 1);
  REQUIRE(b.made_way[0].path == other_one + "/orders-0");
  b.register_broker();
  b.advance(1s);
  REQUIRE(b.find(orders)->directory() == mounted);
  REQUIRE(b.find(orders)->log_end_offset() == Offset(5));
  REQUIRE_FALSE(b.manager->end_of_copy({orders, PartitionIndex(0)}).value().never_in_sync);
  REQUIRE(b.has_path("-stray"));
  REQUIRE_FALSE(b.has_path(other_one + "/orders-0/"));
  b.stop();
  b.disk->kill();
  b.start();
  REQUIRE(b.made_way.empty());
  REQUIRE(b.find(orders)->log_end_offset() == Offset(5));
}

TEST_CASE("of two copies the one makes way that missed the last life of this broker (R44)") {
  SimulatedDisk disk;
  const TopicPartition partition{"orders", PartitionIndex(0)};
  const auto [first_life, second_life] = GENERATE(std::pair(3, 7), std::pair(7, 3), std::pair(7, 7));
  for (const auto& [path, life, id] : {std::tuple("a", first_life, 1), std::tuple("b", second_life, 2)}) {
    auto opened = LogDirectory::open(disk, path);
    REQUIRE((*opened)->give_identity({"c", BrokerId(1), Uuid::from_halves(5, static_cast<uint64_t>(id))}).has_value());
    REQUIRE((*opened)->begin_run().has_value());
    REQUIRE((*opened)->create_partition(partition, orders).has_value());
    (*opened)->note_broker_epoch(common::model::BrokerEpoch(life), {});
    disk.run_until_idle();
    REQUIRE((*opened)->end_run().has_value());
  }
  std::vector<std::unique_ptr<LogDirectory>> all;
  for (const char* path : {"a", "b"}) all.push_back(std::move(*LogDirectory::open(disk, path)));
  const auto made_way = common::log::make_way(all);
  REQUIRE(made_way.size() == (first_life == second_life ? 0 : 1));
  if (!made_way.empty()) REQUIRE(made_way[0].path == (first_life < second_life ? "a/orders-0" : "b/orders-0"));
  const bool is_clear = common::log::check_each_partition_once({all[0].get(), all[1].get()}).has_value();
  REQUIRE(is_clear == (first_life != second_life));
}

TEST_CASE("of two copies the one makes way that lies in a directory which was never this broker's (R44)") {
  SimulatedDisk disk;
  const TopicPartition partition{"orders", PartitionIndex(0)};
  for (const char* path : {"a", "b"}) {
    auto opened = LogDirectory::open(disk, path);
    if (path == std::string("a"))
      REQUIRE((*opened)->give_identity({"c", BrokerId(1), Uuid::from_halves(5, 1)}).has_value());
    REQUIRE((*opened)->begin_run().has_value());
    REQUIRE((*opened)->create_partition(partition, orders).has_value());
    disk.run_until_idle();
    REQUIRE((*opened)->end_run().has_value());
  }
  std::vector<std::unique_ptr<LogDirectory>> all;
  for (const char* path : {"b", "a"}) all.push_back(std::move(*LogDirectory::open(disk, path)));
  const auto made_way = common::log::make_way(all);
  REQUIRE(made_way.size() == 1);
  REQUIRE(made_way[0].path == "b/orders-0");
  REQUIRE(common::log::check_each_partition_once({all[0].get(), all[1].get()}).has_value());
}

TEST_CASE("what makes way has gone before a start that could not tell the two apart any more (R44)") {
  SimulatedDisk disk;
  const TopicPartition partition{"orders", PartitionIndex(0)};
  const bool was_never_ours = GENERATE(false, true);
  const auto identity = [](uint64_t id) {
    return common::log::DirectoryIdentity{"c", BrokerId(1), Uuid::from_halves(5, id)};
  };
  for (const auto& [path, life] : {std::pair("a", 3), std::pair("b", 7)}) {
    auto opened = LogDirectory::open(disk, path);
    if (life == 7 || !was_never_ours)
      REQUIRE((*opened)->give_identity(identity(static_cast<uint64_t>(life))).has_value());
    REQUIRE((*opened)->begin_run().has_value());
    REQUIRE((*opened)->create_partition(partition, orders).has_value());
    (*opened)->note_broker_epoch(common::model::BrokerEpoch(life), {});
    disk.run_until_idle();
    REQUIRE((*opened)->end_run().has_value());
  }
  const auto open_both = [&disk] {
    std::vector<std::unique_ptr<LogDirectory>> all;
    for (const char* path : {"a", "b"}) all.push_back(std::move(*LogDirectory::open(disk, path)));
    return all;
  };
  {
    const auto all = open_both();
    const auto stale = common::log::make_way(all);
    REQUIRE(stale.size() == 1);
    REQUIRE(stale[0].path == "a/orders-0");
    common::model::SeededRandom random(1);
    common::log::set_aside(stale, random, common::Logger());
    if (was_never_ours) REQUIRE(all[0]->give_identity(identity(3)).has_value());
    for (const auto& directory : all) {
      directory->forget_previous_epoch();
      REQUIRE(directory->begin_run().has_value());
    }
  }
  disk.crash(SimulatedDisk::Unsynced::lost);
  const auto again = open_both();
  REQUIRE(common::log::make_way(again).empty());
  REQUIRE(common::log::check_each_partition_once({again[0].get(), again[1].get()}).has_value());
  REQUIRE(again[0]->partitions().empty());
  REQUIRE(again[0]->strays().size() == 1);
  REQUIRE(again[1]->partitions().size() == 1);
}

TEST_CASE("of two copies none makes way that has records, was in sync or is another topic's: a person has to say") {
  SimulatedDisk disk;
  const TopicPartition partition{"orders", PartitionIndex(0)};
  const std::string second_log = "b/orders-0/00000000000000000000.log";
  NewCopy copy = NewCopy::counts_later;
  Uuid id = orders;
  bool has_records = false;
  SECTION("it has records") {
    has_records = true;
  }
  SECTION("it was made to count at once, or has been in sync") {
    copy = NewCopy::counts_now;
  }
  SECTION("it is another topic's") {
    id = orders_again;
  }
  {
    auto first = LogDirectory::open(disk, "a");
    auto second = LogDirectory::open(disk, "b");
    REQUIRE((*first)->create_partition(partition, orders).has_value());
    REQUIRE((*second)->create_partition(partition, id, copy).has_value());
  }
  if (has_records) disk.overwrite(second_log, common::model::as_bytes("something"));
  std::vector<std::unique_ptr<LogDirectory>> all;
  std::vector<const LogDirectory*> views;
  for (const char* path : {"a", "b"}) {
    all.push_back(std::move(*LogDirectory::open(disk, path)));
    views.push_back(all.back().get());
  }
  REQUIRE(common::log::make_way(all).empty());
  const auto checked = common::log::check_each_partition_once(views);
  REQUIRE_FALSE(checked.has_value());
  const bool names_the_new_one = checked.error().message.find("that in b was begun while") != std::string::npos;
  REQUIRE(names_the_new_one == (copy == NewCopy::counts_later));
}

TEST_CASE(
    "what lies in one directory without its id is set aside, and the replica in the other goes with its topic (R42)") {
  Broker b({"a", "b"});
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 3);
  const std::string mine = b.find(orders)->directory();
  const std::string other_one = mine == "a" ? "b" : "a";
  b.close();
  // A replica was begun there, and then made where there was room.
  REQUIRE(b.disk->create_directories(other_one + "/orders-0"));
  b.start();
  b.register_broker();
  b.advance(1s);
  REQUIRE(b.find(orders)->log_end_offset() == Offset(3));
  b.apply({metadata::RemoveTopicRecord{orders}});
  b.advance(1s);
  REQUIRE_FALSE(b.has_path(mine + "/orders-0"));
  b.create(orders_again, "orders");
  b.advance(1s);
  REQUIRE(b.find(orders_again)->log_end_offset() == Offset(0));
}

TEST_CASE("a replica that could not be made is told of, and made once there is room") {
  Broker b;
  b.register_broker();
  b.disk->add_fault({.operation = SimulatedDisk::Operation::create,
                     .path_contains = "orders-0",
                     .times = 2,
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

// It was taken for one that cannot be used, and told of, as long as the process lived: nobody deletes a topic twice.
TEST_CASE("a replica that could not be made of a topic that was deleted meanwhile is no trouble") {
  Broker b;
  b.register_broker();
  b.slower = 1s;
  b.disk->add_fault({.operation = SimulatedDisk::Operation::create,
                     .path_contains = "orders-0",
                     .fault = common::disk::IoFault::no_space});
  b.create(orders, "orders");
  b.apply({metadata::RemoveTopicRecord{orders}});
  b.advance(5s);
  REQUIRE(b.manager->unusable() == 0);
  REQUIRE(b.why_not(orders) == ErrorCode::unknown_topic_or_partition);
  b.create(orders_again, "orders");
  b.advance(10s);
  REQUIRE(b.find(orders_again)->is_leader());
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
