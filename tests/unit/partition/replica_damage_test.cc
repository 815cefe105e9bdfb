// Logs that recovery or a read finds damaged are told of, and begun anew only where nobody counts on them (R72). Those
// that are not there any more are told from those that take their place (R46).
#include <catch2/catch.hpp>

#include "partition/managed_broker.h"

using namespace sim;

namespace {

metadata::PartitionRecord shared_record() {
  metadata::PartitionRecord record = Broker::partition_record(orders, 0);
  record.state.replicas = {BrokerId(1), other};
  return record;
}

// Nobody leads, and this broker may have what is looked for (R46).
metadata::PartitionChangeRecord looked_for_here() {
  metadata::PartitionChangeRecord change{orders, PartitionIndex(0)};
  change.leader = metadata::LeaderChoice{std::nullopt};
  change.isr = std::vector<BrokerId>{};
  change.last_known_elr = std::vector<BrokerId>{BrokerId(1)};
  return change;
}

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
  REQUIRE(b.troubles.size() == 1);  // before it is registered
  REQUIRE(b.troubles.back().failed.size() == 1);
  const auto is_offline = [&] {
    return b.why_not(orders) == ErrorCode::kafka_storage_error && !b.has_path("-stray") &&
           b.has_path("data/orders-0/00000000000000000000.log");
  };
  // The controller takes its claims away when it registers.
  const auto register_uncleanly = [&] {
    b.apply({looked_for_here()});
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
    REQUIRE(b.find(orders)->is_leader());
    // The only copy, or what is left of it: nobody deletes that, in this run or the next.
    REQUIRE(b.has_path("-damaged"));
    REQUIRE_FALSE(b.has_path("-stray"));
    b.advance(2h);
    REQUIRE(b.has_path("-damaged"));
    b.close();
    b.start();
    b.register_broker();
    b.advance(2h);
    REQUIRE(b.has_path("-damaged"));
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

TEST_CASE("damage of a replica that does not count waits for a state that is new, and nothing else (R41, R72)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  b.write(orders, 5);
  lead(b, other, {other});
  b.run([&] { b.find(orders)->log()->note_damage("found by a truncation"); });
  b.advance(1s);
  REQUIRE(b.troubles.back().damaged.size() == 1);
  REQUIRE_FALSE(b.has_path("-stray"));
  b.apply({metadata::PartitionChangeRecord{orders, PartitionIndex(0)}});
  b.advance(1s);
  REQUIRE(b.has_path("-stray"));
  REQUIRE(b.find(orders)->log_end_offset() == Offset(0));
  REQUIRE(b.troubles.back() == nothing);
}

TEST_CASE("a copy that is not the leader's makes room, and is kept: nobody knows which of both is right (R59, R72)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  b.write(orders, 5);
  lead(b, other, {other});
  b.run([&] {
    LeaderAnswer answer;
    answer.asked = b.find(orders)->position().ask;
    answer.differs = true;
    REQUIRE(b.find(orders)->apply(answer, {}) == Applied::back_off);
  });
  b.advance(1s);
  REQUIRE(b.troubles.back().damaged.size() == 1);
  REQUIRE(b.find(orders)->log_end_offset() == Offset(5));
  b.apply({metadata::PartitionChangeRecord{orders, PartitionIndex(0)}});
  b.advance(1s);
  REQUIRE(b.find(orders)->log_end_offset() == Offset(0));
  REQUIRE_FALSE(b.find(orders)->differs_from_leader());
  REQUIRE(b.troubles.back() == nothing);
  b.advance(2h);
  REQUIRE(b.has_path("-damaged"));
  REQUIRE_FALSE(b.has_path("-stray"));
}

TEST_CASE("a damaged log that could not be set aside keeps its name, and goes with the next attempt (R42, R72)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  b.write(orders, 5);
  lead(b, other, {BrokerId(1), other});
  b.run([&] { b.find(orders)->log()->note_damage("found by a truncation"); });
  b.disk->add_fault({.operation = SimulatedDisk::Operation::rename,
                     .path_contains = "data/orders-0",
                     .fault = common::disk::IoFault::exhausted});
  lead(b, other, {other});
  REQUIRE_FALSE(b.find(orders));
  REQUIRE_FALSE(b.has_path("-stray"));
  b.advance(3s);
  REQUIRE(b.has_path("-stray"));
  REQUIRE(b.find(orders)->log_end_offset() == Offset(0));
  REQUIRE(b.failures.empty());
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

TEST_CASE("a copy in the place of one that is looked for is told from it until it is in sync, over restarts (R46)") {
  Broker b;
  b.register_broker();
  const auto is_new = [&] { return b.manager->end_of_copy({orders, PartitionIndex(0)}).value().never_in_sync; };
  SECTION("of a new topic: it counts at once") {
    create_shared(b);
    REQUIRE_FALSE(is_new());
    REQUIRE_FALSE(b.has_path("never-in-sync"));
  }
  SECTION("of one that is added: it can be asked for only once it was in sync") {
    metadata::PartitionRecord record = Broker::partition_record(orders, 0);
    record.state.replicas = {other, BrokerId(1)};
    metadata::PartitionChangeRecord led{orders, PartitionIndex(0)};
    led.leader = metadata::LeaderChoice{other};
    led.isr = std::vector<BrokerId>{other};
    b.apply({metadata::TopicRecord{orders, "orders"}, record, led});
    b.advance(1s);
    REQUIRE(b.find(orders)->role() == Role::follower);
    REQUIRE_FALSE(is_new());
  }
  SECTION("in the place of one that is gone") {
    b.apply({metadata::TopicRecord{orders, "orders"}, shared_record(), looked_for_here()});
    b.advance(1s);
    REQUIRE(is_new());
    const bool is_killed = GENERATE(true, false);
    if (is_killed) {
      b.stop();
      b.disk->crash(SimulatedDisk::Unsynced::lost);
    } else {
      b.close();
    }
    b.start();
    b.register_broker();
    REQUIRE(is_new());
    lead(b, other, {other});
    REQUIRE(b.find(orders)->role() == Role::follower);
    REQUIRE(is_new());
    lead(b, other, {BrokerId(1), other});
    REQUIRE_FALSE(is_new());
    b.advance(1s);
    b.stop();
    b.disk->crash(SimulatedDisk::Unsynced::lost);
    b.start();
    REQUIRE_FALSE(is_new());
    REQUIRE_FALSE(b.has_path("never-in-sync"));
  }
}

TEST_CASE("what one start misses the next one does, until a copy is made in its place that says so itself (R46)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  b.write(orders, 5);
  b.advance(70s);  // into the checkpoints
  b.stop();
  b.disk->kill();
  SECTION("its disk is not mounted") {
    REQUIRE(b.disk->rename("data", "unmounted"));
  }
  SECTION("its directory is gone: the checkpoints tell only the first start (R44)") {
    REQUIRE(b.disk->remove_tree("data/orders-0"));
  }
  b.start();
  REQUIRE(b.directories->found_less());
  b.advance(1s);
  b.stop();  // before it is registered
  b.disk->kill();
  b.start();
  REQUIRE(b.lost.empty());
  REQUIRE(b.directories->found_less());
  b.apply({looked_for_here()});
  b.register_broker();
  b.advance(1s);
  REQUIRE(b.manager->end_of_copy({orders, PartitionIndex(0)}).value().never_in_sync);
  b.stop();
  b.disk->kill();
  b.start();
  REQUIRE_FALSE(b.directories->found_less());
  b.register_broker();
  REQUIRE(b.manager->end_of_copy({orders, PartitionIndex(0)}).value().never_in_sync);
}

TEST_CASE("as long as a copy cannot be made the next start is told that this one found less (R46)") {
  Broker b;
  b.disk->add_fault({.operation = SimulatedDisk::Operation::create,
                     .path_contains = "orders-0",
                     .times = 1000,
                     .fault = common::disk::IoFault::exhausted});
  b.apply({metadata::TopicRecord{orders, "orders"}, shared_record(), looked_for_here()});
  b.register_broker();
  REQUIRE(b.why_not(orders) == ErrorCode::kafka_storage_error);
  const bool is_made = GENERATE(false, true);
  if (is_made) {
    b.disk->clear_faults();
    b.advance(30s);
    REQUIRE(b.why_not(orders) == ErrorCode::none);
  }
  b.stop();
  b.disk->kill();
  b.disk->clear_faults();
  b.start();
  REQUIRE(b.directories->found_less() == !is_made);
}

TEST_CASE("what could not be made at once is at the next attempt what it was to be, and says so meanwhile (R46)") {
  Broker b;
  b.register_broker();
  const auto is_new = [&] { return b.manager->end_of_copy({orders, PartitionIndex(0)}).value().never_in_sync; };
  b.disk->add_fault({.operation = SimulatedDisk::Operation::create,
                     .path_contains = "orders-0",
                     .fault = common::disk::IoFault::exhausted});
  const bool is_looked_for = GENERATE(false, true);
  if (is_looked_for) {
    b.apply({metadata::TopicRecord{orders, "orders"}, shared_record(), looked_for_here()});
  } else {
    b.apply({metadata::TopicRecord{orders, "orders"}, shared_record()});
    REQUIRE(b.why_not(orders) == ErrorCode::kafka_storage_error);
    b.apply({looked_for_here()});
  }
  b.advance(30s);
  REQUIRE(b.troubles.back() == nothing);
  REQUIRE(is_new() == is_looked_for);
  REQUIRE(b.has_path("never-in-sync") == is_looked_for);
}

TEST_CASE("a copy that was never made though its topic is there counts at once, where nothing is missing (R46)") {
  Broker b;
  b.register_broker();
  b.stop();
  b.start();
  b.register_broker();
  b.apply({metadata::TopicRecord{orders, "orders"}, shared_record(), looked_for_here()});
  b.advance(1s);
  REQUIRE_FALSE(b.manager->end_of_copy({orders, PartitionIndex(0)}).value().never_in_sync);
}

TEST_CASE("a new copy that is in sync is not taken for one that never was, though that could not be noted (R46)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  lead(b, other, {other});
  b.stop();
  b.disk->kill();
  REQUIRE(b.disk->open("data/orders-0/never-in-sync", common::disk::OpenMode::create_if_missing));
  b.start();
  b.register_broker();
  const auto is_new = [&] { return b.manager->end_of_copy({orders, PartitionIndex(0)}).value().never_in_sync; };
  REQUIRE(is_new());
  b.disk->add_fault({.operation = SimulatedDisk::Operation::remove,
                     .path_contains = "never-in-sync",
                     .fault = common::disk::IoFault::exhausted});
  lead(b, other, {BrokerId(1), other});
  REQUIRE_FALSE(is_new());
  b.advance(1s);
  REQUIRE(b.has_path("never-in-sync"));
  REQUIRE(b.failures.empty());
  b.stop();
  b.disk->kill();
  b.start();
  b.register_broker();
  REQUIRE_FALSE(is_new());
  b.advance(1s);
  REQUIRE_FALSE(b.has_path("never-in-sync"));
}
