#include "broker/api/controller_call.h"

#include <algorithm>

#include "kafka/create_partitions.h"
#include "kafka/create_topics.h"
#include "kafka/delete_topics.h"

namespace broker::api {

namespace {

bool knows_throttling(const RequestHead& head) {
  switch (head.api_key) {
    case kafka::CreateTopicsRequest::api_key:
      return head.api_version >= 6;
    case kafka::DeleteTopicsRequest::api_key:
      return head.api_version >= 5;
    case kafka::CreatePartitionsRequest::api_key:
      return head.api_version >= 3;
    default:
      return false;
  }
}

}  // namespace

common::model::Error error_for(const RequestContext& ctx, common::model::Error error) {
  if (error.code == ErrorCode::throttling_quota_exceeded && !knows_throttling(ctx.head())) {
    error.code = ErrorCode::request_timed_out;
  }
  return error;
}

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
