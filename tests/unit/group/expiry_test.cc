// What keeps a committed offset from expiring (R99, R106), where scenario files have no word for it.
#include <catch2/catch.hpp>

#include "broker/group/coordinator.h"

using namespace broker::group;
using common::model::PartitionIndex;
using common::model::ProducerId;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

const TopicPartition read_one{"t", PartitionIndex(0)};
constexpr int64_t began_ms = 1'700'000'000'000;

struct Fixture {
  Fixture() {
    config.offsets_retention = hours(1);
    config.expiry_check_interval = minutes(10);
    coordinator.emplace(config);
  }
  Moment at(minutes since_start) const {
    return {Instant(hours(1)) + since_start,
            TimestampMs(began_ms + std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count())};
  }
  void load(const GroupRecord& record, std::optional<ProducerId> in_transaction = {}) {
    coordinator->replay(record, in_transaction);
  }
  static OffsetStored offset(const std::string& group, int64_t value) {
    return {group, read_one, {Offset(value), {}, "", TimestampMs(began_ms), {}}};
  }
  // How many tombstones the checks up to then have written.
  size_t removed_until(minutes end) {
    size_t removed = 0;
    const auto commit = [&](const Effects& effects, Moment moment) {
      for (const Write& write : effects.writes) {
        for (const GroupRecord& record : *write.records)
          removed += std::holds_alternative<OffsetRemoved>(record) ? 1 : 0;
        (void)coordinator->on_committed(write.id, moment);
      }
    };
    for (minutes now = minutes(0); now <= end; now += minutes(10)) commit(coordinator->on_time(at(now)), at(now));
    return removed;
  }

  GroupConfig config;
  std::optional<GroupCoordinator> coordinator;
};

}  // namespace

TEST_CASE("an offset that an open transaction is about to replace does not expire (R106)") {
  const bool open = GENERATE(false, true);
  Fixture f;
  f.load(Fixture::offset("g", 5));
  if (open) f.load(Fixture::offset("g", 6), ProducerId(7));
  (void)f.coordinator->start(f.at(minutes(0)));
  REQUIRE(f.removed_until(minutes(180)) == (open ? 0 : 1));
}

TEST_CASE("what nobody reads expires, but not while a group rebalances (R106)") {
  const bool rebalances = GENERATE(false, true);
  Fixture f;
  StoredGroup group;
  group.protocol_type = "consumer";
  group.generation = Generation(1);
  group.protocol = "range";
  group.leader = "m";
  StoredMember member;
  member.member_id = "m";
  member.session_timeout = hours(5);
  // version 0, one topic "u", no user data: whatever is committed for "t" is not read any more
  static constexpr char subscription[] = "\0\0\0\0\0\1\0\1u\xff\xff\xff\xff";
  member.subscription = Buffer::copy_of(std::string(subscription, sizeof subscription - 1));
  member.rebalance_timeout = hours(5);
  group.members.push_back(member);
  CHECK_FALSE(f.coordinator->has_members());
  f.load(GroupStored{"g", group});
  f.load(Fixture::offset("g", 5));
  (void)f.coordinator->start(f.at(minutes(0)));
  CHECK(f.coordinator->has_members());
  // A second member: the group prepares a rebalance, and the first has not joined yet.
  JoinRequest join;
  join.group = "g";
  join.session_timeout = minutes(30);
  join.rebalance_timeout = hours(5);
  join.member_id_rule = MemberIdRule::may_be_empty;
  join.protocol_type = "consumer";
  join.protocols.push_back({"range", member.subscription});
  join.fresh_id = common::model::Uuid::from_halves(1, 1);
  if (rebalances) (void)f.coordinator->handle(RequestToken(1), std::move(join), f.at(minutes(1)));
  REQUIRE(f.removed_until(minutes(180)) == (rebalances ? 0 : 1));
}

TEST_CASE("a client whose clock is ahead does not make its offset last longer (R99)") {
  Fixture f;
  (void)f.coordinator->start(f.at(minutes(0)));
  CommitRequest commit;
  commit.group = "simple";
  CommitRequest::Partition& one = commit.partitions.emplace_back();
  one.partition = read_one;
  one.offset = Offset(5);
  one.committed_at = TimestampMs(began_ms + int64_t{30} * 24 * 3'600'000);
  const Effects effects = f.coordinator->handle(RequestToken(1), std::move(commit), f.at(minutes(0)));
  REQUIRE(effects.writes.size() == 1);
  (void)f.coordinator->on_committed(effects.writes[0].id, f.at(minutes(0)));
  REQUIRE(f.removed_until(minutes(180)) == 1);
}

TEST_CASE("a deletion that needs several writes succeeds only if all of them do (R103)") {
  const bool fails = GENERATE(false, true);
  Fixture f;
  f.config.records_per_write_max = 3;
  f.coordinator.emplace(f.config);
  for (int i = 0; i < 5; ++i) {
    OffsetStored stored = Fixture::offset("g", i + 1);
    stored.partition.partition = PartitionIndex(i);
    f.load(stored);
  }
  (void)f.coordinator->start(f.at(minutes(0)));
  const auto remove = [&](RequestToken token, bool first_fails) {
    Effects asked = f.coordinator->handle(token, DeleteRequest{"g"}, f.at(minutes(1)));
    std::optional<ErrorCode> error;
    for (size_t i = 0; i < asked.writes.size(); ++i) {
      CHECK_FALSE(error);
      const Effects effects =
          i == 0 && first_fails
              ? f.coordinator->on_write_failed(asked.writes[i].id, ErrorCode::not_enough_replicas, f.at(minutes(1)))
              : f.coordinator->on_committed(asked.writes[i].id, f.at(minutes(1)));
      for (const Answered& answered : effects.answers) error = std::get<DeleteAnswer>(answered.answer).error;
    }
    CHECK(asked.writes.size() > 0);
    return error;
  };
  REQUIRE(remove(RequestToken(1), fails) == (fails ? ErrorCode::coordinator_not_available : ErrorCode::none));
  if (fails) REQUIRE(remove(RequestToken(2), false) == ErrorCode::none);  // what was left
  REQUIRE(f.coordinator->topics().empty());
}

TEST_CASE("a write of removals is no larger than a commit where names are long") {
  Fixture f;
  const std::string group(1000, 'g');
  for (int i = 0; i < 200; ++i) {
    OffsetStored stored = Fixture::offset(group, i);
    stored.partition.partition = PartitionIndex(i);
    f.load(stored);
  }
  (void)f.coordinator->start(f.at(minutes(0)));
  Effects asked = f.coordinator->handle(RequestToken(1), DeleteRequest{group}, f.at(minutes(1)));
  REQUIRE(asked.writes.size() > 1);
  size_t removed = 0;
  for (const Write& write : asked.writes) {
    CHECK(write.records->size() * group.size() <= 20'000);
    removed += write.records->size();
    (void)f.coordinator->on_committed(write.id, f.at(minutes(1)));
  }
  CHECK(removed == 200);
  CHECK(f.coordinator->topics().empty());
}

TEST_CASE("an offset that is to be deleted twice is removed once (R109)") {
  Fixture f;
  f.load(Fixture::offset("g", 1));
  (void)f.coordinator->start(f.at(minutes(0)));
  DeleteOffsetsRequest request;
  request.group = "g";
  request.partitions.assign(3, Fixture::offset("g", 1).partition);
  Effects asked = f.coordinator->handle(RequestToken(1), std::move(request), f.at(minutes(1)));
  REQUIRE(asked.writes.size() == 1);
  REQUIRE(asked.writes[0].records->size() == 1);
  const Effects done = f.coordinator->on_committed(asked.writes[0].id, f.at(minutes(1)));
  const auto& answer = std::get<DeleteOffsetsAnswer>(done.answers.at(0).answer);
  REQUIRE(answer.partitions == std::vector<ErrorCode>(3, ErrorCode::none));
}
