// What a copy ends with, told by the follower and compared by the leader (R59).
#include "partition/partition_fixture.h"

using namespace sim;

namespace {

LastBatch last_of(Fixture& f) {
  LastBatch last;
  f.run([&] { last = f.partition->last_batch(); });
  return last;
}

std::optional<Compared> compare(Fixture& f, const BatchIdentity& theirs) {
  std::optional<Compared> outcome;
  f.run([&] { f.partition->compare_batch(theirs, BrokerId(2), [&](Compared compared) { outcome = compared; }); });
  return outcome;
}

}  // namespace

TEST_CASE("a leader tells the batch of another partition from its own (R59)") {
  Fixture f;
  f.lead(1, {1});
  f.produce(Fixture::batch(2));
  f.produce(Fixture::batch(3));
  const LastBatch last = last_of(f);
  REQUIRE(last.is_known);
  REQUIRE(last.batch);
  REQUIRE(last.batch->base_offset == Offset(2));
  REQUIRE(last.batch->last_offset == Offset(4));
  REQUIRE(last.batch->leader_epoch == LeaderEpoch(1));
  REQUIRE(compare(f, *last.batch) == Compared::nothing_against);

  BatchIdentity theirs = *last.batch;
  SECTION("by its checksum") {
    ++theirs.checksum;
    REQUIRE(compare(f, theirs) == Compared::differs);
  }
  SECTION("by where it begins") {
    theirs.base_offset = Offset(3);
    REQUIRE(compare(f, theirs) == Compared::differs);
  }
  SECTION("by where it ends: within one of ours") {
    theirs.last_offset = Offset(3);
    REQUIRE(compare(f, theirs) == Compared::differs);
  }
  SECTION("of another epoch: that is what epochs are for") {
    theirs.leader_epoch = LeaderEpoch(0);
    ++theirs.checksum;
    REQUIRE(compare(f, theirs) == Compared::nothing_against);
  }
  SECTION("not where it has nothing") {
    ++theirs.checksum;
    theirs.last_offset = Offset(5);
    REQUIRE(compare(f, theirs) == Compared::nothing_against);
    f.start([&] { return f.partition->delete_records(Offset(5), f.world.now() + 1s); });
    theirs.last_offset = Offset(4);
    REQUIRE(compare(f, theirs) == Compared::nothing_against);
    REQUIRE_FALSE(last_of(f).batch);
  }
  SECTION("not where compaction may have rewritten either of them") {
    ++theirs.checksum;
    TopicSettings compacted = f.settings;
    compacted.cleaning.emplace();
    f.run([&] { f.partition->set_settings(compacted); });
    REQUIRE(compare(f, theirs) == Compared::nothing_against);
    REQUIRE(last_of(f).is_known);
    REQUIRE_FALSE(last_of(f).batch);
  }
  SECTION("not any more once somebody else leads") {
    ++theirs.checksum;
    f.assign(Fixture::assignment(2, 2, {1, 2}, 1));
    REQUIRE(compare(f, theirs) == Compared::too_late);
  }
}

TEST_CASE("a leader that reads its batch from the disk answers for the epoch in which it was asked (R59)") {
  Fixture f;
  f.lead(1, {1});
  f.produce(Fixture::batch(2));
  BatchIdentity theirs = *last_of(f).batch;
  ++theirs.checksum;
  f.cache.set_budget(0);
  f.disk->set_cold(".log");
  std::optional<Compared> outcome;
  f.run([&] { f.partition->compare_batch(theirs, BrokerId(2), [&](Compared compared) { outcome = compared; }); });
  REQUIRE_FALSE(outcome);
  const bool goes_on = GENERATE(true, false);
  if (!goes_on) f.assign(Fixture::assignment(1, 2, {1}, 1));
  f.advance(10ms);
  REQUIRE(outcome == (goes_on ? Compared::differs : Compared::too_late));
}

TEST_CASE("a position that was not verified is checked, and does not count (R59)") {
  Fixture f;
  f.lead(1, {1});
  f.produce(Fixture::batch());
  FollowerPosition position{.follower = BrokerId(2), .broker_epoch = epoch_of(BrokerId(2))};
  position.leader_epoch = LeaderEpoch(1);
  position.partition_epoch = PartitionEpoch(100);
  position.fetch_offset = position.durable_offset = Offset(1);
  const auto say = [&](bool is_unverified) {
    position.is_unverified = is_unverified;
    ErrorCode error = ErrorCode::none;
    f.run([&] { error = f.partition->on_follower_position(position, std::nullopt).error; });
    return error;
  };
  REQUIRE(say(true) == ErrorCode::none);
  REQUIRE(f.proposals.all.empty());
  position.fetch_offset = Offset(9);
  REQUIRE(say(true) == ErrorCode::offset_out_of_range);
  position.fetch_offset = Offset(1);
  REQUIRE(say(false) == ErrorCode::none);
  REQUIRE(f.proposals.all.size() == 1);  // it may join
}

TEST_CASE("what a copy ends with is told once it was read (R59)") {
  Fixture f;
  REQUIRE(last_of(f).is_known);
  REQUIRE_FALSE(last_of(f).batch);  // an empty copy
  f.lead(1, {1});
  f.produce(Fixture::batch(2));
  f.assign(Fixture::assignment(2, 2, {1, 2}, 1));
  struct Observer final : PositionObserver {
    void on_position_changed(uint32_t) override { ++times; }
    int times = 0;
  } told;
  f.run([&] { f.partition->set_position_observer(told, 0); });
  f.cache.set_budget(0);
  f.disk->set_cold(".log");
  REQUIRE_FALSE(last_of(f).is_known);
  REQUIRE_FALSE(last_of(f).is_known);
  f.advance(10ms);
  REQUIRE(told.times == 1);
  const LastBatch last = last_of(f);
  REQUIRE(last.is_known);
  REQUIRE(last.batch->last_offset == Offset(1));
  f.run([&] { f.partition->clear_position_observer(told); });
}

TEST_CASE("what a leader has compared is told to no further one, until it is cut (R59)") {
  Fixture f;
  f.lead(1, {1});
  f.produce(Fixture::batch(2));
  f.produce(Fixture::batch(3));
  f.assign(Fixture::assignment(2, 2, {1, 2}, 1));
  REQUIRE(last_of(f).batch);
  f.run([&] { f.partition->apply_high_watermark(LeaderEpoch(1), Offset(2), Offset(0)); });
  REQUIRE(last_of(f).batch);  // it is not the leader who says so
  f.run([&] { f.partition->apply_high_watermark(LeaderEpoch(2), Offset(2), Offset(0)); });
  REQUIRE(last_of(f).is_known);
  REQUIRE_FALSE(last_of(f).batch);
  f.assign(Fixture::assignment(3, 3, {1, 3}, 2));
  REQUIRE_FALSE(last_of(f).batch);

  LeaderAnswer cut;
  cut.asked = f.partition->position().ask;
  cut.diverging = EpochEnd{LeaderEpoch(1), Offset(2)};
  f.run([&] { REQUIRE(f.partition->apply(cut, {}) != Applied::back_off); });
  REQUIRE(f.partition->log_end_offset() == Offset(2));
  REQUIRE(last_of(f).batch->last_offset == Offset(1));
}

TEST_CASE("a copy that differs is damaged: once, and only by the word of whom it asks (R59, R63)") {
  Fixture f;
  f.lead(1, {1});
  f.produce(Fixture::batch(2));
  f.assign(Fixture::assignment(2, 2, {1, 2}, 1));
  LeaderAnswer answer;
  answer.differs = true;
  const auto apply = [&] {
    Applied outcome = Applied::busy;
    f.run([&] { outcome = f.partition->apply(answer, {}); });
    return outcome;
  };
  REQUIRE(apply() == Applied::done);  // it answers what would not be asked now
  REQUIRE(f.damages.empty());
  answer.asked = f.partition->position().ask;
  REQUIRE(apply() == Applied::back_off);
  REQUIRE(apply() == Applied::back_off);
  REQUIRE(f.damages.size() == 1);
  REQUIRE(f.partition->differs_from_leader());
  REQUIRE(f.partition->log_end_offset() == Offset(2));
}
