// RemoveRaftVoter (key 81), version 0: a voter of the quorum goes on as an observer (KIP-853). Refused for the last
// one, and where too few of the others answer to agree on anything without it. A zero directory id is none.
#include "kafka/remove_raft_voter.h"

#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/raft_voter.h"
#include "broker/api/table.h"
#include "common/config/config.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using kafka::RemoveRaftVoterRequest;
using kafka::RemoveRaftVoterResponse;

Awaitable<RemoveRaftVoterResponse> handle(RequestContext& ctx, RemoveRaftVoterRequest request) {
  if (const auto refusal = voter_refusal(ctx, request)) co_return voter_response<RemoveRaftVoterResponse>(*refusal);
  meta::ControllerRequest call = meta::RemoveRaftVoter{BrokerId(request.voter_id), request.voter_directory_id};
  const Result<meta::RemoveRaftVoterAnswer> answer = co_await ask_controller<meta::RemoveRaftVoterAnswer>(
      ctx, std::move(call), ctx.shard().now() + ctx.config().request_timeout);
  co_return voter_response<RemoveRaftVoterResponse>(answer ? answer->error : answer.error());
}

}  // namespace

const ApiHandler remove_raft_voter =
    make_handler<RemoveRaftVoterRequest, RemoveRaftVoterResponse, &handle>("RemoveRaftVoter", {.min = 0, .max = 0});

}  // namespace broker::api
