// What a group coordinator learns of its log's partition: whether a write that failed may be there all the same.
#include "broker/group_coordinators.h"

#include "partition/partition_fixture.h"

namespace coordinator_log_test {

using namespace sim;
using broker::group::is_definite;

TEST_CASE("a write that found the disk full is known not to be there: the coordinator need not load again") {
  Fixture f;
  f.lead();
  const auto log = broker::make_coordinator_log(f.partition, LeaderEpoch(1), [](const auto&) { return std::nullopt; });
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

}  // namespace coordinator_log_test
