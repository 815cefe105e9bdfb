// IncrementalAlterConfigs (key 44), versions 0-1: sets, removes, appends to or subtracts from single settings of topics
// and brokers (KIP-339); the others stay as they are.
//
// New by version: 1 flexible.
#include "kafka/incremental_alter_configs.h"

#include <algorithm>

#include "broker/api/config_change.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::Error;
using kafka::IncrementalAlterConfigsRequest;
using kafka::IncrementalAlterConfigsResponse;
using Asked = IncrementalAlterConfigsRequest::AlterConfigsResource;

bool has_unknown_operation(const Asked& asked) {
  return std::ranges::any_of(asked.configs,
                             [](const auto& c) { return c.config_operation < 0 || c.config_operation > 3; });
}

Awaitable<IncrementalAlterConfigsResponse> handle(RequestContext& ctx, IncrementalAlterConfigsRequest request) {
  meta::AlterConfigs wanted;
  wanted.alteration = meta::ConfigAlteration::incremental;
  if (request.validate_only) wanted.validate_only = meta::ValidateOnly::yes;
  for (const Asked& asked : request.resources) {
    if (has_unknown_operation(asked)) continue;
    meta::AlterConfigs::Resource resource = resource_of<IncrementalAlterConfigsRequest>(asked);
    for (const auto& config : asked.configs) {
      resource.changes.push_back({.key = config.name,
                                  .operation = static_cast<meta::ConfigOperation>(config.config_operation),
                                  .value = config.value});
    }
    wanted.resources.push_back(std::move(resource));
  }
  const std::vector<Error> of_sent = co_await change_configs(ctx, std::move(wanted));
  std::vector<Error> verdicts;
  size_t next = 0;
  for (const Asked& asked : request.resources) {
    verdicts.push_back(has_unknown_operation(asked) ? Error{ErrorCode::invalid_request, "Unknown operation type."}
                                                    : of_sent[next++]);
  }
  co_return config_answer<IncrementalAlterConfigsResponse>(request, verdicts);
}

}  // namespace

const ApiHandler incremental_alter_configs =
    make_handler<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, &handle>("IncrementalAlterConfigs",
                                                                                           {.min = 0, .max = 1});

}  // namespace broker::api
