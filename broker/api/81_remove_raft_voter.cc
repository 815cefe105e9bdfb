// RemoveRaftVoter (key 81), version 0: a voter of the quorum goes on as an observer (KIP-853). Refused for the last
// one, and where too few of the others answer to agree on anything without it. A zero directory id is none.
#include "kafka/remove_raft_voter.h"

#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "common/config/config.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using kafka::RemoveRaftVoterRequest;
using kafka::RemoveRaftVoterResponse;

Awaitable<RemoveRaftVoterResponse> handle(RequestContext& ctx, RemoveRaftVoterRequest request) {
  RemoveRaftVoterResponse response;
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
  meta::ControllerRequest call = meta::RemoveRaftVoter{BrokerId(request.voter_id), request.voter_directory_id};
  const Result<meta::RemoveRaftVoterAnswer> answer = co_await ask_controller<meta::RemoveRaftVoterAnswer>(
      ctx, std::move(call), ctx.shard().now() + ctx.config().request_timeout);
  answer_with(answer ? answer->error : answer.error());
  co_return response;
}

}  // namespace

const ApiHandler remove_raft_voter =
    make_handler<RemoveRaftVoterRequest, RemoveRaftVoterResponse, &handle>("RemoveRaftVoter", {.min = 0, .max = 0});

}  // namespace broker::api
