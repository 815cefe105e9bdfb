// JoinGroup (key 11), versions 0-9: become or stay a member of a classic group; answered when the rebalance is over.
//
// New by version: 1 rebalance timeout of its own; 4 a newcomer is given its member id first and comes back with it
// (KIP-394); 5 static members (KIP-345); 6 flexible; 7 protocol type in the answer (KIP-559); 8 reason (KIP-800); 9 a
// static leader that came back is told to skip the assignment (KIP-814).
#include "kafka/join_group.h"

#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::JoinGroupRequest;
using kafka::JoinGroupResponse;
using std::chrono::milliseconds;

constexpr int16_t first_with_nullable_protocol = 7;

group::JoinRequest translate(const RequestContext& ctx, JoinGroupRequest& request) {
  group::JoinRequest join;
  join.group = std::move(request.group_id);
  join.member_id = std::move(request.member_id);
  join.instance_id = std::move(request.group_instance_id);
  join.client_id = ctx.client_id();
  join.client_host = "/" + ctx.client_host();  // as Java prints an address, which is what tools expect
  join.session_timeout = milliseconds(request.session_timeout_ms);
  join.rebalance_timeout =
      milliseconds(request.rebalance_timeout_ms >= 0 ? request.rebalance_timeout_ms : request.session_timeout_ms);
  join.protocol_type = std::move(request.protocol_type);
  for (auto& protocol : request.protocols)
    join.protocols.push_back({std::move(protocol.name), std::move(protocol.metadata)});
  join.member_id_rule = ctx.version() >= 4 ? group::MemberIdRule::must_be_known : group::MemberIdRule::may_be_empty;
  join.skip_assignment =
      ctx.version() >= 9 ? group::SkipAssignment::supported : group::SkipAssignment::unknown_to_client;
  join.reason = request.reason.value_or("");
  return join;
}

Awaitable<JoinGroupResponse> handle(RequestContext& ctx, JoinGroupRequest request) {
  group::JoinRequest join = translate(ctx, request);
  ctx.release_frame();  // the others of the group may need room for the requests that end this wait
  count_waiting(ctx.broker().metrics, &Waiting::rebalance, 1);
  group::JoinAnswer answer = co_await ask_group(ctx, std::move(join));
  count_waiting(ctx.broker().metrics, &Waiting::rebalance, -1);
  JoinGroupResponse response;
  response.error_code = answer.error;
  response.generation_id = wire_generation(answer.generation);
  response.protocol_type = std::move(answer.protocol_type);
  response.protocol_name = std::move(answer.protocol);
  if (ctx.version() < first_with_nullable_protocol && !response.protocol_name) response.protocol_name = "";
  response.leader = std::move(answer.leader);
  response.skip_assignment = answer.skip_assignment;
  response.member_id = std::move(answer.member_id);
  for (group::JoinAnswer::Member& member : answer.members)
    response.members.push_back({.member_id = std::move(member.member_id),
                                .group_instance_id = std::move(member.instance_id),
                                .metadata = std::move(member.metadata)});
  // Field absent below the version, and not to be dropped silently above it.
  if (ctx.version() < 9) response.skip_assignment = false;
  co_return response;
}

}  // namespace

const ApiHandler join_group =
    make_handler<JoinGroupRequest, JoinGroupResponse, &handle>("JoinGroup", {.min = 0, .max = 9});

}  // namespace broker::api
