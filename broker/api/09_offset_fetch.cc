// OffsetFetch (key 9), versions 0-10: the committed offsets of groups.
//
// -1 means that nothing is committed, which a coordinator says only when it has loaded the group (R104).
// New by version: 2 all topics (null) and an error for the whole; 5 leader epoch; 6 flexible; 7 require_stable
// (KIP-447); 8 many groups at once (KIP-709); 9 member of the new group protocol, ignored for classic groups; 10 topic
// ids in place of names (KIP-848). Version 0 read from ZooKeeper once; here it is served as version 1.
#include "kafka/offset_fetch.h"

#include <map>
#include <set>

#include "broker/api/first_mentions.h"
#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/long_names.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using common::model::PartitionIndex;
using common::model::TopicPartition;
using common::model::Uuid;
using kafka::OffsetFetchRequest;
using kafka::OffsetFetchResponse;
using ResponseGroup = OffsetFetchResponse::OffsetFetchResponseGroup;
using ResponsePartition = OffsetFetchResponse::OffsetFetchResponsePartitions;
using RequestGroup = OffsetFetchRequest::OffsetFetchRequestGroup;

constexpr int16_t first_with_groups = 8;
constexpr int16_t first_with_group_error = 2;
constexpr int16_t first_with_topic_ids = 10;

ResponsePartition refused(int32_t index, ErrorCode error) {
  ResponsePartition partition;
  partition.partition_index = index;
  partition.committed_offset = -1;
  partition.error_code = error;
  return partition;
}

ResponsePartition translate(const group::FetchAnswer::Partition& found) {
  ResponsePartition partition = refused(found.partition.partition.value, found.error);
  if (!found.value) return partition;
  partition.committed_offset = found.value->offset.value;
  if (found.value->leader_epoch) partition.committed_leader_epoch = found.value->leader_epoch->value;
  partition.metadata = found.value->metadata;
  return partition;
}

Awaitable<ResponseGroup> fetch_all(RequestContext& ctx, std::string group_id, group::Stability stability, bool by_id) {
  ResponseGroup response;
  response.group_id = group_id;
  group::FetchRequest request{.group = std::move(group_id), .partitions = std::nullopt, .stability = stability};
  const group::FetchAnswer answer = co_await ask_group(ctx, std::move(request));
  response.error_code = answer.error;
  for (const auto& found : answer.partitions) {
    const auto* topic = ctx.image().topic_by_name(found.partition.topic);
    if (by_id && topic == nullptr) continue;  // it has no id any more
    if (ctx.image().kept_topics().contains(found.partition.topic)) continue;  // deleted, for all that clients know
    if (response.topics.empty() || response.topics.back().name != found.partition.topic) {
      auto& added = response.topics.emplace_back();
      added.name = found.partition.topic;
      if (topic != nullptr) added.topic_id = topic->id;
    }
    response.topics.back().partitions.push_back(translate(found));
  }
  co_return response;
}

Awaitable<ResponseGroup> fetch_some(RequestContext& ctx, RequestGroup asked, group::Stability stability, bool by_id) {
  ResponseGroup response;
  response.group_id = asked.group_id;
  std::vector<TopicPartition> wanted;
  std::vector<std::pair<size_t, size_t>> places;
  std::map<std::string, std::set<int32_t>> seen;  // by topic: its name is not copied for each of them
  for (const auto& topic : *asked.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    answered.topic_id = topic.topic_id;
    const auto* known = by_id ? ctx.image().visible_topic(topic.topic_id) : nullptr;
    if (known != nullptr) answered.name = known->name;
    std::set<int32_t>& of_topic = seen[answered.name];
    for (const int32_t index : topic.partition_indexes) {
      answered.partitions.push_back(
          refused(index, by_id && known == nullptr ? ErrorCode::unknown_topic_id : ErrorCode::none));
      if (by_id && known == nullptr) continue;
      if (is_too_long_for_a_topic(answered.name)) continue;             // nothing is committed there
      if (ctx.image().kept_topics().contains(answered.name)) continue;  // nor where a topic was deleted
      if (!of_topic.insert(index).second) {  // what is answered may be long (R109)
        answered.partitions.pop_back();
        continue;
      }
      places.emplace_back(response.topics.size() - 1, answered.partitions.size() - 1);
      wanted.push_back({answered.name, PartitionIndex(index)});
    }
  }
  group::FetchRequest request{
      .group = std::move(asked.group_id), .partitions = std::move(wanted), .stability = stability};
  const group::FetchAnswer answer = co_await ask_group(ctx, std::move(request));
  response.error_code = answer.error;
  if (answer.error != ErrorCode::none) {
    response.topics.clear();
    co_return response;
  }
  for (size_t i = 0; i < places.size(); ++i)
    response.topics[places[i].first].partitions[places[i].second] = translate(answer.partitions.at(i));
  co_return response;
}

Awaitable<ResponseGroup> fetch_group(RequestContext& ctx, RequestGroup asked, group::Stability stability) {
  const bool by_id = ctx.version() >= first_with_topic_ids;
  if (asked.topics) co_return co_await fetch_some(ctx, std::move(asked), stability, by_id);
  co_return co_await fetch_all(ctx, std::move(asked.group_id), stability, by_id);
}

// Up to version 7 there is one group, and the response is its answer.
OffsetFetchResponse as_single(const RequestContext& ctx, ResponseGroup group, const RequestGroup& asked) {
  OffsetFetchResponse response;
  response.error_code = group.error_code;
  for (auto& topic : group.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = std::move(topic.name);
    for (ResponsePartition& p : topic.partitions)
      answered.partitions.push_back({.partition_index = p.partition_index,
                                     .committed_offset = p.committed_offset,
                                     .committed_leader_epoch = p.committed_leader_epoch,
                                     .metadata = std::move(p.metadata),
                                     .error_code = p.error_code});
  }
  if (ctx.version() >= first_with_group_error || group.error_code == ErrorCode::none) return response;
  // Nowhere to put the error but with each partition.
  response.error_code = ErrorCode::none;
  for (const auto& topic : *asked.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    for (const int32_t index : topic.partition_indexes)
      answered.partitions.push_back({.partition_index = index, .committed_offset = -1, .error_code = group.error_code});
  }
  return response;
}

// Java's clients and franz-go look for the coordinator when they are told NOT_COORDINATOR, and franz-go for nothing
// else: where the connection ends it asks the same broker again, until a heartbeat is told.
bool goes_by_the_answer(const RequestContext& ctx) {
  const auto& software = ctx.connection().software;
  return software != nullptr && (software->name() == "apache-kafka-java" || software->name() == "kgo");
}

// librdkafka, as of 2.16 (its issue 5586), takes NOT_COORDINATOR here for the end of it: it looks for the coordinator,
// and never asks for these offsets again, so that a member that joined just before its coordinator moved reads nothing
// as long as it lives. What is on its way when a connection ends it asks again, as other clients do, and of whoever is
// coordinator by then. Only members name partitions.
void send_member_elsewhere(RequestContext& ctx, ErrorCode error) {
  const bool is_elsewhere = error == ErrorCode::not_coordinator && !goes_by_the_answer(ctx);
  if (is_elsewhere || error == ErrorCode::coordinator_not_available)
    ctx.close_connection({});  // nothing that a client did: no line among those about what they do
}

Awaitable<OffsetFetchResponse> handle(RequestContext& ctx, OffsetFetchRequest request) {
  const group::Stability stability = request.require_stable ? group::Stability::require_stable : group::Stability::any;
  OffsetFetchResponse response;
  if (ctx.version() >= first_with_groups) {
    keep_first_mentions(request.groups,
                        [](const RequestGroup& asked) { return std::pair(asked.group_id, asked.topics.has_value()); });
    const bool is_of_a_member = request.groups.size() == 1 && request.groups.front().topics.has_value();
    for (RequestGroup& asked : request.groups)
      response.groups.push_back(co_await fetch_group(ctx, std::move(asked), stability));
    if (is_of_a_member) send_member_elsewhere(ctx, response.groups.front().error_code);
    co_return response;
  }
  RequestGroup one;
  one.group_id = std::move(request.group_id);
  if (!request.topics)
    one.topics.reset();
  else
    for (auto& topic : *request.topics)
      one.topics->push_back({.name = std::move(topic.name), .partition_indexes = std::move(topic.partition_indexes)});
  RequestGroup asked(one);
  ResponseGroup group = co_await fetch_group(ctx, std::move(asked), stability);
  if (one.topics) send_member_elsewhere(ctx, group.error_code);
  co_return as_single(ctx, std::move(group), one);
}

}  // namespace

const ApiHandler offset_fetch =
    make_handler<OffsetFetchRequest, OffsetFetchResponse, &handle>("OffsetFetch", {.min = 0, .max = 10});

}  // namespace broker::api
