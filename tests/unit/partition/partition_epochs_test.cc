// One replica: which positions and epochs count, and what it tells of its followers and of its own work.
#include "partition/partition_fixture.h"

using namespace sim;

namespace {

// Leads six records, as a replica whose directory is told of each cut (R71).
void lead_and_note_cuts(Fixture& f) {
  f.run([&] { f.partition->release_log(ErrorCode::none).reset(); });
  f.notes_cuts = true;
  f.partition = f.make();
  f.lead(1);
  f.produce(Fixture::batch(3), Acks::leader);
  f.produce(Fixture::batch(3), Acks::leader);
}

}  // namespace

TEST_CASE("positions: epochs and ranges are checked before they count (R49, R61)") {
  Fixture f;
  f.lead(5);
  f.produce(Fixture::batch(4), Acks::leader);
  REQUIRE(f.position(2, 4, 4).error == ErrorCode::fenced_leader_epoch);
  REQUIRE(f.position(2, 4, 6).error == ErrorCode::unknown_leader_epoch);
  REQUIRE(f.position(2, 5).error == ErrorCode::offset_out_of_range);
  f.position(3, 4);
  REQUIRE(f.partition->high_watermark() == Offset(0));
  f.position(2, 4);
  REQUIRE(f.partition->high_watermark() == Offset(4));
  f.run([&] { f.partition->resign(ErrorCode::not_leader_or_follower); });
  REQUIRE(f.position(2, 4, 5).error == ErrorCode::not_leader_or_follower);
}

TEST_CASE("a log that ends in an epoch that never began is damaged, and gets no role (R72)") {
  Fixture f;
  f.lead(7);
  f.produce(Fixture::batch(), Acks::leader);
  f.run([&] { f.partition->release_log(ErrorCode::none).reset(); });
  f.partition = f.make();
  f.lead(3);  // the image is newer than the log: it holds our registration
  REQUIRE(f.partition->role() == Role::none);
  REQUIRE(f.damages.size() == 1);
  f.lead(4, {1, 2, 3}, 1);
  REQUIRE(f.damages.size() == 1);  // told once
  f.lead(8, {1, 2, 3}, 2);
  REQUIRE(f.partition->is_leader());
}

TEST_CASE("an epoch that is over does not come back, also while the log knows nothing of the new one (R54)") {
  Fixture f;
  f.assign(Fixture::assignment(2, 5, {1, 2, 3}));
  REQUIRE(f.partition->role() == Role::follower);
  f.lead(4);
  REQUIRE(f.partition->role() == Role::follower);
  REQUIRE(f.partition->leader_epoch() == LeaderEpoch(5));
}

TEST_CASE("an epoch begins at the leader's log end, before anything is written in it (R55)") {
  Fixture f;
  f.lead(1);
  f.produce(Fixture::batch(3), Acks::leader);
  f.lead(4, {1, 2, 3}, 1);
  f.run([&] {
    const auto end = f.partition->epoch_end(std::nullopt, LeaderEpoch(4));
    REQUIRE(end.has_value());
    REQUIRE(**end == EpochEnd{LeaderEpoch(4), Offset(3)});
    const auto before = f.partition->epoch_end(std::nullopt, LeaderEpoch(3));
    REQUIRE(**before == EpochEnd{LeaderEpoch(1), Offset(3)});
  });
}

TEST_CASE("a leader's high watermark and log start count for a follower of its epoch, as far as it is (R63, R82)") {
  Fixture f;
  f.lead(1);
  f.produce(Fixture::batch(5), Acks::leader);
  f.assign(Fixture::assignment(2, 2, {1, 2, 3}, 1));
  const auto told = [&](int epoch, int64_t high_watermark, int64_t log_start) {
    f.run([&] { f.partition->apply_high_watermark(LeaderEpoch(epoch), Offset(high_watermark), Offset(log_start)); });
  };
  told(1, 5, 4);
  REQUIRE(f.partition->high_watermark() == Offset(0));
  REQUIRE(f.partition->log_start_offset() == Offset(0));
  told(2, 2, 4);
  REQUIRE(f.partition->high_watermark() == Offset(2));
  REQUIRE(f.partition->log_start_offset() <= Offset(2));
}

TEST_CASE("a gap that may be ours is not the producer's fault (R86)") {
  Fixture f;
  f.lead();
  const auto stamp = [](int32_t sequence) {
    return common::records::ProducerStamp{common::model::ProducerId(7), common::model::ProducerEpoch(0), sequence};
  };
  REQUIRE(f.produce(Fixture::batch(1, stamp(0)), Acks::leader)->value->error == ErrorCode::none);
  f.state.isolated = [] { return true; };
  REQUIRE(f.produce(Fixture::batch(1, stamp(5)))->value->error == ErrorCode::not_leader_or_follower);
  f.state.isolated = [] { return false; };
  REQUIRE(f.produce(Fixture::batch(1, stamp(5)))->value->error == ErrorCode::out_of_order_sequence_number);
}

TEST_CASE("readers of committed transactions stop where one is open (R94)") {
  Fixture f;
  f.lead();
  f.produce(Fixture::batch(2), Acks::leader);
  common::records::BatchOptions o;
  o.producer = common::records::ProducerStamp{common::model::ProducerId(7), common::model::ProducerEpoch(0), 0};
  o.kind = common::records::BatchKind::transactional;
  common::records::BatchBuilder builder(o);
  builder.add({.timestamp = TimestampMs(1000), .key = {}, .value = as_bytes("value"), .headers = {}});
  REQUIRE(f.produce(builder.build(), Acks::leader)->value->error == ErrorCode::none);
  f.produce(Fixture::batch(2), Acks::leader);
  f.position(2, 5);
  f.position(3, 5);
  REQUIRE(f.partition->high_watermark() == Offset(5));
  REQUIRE(f.partition->last_stable_offset() == Offset(2));
  ReadOptions committed;
  committed.isolation = Isolation::read_committed;
  REQUIRE((*f.read(committed)->value)->records.size() == Fixture::batch(2).size());
}

TEST_CASE("ISR proposals: answers of another epoch are old news") {
  Fixture f;
  f.lead(1, {1, 2});
  f.position(2, 0);
  f.position(3, 0);
  REQUIRE(f.proposals.all.size() == 1);
  f.lead(2, {1, 2}, 1);
  IsrRecorded recorded;
  recorded.leader_epoch = LeaderEpoch(1);
  recorded.partition.partition_epoch = PartitionEpoch(9);
  recorded.partition.isr = {BrokerId(1), BrokerId(2), BrokerId(3)};
  f.run([&] { f.proposals.all[0].second(recorded); });
  REQUIRE(f.partition->describe().isr.size() == 2);
  REQUIRE(f.partition->counters().failed_isr_updates == 0);
}

TEST_CASE("ISR proposals: an answer that comes after its record says nothing of the next proposal (R47, R53)") {
  Fixture f;
  const auto recorded = [](std::vector<int> isr, int partition_epoch) {
    return Fixture::assignment(1, 1, std::move(isr), partition_epoch, {1, 2, 3, 4});
  };
  f.assign(recorded({1, 2}, 0));
  f.position(2, 0);
  f.position(3, 0);
  f.position(4, 0);
  REQUIRE(f.proposals.all.size() == 1);
  f.assign(recorded({1, 2, 3}, 1));
  REQUIRE(f.proposals.all.size() == 2);  // to let in 4, too: the controller may do so at any time
  f.run([&] { f.partition->on_follower_left(BrokerId(4), epoch_of(BrokerId(4))); });

  IsrRecorded answer;
  answer.leader_epoch = LeaderEpoch(1);
  answer.partition.partition_epoch = PartitionEpoch(1);
  answer.partition.isr = {BrokerId(1), BrokerId(2), BrokerId(3)};
  f.run([&] { f.proposals.all[0].second(answer); });
  (void)f.produce(Fixture::batch(), Acks::leader);
  f.position(2, 1);
  f.position(3, 1);
  CHECK(f.partition->high_watermark() == Offset(0));
  answer.partition.partition_epoch = PartitionEpoch(2);
  answer.partition.isr.push_back(BrokerId(4));
  f.run([&] { f.proposals.all[1].second(answer); });
  CHECK(f.partition->describe().isr.size() == 4);
  CHECK(f.partition->high_watermark() == Offset(0));
}

TEST_CASE("batches that are refused for what is in them are counted by what is wrong") {
  Fixture f;
  f.lead();
  const Buffer sound = Fixture::batch();
  std::vector<std::byte> bytes(sound.view().begin(), sound.view().end());
  bytes.back() ^= std::byte{1};
  const Buffer damaged = Buffer::copy_of(common::model::BytesView(bytes));
  REQUIRE(f.produce(damaged, Acks::leader)->value->error == ErrorCode::corrupt_message);
  REQUIRE(f.partition->counters().bad_checksums == 1);
  REQUIRE(f.partition->counters().bytes_rejected == damaged.size());
  REQUIRE(f.produce(sound, Acks::leader)->value->error == ErrorCode::none);
  REQUIRE(f.partition->counters().bad_checksums == 1);
}

TEST_CASE("what goes to replicas that a reassignment adds is counted beside the rest of replication") {
  Fixture f;
  Assignment moving = Fixture::assignment(1, 1, {1, 2}, 0, {1, 2, 3});
  moving.adding.push_back(BrokerId(3));
  f.assign(moving);
  const size_t size = Fixture::batch().size();
  (void)f.produce(Fixture::batch(), Acks::leader);
  const auto read_by = [&](int follower) {
    f.run([&] {
      REQUIRE(f.partition->read_for_follower(BrokerId(follower), Offset(0), 1 << 20)->records.size() == size);
    });
  };
  const PartitionCounters& counted = f.partition->counters();
  read_by(2);
  REQUIRE(counted.reassignment_bytes_out == 0);
  read_by(3);
  REQUIRE(counted.reassignment_bytes_out == size);
  REQUIRE(counted.replication_bytes_out == 2 * size);
  REQUIRE(counted.reassignment_bytes_in == 0);
  // It is done: the same follower is one as the others are.
  f.assign(Fixture::assignment(1, 1, {1, 2, 3}, 1, {1, 2, 3}));
  read_by(3);
  REQUIRE(counted.reassignment_bytes_out == size);
  REQUIRE(counted.replication_bytes_out == 3 * size);
}

TEST_CASE("what a replica appends that a reassignment adds is counted beside the rest of replication") {
  const size_t size = Fixture::batch().size();
  for (const bool added : {true, false}) {
    Fixture f;
    Assignment follows = Fixture::assignment(2, 1, {2, 3}, 0, {1, 2, 3});
    follows.adding.push_back(BrokerId(added ? 1 : 3));
    f.assign(follows);
    LeaderAnswer answer;
    answer.asked = f.partition->position().ask;
    answer.log_end_offset = Offset(1);
    answer.has_records = true;
    Buffer batch = Fixture::batch();
    common::records::assign_offsets(batch,
                                    {.first_offset = Offset(0), .leader_epoch = LeaderEpoch(1), .log_append_time = {}});
    f.run([&] { REQUIRE(f.partition->apply(answer, BufferChain(batch)) == Applied::done); });
    REQUIRE(f.partition->counters().replication_bytes_in == size);
    REQUIRE(f.partition->counters().reassignment_bytes_in == (added ? size : 0));
  }
}

TEST_CASE("a leader tells how far its followers are, who writes, and which changes of its ISR were refused") {
  Fixture f;
  f.lead(1, {1, 2});
  const common::records::ProducerStamp stamp{common::model::ProducerId(7), common::model::ProducerEpoch(0), 0};
  (void)f.produce(Fixture::batch(2, stamp), Acks::leader);
  f.position(2, 2);
  const PartitionDescription seen = f.partition->describe();
  REQUIRE(seen.producers == 1);
  REQUIRE(seen.followers.size() == 2);
  REQUIRE(seen.followers[0].id == BrokerId(2));
  REQUIRE(seen.followers[0].log_end == Offset(2));
  REQUIRE(seen.followers[1].id == BrokerId(3));
  REQUIRE_FALSE(seen.followers[1].log_end);
  f.position(3, 2);
  REQUIRE(f.proposals.all.size() == 1);
  f.run([&] { f.proposals.all[0].second(common::model::fail(ErrorCode::ineligible_replica, "fenced")); });
  REQUIRE(f.partition->counters().failed_isr_updates == 1);
}

TEST_CASE("a follower that cannot take what its leader sends says so until it can, or leads itself (R69)") {
  Fixture f;
  f.assign(Fixture::assignment(2, 1, {1, 2, 3}));
  const auto fails = [&] {
    bool answer = false;
    f.run([&] { answer = f.partition->describe().fetch_fails; });
    return answer;
  };
  const auto answered = [&](ErrorCode error) {
    LeaderAnswer answer;
    answer.asked = f.partition->position().ask;
    answer.error = error;
    Applied outcome = Applied::done;
    f.run([&] { outcome = f.partition->apply(answer, {}); });
    return outcome;
  };
  REQUIRE_FALSE(fails());
  REQUIRE(answered(ErrorCode::kafka_storage_error) == Applied::back_off);
  REQUIRE(fails());
  REQUIRE(answered(ErrorCode::none) == Applied::done);
  REQUIRE_FALSE(fails());
  REQUIRE(answered(ErrorCode::kafka_storage_error) == Applied::back_off);
  f.assign(Fixture::assignment(1, 2, {1, 2, 3}, 1));
  REQUIRE_FALSE(fails());
}

TEST_CASE("a follower starts over at the leader's log start, and metadata that comes meanwhile waits") {
  Fixture f;
  f.assign(Fixture::assignment(2, 1, {1, 2, 3}));
  LeaderAnswer answer;
  answer.asked = f.partition->position().ask;
  answer.error = ErrorCode::offset_out_of_range;
  answer.log_start_offset = Offset(50);
  answer.log_end_offset = Offset(80);
  f.run([&] { REQUIRE(f.partition->apply(answer, {}) == Applied::busy); });
  f.assign(Fixture::assignment(1, 2, {1, 2, 3}, 1));
  REQUIRE_FALSE(f.partition->is_leader());
  f.advance(100ms);
  REQUIRE(f.partition->is_leader());
  REQUIRE(f.partition->log_start_offset() == Offset(50));
  REQUIRE(f.partition->high_watermark() == Offset(50));
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->first_offset == Offset(50));
}

TEST_CASE("a log that was cut below what was synced takes nothing before that is noted (R71)") {
  Fixture f;
  lead_and_note_cuts(f);
  f.run([&] { f.partition->log()->flush([](const auto&) {}); });
  f.advance(100ms);
  REQUIRE(f.partition->recovery_point() == Offset(6));
  f.assign(Fixture::assignment(2, 2, {1, 2, 3}, 1));
  LeaderAnswer answer;
  const auto diverge_at = [&](int64_t end) {
    answer.asked = f.partition->position().ask;
    answer.diverging = EpochEnd{.epoch = LeaderEpoch(1), .end_offset = Offset(end)};
    Applied applied = Applied::done;
    f.run([&] { applied = f.partition->apply(answer, {}); });
    return applied;
  };
  REQUIRE(diverge_at(3) == Applied::busy);
  REQUIRE(f.partition->log_end_offset() == Offset(3));
  REQUIRE(f.cuts.size() == 1);
  REQUIRE(f.cuts[0].first.recovery_point == Offset(3));
  REQUIRE(diverge_at(2) == Applied::busy);  // on a stream that begins meanwhile: not again and again
  REQUIRE(f.partition->log_end_offset() == Offset(3));
  REQUIRE(f.cuts.size() == 1);
  f.lead(3, {1, 2, 3}, 2);  // not before
  REQUIRE_FALSE(f.partition->is_leader());
  f.run([&] { f.cuts[0].second(); });
  REQUIRE(f.partition->is_leader());
  REQUIRE(f.produce(Fixture::batch(), Acks::leader)->value->first_offset == Offset(3));
}

TEST_CASE("what was committed or deleted beyond a cut is noted as the cut is, after an unclean election (R39, R71)") {
  Fixture f;
  lead_and_note_cuts(f);
  f.position(2, 6);
  f.position(3, 6);
  REQUIRE(f.partition->high_watermark() == Offset(6));
  REQUIRE(f.partition->recovery_point() == Offset(0));  // nothing that was synced is cut
  const bool starts_over = GENERATE(false, true);
  if (starts_over) f.run([&] { f.partition->log()->advance_log_start(Offset(4)); });
  f.assign(Fixture::assignment(2, 2, {2}, 1));
  LeaderAnswer answer;
  answer.asked = f.partition->position().ask;
  answer.diverging = EpochEnd{.epoch = LeaderEpoch(1), .end_offset = Offset(3)};
  Applied applied = Applied::done;
  f.run([&] { applied = f.partition->apply(answer, {}); });
  REQUIRE(applied == Applied::busy);
  f.advance(1s);
  REQUIRE(f.partition->log_end_offset() == Offset(3));
  REQUIRE(f.partition->high_watermark() == Offset(3));
  REQUIRE(f.cuts.size() == 1);
  REQUIRE(f.cuts[0].first.high_watermark == Offset(3));
  REQUIRE(f.cuts[0].first.log_start == (starts_over ? std::optional(Offset(3)) : std::nullopt));
  f.lead(3, {1, 2, 3}, 2);
  REQUIRE_FALSE(f.partition->is_leader());  // not before
  f.run([&] { f.cuts[0].second(); });
  REQUIRE(f.partition->is_leader());
}

TEST_CASE("a follower that cannot start over on a full disk does so when there is room (R81)") {
  Fixture f;
  f.assign(Fixture::assignment(2, 1, {1, 2, 3}));
  struct Observer final : PositionObserver {
    void on_position_changed(uint32_t) override { ++times; }
    int times = 0;
  } told;
  f.run([&] { f.partition->set_position_observer(told, 0); });
  LeaderAnswer answer;
  answer.error = ErrorCode::offset_out_of_range;
  answer.log_start_offset = Offset(50);
  answer.log_end_offset = Offset(80);
  const auto apply = [&] {
    answer.asked = f.partition->position().ask;
    f.run([&] { REQUIRE(f.partition->apply(answer, {}) == Applied::busy); });
  };
  f.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = "restart-at",
                     .fault = common::disk::IoFault::no_space});
  apply();
  SECTION("the leader is asked again, not at once") {
    f.advance(100ms);
    REQUIRE(told.times == 0);
    f.advance(2s);
    REQUIRE(told.times == 1);
    REQUIRE_FALSE(f.partition->is_offline());
    apply();
    f.advance(100ms);
    REQUIRE(f.partition->log_start_offset() == Offset(50));
    REQUIRE(told.times == 2);
  }
  SECTION("what came meanwhile is done") {
    f.assign(Fixture::assignment(1, 2, {1, 2, 3}, 1));
    f.advance(100ms);
    REQUIRE(f.partition->is_leader());
  }
  f.run([&] { f.partition->clear_position_observer(told); });
}

TEST_CASE("reads that need the disk are waited for, and end with the replica") {
  Fixture f;
  f.lead(1, {1});
  f.produce(Fixture::batch(3));
  f.cache.set_budget(0);
  f.disk->set_cold(".log");
  ReadOptions o;
  const auto cold = f.read(o);
  REQUIRE_FALSE(cold->value);
  f.advance(10ms);
  REQUIRE((*cold->value)->records.size() > 0);
  const auto late = f.read(o);
  REQUIRE_FALSE(late->value);
  f.run([&] { f.partition->release_log(ErrorCode::not_leader_or_follower).reset(); });
  REQUIRE(late->value->error().code == ErrorCode::not_leader_or_follower);
}

TEST_CASE("idle producers are forgotten at a retention check, not before their time (R88)") {
  Fixture f;
  f.lead(1, {1});
  const common::records::ProducerStamp stamp{common::records::ProducerId(7), common::records::ProducerEpoch(0), 0};
  f.produce(Fixture::batch(1, stamp));
  REQUIRE(f.partition->producers().size() == 1);
  const auto check_after = [&](Duration d) {
    f.run([&] {
      const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
      f.partition->apply_retention(TimestampMs(f.shard.clock().wall_now().value + ms));
    });
    return f.partition->producers().size();
  };
  REQUIRE(check_after(23h) == 1);
  REQUIRE(check_after(25h) == 0);
}

TEST_CASE("who appends while the clock is set back is not forgotten once it is right again (R88)") {
  const bool leads = GENERATE(true, false);
  Fixture f;
  const auto wall = [&] { return f.shard.clock().wall_now(); };
  f.state.clock.look(f.world.now(), wall());
  const common::records::ProducerStamp stamp{common::records::ProducerId(7), common::records::ProducerEpoch(0), 0};
  f.world.clock().step_wall(-25h);
  if (leads) {
    f.lead(1, {1});
    f.produce(Fixture::batch(1, stamp));
  } else {
    f.assign(Fixture::assignment(2, 1, {1, 2}));
    LeaderAnswer answer;
    answer.asked = f.partition->position().ask;
    answer.log_end_offset = Offset(1);
    answer.has_records = true;
    Buffer batch = Fixture::batch(1, stamp);
    common::records::assign_offsets(batch,
                                    {.first_offset = Offset(0), .leader_epoch = LeaderEpoch(1), .log_append_time = {}});
    f.run([&] { REQUIRE(f.partition->apply(answer, BufferChain(batch)) == Applied::done); });
  }
  REQUIRE(f.partition->producers().size() == 1);
  f.world.clock().step_wall(25h);
  f.run([&] { f.partition->apply_retention(f.state.clock.to_compare(f.world.now(), wall())); });
  REQUIRE(f.partition->producers().size() == 1);
}

TEST_CASE("a record's time is refused only if it is out of range by the clock that is believed, too") {
  TopicSettings settings;
  settings.produce.timestamp_before_max_ms = settings.produce.timestamp_after_max_ms = 3'600'000;
  Fixture f(settings);
  const auto wall = [&] { return f.shard.clock().wall_now(); };
  f.state.clock.look(f.world.now(), wall());
  f.lead(1, {1});
  const auto produce = [&](TimestampMs time) {
    common::records::BatchBuilder builder;
    builder.add({.timestamp = time, .key = {}, .value = as_bytes("value"), .headers = {}});
    return f.produce(builder.build())->value->error;
  };
  const TimestampMs right = wall();
  const TimestampMs early(right.value - 2 * 3'600'000);
  const TimestampMs late(right.value + 2 * 3'600'000);
  REQUIRE(produce(right) == ErrorCode::none);
  REQUIRE(produce(early) == ErrorCode::invalid_timestamp);
  REQUIRE(produce(late) == ErrorCode::invalid_timestamp);
  for (const Duration step : {Duration(24h), Duration(-24h)}) {
    f.world.clock().step_wall(step);
    REQUIRE(produce(right) == ErrorCode::none);
    REQUIRE(produce(step > 0s ? early : late) == ErrorCode::invalid_timestamp);
    f.world.clock().step_wall(-step);
  }
}

TEST_CASE("a sync that acknowledgements wait for is seen as long as it runs (R32)") {
  TopicSettings settings;
  settings.sync_before_ack = true;
  Fixture f(settings);
  f.lead(1, {1});
  f.advance(1s);
  REQUIRE_FALSE(f.partition->syncing_since().has_value());
  const Instant began = f.world.now();
  const auto answer = f.produce(Fixture::batch(1));
  REQUIRE(f.partition->syncing_since() == began);
  REQUIRE_FALSE(answer->value.has_value());
  f.advance(1s);
  REQUIRE(answer->value->error == ErrorCode::none);
  REQUIRE_FALSE(f.partition->syncing_since().has_value());
}
