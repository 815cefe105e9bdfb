// SyncGroup (key 14), versions 0-5: the leader hands in the assignment of its generation, each member gets its part.
//
// New by version: 3 static members (KIP-345); 4 flexible; 5 the client names protocol type and protocol, and is refused
// if they are not the group's (KIP-559).
#include "kafka/sync_group.h"

#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::SyncGroupRequest;
using kafka::SyncGroupResponse;

constexpr int16_t first_with_protocol = 5;

Awaitable<SyncGroupResponse> handle(RequestContext& ctx, SyncGroupRequest request) {
  SyncGroupResponse response;
  if (ctx.version() >= first_with_protocol && (!request.protocol_type || !request.protocol_name)) {
    response.error_code = ErrorCode::inconsistent_group_protocol;
    co_return response;
  }
  group::SyncRequest sync;
  sync.group = std::move(request.group_id);
  sync.generation = group::Generation(request.generation_id);
  sync.member_id = std::move(request.member_id);
  sync.instance_id = std::move(request.group_instance_id);
  sync.protocol_type = std::move(request.protocol_type);
  sync.protocol = std::move(request.protocol_name);
  for (auto& part : request.assignments)
    sync.assignments.emplace_back(std::move(part.member_id), std::move(part.assignment));
  ctx.release_frame();  // the leader may need room for the request that ends this wait
  count_waiting(ctx.broker().metrics, &Waiting::rebalance, 1);
  group::SyncAnswer answer = co_await ask_group(ctx, std::move(sync));
  count_waiting(ctx.broker().metrics, &Waiting::rebalance, -1);
  response.error_code = answer.error;
  response.protocol_type = std::move(answer.protocol_type);
  response.protocol_name = std::move(answer.protocol);
  response.assignment = std::move(answer.assignment);
  co_return response;
}

}  // namespace

const ApiHandler sync_group =
    make_handler<SyncGroupRequest, SyncGroupResponse, &handle>("SyncGroup", {.min = 0, .max = 5});

}  // namespace broker::api
