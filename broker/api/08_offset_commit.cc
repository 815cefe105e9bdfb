// OffsetCommit (key 8), versions 0-10: how far a group has read; answered when that is in the log (acks=all).
//
// Offsets of partitions that do not exist are refused one by one; the others are written together.
// New by version: 1 generation and member (checked), commit timestamp (1 only); 2-4 a retention time per request; 6
// leader epoch; 7 static members (KIP-345); 8 flexible; 9 GROUP_ID_NOT_FOUND; 10 topic ids in place of names (KIP-848).
// Version 0 went to ZooKeeper once; here it is a simple consumer's commit.
#include "kafka/offset_commit.h"

#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/partition_work.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using common::model::PartitionIndex;
using common::model::TimestampMs;
using kafka::OffsetCommitRequest;
using kafka::OffsetCommitResponse;
using ResponsePartition = OffsetCommitResponse::OffsetCommitResponsePartition;

constexpr int16_t first_with_topic_ids = 10;
constexpr int16_t first_with_unknown_group = 9;

// The least that a record takes in the log beside the names in it.
constexpr size_t record_bytes_min = 40;

// Where in the response the answer to a committed partition belongs.
struct Place {
  size_t topic = 0;
  size_t partition = 0;
};

group::CommitRequest::Partition translate(const Target& target,
                                          const OffsetCommitRequest::OffsetCommitRequestPartition& asked) {
  group::CommitRequest::Partition partition;
  partition.partition = {target.topic->name, target.id.partition};
  partition.topic_id = target.id.topic_id;
  partition.offset = common::model::Offset(asked.committed_offset);
  if (asked.committed_leader_epoch >= 0)
    partition.leader_epoch = common::model::LeaderEpoch(asked.committed_leader_epoch);
  partition.metadata = asked.committed_metadata.value_or("");
  if (asked.commit_timestamp >= 0) partition.committed_at = TimestampMs(asked.commit_timestamp);
  return partition;
}

Awaitable<OffsetCommitResponse> handle(RequestContext& ctx, OffsetCommitRequest request) {
  OffsetCommitResponse response;
  group::CommitRequest commit;
  commit.group = std::move(request.group_id);
  if (request.generation_id_or_member_epoch >= 0)
    commit.generation = group::Generation(request.generation_id_or_member_epoch);
  commit.member_id = std::move(request.member_id);
  commit.instance_id = std::move(request.group_instance_id);
  if (request.retention_time_ms >= 0) commit.retention = std::chrono::milliseconds(request.retention_time_ms);
  commit.unknown_group_has_own_code = ctx.version() >= first_with_unknown_group;

  const bool by_id = ctx.version() >= first_with_topic_ids;
  std::vector<Place> places;
  size_t bytes = 0;  // of their records, at least
  for (const auto& asked : request.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = asked.name;
    answered.topic_id = asked.topic_id;
    for (const auto& partition : asked.partitions) {
      ResponsePartition& slot = answered.partitions.emplace_back();
      slot.partition_index = partition.partition_index;
      const Target target = by_id ? find_target(ctx.image(), asked.topic_id, partition.partition_index)
                                  : find_target(ctx.image(), asked.name, partition.partition_index);
      if (target.error != ErrorCode::none) {
        slot.error_code = target.error;
        continue;
      }
      places.push_back({response.topics.size() - 1, answered.partitions.size() - 1});
      // Each record repeats the group's name: of one of 32 kB a request makes gigabytes, which no append takes (R109).
      bytes += record_bytes_min + commit.group.size() + target.topic->name.size();
      if (bytes <= group::append_bytes_max) commit.partitions.push_back(translate(target, partition));
    }
  }
  if (places.empty()) co_return response;
  if (bytes > group::append_bytes_max) {
    for (const Place& place : places)
      response.topics[place.topic].partitions[place.partition].error_code = ErrorCode::invalid_commit_offset_size;
    co_return response;
  }
  // Commits of one connection reach the coordinator in order; the next one need not wait for this one's replicas.
  ctx.settle_order();
  const group::CommitAnswer answer = co_await ask_group(ctx, std::move(commit));
  for (size_t i = 0; i < places.size(); ++i)
    response.topics[places[i].topic].partitions[places[i].partition].error_code = answer.partitions.at(i);
  co_return response;
}

}  // namespace

const ApiHandler offset_commit =
    make_handler<OffsetCommitRequest, OffsetCommitResponse, &handle>("OffsetCommit", {.min = 0, .max = 10});

}  // namespace broker::api
