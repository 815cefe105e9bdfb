// AlterPartitionReassignments (key 45), versions 0-1: says on which brokers partitions are to lie, or turns back what
// goes on (null replicas). Answered once it is recorded; ListPartitionReassignments shows what is still under way.
//
// New by version: 1 the number of replicas may be kept from changing.
#include "kafka/alter_partition_reassignments.h"

#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/long_names.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::Error;
using common::model::PartitionIndex;
using kafka::AlterPartitionReassignmentsRequest;
using kafka::AlterPartitionReassignmentsResponse;

meta::AlterPartitionReassignments translate(const AlterPartitionReassignmentsRequest& request) {
  meta::AlterPartitionReassignments wanted;
  if (!request.allow_replication_factor_change) wanted.factor_change = meta::FactorChange::refused;
  for (const auto& topic : request.topics) {
    if (is_too_long_for_a_topic(topic.name)) continue;
    for (const auto& partition : topic.partitions) {
      auto& to = wanted.partitions.emplace_back();
      to.partition = {topic.name, PartitionIndex(partition.partition_index)};
      if (!partition.replicas) continue;
      to.replicas.emplace();
      for (const int32_t id : *partition.replicas) to.replicas->emplace_back(id);
    }
  }
  return wanted;
}

Awaitable<AlterPartitionReassignmentsResponse> handle(RequestContext& ctx, AlterPartitionReassignmentsRequest request) {
  AlterPartitionReassignmentsResponse response;
  response.allow_replication_factor_change = request.allow_replication_factor_change;
  response.error_message.reset();
  if (repeats_too_much(request.topics, [](const auto& topic) { return std::string_view(topic.name); })) {
    response.error_code = names_too_much.code;
    response.error_message = wire_message(names_too_much);
    co_return response;
  }
  meta::ControllerRequest call = translate(request);
  const Result<meta::AlterPartitionReassignmentsAnswer> answer =
      co_await ask_controller<meta::AlterPartitionReassignmentsAnswer>(ctx, std::move(call),
                                                                       deadline_after(ctx, request.timeout_ms));
  if (!answer) {
    response.error_code = answer.error().code;
    response.error_message = wire_message(answer.error());
    co_return response;
  }
  const Error unknown{ErrorCode::unknown_topic_or_partition, ""};
  size_t next = 0;
  for (const auto& topic : request.topics) {
    auto& to = response.responses.emplace_back();
    to.name = topic.name;
    const bool was_asked = !is_too_long_for_a_topic(topic.name);
    for (const auto& partition : topic.partitions) {
      const Error& error = was_asked ? answer->partitions.at(next++).error : unknown;
      to.partitions.push_back({.partition_index = partition.partition_index,
                               .error_code = error.code,
                               .error_message = wire_message(error)});
    }
  }
  co_return response;
}

}  // namespace

const ApiHandler alter_partition_reassignments =
    make_handler<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, &handle>(
        "AlterPartitionReassignments", {.min = 0, .max = 1});

}  // namespace broker::api
