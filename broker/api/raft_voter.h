// What the requests that add and remove a voter of the quorum share: who is meant, and how the answer says what came
// of it. Called on the request's shard.
#pragma once
#include <optional>

#include "broker/api/controller_call.h"

namespace broker::api {

// Why the request is not for this cluster, or names no voter; nothing if the controller is to decide.
template <class Request>
[[nodiscard]] std::optional<common::model::Error> voter_refusal(const RequestContext& ctx, const Request& request) {
  if (!is_own_cluster(ctx, request.cluster_id))
    return common::model::Error{ErrorCode::inconsistent_cluster_id, "The request is meant for another cluster."};
  if (request.voter_id < 0 || request.voter_directory_id.is_zero())
    return common::model::Error{ErrorCode::invalid_request, "A voter is named by its id and its directory id."};
  return std::nullopt;
}

template <class Response>
[[nodiscard]] Response voter_response(const common::model::Error& error) {
  Response response;
  response.error_code = error.code;
  response.error_message = wire_message(error);
  return response;
}

}  // namespace broker::api
