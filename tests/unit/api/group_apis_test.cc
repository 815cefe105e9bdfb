// The group APIs over a coordinator on a log of memory, in every version.
#include <algorithm>
#include <numeric>

#include "api/broker_fixture.h"
#include "broker/api/group_call.h"
#include "group/memory_log.h"
#include "kafka/delete_groups.h"
#include "kafka/describe_groups.h"
#include "kafka/heartbeat.h"
#include "kafka/join_group.h"
#include "kafka/leave_group.h"
#include "kafka/list_groups.h"
#include "kafka/offset_commit.h"
#include "kafka/offset_delete.h"
#include "kafka/offset_fetch.h"
#include "kafka/sync_group.h"

using namespace broker::api;
using namespace broker::api::test;

namespace {

class GroupFixture : public BrokerFixture {
 public:
  GroupFixture() {
    broker::group::GroupServiceOptions options;
    options.shards = {&shard()};
    options.home_of = [](const common::model::TopicIdPartition&) { return 0; };
    options.config.initial_rebalance_delay = std::chrono::milliseconds(0);
    common::model::SeededRandom random(1);
    groups_ = std::make_unique<broker::group::GroupService>(std::move(options), random);
    context.groups = groups_.get();
  }
  ~GroupFixture() {
    groups_->stop();
    poll();
  }

  // __consumer_offsets with one partition that this broker leads.
  void coordinate() {
    offsets_topic = create_topic("__consumer_offsets", 1, {1, 2, 3});
    disk.topic_id_of = [this](const std::string& name) -> std::optional<common::model::Uuid> {
      const auto* topic = context.image->topic_by_name(name);
      return topic != nullptr ? std::optional(topic->id) : std::nullopt;
    };
    shard().post([this] {
      groups_->on_leading({offsets_topic, PartitionIndex(0)}, common::model::LeaderEpoch(0),
                          std::make_unique<group_test::MemoryLog>(disk, shard()));
    });
    poll();
  }

  // A group of one member, stable; its member id.
  std::string form(const std::string& group, int16_t version, const std::string& protocol_type = "consumer") {
    kafka::JoinGroupRequest join;
    join.group_id = group;
    join.session_timeout_ms = 30'000;
    if (version >= 1) join.rebalance_timeout_ms = 60'000;
    join.protocol_type = protocol_type;
    join.protocols.push_back({"range", Buffer::copy_of(subscription_to_t)});
    auto joined = ask<kafka::JoinGroupResponse>(join, version);
    if (version >= 4) {
      REQUIRE(joined.error_code == ErrorCode::member_id_required);
      REQUIRE(joined.generation_id == -1);
      join.member_id = joined.member_id;
      joined = ask<kafka::JoinGroupResponse>(join, version);
    }
    REQUIRE(joined.error_code == ErrorCode::none);
    REQUIRE(joined.members.size() == 1);
    REQUIRE(joined.leader == joined.member_id);
    generation = joined.generation_id;
    kafka::SyncGroupRequest sync;
    sync.group_id = group;
    sync.generation_id = joined.generation_id;
    sync.member_id = joined.member_id;
    sync.assignments.push_back({joined.member_id, Buffer::copy_of(std::string("part"))});
    const auto synced = ask<kafka::SyncGroupResponse>(sync, std::min<int16_t>(version, 4));
    REQUIRE(synced.error_code == ErrorCode::none);
    REQUIRE(synced.assignment.text() == "part");
    return joined.member_id;
  }

  std::vector<ErrorCode> commit(const std::string& group, int64_t offset, int16_t version,
                                const std::string& member_id = "", int32_t of_generation = -1) {
    kafka::OffsetCommitRequest request;
    request.group_id = group;
    if (version >= 1) request.generation_id_or_member_epoch = of_generation;
    if (version >= 1) request.member_id = member_id;
    auto& topic = request.topics.emplace_back();
    if (version <= 9) topic.name = "orders";
    if (version >= 10) topic.topic_id = orders;
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = 1;
    partition.committed_offset = offset;
    if (version >= 6) partition.committed_leader_epoch = 4;
    partition.committed_metadata = "m";
    const auto response = ask<kafka::OffsetCommitResponse>(request, version);
    std::vector<ErrorCode> codes;
    for (const auto& t : response.topics)
      for (const auto& p : t.partitions) codes.push_back(p.error_code);
    return codes;
  }

  broker::api::test::TopicId offsets_topic, orders;
  group_test::Disk disk;
  int32_t generation = -1;
  const std::string subscription_to_t{"\0\0\0\0\0\1\0\1t", 9};

 private:
  std::unique_ptr<broker::group::GroupService> groups_;
};

using Codes = std::vector<ErrorCode>;

}  // namespace

TEST_CASE_METHOD(GroupFixture, "without the partition every group API says NOT_COORDINATOR") {
  orders = create_topic("orders", 3);
  if (GENERATE(false, true)) create_topic("__consumer_offsets", 1, {2, 3});
  kafka::JoinGroupRequest join;
  join.group_id = "g";
  CHECK(ask<kafka::JoinGroupResponse>(join, 2).error_code == ErrorCode::not_coordinator);
  kafka::HeartbeatRequest heartbeat;
  heartbeat.group_id = "g";
  CHECK(ask<kafka::HeartbeatResponse>(heartbeat, 0).error_code == ErrorCode::not_coordinator);
  CHECK(commit("g", 1, 2) == Codes{ErrorCode::not_coordinator});
  kafka::LeaveGroupRequest leave;
  leave.group_id = "g";
  CHECK(ask<kafka::LeaveGroupResponse>(leave, 1).error_code == ErrorCode::not_coordinator);
  kafka::OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics->push_back({.name = "orders", .partition_indexes = {0}});
  // librdkafka would never ask again if it were answered.
  CHECK(send(fetch, 1).kind == server::Outcome::Kind::close);
  CHECK(send(fetch, 5).kind == server::Outcome::Kind::close);
  kafka::OffsetFetchRequest by_group;
  by_group.groups = {{.group_id = "g"}};
  CHECK(send(by_group, 8).kind == server::Outcome::Kind::close);
  for (const char* name : {"apache-kafka-java", "kgo"}) {  // these go by the answer
    info.software = std::make_shared<server::ClientSoftware>(std::make_shared<server::SoftwareTable>(), "");
    info.software->set(name, "1");
    CHECK(ask<kafka::OffsetFetchResponse>(by_group, 8).groups.at(0).error_code == ErrorCode::not_coordinator);
    CHECK(ask<kafka::OffsetFetchResponse>(fetch, 5).error_code == ErrorCode::not_coordinator);
    CHECK(ask<kafka::OffsetFetchResponse>(fetch, 1).topics.at(0).partitions.at(0).error_code ==
          ErrorCode::not_coordinator);
  }
  info.software.reset();
  by_group.groups.front().topics.reset();  // all of them: no member asks so
  CHECK(ask<kafka::OffsetFetchResponse>(by_group, 8).groups.at(0).error_code == ErrorCode::not_coordinator);
  by_group.groups = {{.group_id = "g"}, {.group_id = "h"}};
  for (const auto& group : ask<kafka::OffsetFetchResponse>(by_group, 8).groups)
    CHECK(group.error_code == ErrorCode::not_coordinator);
  kafka::DescribeGroupsRequest describe;
  describe.groups = {"g"};
  CHECK(ask<kafka::DescribeGroupsResponse>(describe, 5).groups.at(0).error_code == ErrorCode::not_coordinator);
  kafka::DeleteGroupsRequest remove;
  remove.groups_names = {"g"};
  CHECK(ask<kafka::DeleteGroupsResponse>(remove, 2).results.at(0).error_code == ErrorCode::not_coordinator);
  CHECK(ask<kafka::ListGroupsResponse>(kafka::ListGroupsRequest{}, 4).groups.empty());
}

TEST_CASE_METHOD(GroupFixture, "a group forms and ends in every version") {
  coordinate();
  for (int16_t version = 0; version <= 9; ++version) {
    INFO("version " << version);
    const std::string group = fmt::format("g{}", version);
    const std::string member = form(group, version);
    CHECK(member.starts_with("test-client-"));
    for (int16_t v = 0; v <= 4; ++v) {
      kafka::HeartbeatRequest heartbeat;
      heartbeat.group_id = group;
      heartbeat.generation_id = generation;
      heartbeat.member_id = member;
      CHECK(ask<kafka::HeartbeatResponse>(heartbeat, v).error_code == ErrorCode::none);
      heartbeat.generation_id = generation + 1;
      CHECK(ask<kafka::HeartbeatResponse>(heartbeat, v).error_code == ErrorCode::illegal_generation);
    }
    const auto leave_version = static_cast<int16_t>(version % 6);
    kafka::LeaveGroupRequest leave;
    leave.group_id = group;
    if (leave_version < 3)
      leave.member_id = member;
    else
      leave.members = {{.member_id = member}, {.member_id = "stranger"}};
    const auto left = ask<kafka::LeaveGroupResponse>(leave, leave_version);
    CHECK(left.error_code == ErrorCode::none);
    if (leave_version >= 3) {
      REQUIRE(left.members.size() == 2);
      CHECK(left.members[0].error_code == ErrorCode::none);
      CHECK(left.members[1].error_code == ErrorCode::unknown_member_id);
    } else {
      CHECK(ask<kafka::LeaveGroupResponse>(leave, leave_version).error_code == ErrorCode::unknown_member_id);
    }
  }
}

TEST_CASE_METHOD(GroupFixture, "SyncGroup 5 insists on the protocol's name") {
  coordinate();
  const std::string member = form("g", 9);
  kafka::SyncGroupRequest sync;
  sync.group_id = "g";
  sync.generation_id = generation;
  sync.member_id = member;
  CHECK(ask<kafka::SyncGroupResponse>(sync, 5).error_code == ErrorCode::inconsistent_group_protocol);
  sync.protocol_type = "consumer";
  sync.protocol_name = "range";
  const auto synced = ask<kafka::SyncGroupResponse>(sync, 5);
  CHECK(synced.error_code == ErrorCode::none);
  CHECK(synced.protocol_name == "range");
  CHECK(synced.assignment.text() == "part");
}

TEST_CASE_METHOD(GroupFixture, "offsets are committed and fetched in every version") {
  coordinate();
  orders = create_topic("orders", 3);
  for (int16_t version = 0; version <= 10; ++version) {
    INFO("commit version " << version);
    CHECK(commit("g", 100 + version, version) == Codes{ErrorCode::none});
    for (int16_t v = 0; v <= 7; ++v) {
      INFO("fetch version " << v);
      kafka::OffsetFetchRequest fetch;
      fetch.group_id = "g";
      fetch.topics->push_back({.name = "orders", .partition_indexes = {1, 2}});
      const auto response = ask<kafka::OffsetFetchResponse>(fetch, v);
      const auto& partitions = response.topics.at(0).partitions;
      REQUIRE(partitions.size() == 2);
      CHECK(partitions[0].committed_offset == 100 + version);
      CHECK(partitions[0].metadata == "m");
      if (v >= 5) CHECK(partitions[0].committed_leader_epoch == (version >= 6 ? 4 : -1));
      CHECK(partitions[1].committed_offset == -1);
      CHECK(partitions[1].metadata == "");
      CHECK(partitions[1].error_code == ErrorCode::none);
      if (v < 2) continue;
      fetch.topics.reset();
      const auto all = ask<kafka::OffsetFetchResponse>(fetch, v);
      REQUIRE(all.topics.size() == 1);
      CHECK(all.topics[0].partitions.size() == 1);
    }
    for (int16_t v = 8; v <= 10; ++v) {
      INFO("fetch version " << v);
      kafka::OffsetFetchRequest fetch;
      fetch.groups.push_back({.group_id = "g"});
      auto& asked = fetch.groups[0].topics->emplace_back();
      if (v < 10)
        asked.name = "orders";
      else
        asked.topic_id = orders;
      asked.partition_indexes = {1};
      fetch.groups.push_back({.group_id = "g", .topics = std::nullopt});
      fetch.groups.push_back({.group_id = "unknown", .topics = std::nullopt});
      const auto response = ask<kafka::OffsetFetchResponse>(fetch, v);
      REQUIRE(response.groups.size() == 3);
      for (int i = 0; i < 2; ++i) {
        REQUIRE(response.groups[i].topics.size() == 1);
        if (v < 10)
          CHECK(response.groups[i].topics[0].name == "orders");
        else
          CHECK(response.groups[i].topics[0].topic_id == orders);
        CHECK(response.groups[i].topics[0].partitions.at(0).committed_offset == 100 + version);
      }
      CHECK(response.groups[2].topics.empty());
      CHECK(response.groups[2].error_code == ErrorCode::none);
    }
  }
}

TEST_CASE_METHOD(GroupFixture, "topics and partitions that are not there are refused one by one") {
  coordinate();
  orders = create_topic("orders", 3);
  kafka::OffsetCommitRequest by_name;
  by_name.group_id = "g";
  for (const char* name : {"orders", "absent"}) {
    auto& topic = by_name.topics.emplace_back();
    topic.name = name;
    topic.partitions.push_back({.partition_index = 0, .committed_offset = 5});
    topic.partitions.push_back({.partition_index = 3, .committed_offset = 5});
    topic.partitions.push_back({.partition_index = -7, .committed_offset = 5});
  }
  const auto named = ask<kafka::OffsetCommitResponse>(by_name, 8);
  CHECK(named.topics.at(0).partitions.at(0).error_code == ErrorCode::none);
  CHECK(named.topics.at(0).partitions.at(1).error_code == ErrorCode::unknown_topic_or_partition);
  CHECK(named.topics.at(0).partitions.at(2).error_code == ErrorCode::unknown_topic_or_partition);
  CHECK(named.topics.at(1).name == "absent");
  CHECK(named.topics.at(1).partitions.at(0).error_code == ErrorCode::unknown_topic_or_partition);
  kafka::OffsetFetchRequest all;
  all.group_id = "g";
  all.topics.reset();
  const auto stored = ask<kafka::OffsetFetchResponse>(all, 7);
  REQUIRE(stored.topics.size() == 1);
  CHECK(stored.topics.at(0).partitions.size() == 1);

  orders = common::model::Uuid::from_halves(5, 5);
  CHECK(commit("g", 1, 10) == Codes{ErrorCode::unknown_topic_id});
  kafka::OffsetFetchRequest fetch;
  fetch.groups.push_back({.group_id = "g"});
  fetch.groups[0].topics->push_back({.topic_id = orders, .partition_indexes = {1}});
  const auto fetched = ask<kafka::OffsetFetchResponse>(fetch, 10);
  CHECK(fetched.groups.at(0).topics.at(0).partitions.at(0).error_code == ErrorCode::unknown_topic_id);
}

TEST_CASE_METHOD(GroupFixture, "what is named often is answered once (R109)") {
  coordinate();
  orders = create_topic("orders", 3);
  CHECK(commit("g", 1, 7) == Codes{ErrorCode::none});
  kafka::OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics->push_back({.name = "orders", .partition_indexes = {1, 2, 1, 1}});
  fetch.topics->push_back({.name = "orders", .partition_indexes = {0, 1}});
  const auto some = ask<kafka::OffsetFetchResponse>(fetch, 7);
  REQUIRE(some.topics.size() == 2);
  REQUIRE(some.topics[0].partitions.size() == 2);
  CHECK(some.topics[0].partitions[0].committed_offset == 1);
  CHECK(some.topics[0].partitions[1].committed_offset == -1);
  REQUIRE(some.topics[1].partitions.size() == 1);
  CHECK(some.topics[1].partitions[0].partition_index == 0);

  fetch = {};
  for (const char* group : {"g", "h", "g"}) fetch.groups.push_back({.group_id = group, .topics = std::nullopt});
  const auto all = ask<kafka::OffsetFetchResponse>(fetch, 8);
  REQUIRE(all.groups.size() == 2);
  CHECK(all.groups[0].topics.size() == 1);

  kafka::DescribeGroupsRequest describe;
  describe.groups = {"g", "g", "h", "g"};
  const auto described = ask<kafka::DescribeGroupsResponse>(describe, 5);
  REQUIRE(described.groups.size() == 2);
  CHECK(described.groups[1].group_id == "h");
}

TEST_CASE_METHOD(GroupFixture, "under a name that no topic can have nothing is committed (R109)") {
  coordinate();
  orders = create_topic("orders", 3);
  CHECK(commit("g", 1, 7) == Codes{ErrorCode::none});
  kafka::OffsetFetchRequest fetch;
  fetch.group_id = "g";
  std::vector<int32_t> many(1000);
  std::iota(many.begin(), many.end(), 0);
  fetch.topics->push_back({.name = std::string(32'000, 'n'), .partition_indexes = many});
  fetch.topics->push_back({.name = "orders", .partition_indexes = {1}});
  const auto response = ask<kafka::OffsetFetchResponse>(fetch, 7);
  REQUIRE(response.error_code == ErrorCode::none);
  REQUIRE(response.topics.size() == 2);
  REQUIRE(response.topics[0].partitions.size() == many.size());
  for (const auto& partition : response.topics[0].partitions) {
    CHECK(partition.committed_offset == -1);
    CHECK(partition.error_code == ErrorCode::none);
  }
  REQUIRE(response.topics[1].partitions.size() == 1);
  CHECK(response.topics[1].partitions[0].committed_offset == 1);
}

TEST_CASE_METHOD(GroupFixture, "a commit that no append takes is refused before its records are made (R109)") {
  orders = create_topic("orders", 3);
  coordinate();
  kafka::OffsetCommitRequest request;
  request.group_id = std::string(32'000, 'g');
  auto& topic = request.topics.emplace_back();
  topic.name = "orders";
  topic.partitions.assign(150'000, {.partition_index = 1, .committed_offset = 5});  // 5 GB of records
  topic.partitions.front().partition_index = 7;
  const auto response = ask<kafka::OffsetCommitResponse>(request, 8);
  const auto& answers = response.topics.at(0).partitions;
  REQUIRE(answers.size() == 150'000);
  CHECK(answers.front().error_code == ErrorCode::unknown_topic_or_partition);
  CHECK(std::count_if(answers.begin(), answers.end(), [](const auto& one) {
          return one.error_code == ErrorCode::invalid_commit_offset_size;
        }) == 149'999);
  topic.partitions.resize(9);
  CHECK(ask<kafka::OffsetCommitResponse>(request, 8).topics.at(0).partitions.back().error_code == ErrorCode::none);
}

TEST_CASE_METHOD(GroupFixture, "commits of strangers are refused") {
  coordinate();
  orders = create_topic("orders", 3);
  const std::string member = form("g", 5);
  CHECK(commit("g", 1, 7, member, generation) == Codes{ErrorCode::none});
  CHECK(commit("g", 1, 7, member, generation - 1) == Codes{ErrorCode::illegal_generation});
  CHECK(commit("g", 1, 7, "stranger", generation) == Codes{ErrorCode::unknown_member_id});
  CHECK(commit("g", 1, 7) == Codes{ErrorCode::unknown_member_id});
  CHECK(commit("absent", 1, 8, "x", 3) == Codes{ErrorCode::illegal_generation});
  CHECK(commit("absent", 1, 9, "x", 3) == Codes{ErrorCode::group_id_not_found});
}

TEST_CASE_METHOD(GroupFixture, "groups are listed, described and deleted in every version") {
  coordinate();
  orders = create_topic("orders", 3);
  const std::string member = form("g", 5);
  CHECK(commit("simple", 1, 2) == Codes{ErrorCode::none});
  for (int16_t version = 0; version <= 5; ++version) {
    INFO("version " << version);
    const auto all = ask<kafka::ListGroupsResponse>(kafka::ListGroupsRequest{}, version);
    REQUIRE(all.groups.size() == 2);
    CHECK(all.groups[0].group_id == "g");
    CHECK(all.groups[0].protocol_type == "consumer");
    if (version >= 4) CHECK(all.groups[0].group_state == "Stable");
    if (version >= 5) CHECK(all.groups[0].group_type == "classic");
    if (version < 4) continue;
    kafka::ListGroupsRequest empties;
    empties.states_filter = {"Empty"};
    CHECK(ask<kafka::ListGroupsResponse>(empties, version).groups.at(0).group_id == "simple");
  }
  for (int16_t version = 0; version <= 6; ++version) {
    INFO("version " << version);
    kafka::DescribeGroupsRequest describe;
    describe.groups = {"g", "absent"};
    if (version >= 3) describe.include_authorized_operations = true;
    const auto response = ask<kafka::DescribeGroupsResponse>(describe, version);
    const auto& g = response.groups.at(0);
    CHECK(g.group_state == "Stable");
    CHECK(g.protocol_data == "range");
    REQUIRE(g.members.size() == 1);
    CHECK(g.members[0].member_id == member);
    CHECK(g.members[0].client_id == "test-client");
    CHECK(g.members[0].client_host == "/10.0.0.99");
    CHECK(g.members[0].member_assignment.text() == "part");
    if (version >= 3) CHECK(g.authorized_operations > 0);
    CHECK(response.groups.at(1).group_state == "Dead");
    CHECK(response.groups.at(1).error_code == (version >= 6 ? ErrorCode::group_id_not_found : ErrorCode::none));
  }
  for (int16_t version = 0; version <= 3; ++version) {
    kafka::DeleteGroupsRequest remove;
    remove.groups_names = {"g", "simple", "absent", "g", "simple"};
    const auto removed = ask<kafka::DeleteGroupsResponse>(remove, version);
    REQUIRE(removed.results.size() == 3);
    CHECK(removed.results.at(0).error_code == ErrorCode::non_empty_group);
    CHECK(removed.results.at(1).error_code == (version == 0 ? ErrorCode::none : ErrorCode::group_id_not_found));
    CHECK(removed.results.at(2).error_code == ErrorCode::group_id_not_found);
  }
}

TEST_CASE_METHOD(GroupFixture, "single offsets are deleted") {
  coordinate();
  orders = create_topic("orders", 3);
  create_topic("t", 1);
  CHECK(commit("g", 1, 2) == Codes{ErrorCode::none});
  form("g", 5);
  kafka::OffsetDeleteRequest request;
  request.group_id = "g";
  request.topics = {{"orders", {{1}, {3}}}, {"t", {{0}}}, {"absent", {{0}}}};
  const auto response = ask<kafka::OffsetDeleteResponse>(request, 0);
  CHECK(response.error_code == ErrorCode::none);
  CHECK(response.topics.at(0).partitions.at(0).error_code == ErrorCode::none);
  CHECK(response.topics.at(0).partitions.at(1).error_code == ErrorCode::unknown_topic_or_partition);
  CHECK(response.topics.at(1).partitions.at(0).error_code == ErrorCode::group_subscribed_to_topic);
  CHECK(response.topics.at(2).partitions.at(0).error_code == ErrorCode::unknown_topic_or_partition);
  request.group_id = "absent";
  CHECK(ask<kafka::OffsetDeleteResponse>(request, 0).error_code == ErrorCode::group_id_not_found);
}
