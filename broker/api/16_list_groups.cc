// ListGroups (key 16), versions 0-5: the groups that this broker coordinates; clients ask every broker.
//
// New by version: 3 flexible; 4 filter by state (KIP-518); 5 type and filter by type (KIP-848; all are "classic").
#include "kafka/list_groups.h"

#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::ListGroupsRequest;
using kafka::ListGroupsResponse;

Awaitable<ListGroupsResponse> handle(RequestContext& ctx, ListGroupsRequest request) {
  ListGroupsResponse response;
  if (ctx.broker().groups == nullptr) co_return response;
  group::ListRequest list{std::move(request.states_filter), std::move(request.types_filter)};
  group::ListAnswer answer = co_await ctx.broker().groups->list(ctx.shard(), std::move(list));
  response.error_code = answer.error;
  for (group::ListAnswer::Group& one : answer.groups)
    response.groups.push_back({.group_id = std::move(one.group),
                               .protocol_type = std::move(one.protocol_type),
                               .group_state = std::move(one.state),
                               .group_type = std::move(one.type)});
  co_return response;
}

}  // namespace

const ApiHandler list_groups =
    make_handler<ListGroupsRequest, ListGroupsResponse, &handle>("ListGroups", {.min = 0, .max = 5});

}  // namespace broker::api
