// One replica as handlers, streams and its manager see it.
#include "partition/partition_fixture.h"

using namespace sim;

namespace {

TopicSettings with_min_isr(int n) {
  TopicSettings s;
  s.min_isr = n;
  return s;
}

}  // namespace

TEST_CASE("acks=all is answered when every in-sync replica has the record; acks=1 at once") {
  Fixture f;
  f.lead();
  const auto all = f.produce(Fixture::batch(3));
  const auto one = f.produce(Fixture::batch(2), Acks::leader);
  REQUIRE(one->value->error == ErrorCode::none);
  REQUIRE(one->value->first_offset == Offset(3));
  REQUIRE_FALSE(all->value);
  f.position(2, 5);
  f.position(3, 2);
  REQUIRE_FALSE(all->value);
  f.position(3, 3);
  REQUIRE(all->value->error == ErrorCode::none);
  REQUIRE(all->value->first_offset == Offset(0));
  REQUIRE(all->value->last_offset == Offset(2));
  REQUIRE(f.partition->high_watermark() == Offset(3));
}

TEST_CASE("clients' writes are told to those that mind: by what they waited for, and coordinators' not as clients'") {
  struct Told final : PartitionTraffic {
    void on_appended(size_t, Instant) override { ++appended; }
    void on_committed(common::model::Duration waited, Instant) override { committed.push_back(waited); }
    void on_answered(common::model::Duration took, Instant) override { answered.push_back(took); }
    int appended = 0;
    std::vector<common::model::Duration> committed, answered;
  } told;
  Fixture f;
  f.state.traffic = &told;
  const auto produce = [&](Acks acks, std::optional<Duration> asked_before) {
    ProduceOptions o;
    o.acks = acks;
    o.deadline = f.world.now() + 10s;
    if (asked_before) o.asked_at = f.world.now() - *asked_before;
    f.start([&f, o] { return f.partition->produce(Fixture::batch(), o); });
  };
  f.lead(1, {1, 2, 3});
  produce(Acks::all, 5ms);  // waits for two others
  CHECK(told.committed.empty());
  produce(Acks::leader, 3ms);
  CHECK(told.answered == std::vector<common::model::Duration>{3ms});
  f.advance(1s);
  f.position(2, 2);
  f.position(3, 2);
  CHECK(told.committed == std::vector<common::model::Duration>{1s});
  // The only one in sync: acks=all has nobody to wait for either.
  f.lead(2, {1}, 1);
  produce(Acks::all, 7ms);
  CHECK(told.answered == std::vector<common::model::Duration>{3ms, 7ms});
  produce(Acks::all, std::nullopt);  // no client's
  f.assign(Fixture::assignment(2, 3, {1, 2, 3}, 2));
  produce(Acks::leader, 9ms);  // refused
  CHECK(told.answered.size() == 2);
  CHECK(told.committed.size() == 1);
  CHECK(told.appended == 4);
}

TEST_CASE("every waiting produce ends: timeout, change of epoch, loss of leadership, removal (R58)") {
  Fixture f;
  f.lead();
  const auto slow = f.produce(Fixture::batch(), Acks::all, 1s);
  f.advance(2s);
  REQUIRE(slow->value->error == ErrorCode::request_timed_out);
  REQUIRE_FALSE(slow->value->first_offset);

  const auto before = f.produce(Fixture::batch());
  f.lead(2, {1, 2, 3}, 1);  // elected again
  REQUIRE(before->value->error == ErrorCode::not_leader_or_follower);

  const auto deposed = f.produce(Fixture::batch());
  f.assign(Fixture::assignment(2, 3, {1, 2, 3}, 2));
  REQUIRE(deposed->value->error == ErrorCode::not_leader_or_follower);
  REQUIRE(f.produce(Fixture::batch())->value->error == ErrorCode::not_leader_or_follower);

  f.lead(4, {1, 2, 3}, 3);
  const auto removed = f.produce(Fixture::batch());
  const auto waiting = f.start([&] { return f.partition->until_committed(Offset(100), f.world.now() + 10s); });
  f.run([&] { f.partition->release_log(ErrorCode::unknown_topic_or_partition).reset(); });
  REQUIRE(removed->value->error == ErrorCode::unknown_topic_or_partition);
  REQUIRE(waiting->value->error().code == ErrorCode::unknown_topic_or_partition);
  REQUIRE(f.produce(Fixture::batch())->value->error == ErrorCode::kafka_storage_error);
}

TEST_CASE("an assignment of an epoch that is over is nobody's, also where nobody leads in the present one (R54)") {
  Fixture f;
  f.lead(1);
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::none);
  f.assign(Fixture::assignment(std::nullopt, 4, {1, 2, 3}, 2));
  f.assign(Fixture::assignment(1, 3, {1}, 1));
  REQUIRE_FALSE(f.partition->is_leader());
  REQUIRE(f.partition->leader_epoch() == LeaderEpoch(4));
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::not_leader_or_follower);
  REQUIRE(f.partition->log_end_offset() == Offset(1));
}

TEST_CASE("too few in-sync replicas: refused before the append; later: nothing commits until there are enough") {
  Fixture f(with_min_isr(2));
  f.lead(1, {1});
  REQUIRE(f.produce(Fixture::batch())->value->error == ErrorCode::not_enough_replicas);
  REQUIRE(f.partition->log_end_offset() == Offset(0));  // R57
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::none);

  f.assign(Fixture::assignment(1, 1, {1, 2}, 1));
  f.position(2, 1);
  const auto late = f.produce(Fixture::batch());
  f.assign(Fixture::assignment(1, 1, {1}, 2));
  f.position(2, 2);
  REQUIRE_FALSE(late->value);  // R48: below minISR nothing commits
  f.assign(Fixture::assignment(1, 1, {1, 2}, 3));
  REQUIRE(late->value->error == ErrorCode::none);
}

TEST_CASE("a duplicate is answered with the first one's offset, and not before that is committed (R85)") {
  Fixture f;
  f.lead();
  const common::records::ProducerStamp stamp{common::model::ProducerId(7), common::model::ProducerEpoch(0), 0};
  const auto first = f.produce(Fixture::batch(2, stamp));
  const auto again = f.produce(Fixture::batch(2, stamp));
  REQUIRE(f.partition->log_end_offset() == Offset(2));
  REQUIRE_FALSE(again->value);
  REQUIRE(f.produce(Fixture::batch(2, stamp), Acks::leader)->value->first_offset == Offset(0));
  f.position(2, 2);
  f.position(3, 2);
  REQUIRE(first->value->error == ErrorCode::none);
  REQUIRE(again->value->error == ErrorCode::none);
  REQUIRE(again->value->first_offset == Offset(0));
  const common::records::ProducerStamp gap{stamp.id, stamp.epoch, 9};
  REQUIRE(f.produce(Fixture::batch(1, gap))->value->error == ErrorCode::out_of_order_sequence_number);
}

TEST_CASE("a duplicate is answered with the first one's append time where the topic stamps its records (R85)") {
  TopicSettings stamped;
  stamped.log.log_append_time = true;
  stamped.produce.timestamp_type = common::records::TimestampType::log_append_time;
  Fixture f(stamped);
  f.lead();
  const common::records::ProducerStamp stamp{common::model::ProducerId(7), common::model::ProducerEpoch(0), 0};
  const auto first = f.produce(Fixture::batch(2, stamp), Acks::leader);
  f.advance(1s);
  const auto again = f.produce(Fixture::batch(2, stamp), Acks::leader);
  REQUIRE(again->value->first_offset == Offset(0));
  REQUIRE(first->value->log_append_time);
  REQUIRE(again->value->log_append_time == first->value->log_append_time);
}

TEST_CASE("flush.messages=1: nothing counts before it is synced (D2)") {
  TopicSettings s;
  s.sync_before_ack = true;
  s.log.flush_messages = 1;
  Fixture f(s);
  f.lead(1, {1});
  const auto all = f.produce(Fixture::batch());
  const auto one = f.produce(Fixture::batch(), Acks::leader);
  REQUIRE_FALSE(all->value);
  REQUIRE_FALSE(one->value);
  f.advance(20ms);
  REQUIRE(all->value->error == ErrorCode::none);
  REQUIRE(one->value->error == ErrorCode::none);
  REQUIRE(f.partition->recovery_point() == Offset(2));
}

TEST_CASE("flush.messages=1 from now on: what was written before counts when it is synced, and then at once (D2)") {
  TopicSettings sync;
  sync.sync_before_ack = true;
  sync.log.flush_messages = 1;
  Fixture f;
  f.lead();
  f.produce(Fixture::batch(), Acks::leader);
  SECTION("a follower says what it has synced, also while nobody asks") {
    f.assign(Fixture::assignment(2, 2, {1, 2, 3}, 1));
    REQUIRE(f.partition->position().ask.fetch_offset == Offset(1));
    REQUIRE(f.partition->position().durable_offset == Offset(0));
    f.run([&] { f.partition->set_settings(sync); });
    f.advance(20ms);
    REQUIRE(f.partition->position().durable_offset == Offset(1));
  }
  SECTION("a leader knows what it has synced, also if nobody waited for that") {
    f.run([&] { f.partition->log()->flush([](const auto&) {}); });
    f.advance(20ms);
    f.run([&] { f.partition->set_settings(sync); });
    f.position(2, 1);
    REQUIRE(f.partition->high_watermark() == Offset(0));
    f.position(3, 1);
    REQUIRE(f.partition->high_watermark() == Offset(1));
  }
}

TEST_CASE("settings that change together hold together: fewer replicas, but what they have synced (R47, R48, D2)") {
  TopicSettings two;
  two.min_isr = 2;
  Fixture f(two);
  f.lead(1, {1});
  f.produce(Fixture::batch(), Acks::leader);
  REQUIRE(f.partition->high_watermark() == Offset(0));
  TopicSettings one = f.settings;
  one.min_isr = 1;
  one.sync_before_ack = true;
  one.log.flush_messages = 1;
  f.run([&] { f.partition->set_settings(one); });
  REQUIRE(f.partition->high_watermark() == Offset(0));  // by the new minISR alone it would be 1
  f.advance(20ms);
  REQUIRE(f.partition->recovery_point() == Offset(1));
  REQUIRE(f.partition->high_watermark() == Offset(1));
}

TEST_CASE("a follower syncs for a leader that counts what is synced, whatever its own settings say (D2)") {
  const bool leader_counts_synced = GENERATE(true, false);
  Fixture f;
  f.assign(Fixture::assignment(2, 1, {1, 2, 3}));
  LeaderAnswer answer;
  answer.asked = f.partition->position().ask;
  answer.log_end_offset = Offset(1);
  answer.has_records = true;
  answer.counts_synced = leader_counts_synced;
  Buffer batch = Fixture::batch();
  common::records::assign_offsets(batch,
                                  {.first_offset = Offset(0), .leader_epoch = LeaderEpoch(1), .log_append_time = {}});
  f.run([&] { REQUIRE(f.partition->apply(answer, BufferChain(batch)) == Applied::done); });
  REQUIRE(f.partition->log_end_offset() == Offset(1));
  f.advance(20ms);
  REQUIRE(f.partition->position().durable_offset == Offset(leader_counts_synced ? 1 : 0));
  f.run([&] { f.partition->note_what_counts(LeaderEpoch(1), true); });  // from now on, with nothing new to append
  f.advance(20ms);
  REQUIRE(f.partition->position().durable_offset == Offset(1));
}

TEST_CASE("clients' produces stop when the disk is nearly full or the broker is isolated") {
  Fixture f;
  f.lead();
  f.state.low_on_space.insert("data");
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::kafka_storage_error);
  ProduceOptions coordinator;
  coordinator.acks = Acks::leader;
  coordinator.from_coordinator = true;
  REQUIRE(f.start([&] { return f.partition->produce(Fixture::batch(), coordinator); })->value->error ==
          ErrorCode::none);
  f.state.low_on_space = {"elsewhere"};
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::none);
  f.state.isolated = [] { return true; };
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::not_leader_or_follower);
  REQUIRE_FALSE(f.produce(Fixture::batch())->value);  // acks=all cannot be given anyway (R33)
  coordinator.only_in_epoch = LeaderEpoch(0);
  REQUIRE(f.start([&] { return f.partition->produce(Fixture::batch(), coordinator); })->value->error ==
          ErrorCode::not_leader_or_follower);
}

TEST_CASE("a leader without controller and followers sends its clients away (R33)") {
  Fixture f;
  f.lead();
  struct Slot final : FollowerObserver {
    explicit Slot(int follower) : id(follower) {}
    BrokerId follower_id() const override { return id; }
    void on_log_end(uint32_t) override {}
    void on_high_watermark(uint32_t) override {}
    void on_role(uint32_t) override {}
    const BrokerId id;
  } second(2), third(3);
  f.run([&] {
    f.partition->attach(second, 0);
    f.partition->attach(third, 0);
  });
  const auto tick = [&](const std::vector<std::pair<BrokerId, Instant>>& spoken_at) {
    f.run([&] { f.partition->tick(spoken_at); });
  };
  const auto waiting = f.produce(Fixture::batch());
  f.state.isolated = [] { return true; };
  tick({{BrokerId(3), f.world.now()}, {BrokerId(2), f.world.now()}});  // all of the ISR: it can still commit
  REQUIRE_FALSE(f.partition->is_cut_off());
  REQUIRE_FALSE(waiting->value);
  tick({{BrokerId(3), f.world.now()}});
  REQUIRE(f.partition->is_cut_off());
  REQUIRE(waiting->value->error == ErrorCode::not_leader_or_follower);
  REQUIRE(f.produce(Fixture::batch())->value->error == ErrorCode::not_leader_or_follower);
  REQUIRE(f.partition->log_end_offset() == Offset(1));  // refused before it was written
  ProduceOptions coordinator;
  coordinator.from_coordinator = true;  // whose own words for it do not end its epoch
  REQUIRE(f.start([&] { return f.partition->produce(Fixture::batch(), coordinator); })->value->error ==
          ErrorCode::not_enough_replicas);

  // The second is there again, and has closed its slot since, for somebody else leads: it hears of nothing any more.
  const std::vector<std::pair<BrokerId, Instant>> both = {{BrokerId(2), f.world.now()}, {BrokerId(3), f.world.now()}};
  tick(both);
  REQUIRE_FALSE(f.partition->is_cut_off());
  f.run([&] { f.partition->detach(second, 0); });
  tick(both);
  REQUIRE(f.partition->is_cut_off());

  f.state.isolated = [] { return false; };
  tick({});
  REQUIRE_FALSE(f.partition->is_cut_off());
  f.run([&] { f.partition->detach(third, 0); });
}

TEST_CASE("a leader that cannot follow the metadata sends everybody away (R33)") {
  Fixture f;
  f.lead();
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::none);
  f.position(2, 1);
  f.position(3, 1);
  f.state.isolated = f.state.behind = [] { return true; };
  REQUIRE(f.produce(Fixture::batch())->value->error == ErrorCode::not_leader_or_follower);
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::not_leader_or_follower);
  REQUIRE((*f.read({})->value).error().code == ErrorCode::not_leader_or_follower);
  REQUIRE(f.partition->log_end_offset() == Offset(1));
  f.state.isolated = f.state.behind = [] { return false; };
  REQUIRE((*f.read({})->value).has_value());
}

TEST_CASE("a disk that is full or fails: no acknowledgement, reads go on") {
  Fixture f;
  f.lead();
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::none);
  f.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = ".log",
                     .fault = common::disk::IoFault::no_space});
  const auto full = f.produce(Fixture::batch(), Acks::leader);
  REQUIRE(full->value->error == ErrorCode::kafka_storage_error);
  REQUIRE(full->value->is_definite);  // a coordinator need not read its log anew to know what became of it
  REQUIRE(f.partition->log_end_offset() == Offset(1));  // R77
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->error == ErrorCode::none);
  f.position(2, 2);
  f.position(3, 2);
  ReadOptions all;
  REQUIRE((*f.read(all)->value)->records.size() > 0);
}

TEST_CASE("a directory that fails in the middle of an append: no acknowledgement, and nothing is committed (R76)") {
  TopicSettings settings;
  settings.log.index_interval_bytes = 0;
  settings.log.segment_index_bytes = 24;  // three batches, then the indexes are written and another segment begins
  const Acks acks = GENERATE(Acks::leader, Acks::all);
  Fixture f(settings);
  f.lead(1, {1});
  f.disk->add_fault({.operation = SimulatedDisk::Operation::write, .path_contains = ".timeindex"});
  int64_t acknowledged = 0;
  ProduceResult last;
  for (int i = 0; i < 8 && !f.partition->is_offline(); ++i) {
    const auto answer = f.produce(Fixture::batch(), acks);
    REQUIRE(answer->value);
    last = *answer->value;
    if (last.error == ErrorCode::none) ++acknowledged;
  }
  REQUIRE(f.partition->is_offline());
  REQUIRE(acknowledged > 0);
  REQUIRE(last.error == ErrorCode::kafka_storage_error);
  REQUIRE_FALSE(last.is_definite);  // it may lie in the log, and be there again after the next start
  REQUIRE_FALSE(last.first_offset);
  REQUIRE(f.partition->high_watermark() == Offset(acknowledged));
}

TEST_CASE("what was in flight behind a batch that found no room is not the producer's fault (R86)") {
  Fixture f;
  f.lead();
  const auto batch = [](int32_t sequence, int16_t epoch = 0) {
    return Fixture::batch(
        1, common::records::ProducerStamp{common::model::ProducerId(7), common::model::ProducerEpoch(epoch), sequence});
  };
  REQUIRE(f.produce(batch(0), Acks::leader)->value->error == ErrorCode::none);
  f.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = ".log",
                     .fault = common::disk::IoFault::no_space});
  REQUIRE(f.produce(batch(1), Acks::leader)->value->error == ErrorCode::kafka_storage_error);
  // There is room again; who is told OUT_OF_ORDER begins a new epoch, and writes twice what is on its way elsewhere.
  REQUIRE(f.produce(batch(2), Acks::leader)->value->error == ErrorCode::kafka_storage_error);
  REQUIRE(f.produce(batch(3), Acks::leader)->value->error == ErrorCode::kafka_storage_error);
  REQUIRE(f.produce(batch(1), Acks::leader)->value->error == ErrorCode::none);
  REQUIRE(f.produce(batch(2), Acks::leader)->value->error == ErrorCode::none);
  REQUIRE(f.produce(batch(9), Acks::leader)->value->error == ErrorCode::out_of_order_sequence_number);
}

TEST_CASE("a retried batch waits for the first one's sync, too, where acks=1 waits for syncs (R47, R85)") {
  TopicSettings durable;
  durable.sync_before_ack = true;
  Fixture f(durable);
  f.lead(1, {1});
  const common::records::ProducerStamp stamp{common::model::ProducerId(7), common::model::ProducerEpoch(0), 0};
  const auto first = f.produce(Fixture::batch(1, stamp), Acks::leader);
  const auto again = f.produce(Fixture::batch(1, stamp), Acks::leader);
  REQUIRE_FALSE(first->value);
  REQUIRE_FALSE(again->value);
  f.advance(1s);
  REQUIRE(first->value->error == ErrorCode::none);
  REQUIRE(again->value->error == ErrorCode::none);
  REQUIRE(again->value->first_offset == Offset(0));
  const auto later = f.produce(Fixture::batch(1, stamp), Acks::leader);
  REQUIRE(later->value->error == ErrorCode::none);  // all of it is synced
}

TEST_CASE("a producer does not begin behind a batch that was refused a moment ago (R86)") {
  const bool comes_again = GENERATE(true, false);
  TopicSettings two;
  two.min_isr = 2;
  Fixture f(two);
  const auto produce = [&](int32_t sequence, Acks acks = Acks::leader) {
    const common::records::ProducerStamp stamp{common::model::ProducerId(7), common::model::ProducerEpoch(0), sequence};
    return f.produce(Fixture::batch(1, stamp), acks)->value->error;
  };
  SECTION("not the leader yet") {
    REQUIRE(produce(0) == ErrorCode::not_leader_or_follower);
    f.lead();
  }
  SECTION("too few replicas in sync") {
    f.lead(1, {1});
    REQUIRE(produce(0, Acks::all) == ErrorCode::not_enough_replicas);
    f.lead(1, {1, 2}, 1);
  }
  SECTION("no room") {
    f.lead();
    f.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                       .path_contains = ".log",
                       .fault = common::disk::IoFault::no_space});
    REQUIRE(produce(0) == ErrorCode::kafka_storage_error);
  }
  REQUIRE(produce(1) == ErrorCode::kafka_storage_error);
  REQUIRE(f.partition->log_end_offset() == Offset(0));
  if (comes_again) {
    REQUIRE(produce(0) == ErrorCode::none);
  } else {
    f.advance(2min);
  }
  REQUIRE(produce(1) == ErrorCode::none);
  REQUIRE(produce(2) == ErrorCode::none);
}

TEST_CASE("a batch refused a moment ago is not forgotten because thousands of producers are refused (R86)") {
  Fixture f;
  const auto produce = [&](int64_t producer, int32_t sequence) {
    const common::records::ProducerStamp stamp{common::model::ProducerId(producer), common::model::ProducerEpoch(0),
                                               sequence};
    return f.produce(Fixture::batch(1, stamp), Acks::leader)->value->error;
  };
  REQUIRE(produce(7, 0) == ErrorCode::not_leader_or_follower);
  for (int64_t other = 100; other < 3100; ++other) produce(other, 0);
  f.lead();
  REQUIRE(produce(7, 1) == ErrorCode::kafka_storage_error);
  REQUIRE(produce(7, 0) == ErrorCode::none);
  REQUIRE(produce(7, 1) == ErrorCode::none);
}

TEST_CASE("of producers refused at one instant those refused last are remembered (R86)") {
  Fixture f;
  const auto produce = [&](int64_t producer, int32_t sequence) {
    const common::records::ProducerStamp stamp{common::model::ProducerId(producer), common::model::ProducerEpoch(0),
                                               sequence};
    return f.produce(Fixture::batch(1, stamp), Acks::leader)->value->error;
  };
  // As many as are remembered, and one whose coming makes room. Ids fall, so that their order is not that of time.
  constexpr int64_t last = 1000;
  for (int64_t producer = last + 10'000; producer >= last; --producer) produce(producer, 0);
  f.lead();
  REQUIRE(produce(last + 1, 1) == ErrorCode::kafka_storage_error);
  REQUIRE(produce(last, 1) == ErrorCode::kafka_storage_error);
  REQUIRE(produce(last, 0) == ErrorCode::none);
  REQUIRE(produce(last, 1) == ErrorCode::none);
}

TEST_CASE("who is about to join is fed as those in sync are: the high watermark waits for it (R56)") {
  Fixture f;
  f.lead(1, {1, 2});
  f.produce(Fixture::batch(3), Acks::leader);
  f.position(2, 3);
  REQUIRE_FALSE(f.position(3, 1).in_sync);
  REQUIRE(f.position(3, 3).in_sync);  // proposed
  REQUIRE(f.proposals.all.size() == 1);
  f.run([&] { f.proposals.all[0].second(common::model::fail(ErrorCode::ineligible_replica, "not yet")); });
  f.produce(Fixture::batch(), Acks::leader);
  f.position(2, 4);
  REQUIRE(f.partition->high_watermark() == Offset(3));
  REQUIRE(f.position(3, 3).in_sync);
}

TEST_CASE("a follower whose replica is gone holds acks=all up only while it is in the ISR (R47, R56)") {
  Fixture f(with_min_isr(2));
  f.lead();
  f.produce(Fixture::batch(), Acks::leader);
  f.position(2, 1);
  f.position(3, 1);
  const auto leaves = [&](int follower) {
    f.run([&] { f.partition->on_follower_left(BrokerId(follower), epoch_of(BrokerId(follower))); });
  };
  const auto waiting = f.produce(Fixture::batch());
  f.position(2, 2);
  leaves(3);
  REQUIRE_FALSE(waiting->value);
  f.assign(Fixture::assignment(1, 1, {1, 2}, 1));
  REQUIRE(waiting->value);
  REQUIRE(waiting->value->error == ErrorCode::none);

  leaves(2);
  f.assign(Fixture::assignment(1, 1, {1}, 2));
  const auto refused = f.produce(Fixture::batch());
  REQUIRE(refused->value);
  REQUIRE(refused->value->error == ErrorCode::not_enough_replicas);  // R57
  REQUIRE(f.partition->log_end_offset() == Offset(2));
  REQUIRE(f.proposals.all.empty());
}

TEST_CASE("who opens a partition anew before it closes the old slot has not left (R56)") {
  struct Stream final : FollowerObserver {
    BrokerId follower_id() const override { return BrokerId(3); }
    void on_log_end(uint32_t /*slot*/) override {}
    void on_high_watermark(uint32_t /*slot*/) override {}
    void on_role(uint32_t /*slot*/) override {}
  };
  Fixture f;
  f.lead(1, {1, 2});
  f.produce(Fixture::batch(3), Acks::leader);
  f.position(2, 3);
  f.position(3, 3);
  REQUIRE(f.proposals.all.size() == 1);
  f.run([&] { f.proposals.all[0].second(common::model::fail(ErrorCode::ineligible_replica, "not yet")); });
  f.produce(Fixture::batch(), Acks::leader);
  Stream stream;
  f.run([&] {
    f.partition->attach(stream, 7);
    f.partition->on_follower_left(BrokerId(3), epoch_of(BrokerId(3)));
  });
  f.position(2, 4);
  REQUIRE(f.partition->high_watermark() == Offset(3));  // it is waited for
  f.run([&] {
    f.partition->detach(stream, 7);
    f.partition->on_follower_left(BrokerId(3), epoch_of(BrokerId(3)));
  });
  REQUIRE(f.partition->high_watermark() == Offset(4));
}

TEST_CASE("readers see what is committed, in the epoch that they know") {
  Fixture f;
  f.lead(5);
  f.produce(Fixture::batch(2), Acks::leader);
  f.produce(Fixture::batch(2), Acks::leader);
  f.position(2, 4);
  f.position(3, 2);
  ReadOptions o;
  auto read = f.read(o);
  REQUIRE((*read->value)->high_watermark == Offset(2));
  REQUIRE((*read->value)->records.size() == Fixture::batch(2).size());
  o.to_log_end = true;
  REQUIRE((*f.read(o)->value)->records.size() == 2 * Fixture::batch(2).size());
  o = {};
  o.from = Offset(3);  // above the high watermark: nothing yet
  REQUIRE((*f.read(o)->value)->records.empty());
  o.from = Offset(5);
  REQUIRE(f.read(o)->value->error().code == ErrorCode::offset_out_of_range);
  f.state.isolated = [] { return true; };  // then the offset may well be that of the leader that replaced this one
  REQUIRE(f.read(o)->value->error().code == ErrorCode::not_leader_or_follower);
  f.state.isolated = [] { return false; };
  o = {};
  o.current_leader_epoch = LeaderEpoch(4);
  REQUIRE(f.read(o)->value->error().code == ErrorCode::fenced_leader_epoch);
  o.current_leader_epoch = LeaderEpoch(6);
  REQUIRE(f.read(o)->value->error().code == ErrorCode::unknown_leader_epoch);
  o = {};
  o.from = Offset(4);
  o.last_fetched_epoch = LeaderEpoch(3);  // we know nothing of it
  REQUIRE((*f.read(o)->value)->diverging.has_value());
  o.last_fetched_epoch = LeaderEpoch(5);
  REQUIRE_FALSE((*f.read(o)->value)->diverging);
}

TEST_CASE("a follower serves readers up to its own high watermark (R68)") {
  Fixture f;
  f.lead();
  f.produce(Fixture::batch(2), Acks::leader);
  f.produce(Fixture::batch(2), Acks::leader);
  f.position(2, 2);
  f.position(3, 2);
  f.assign(Fixture::assignment(2, 2, {1, 2, 3}, 1));
  ReadOptions o;
  REQUIRE(f.read(o)->value->error().code == ErrorCode::not_leader_or_follower);
  o.leader_only = false;
  REQUIRE((*f.read(o)->value)->records.size() == Fixture::batch(2).size());
  o.from = Offset(3);
  REQUIRE(f.read(o)->value->error().code == ErrorCode::offset_not_available);
  o.from = Offset(9);
  REQUIRE(f.read(o)->value->error().code == ErrorCode::offset_out_of_range);
}

TEST_CASE("a new leader does not say what is latest until it knows (KIP-207)") {
  Fixture f;
  f.lead();
  f.produce(Fixture::batch(4), Acks::leader);
  f.lead(2, {1, 2, 3}, 1);
  LocateOptions latest;
  latest.isolation = Isolation::read_uncommitted;
  REQUIRE(f.start([&] { return f.partition->locate(latest); })->value->error().code == ErrorCode::offset_not_available);
  LocateOptions early = latest;
  early.at = SpecialTime::earliest;
  REQUIRE((*f.start([&] { return f.partition->locate(early); })->value)->offset == Offset(0));
  f.position(2, 4);
  f.position(3, 4);
  REQUIRE((*f.start([&] { return f.partition->locate(latest); })->value)->offset == Offset(4));
  LocateOptions time = latest;
  time.at = TimestampMs(1002);
  const auto found = f.start([&] { return f.partition->locate(time); });
  f.advance(10ms);
  REQUIRE((**found->value).offset == Offset(2));
  REQUIRE((**found->value).leader_epoch == LeaderEpoch(1));
}

TEST_CASE("a waiting fetch is woken by a commit, by a change of role, and only once") {
  Fixture f;
  f.lead();
  auto waiter = FetchWaiter::make(f.shard);
  f.run([&] { f.partition->watch(waiter, Offset(0), Isolation::read_uncommitted); });
  f.produce(Fixture::batch(), Acks::leader);
  REQUIRE_FALSE(waiter->is_woken());
  f.position(2, 1);
  f.position(3, 1);
  REQUIRE(waiter->is_woken());
  REQUIRE(waiter->ready().is_set());

  waiter = FetchWaiter::make(f.shard);
  f.run([&] { f.partition->watch(waiter, Offset(0), Isolation::read_uncommitted); });
  REQUIRE(waiter->is_woken());  // there is something already

  waiter = FetchWaiter::make(f.shard);
  f.run([&] { f.partition->watch(waiter, Offset(1), Isolation::read_uncommitted); });
  REQUIRE_FALSE(waiter->is_woken());
  f.assign(Fixture::assignment(2, 2, {1, 2, 3}, 1));
  REQUIRE(waiter->is_woken());
}

TEST_CASE("DeleteRecords waits until every live replica has moved its log start") {
  Fixture f;
  f.lead();
  f.produce(Fixture::batch(), Acks::leader);
  f.produce(Fixture::batch(), Acks::leader);
  f.position(2, 2);
  f.position(3, 1);
  const auto too_far = f.start([&] { return f.partition->delete_records(Offset(2), f.world.now() + 1s); });
  REQUIRE(too_far->value->error().code == ErrorCode::offset_out_of_range);  // R82
  const auto deleted = f.start([&] { return f.partition->delete_records(std::nullopt, f.world.now() + 1s); });
  REQUIRE(f.partition->log_start_offset() == Offset(1));
  f.position(2, 2, {}, 1);
  REQUIRE_FALSE(deleted->value);
  f.position(3, 1, {}, 1);
  REQUIRE(**deleted->value == Offset(1));
}

TEST_CASE("DeleteRecords waits for nobody who is fenced meanwhile") {
  const bool by_facts = GENERATE(true, false);
  Fixture f;
  f.lead();
  f.produce(Fixture::batch(), Acks::leader);
  f.position(2, 1);
  f.position(3, 1);
  const auto deleted = f.start([&] { return f.partition->delete_records(std::nullopt, f.world.now() + 1s); });
  f.position(2, 1, {}, 1);
  REQUIRE_FALSE(deleted->value);
  const BrokerFacts fenced{.id = BrokerId(3), .epoch = epoch_of(BrokerId(3)), .eligible = false};
  if (by_facts) {
    f.run([&] { f.partition->on_broker_facts(fenced); });
  } else {
    Assignment shrunk = Fixture::assignment(1, 1, {1, 2}, 1);
    shrunk.brokers = {fenced};
    f.assign(shrunk);
  }
  REQUIRE(deleted->value);
  REQUIRE(**deleted->value == Offset(1));
}
