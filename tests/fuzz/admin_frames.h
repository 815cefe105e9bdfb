// Well-formed requests of the group, topic and configuration APIs, for those who damage them (fault 47). They are about
// the topic "t" of three partitions and the group "g" of one member.
#pragma once
#include <initializer_list>
#include <string>
#include <vector>

#include "kafka/alter_configs.h"
#include "kafka/alter_partition_reassignments.h"
#include "kafka/create_partitions.h"
#include "kafka/create_topics.h"
#include "kafka/delete_groups.h"
#include "kafka/delete_topics.h"
#include "kafka/describe_cluster.h"
#include "kafka/describe_configs.h"
#include "kafka/describe_groups.h"
#include "kafka/describe_topic_partitions.h"
#include "kafka/elect_leaders.h"
#include "kafka/find_coordinator.h"
#include "kafka/heartbeat.h"
#include "kafka/incremental_alter_configs.h"
#include "kafka/join_group.h"
#include "kafka/leave_group.h"
#include "kafka/list_groups.h"
#include "kafka/list_partition_reassignments.h"
#include "kafka/metadata.h"
#include "kafka/offset_commit.h"
#include "kafka/offset_delete.h"
#include "kafka/offset_fetch.h"
#include "kafka/sync_group.h"
#include "unit/api/broker_fixture.h"

namespace broker::api::test {

using Frame = std::vector<std::byte>;

template <class Request>
void add_versions(std::vector<Frame>& frames, const Request& request, std::initializer_list<int16_t> versions) {
  for (const int16_t version : versions) {
    const Buffer frame = request_frame(request, version);
    frames.emplace_back(frame.view().begin(), frame.view().end());
  }
}

inline kafka::JoinGroupRequest join_request(const std::string& group) {
  const std::string subscription_to_t{"\0\0\0\0\0\1\0\1t", 9};
  kafka::JoinGroupRequest join;
  join.group_id = group;
  join.session_timeout_ms = 30'000;
  join.rebalance_timeout_ms = 60'000;
  join.protocol_type = "consumer";
  join.protocols.push_back({"range", Buffer::copy_of(subscription_to_t)});
  return join;
}

inline void add_memberships(std::vector<Frame>& frames, const std::string& member) {
  kafka::JoinGroupRequest join = join_request("g");
  add_versions(frames, join, {1, 3});  // somebody new
  join.member_id = member;
  add_versions(frames, join, {3, 6, 9});
  kafka::SyncGroupRequest sync;
  sync.group_id = "g";
  sync.generation_id = 1;
  sync.member_id = member;
  sync.assignments.push_back({member, Buffer::copy_of(std::string("part"))});
  add_versions(frames, sync, {1, 4});
  kafka::HeartbeatRequest heartbeat;
  heartbeat.group_id = "g";
  heartbeat.generation_id = 1;
  heartbeat.member_id = member;
  add_versions(frames, heartbeat, {0, 4});
  kafka::LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.member_id = member;
  add_versions(frames, leave, {1});
  leave.member_id.clear();
  leave.members.emplace_back();
  leave.members.back().member_id = member;
  add_versions(frames, leave, {3, 5});
}

inline void add_offsets(std::vector<Frame>& frames, const std::string& member, const TopicId& id) {
  kafka::OffsetCommitRequest commit;
  commit.group_id = "g";
  commit.generation_id_or_member_epoch = 1;
  commit.member_id = member;
  commit.topics.emplace_back();
  commit.topics[0].name = "t";
  commit.topics[0].partitions.resize(3);
  add_versions(frames, commit, {2, 8});
  commit.topics[0].name.clear();
  commit.topics[0].topic_id = id;
  add_versions(frames, commit, {10});
  kafka::OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics->emplace_back();
  fetch.topics->back().name = "t";
  fetch.topics->back().partition_indexes = {0, 1, 2};
  add_versions(frames, fetch, {1, 7});
  kafka::OffsetFetchRequest many;
  many.groups.resize(2);
  many.groups[0].group_id = "g";
  many.groups[0].topics->emplace_back();
  many.groups[0].topics->back().name = "t";
  many.groups[0].topics->back().partition_indexes = {0, 1};
  many.groups[1].group_id = "h";
  many.groups[1].topics.reset();
  add_versions(frames, many, {8, 9});
  kafka::OffsetDeleteRequest deletion;
  deletion.group_id = "g";
  deletion.topics.emplace_back();
  deletion.topics[0].name = "t";
  deletion.topics[0].partitions.resize(2);
  add_versions(frames, deletion, {0});
}

inline void add_groups(std::vector<Frame>& frames) {
  kafka::DescribeGroupsRequest describe;
  describe.groups = {"g", "h"};
  add_versions(frames, describe, {0, 5, 6});
  kafka::ListGroupsRequest list;
  add_versions(frames, list, {0});
  list.states_filter = {"Stable", "Empty"};
  add_versions(frames, list, {4, 5});
  kafka::DeleteGroupsRequest remove;
  remove.groups_names = {"g", "h"};
  add_versions(frames, remove, {0, 2});
  kafka::FindCoordinatorRequest find;
  find.key = "g";
  add_versions(frames, find, {0, 3});
  find.key.clear();
  find.coordinator_keys = {"g", "h"};
  add_versions(frames, find, {4, 6});
}

inline void add_topics(std::vector<Frame>& frames, const TopicId& id) {
  kafka::CreateTopicsRequest create;
  create.topics.resize(2);
  create.topics[0].name = "u";
  create.topics[0].num_partitions = 2;
  create.topics[0].replication_factor = 2;
  create.topics[0].configs.push_back({"cleanup.policy", "compact"});
  create.topics[1].name = "v";
  create.topics[1].num_partitions = -1;
  create.topics[1].replication_factor = -1;
  create.topics[1].assignments.push_back({0, {2, 3}});
  add_versions(frames, create, {1, 5, 7});
  kafka::DeleteTopicsRequest remove;
  remove.topic_names = {"u", "t"};
  remove.keep_ms = 60'000;
  add_versions(frames, remove, {1, 4});
  remove.topic_names.clear();
  remove.topics.resize(2);
  remove.topics[0].name = "u";
  remove.topics[1].topic_id = id;
  add_versions(frames, remove, {6});
  kafka::CreatePartitionsRequest grow;
  grow.topics.emplace_back();
  grow.topics[0].name = "t";
  grow.topics[0].count = 4;
  grow.topics[0].assignments->push_back({{3, 2, 1}});
  add_versions(frames, grow, {0, 3});
  kafka::MetadataRequest metadata;
  metadata.topics->emplace_back();
  metadata.topics->back().name = "t";
  add_versions(frames, metadata, {4, 9, 13});
  kafka::DescribeTopicPartitionsRequest partitions;
  partitions.topics.push_back({"t"});
  partitions.response_partition_limit = 2;
  add_versions(frames, partitions, {0});
  add_versions(frames, kafka::DescribeClusterRequest{}, {0, 2});
}

inline void add_settings(std::vector<Frame>& frames, const TopicId& id) {
  constexpr int8_t topic_resource = 2;
  constexpr int8_t broker_resource = 4;
  constexpr int8_t set = 0;
  constexpr int8_t take_away = 1;
  constexpr int8_t append = 2;
  kafka::DescribeConfigsRequest describe;
  describe.resources.push_back({topic_resource, "t", std::nullopt});
  describe.resources.push_back({broker_resource, "1", std::vector<std::string>{"log.dirs", "log.retention.ms"}});
  add_versions(frames, describe, {0, 4});
  kafka::AlterConfigsRequest alter;
  alter.resources.push_back({topic_resource, "t", {{"retention.ms", "1000"}, {"segment.bytes", "1048576"}}});
  add_versions(frames, alter, {0, 2});
  kafka::IncrementalAlterConfigsRequest change;
  change.resources.push_back({topic_resource,
                              "t",
                              {{"retention.ms", set, "1000"},
                               {"segment.bytes", take_away, std::nullopt},
                               {"cleanup.policy", append, "compact"}}});
  change.resources.push_back({broker_resource, "", {{"min.insync.replicas", set, "2"}}});
  add_versions(frames, change, {0, 1});
  kafka::IncrementalAlterConfigsRequest restore;
  restore.resources.push_back({topic_resource, "t", {{"naru.deleted", take_away, id.to_string()}}});
  add_versions(frames, restore, {1});
}

inline void add_leaders(std::vector<Frame>& frames) {
  kafka::ElectLeadersRequest elect;
  elect.topic_partitions->push_back({"t", {0, 1, 2}});
  add_versions(frames, elect, {0, 2});
  kafka::AlterPartitionReassignmentsRequest move;
  move.topics.emplace_back();
  move.topics[0].name = "t";
  move.topics[0].partitions.resize(2);
  move.topics[0].partitions[0].replicas = std::vector<int32_t>{3, 2};
  move.topics[0].partitions[1].partition_index = 1;  // without replicas: what is under way is turned back
  add_versions(frames, move, {0, 1});
  kafka::ListPartitionReassignmentsRequest list;
  list.topics.emplace();
  list.topics->push_back({"t", {0, 1}});
  add_versions(frames, list, {0});
}

inline std::vector<Frame> admin_frames(const std::string& member, const TopicId& id) {
  std::vector<Frame> frames;
  add_memberships(frames, member);
  add_offsets(frames, member, id);
  add_groups(frames);
  add_topics(frames, id);
  add_settings(frames, id);
  add_leaders(frames);
  return frames;
}

}  // namespace broker::api::test
