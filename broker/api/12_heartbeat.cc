// Heartbeat (key 12), versions 0-4: a member is alive, and is told when its group rebalances.
//
// New by version: 3 static members (KIP-345); 4 flexible.
#include "kafka/heartbeat.h"

#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::HeartbeatRequest;
using kafka::HeartbeatResponse;

Awaitable<HeartbeatResponse> handle(RequestContext& ctx, HeartbeatRequest request) {
  group::HeartbeatRequest heartbeat;
  heartbeat.group = std::move(request.group_id);
  heartbeat.generation = group::Generation(request.generation_id);
  heartbeat.member_id = std::move(request.member_id);
  heartbeat.instance_id = std::move(request.group_instance_id);
  const group::HeartbeatAnswer answer = co_await ask_group(ctx, std::move(heartbeat));
  HeartbeatResponse response;
  // As Kafka: a member of a group that is being loaded need do nothing but go on.
  response.error_code = answer.error == ErrorCode::coordinator_load_in_progress ? ErrorCode::none : answer.error;
  co_return response;
}

}  // namespace

const ApiHandler heartbeat =
    make_handler<HeartbeatRequest, HeartbeatResponse, &handle>("Heartbeat", {.min = 0, .max = 4});

}  // namespace broker::api
