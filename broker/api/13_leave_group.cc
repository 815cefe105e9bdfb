// LeaveGroup (key 13), versions 0-5: members leave, or are removed by an administrator.
//
// New by version: 3 many members at once, named by member id or by static instance (KIP-345); 4 flexible; 5 reason
// (KIP-800). Up to version 2 there is one member, and its error is the response's.
#include "kafka/leave_group.h"

#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::LeaveGroupRequest;
using kafka::LeaveGroupResponse;

constexpr int16_t first_batched = 3;

Awaitable<LeaveGroupResponse> handle(RequestContext& ctx, LeaveGroupRequest request) {
  group::LeaveRequest leave;
  leave.group = std::move(request.group_id);
  const bool batched = ctx.version() >= first_batched;
  if (!batched) leave.members.push_back({std::move(request.member_id), std::nullopt, ""});
  for (auto& member : request.members)
    leave.members.push_back(
        {std::move(member.member_id), std::move(member.group_instance_id), member.reason.value_or("")});
  group::LeaveAnswer answer = co_await ask_group(ctx, std::move(leave));
  LeaveGroupResponse response;
  response.error_code = answer.error;
  if (!batched) {
    if (answer.error == ErrorCode::none) response.error_code = answer.members.at(0).error;
    co_return response;
  }
  for (group::LeaveAnswer::Member& member : answer.members)
    response.members.push_back({.member_id = std::move(member.member_id),
                                .group_instance_id = std::move(member.instance_id),
                                .error_code = member.error});
  co_return response;
}

}  // namespace

const ApiHandler leave_group =
    make_handler<LeaveGroupRequest, LeaveGroupResponse, &handle>("LeaveGroup", {.min = 0, .max = 5});

}  // namespace broker::api
