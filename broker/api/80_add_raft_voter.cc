// AddRaftVoter (key 80), versions 0-1: a broker that follows the metadata log becomes a voter of the quorum (KIP-853).
//
// Answered once the change is committed, also where a client would be content with less (version 1:
// ack_when_committed). Where the broker is reached is what it has registered; the listeners named here count only if it
// has not. A zero directory id is none.
#include "kafka/add_raft_voter.h"

#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using kafka::AddRaftVoterRequest;
using kafka::AddRaftVoterResponse;

Awaitable<AddRaftVoterResponse> handle(RequestContext& ctx, AddRaftVoterRequest request) {
  AddRaftVoterResponse response;
  const auto answer_with = [&response](const common::model::Error& error) {
    response.error_code = error.code;
    response.error_message = wire_message(error);
  };
  answer_with({ErrorCode::none, {}});
  if (!is_own_cluster(ctx, request.cluster_id)) {
    answer_with({ErrorCode::inconsistent_cluster_id, "The request is meant for another cluster."});
    co_return response;
  }
  if (request.voter_id < 0 || request.voter_directory_id.is_zero()) {
    answer_with({ErrorCode::invalid_request, "A voter is named by its id and its directory id."});
    co_return response;
  }
  meta::AddRaftVoter wanted{BrokerId(request.voter_id), request.voter_directory_id, std::nullopt};
  if (!request.listeners.empty())
    wanted.endpoint = meta::ClusterEndpoint{request.listeners.front().host, request.listeners.front().port};
  const Result<meta::AddRaftVoterAnswer> answer = co_await ask_controller<meta::AddRaftVoterAnswer>(
      ctx, meta::ControllerRequest(std::move(wanted)), deadline_after(ctx, request.timeout_ms));
  answer_with(answer ? answer->error : answer.error());
  co_return response;
}

}  // namespace

const ApiHandler add_raft_voter =
    make_handler<AddRaftVoterRequest, AddRaftVoterResponse, &handle>("AddRaftVoter", {.min = 0, .max = 1});

}  // namespace broker::api
