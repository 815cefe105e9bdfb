// DeleteGroups (key 42), versions 0-3: groups without members, and their offsets, are forgotten.
//
// New by version: 2 flexible; 3 error messages.
#include "kafka/delete_groups.h"

#include "broker/api/first_mentions.h"
#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::DeleteGroupsRequest;
using kafka::DeleteGroupsResponse;

Awaitable<DeleteGroupsResponse> handle(RequestContext& ctx, DeleteGroupsRequest request) {
  DeleteGroupsResponse response;
  keep_first_mentions(request.groups_names, [](const std::string& id) { return id; });  // as Kafka does
  for (const std::string& id : request.groups_names) {
    group::DeleteRequest asked{id};
    const group::DeleteAnswer answer = co_await ask_group(ctx, std::move(asked));
    response.results.push_back({.group_id = id, .error_code = answer.error, .error_message = std::nullopt});
  }
  co_return response;
}

}  // namespace

const ApiHandler delete_groups =
    make_handler<DeleteGroupsRequest, DeleteGroupsResponse, &handle>("DeleteGroups", {.min = 0, .max = 3});

}  // namespace broker::api
