// What outlives a stop: checkpoints and the marker of a clean end, topics deleted and made again, what nobody knows.
#include <catch2/catch.hpp>

#include "partition/managed_broker.h"

using namespace sim;

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
      b.directories->lower_checkpoints({"orders", PartitionIndex(0)}, "data",
                                       {.recovery_point = Offset(2), .high_watermark = Offset(3)}, *b.shard,
                                       [&] { is_lowered = true; });
    });
  });
  b.advance(1s);
  REQUIRE(is_lowered);
  REQUIRE(stored().find("orders 0 2") != std::string::npos);
  REQUIRE(b.disk->content("data/replication-offset-checkpoint").text().find("orders 0 3") != std::string::npos);
  b.advance(70s);  // what is gathered later counts again
  REQUIRE(stored().find("orders 0 5") != std::string::npos);
  REQUIRE(b.disk->content("data/replication-offset-checkpoint").text().find("orders 0 5") != std::string::npos);
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
    b.directories->lower_checkpoints({"orders", PartitionIndex(0)}, "data", {.recovery_point = Offset(2)}, *b.shard,
                                     [&] { was_low = stored().find("orders 0 2") != std::string::npos; });
  });
  b.advance(100ms);
  REQUIRE_FALSE(was_low);  // whoever waits appends nothing
  b.advance(10s);
  REQUIRE(was_low == true);
  REQUIRE(b.failures.empty());
}

TEST_CASE("a broker epoch that a full disk does not take is noted when there is room (R44, R75, R81)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.stop();
  b.disk->kill();
  b.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = ".naru_running",
                     .times = 4,
                     .fault = common::disk::IoFault::no_space});
  b.start();  // the first
  REQUIRE(b.previous_end == common::log::PreviousEnd::process_crash);
  b.register_broker();  // the second
  REQUIRE_FALSE(b.disk->exists("data/.naru_running"));
  b.advance(10s);
  REQUIRE(b.disk->exists("data/.naru_running"));
  REQUIRE(b.failures.empty());
  const common::model::BrokerEpoch epoch = b.image->broker(BrokerId(1))->epoch;
  b.stop();
  b.disk->kill();
  b.start();
  REQUIRE(b.previous_end == common::log::PreviousEnd::process_crash);  // it claims what it holds
  REQUIRE(b.previous_epoch == epoch);
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

// A broker that was killed every few hours kept each of them for ever.
TEST_CASE("what is set aside is deleted in time whatever the broker's lives are (R42)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.close();
  b.start();
  b.image = nullptr;
  b.register_broker();
  b.create(orders_again, "orders");
  b.advance(45min);
  b.stop();
  b.disk->kill();
  b.start();
  b.advance(10min);
  REQUIRE(b.has_path("-stray"));
  b.advance(20min);  // an hour and a quarter in all
  REQUIRE_FALSE(b.has_path("-stray"));
}

TEST_CASE("what is deleted, or was set aside, goes also if it could not be removed at once (fault 40)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  const bool is_deleted = GENERATE(true, false);
  const std::string suffix = is_deleted ? "-delete" : "-stray";
  b.disk->add_fault({.operation = SimulatedDisk::Operation::remove,
                     .path_contains = suffix,
                     .fault = common::disk::IoFault::exhausted});
  if (is_deleted) {
    b.apply({metadata::RemoveTopicRecord{orders}});
  } else {
    b.close();
    b.start();
    b.image = nullptr;
    b.register_broker();
    b.create(orders_again, "orders");
    b.advance(1h);
  }
  b.advance(10s);
  REQUIRE(b.has_path(suffix));
  b.advance(2min);
  REQUIRE_FALSE(b.has_path(suffix));
  REQUIRE(b.failures.empty());
}

TEST_CASE("how long a stray was kept is believed only as it was noted (R42)") {
  SimulatedDisk disk;
  const std::string stray = "data/orders-0.00000000000000000000000000000001-stray";
  REQUIRE(disk.create_directories(stray).has_value());
  REQUIRE(common::log::kept_of(disk, stray) == 0ms);
  REQUIRE(common::log::note_kept(disk, stray, 1234ms).has_value());
  REQUIRE(common::log::kept_of(disk, stray) == 1234ms);
  disk.flip_bit(stray + "/.naru_kept", 0);
  REQUIRE(common::log::kept_of(disk, stray) == 0ms);
}

TEST_CASE("a partition that was deleted or set aside in order is not missed, whenever the broker dies (R42, R44)") {
  const bool is_deleted = GENERATE(true, false);
  for (uint64_t step = 1;; ++step) {
    INFO("stopped at step " << step);
    Broker b;
    b.register_broker();
    create_shared(b);
    b.write(orders, 5);
    b.run([&] { b.find(orders)->log()->flush([](const auto&) {}); });
    b.advance(70s);  // both checkpoints name it
    REQUIRE(b.disk->content("data/recovery-point-offset-checkpoint").text().find("orders 0 5") !=
            std::string_view::npos);
    if (is_deleted) {
      b.disk->stop_after(step);
      b.apply({metadata::RemoveTopicRecord{orders}});
    } else {
      b.stop();
      b.disk->kill();
      b.start();
      b.image = nullptr;  // it was deleted meanwhile
      b.disk->stop_after(step);
      b.register_broker();
    }
    b.advance(500ms);
    const bool has_stopped = b.disk->has_stopped();
    b.stop();
    b.disk->crash(static_cast<SimulatedDisk::Unsynced>(step % 3));
    b.start();
    REQUIRE(b.lost.empty());
    if (!has_stopped) break;
  }
}

TEST_CASE("a checkpoint that had begun before a partition was deleted says nothing of it (R44)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.advance(10s);
  const auto stored = [&] { return std::string(b.disk->content("data/replication-offset-checkpoint").text()); };
  REQUIRE(stored().find("orders 0 5") != std::string::npos);
  b.run([&] {
    b.directories->remove({"orders", PartitionIndex(0)}, orders);
    b.shard->spawn("checkpoint", b.directories->checkpoint());  // its replica is still there to be asked
  });
  b.advance(1s);
  REQUIRE_FALSE(b.has_path("data/orders-0"));
  REQUIRE(stored().find("orders 0") == std::string::npos);
  b.stop();
  b.disk->kill();
  b.start();
  REQUIRE(b.lost.empty());
}

TEST_CASE("a deletion that could not be made durable leaves nothing behind once it can (R42)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.disk->add_fault({.operation = SimulatedDisk::Operation::sync_directory,
                     .path_contains = "data",
                     .fault = common::disk::IoFault::exhausted});
  b.apply({metadata::RemoveTopicRecord{orders}});
  REQUIRE(b.has_path("-delete"));
  b.advance(3s);
  REQUIRE_FALSE(b.has_path("orders-0"));
  REQUIRE(b.failures.empty());
}

TEST_CASE("a full disk is no reason to keep what was deleted (R81)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.write(orders, 5);
  b.advance(10s);
  b.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = "checkpoint",
                     .times = 1000,
                     .fault = common::disk::IoFault::no_space});
  b.apply({metadata::RemoveTopicRecord{orders}});
  b.advance(1s);
  REQUIRE_FALSE(b.has_path("data/orders-0"));
  REQUIRE(b.failures.empty());
}
