// What a group coordinator learns of its log's partition: whether a write that failed may be there all the same.
#include "broker/group_coordinators.h"

#include "partition/partition_fixture.h"

namespace coordinator_log_test {

using namespace sim;
using broker::group::is_definite;

std::optional<common::model::Uuid> no_topics(const std::string& /*name*/) {
  return std::nullopt;
}

TEST_CASE("a write that found the disk full is known not to be there: the coordinator need not load again") {
  Fixture f;
  f.lead();
  const auto log = broker::make_coordinator_log(f.partition, LeaderEpoch(1), no_topics, {});
  const auto append = [&] { return f.start([&] { return log->append(Fixture::batch()); }); };
  f.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = ".log",
                     .fault = common::disk::IoFault::no_space});
  const auto full = append();
  REQUIRE(full->value);
  REQUIRE(is_definite(full->value->error().code));
  const auto open = append();
  REQUIRE_FALSE(open->value);  // the followers do not have it yet
  f.run([&] { f.partition->resign(ErrorCode::not_leader_or_follower); });
  REQUIRE(open->value);
  REQUIRE_FALSE(is_definite(open->value->error().code));
}

TEST_CASE("a coordinator that may be replaced knows at once, whoever still speaks to it (R33)") {
  Fixture f;
  f.lead(1, {1});  // misses nobody, and no tick comes
  bool may_be_replaced = false;
  const auto log =
      broker::make_coordinator_log(f.partition, LeaderEpoch(1), no_topics, [&] { return may_be_replaced; });
  REQUIRE_FALSE(log->is_cut_off());
  f.state.isolated = [] { return true; };
  REQUIRE_FALSE(log->is_cut_off());  // every voter that could have decided anything is dead
  may_be_replaced = true;
  REQUIRE_FALSE(f.partition->is_cut_off());
  REQUIRE(log->is_cut_off());
  may_be_replaced = false;
  REQUIRE_FALSE(log->is_cut_off());
}

TEST_CASE("a coordinator without a session may be outdated unless all of its ISR follow it (R33)") {
  struct Slot final : FollowerObserver {
    BrokerId follower_id() const override { return BrokerId(2); }
    void on_log_end(uint32_t) override {}
    void on_high_watermark(uint32_t) override {}
    void on_role(uint32_t) override {}
  } second;
  Fixture f;
  f.lead(1, {1, 2});
  const auto log = broker::make_coordinator_log(f.partition, LeaderEpoch(1), no_topics, {});
  REQUIRE_FALSE(log->may_be_outdated());  // a follower takes its time
  f.state.has_lost_session = [] { return true; };
  REQUIRE(log->may_be_outdated());
  f.run([&] { f.partition->attach(second, 0); });
  REQUIRE_FALSE(log->may_be_outdated());
  f.run([&] { f.partition->detach(second, 0); });
  REQUIRE(log->may_be_outdated());
  REQUIRE_FALSE(log->is_cut_off());
  f.state.has_lost_session = [] { return false; };
  REQUIRE_FALSE(log->may_be_outdated());
}

TEST_CASE("a coordinator that is the whole ISR is not outdated without a session: nobody can have replaced it (R33)") {
  Fixture f;
  f.lead(1, {1});
  f.state.has_lost_session = [] { return true; };
  const auto log = broker::make_coordinator_log(f.partition, LeaderEpoch(1), no_topics, {});
  REQUIRE_FALSE(log->may_be_outdated());
}

}  // namespace coordinator_log_test
