// DescribeGroups (key 15), versions 0-6: state and members of classic groups.
//
// A group that does not exist is "Dead", and GROUP_ID_NOT_FOUND from version 6 (KIP-1043). What members say and were
// assigned is told of stable groups only.
// New by version: 3 authorized operations; 4 static members; 5 flexible; 6 error messages.
#include "kafka/describe_groups.h"

#include "broker/api/cluster_view.h"
#include "broker/api/first_mentions.h"
#include "broker/api/group_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::DescribeGroupsRequest;
using kafka::DescribeGroupsResponse;
using DescribedGroup = DescribeGroupsResponse::DescribedGroup;

constexpr int16_t first_with_not_found = 6;

DescribedGroup translate(const RequestContext& ctx, const std::string& id, group::DescribeAnswer& answer) {
  DescribedGroup described;
  described.group_id = id;
  described.error_code = answer.error;
  if (answer.error != ErrorCode::none) return described;
  described.group_state = std::move(answer.state);
  described.protocol_type = std::move(answer.protocol_type);
  described.protocol_data = std::move(answer.protocol);
  for (group::DescribeAnswer::Member& member : answer.members)
    described.members.push_back({.member_id = std::move(member.member_id),
                                 .group_instance_id = std::move(member.instance_id),
                                 .client_id = std::move(member.client_id),
                                 .client_host = std::move(member.client_host),
                                 .member_metadata = std::move(member.metadata),
                                 .member_assignment = std::move(member.assignment)});
  if (!answer.found && ctx.version() >= first_with_not_found) {
    described.error_code = ErrorCode::group_id_not_found;
    described.error_message = fmt::format("Group {} not found.", id);
  }
  return described;
}

Awaitable<DescribeGroupsResponse> handle(RequestContext& ctx, DescribeGroupsRequest request) {
  DescribeGroupsResponse response;
  keep_first_mentions(request.groups, [](const std::string& id) { return id; });
  for (const std::string& id : request.groups) {
    group::DescribeRequest asked{id};
    group::DescribeAnswer answer = co_await ask_group(ctx, std::move(asked));
    DescribedGroup described = translate(ctx, id, answer);
    if (request.include_authorized_operations && described.error_code == ErrorCode::none)
      described.authorized_operations = group_operations;
    response.groups.push_back(std::move(described));
  }
  co_return response;
}

}  // namespace

const ApiHandler describe_groups =
    make_handler<DescribeGroupsRequest, DescribeGroupsResponse, &handle>("DescribeGroups", {.min = 0, .max = 6});

}  // namespace broker::api
