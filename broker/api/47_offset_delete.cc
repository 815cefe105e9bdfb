// OffsetDelete (key 47), version 0: single committed offsets are forgotten (KIP-496).
//
// Not those of topics that members of the group read (GROUP_SUBSCRIBED_TO_TOPIC); of a group of another type than
// "consumer" none while it has members (NON_EMPTY_GROUP).
#include "kafka/offset_delete.h"

#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/partition_work.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::OffsetDeleteRequest;
using kafka::OffsetDeleteResponse;

Awaitable<OffsetDeleteResponse> handle(RequestContext& ctx, OffsetDeleteRequest request) {
  OffsetDeleteResponse response;
  group::DeleteOffsetsRequest wanted;
  wanted.group = std::move(request.group_id);
  std::vector<std::pair<size_t, size_t>> places;
  for (const auto& asked : request.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = asked.name;
    for (const auto& partition : asked.partitions) {
      answered.partitions.push_back({.partition_index = partition.partition_index});
      const Target target = find_target(ctx.image(), asked.name, partition.partition_index);
      answered.partitions.back().error_code = target.error;
      if (target.error != ErrorCode::none) continue;
      places.emplace_back(response.topics.size() - 1, answered.partitions.size() - 1);
      wanted.partitions.push_back({asked.name, target.id.partition});
    }
  }
  if (places.empty() && !request.topics.empty()) co_return response;
  const group::DeleteOffsetsAnswer answer = co_await ask_group(ctx, std::move(wanted));
  response.error_code = answer.error;
  if (answer.error != ErrorCode::none) {
    response.topics.clear();
    co_return response;
  }
  for (size_t i = 0; i < places.size(); ++i)
    response.topics[places[i].first].partitions[places[i].second].error_code = answer.partitions.at(i);
  co_return response;
}

}  // namespace

const ApiHandler offset_delete =
    make_handler<OffsetDeleteRequest, OffsetDeleteResponse, &handle>("OffsetDelete", {.min = 0, .max = 0});

}  // namespace broker::api
