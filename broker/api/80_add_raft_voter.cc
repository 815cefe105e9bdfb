// AddRaftVoter (key 80), versions 0-1: a broker that follows the metadata log becomes a voter of the quorum (KIP-853).
//
// Answered once the change is committed, also where a client would be content with less (version 1:
// ack_when_committed). Where the broker is reached is what it has registered; the listeners named here count only if it
// has not. A zero directory id is none.
#include "kafka/add_raft_voter.h"

#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/raft_voter.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using kafka::AddRaftVoterRequest;
using kafka::AddRaftVoterResponse;

Awaitable<AddRaftVoterResponse> handle(RequestContext& ctx, AddRaftVoterRequest request) {
  if (const auto refusal = voter_refusal(ctx, request)) co_return voter_response<AddRaftVoterResponse>(*refusal);
  meta::AddRaftVoter wanted{BrokerId(request.voter_id), request.voter_directory_id, std::nullopt};
  if (!request.listeners.empty())
    wanted.endpoint = meta::ClusterEndpoint{request.listeners.front().host, request.listeners.front().port};
  const Result<meta::AddRaftVoterAnswer> answer = co_await ask_controller<meta::AddRaftVoterAnswer>(
      ctx, meta::ControllerRequest(std::move(wanted)), deadline_after(ctx, request.timeout_ms));
  co_return voter_response<AddRaftVoterResponse>(answer ? answer->error : answer.error());
}

}  // namespace

const ApiHandler add_raft_voter =
    make_handler<AddRaftVoterRequest, AddRaftVoterResponse, &handle>("AddRaftVoter", {.min = 0, .max = 1});

}  // namespace broker::api
