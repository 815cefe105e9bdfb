// The replicas of a shard follow the metadata image: when they are led, and who is told.
#include <catch2/catch.hpp>

#include "broker/partition/router.h"
#include "partition/managed_broker.h"

using namespace sim;

namespace {

common::Awaitable<void> ask_on_home(const PartitionRouter& router, common::Shard& here,
                                    std::function<Offset(Partition&)> f, std::optional<Offset>& answer) {
  const TopicIdPartition id{orders, PartitionIndex(0)};
  const Result<Offset> found = co_await router.on_home(here, id, std::move(f));
  if (found) answer = *found;
}

}  // namespace

TEST_CASE("nothing is led before this very process is registered") {
  Broker b;
  b.create(orders, "orders");
  REQUIRE_FALSE(b.find(orders));
  b.register_broker();
  REQUIRE(b.find(orders)->is_leader());
  REQUIRE(b.why_not(orders_again) == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("who asks for a replica from another shard does not take it along when it goes meanwhile") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  SimShard elsewhere(1, b.world.clock());
  b.world.add(elsewhere);
  const PartitionRouter router({b.shard.get()}, {b.manager.get()});
  const std::weak_ptr<Partition> replica = b.find(orders);
  const std::vector<metadata::MetadataRecord> removal{metadata::RemoveTopicRecord{orders}};
  auto removed = metadata::apply(*b.image, removal, common::model::LogIndex(b.next_index++));
  REQUIRE(removed.has_value());
  const auto image = std::make_shared<const metadata::MetadataImage>(std::move(removed->image));
  const auto delta = std::make_shared<const metadata::ImageDelta>(std::move(removed->delta));
  bool had_gone = false;
  std::optional<Offset> answer;
  const auto look = [&](Partition& partition) {
    b.manager->on_image(image, delta);
    elsewhere.post([&] { had_gone = replica.expired(); });  // stands before whoever asks
    return partition.high_watermark();
  };
  elsewhere.spawn("ask", ask_on_home(router, elsewhere, look, answer));
  b.world.settle();
  b.world.remove(elsewhere);
  REQUIRE(answer == Offset(0));
  REQUIRE(had_gone);
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

TEST_CASE("a wall clock that is set forward by more than retention deletes nothing (R82)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");  // a week
  b.run([&] {
    b.shard->spawn("write", [](std::shared_ptr<Partition> p, Instant deadline) -> common::Awaitable<void> {
      common::records::BatchBuilder builder;
      builder.add({.timestamp = p->shard().clock().wall_now(), .key = {}, .value = as_bytes("v"), .headers = {}});
      ProduceOptions o;
      o.deadline = deadline;
      const ProduceResult r = co_await p->produce(builder.build(), o);
      REQUIRE(r.error == ErrorCode::none);
    }(b.find(orders), b.world.now() + 1s));
  });
  REQUIRE(b.find(orders)->high_watermark() == Offset(1));
  b.world.clock().step_wall(8 * 24h);
  b.advance(11min);
  REQUIRE(b.find(orders)->log_start_offset() == Offset(0));
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

TEST_CASE("how long writes and syncs take is known as long as there are any") {
  Broker b;
  b.register_broker();
  b.apply({metadata::ConfigRecord{{metadata::ResourceType::topic, "orders"}, "flush.messages", "1"}});
  b.create(orders, "orders");
  b.advance(2s);
  REQUIRE_FALSE(b.manager->write_time().has_value());
  REQUIRE_FALSE(b.manager->sync_time().has_value());
  b.slower = 50ms;
  b.write(orders, 1);
  b.advance(1s);
  REQUIRE(b.manager->write_time() == 0ms);  // into memory
  REQUIRE(b.manager->sync_time() >= 50ms);
  b.advance(2s);
  REQUIRE_FALSE(b.manager->write_time().has_value());
  REQUIRE_FALSE(b.manager->sync_time().has_value());
}

TEST_CASE("a recent mean forgets what lies more than a look back") {
  RecentMean mean;
  REQUIRE_FALSE(mean.look().has_value());
  mean.add(100ms);
  mean.add(500ms, 5);  // together
  REQUIRE(mean.look() == 100ms);
  mean.add(400ms, 1);
  REQUIRE(mean.look() == common::model::Duration(1000ms) / 7);
  REQUIRE(mean.look() == 400ms);
  REQUIRE_FALSE(mean.look().has_value());
}

TEST_CASE("rates of bytes are those of the last looks") {
  using std::chrono::seconds;
  ByteRates rates;
  common::model::Instant now{};
  REQUIRE(rates.is_due(now));
  rates.look(now, {100, 0});
  REQUIRE_FALSE(rates.per_second());
  REQUIRE_FALSE(rates.is_due(now + 900ms));
  for (uint64_t i = 1; i <= 4; ++i) {
    REQUIRE(rates.is_due(now + seconds(1)));
    rates.look(now += seconds(1), {100 + 1000 * i, 10 * i});
    REQUIRE(rates.per_second()->in == Approx(1000));
    REQUIRE(rates.per_second()->out == Approx(10));
  }
  // Nothing more: after five seconds the rate is none.
  for (int i = 0; i < 4; ++i) {
    rates.look(now += seconds(1), {4100, 40});
    REQUIRE(rates.per_second()->in > 0);
  }
  rates.look(now += seconds(1), {4100, 40});
  REQUIRE(rates.per_second()->in == 0);
  rates.look(now += seconds(1), {0, 0});  // never, but if
  REQUIRE(rates.per_second()->in == 0);
}

TEST_CASE("a shard's rates are those of what was written, also to partitions that have left it") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  b.advance(7s);
  REQUIRE(b.manager->byte_rates().per_second());
  REQUIRE(b.manager->byte_rates().per_second()->in == 0);
  b.write(orders, 20);
  const uint64_t written = b.find(orders)->counters().bytes_in;
  REQUIRE(written > 0);
  b.advance(2s);
  const double while_there = b.manager->byte_rates().per_second()->in;
  REQUIRE(while_there > 0);
  REQUIRE(while_there <= static_cast<double>(written));
  b.apply({metadata::RemoveTopicRecord{orders}});
  b.advance(1s);
  REQUIRE(b.manager->byte_rates().per_second()->in > 0);
  b.advance(10s);
  REQUIRE(b.manager->byte_rates().per_second()->in == 0);
}

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

namespace {

// Another process, with a copy of this broker's disk, is registered under its id.
void register_copy(Broker& b) {
  metadata::RegisterBrokerRecord copy;
  copy.broker_id = BrokerId(1);
  copy.epoch = common::model::BrokerEpoch(b.next_index);
  copy.incarnation_id = Uuid::from_halves(3, static_cast<uint64_t>(b.next_index));
  copy.fenced = false;
  b.apply({copy});
}

}  // namespace

TEST_CASE("who was replaced by a copy of itself neither leads nor follows in the place of the copy (R30)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  const bool led = GENERATE(true, false);
  lead(b, led ? BrokerId(1) : other, {BrokerId(1), other});
  REQUIRE(b.find(orders)->role() == (led ? Role::leader : Role::follower));
  register_copy(b);
  REQUIRE(b.find(orders)->role() == Role::none);
  lead(b, BrokerId(1), {BrokerId(1), other});
  REQUIRE(b.find(orders)->role() == Role::none);
  REQUIRE(b.produce(orders) == ErrorCode::not_leader_or_follower);
  b.create(orders_again, "made-meanwhile");
  REQUIRE_FALSE(b.find(orders_again));

  b.register_broker();
  lead(b, BrokerId(1), {BrokerId(1), other});
  REQUIRE(b.find(orders)->is_leader());
  REQUIRE(b.find(orders_again)->is_leader());
}

TEST_CASE("a role that waits for the log is not taken once a copy of this broker is registered (R30)") {
  Broker b;
  b.register_broker();
  create_shared(b);
  lead(b, other, {BrokerId(1), other});
  b.slower = 5s;
  LeaderAnswer answer;
  answer.asked = b.find(orders)->position().ask;
  answer.error = ErrorCode::offset_out_of_range;
  answer.log_start_offset = Offset(50);
  answer.log_end_offset = Offset(80);
  b.run([&] { REQUIRE(b.find(orders)->apply(answer, {}) == Applied::busy); });
  lead(b, BrokerId(1), {BrokerId(1)});
  REQUIRE(b.find(orders)->is_to_begin());
  register_copy(b);
  b.slower = 0s;
  b.advance(20s);
  REQUIRE(b.find(orders)->log_start_offset() == Offset(50));
  REQUIRE(b.find(orders)->role() == Role::none);
}

TEST_CASE("what could not be made is no trouble once its topic was deleted while a copy was registered (R30)") {
  Broker b;
  b.register_broker();
  b.disk->add_fault({.operation = SimulatedDisk::Operation::create,
                     .path_contains = "orders-0",
                     .times = 100,
                     .fault = common::disk::IoFault::no_space});
  b.create(orders, "orders");
  b.advance(1s);
  REQUIRE(b.manager->unusable() == 1);
  register_copy(b);
  b.apply({metadata::RemoveTopicRecord{orders}});
  REQUIRE(b.manager->unusable() == 1);  // it is not told what is the copy's to know
  b.register_broker();
  REQUIRE(b.manager->unusable() == 0);
  REQUIRE(b.troubles.back() == metadata::ReplicaTrouble{});
  b.create(orders_again, "others");
  REQUIRE(b.find(orders_again)->is_leader());
}

TEST_CASE("a broker that has registered anew goes on with what the metadata gave it before (R30)") {
  Broker b;
  b.register_broker();
  b.create(orders, "orders");
  REQUIRE(b.find(orders)->is_leader());
  b.run([&] { b.manager->set_broker_epoch(common::model::BrokerEpoch(b.next_index + 1)); });
  b.create(orders_again, "others");
  REQUIRE(b.find(orders)->is_leader());
  REQUIRE(b.find(orders_again)->is_leader());
}
