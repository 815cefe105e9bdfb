// What AlterConfigs and IncrementalAlterConfigs have in common: their resources become one call to the controller,
// which checks and stores, and its verdicts become the answer.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "broker/api/controller_call.h"

namespace broker::api {

// One verdict for each resource, in order.
Awaitable<std::vector<common::model::Error>> change_configs(RequestContext& ctx,
                                                            controller::metadata::AlterConfigs wanted);

template <class Request>
[[nodiscard]] controller::metadata::AlterConfigs::Resource resource_of(
    const typename Request::AlterConfigsResource& asked) {
  controller::metadata::AlterConfigs::Resource resource;
  resource.resource.type = static_cast<controller::metadata::ResourceType>(asked.resource_type);
  resource.resource.name = asked.resource_name;
  return resource;
}

template <class Response, class Request>
[[nodiscard]] Response config_answer(const Request& request, const std::vector<common::model::Error>& verdicts) {
  Response response;
  for (size_t i = 0; i < request.resources.size(); ++i) {
    response.responses.push_back({.error_code = verdicts[i].code,
                                  .error_message = wire_message(verdicts[i]),
                                  .resource_type = request.resources[i].resource_type,
                                  .resource_name = request.resources[i].resource_name});
  }
  return response;
}

}  // namespace broker::api
