// AlterConfigs (key 33), versions 0-2: replaces all settings of a topic or broker; what is not named returns to its
// default. Older clients know nothing else; IncrementalAlterConfigs (key 44) took its place.
//
// New by version: 2 flexible.
#include "kafka/alter_configs.h"

#include "broker/api/config_change.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using kafka::AlterConfigsRequest;
using kafka::AlterConfigsResponse;

Awaitable<AlterConfigsResponse> handle(RequestContext& ctx, AlterConfigsRequest request) {
  meta::AlterConfigs wanted;
  wanted.alteration = meta::ConfigAlteration::full;
  if (request.validate_only) wanted.validate_only = meta::ValidateOnly::yes;
  for (const auto& asked : request.resources) {
    meta::AlterConfigs::Resource resource = resource_of<AlterConfigsRequest>(asked);
    for (const auto& config : asked.configs) {
      resource.changes.push_back({.key = config.name, .operation = meta::ConfigOperation::set, .value = config.value});
    }
    wanted.resources.push_back(std::move(resource));
  }
  const std::vector<common::model::Error> verdicts = co_await change_configs(ctx, std::move(wanted));
  co_return config_answer<AlterConfigsResponse>(request, verdicts);
}

}  // namespace

const ApiHandler alter_configs =
    make_handler<AlterConfigsRequest, AlterConfigsResponse, &handle>("AlterConfigs", {.min = 0, .max = 2});

}  // namespace broker::api
