#include "broker/api/config_change.h"

#include "common/config/config.h"

namespace broker::api {

namespace meta = controller::metadata;
using common::model::Error;

Awaitable<std::vector<Error>> change_configs(RequestContext& ctx, meta::AlterConfigs wanted) {
  const size_t count = wanted.resources.size();
  if (count == 0) co_return std::vector<Error>();
  const common::Instant deadline = ctx.shard().now() + ctx.config().request_timeout;
  meta::ControllerRequest call = std::move(wanted);
  const Result<meta::AlterConfigsAnswer> answer =
      co_await ask_controller<meta::AlterConfigsAnswer>(ctx, std::move(call), deadline);
  std::vector<Error> verdicts;
  verdicts.reserve(count);
  for (size_t i = 0; i < count; ++i) verdicts.push_back(answer ? answer->resources.at(i).error : answer.error());
  co_return verdicts;
}

}  // namespace broker::api
