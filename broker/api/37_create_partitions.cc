// CreatePartitions (key 37), versions 0-3: adds partitions to topics. The count is the one wished for in all; a count
// that is not an increase is refused (partitions are never removed).
//
// New by version: 2 flexible. A topic that is named twice is refused.
#include "kafka/create_partitions.h"

#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using kafka::CreatePartitionsRequest;
using kafka::CreatePartitionsResponse;
using Asked = CreatePartitionsRequest::CreatePartitionsTopic;

meta::CreatePartitions::Topic translate(const Asked& asked) {
  meta::CreatePartitions::Topic topic{.name = asked.name, .count = asked.count, .assignments = std::nullopt};
  if (asked.assignments) {
    auto& assignments = topic.assignments.emplace();
    for (const auto& one : *asked.assignments) {
      std::vector<BrokerId>& replicas = assignments.emplace_back();
      for (const int32_t id : one.broker_ids) replicas.emplace_back(id);
    }
  }
  return topic;
}

Awaitable<CreatePartitionsResponse> handle(RequestContext& ctx, CreatePartitionsRequest request) {
  CreatePartitionsResponse response;
  const std::set<std::string> twice = repeated(request.topics, [](const Asked& topic) { return topic.name; });
  for (const std::string& name : twice) {
    response.results.push_back(
        {.name = name, .error_code = ErrorCode::invalid_request, .error_message = "Duplicate topic name."});
  }
  meta::CreatePartitions wanted;
  for (const Asked& topic : request.topics) {
    if (!twice.contains(topic.name)) wanted.topics.push_back(translate(topic));
  }
  if (wanted.topics.empty()) co_return response;
  if (request.validate_only) wanted.validate_only = meta::ValidateOnly::yes;
  const std::vector<meta::CreatePartitions::Topic> asked = wanted.topics;
  meta::ControllerRequest call = std::move(wanted);
  const Result<meta::CreatePartitionsAnswer> answer = co_await ask_controller<meta::CreatePartitionsAnswer>(
      ctx, std::move(call), deadline_after(ctx, request.timeout_ms));
  for (size_t i = 0; i < asked.size(); ++i) {
    const common::model::Error& error = answer ? answer->topics.at(i).error : answer.error();
    response.results.push_back({.name = asked[i].name, .error_code = error.code, .error_message = wire_message(error)});
  }
  co_return response;
}

}  // namespace

const ApiHandler create_partitions =
    make_handler<CreatePartitionsRequest, CreatePartitionsResponse, &handle>("CreatePartitions", {.min = 0, .max = 3});

}  // namespace broker::api
