// ElectLeaders (key 43), versions 0-2: moves leadership to preferred replicas, or elects uncleanly by command (R39).
//
// Null partitions: all of them; those that need no election are then left out.
// New by version: 1 election type (0: preferred), error of the whole; 2 flexible.
#include "kafka/elect_leaders.h"

#include <map>

#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/long_names.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::PartitionIndex;
using common::model::TopicPartition;
using kafka::ElectLeadersRequest;
using kafka::ElectLeadersResponse;

ElectLeadersResponse::ReplicaElectionResult failed(const ElectLeadersRequest::TopicPartitions& topic,
                                                   const common::model::Error& error) {
  ElectLeadersResponse::ReplicaElectionResult result;
  result.topic = topic.topic;
  for (const int32_t index : topic.partitions) {
    result.partition_result.push_back(
        {.partition_id = index, .error_code = error.code, .error_message = wire_message(error)});
  }
  return result;
}

bool is_known_type(int8_t type) {
  return type == static_cast<int8_t>(meta::ElectionType::preferred) ||
         type == static_cast<int8_t>(meta::ElectionType::unclean);
}

void refuse(const RequestContext& ctx, const ElectLeadersRequest& request, const common::model::Error& error,
            ElectLeadersResponse& response) {
  if (ctx.version() >= 1) response.error_code = error.code;
  if (!request.topic_partitions) return;
  for (const auto& topic : *request.topic_partitions) {
    response.replica_election_results.push_back(failed(topic, error));
  }
}

Awaitable<ElectLeadersResponse> handle(RequestContext& ctx, ElectLeadersRequest request) {
  ElectLeadersResponse response;
  if (!is_known_type(request.election_type)) {
    refuse(ctx, request, {ErrorCode::invalid_request, "Unknown election type."}, response);
    co_return response;
  }
  const auto name_of = [](const ElectLeadersRequest::TopicPartitions& topic) { return std::string_view(topic.topic); };
  if (request.topic_partitions && repeats_too_much(*request.topic_partitions, name_of)) {
    refuse(ctx, request, names_too_much, response);
    co_return response;
  }
  meta::ElectLeaders wanted;
  wanted.type = static_cast<meta::ElectionType>(request.election_type);
  if (request.topic_partitions) {
    auto& partitions = wanted.partitions.emplace();
    for (const auto& topic : *request.topic_partitions) {
      if (is_too_long_for_a_topic(topic.topic)) continue;
      for (const int32_t index : topic.partitions) partitions.push_back({topic.topic, PartitionIndex(index)});
    }
  }
  meta::ControllerRequest call = std::move(wanted);
  const Result<meta::ElectLeadersAnswer> answer =
      co_await ask_controller<meta::ElectLeadersAnswer>(ctx, std::move(call), deadline_after(ctx, request.timeout_ms));
  if (!answer || answer->error.code != ErrorCode::none) {
    refuse(ctx, request, answer ? answer->error : answer.error(), response);
    co_return response;
  }
  std::map<std::string, ElectLeadersResponse::ReplicaElectionResult> by_topic;
  for (const meta::ElectLeadersAnswer::Partition& one : answer->partitions) {
    auto& result = by_topic[one.partition.topic];
    result.topic = one.partition.topic;
    result.partition_result.push_back({.partition_id = one.partition.partition.value,
                                       .error_code = one.error.code,
                                       .error_message = wire_message(one.error)});
  }
  for (auto& [name, result] : by_topic) response.replica_election_results.push_back(std::move(result));
  if (!request.topic_partitions) co_return response;
  for (const auto& topic : *request.topic_partitions) {
    if (!is_too_long_for_a_topic(topic.topic)) continue;
    response.replica_election_results.push_back(failed(topic, {ErrorCode::unknown_topic_or_partition, ""}));
  }
  co_return response;
}

}  // namespace

const ApiHandler elect_leaders =
    make_handler<ElectLeadersRequest, ElectLeadersResponse, &handle>("ElectLeaders", {.min = 0, .max = 2});

}  // namespace broker::api
