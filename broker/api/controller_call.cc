#include "broker/api/controller_call.h"

#include <algorithm>

namespace broker::api {

common::Instant deadline_after(const RequestContext& ctx, int32_t timeout_ms) {
  constexpr int32_t least_ms = 500;
  return ctx.shard().now() + std::chrono::milliseconds(std::max(timeout_ms, least_ms));
}

bool is_own_cluster(const RequestContext& ctx, const std::optional<std::string>& cluster_id) {
  return !cluster_id || *cluster_id == ctx.image().cluster_id().to_string();
}

std::optional<std::string> wire_message(const common::model::Error& error) {
  if (error.code == ErrorCode::none) return std::nullopt;
  if (!error.message.empty()) return error.message;
  return std::string(common::model::to_string(error.code));
}

}  // namespace broker::api
