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
  // No client waits longer, and what it asked is kept and asked again until then, also when it has gone: while there is
  // no controller that may be as much as anybody likes (R109).
  constexpr int32_t most_ms = 5 * 60 * 1000;
  return ctx.shard().now() + std::chrono::milliseconds(std::clamp(timeout_ms, least_ms, most_ms));
}

Awaitable<Result<void>> until_image_is_current(RequestContext& ctx, common::Instant deadline) {
  // R17: the leader says how far the log is committed once a majority has confirmed that it still leads.
  controller::metadata::ControllerRequest call = controller::metadata::DescribeQuorum{};
  const auto quorum =
      co_await ask_controller<controller::metadata::DescribeQuorumAnswer>(ctx, std::move(call), deadline);
  if (!quorum) co_return tl::unexpected(quorum.error());
  if (quorum->error.code != ErrorCode::none) co_return tl::unexpected(quorum->error);
  const auto is_current = [&] {
    const auto last = ctx.image().offset();
    return last && last->next() >= quorum->high_watermark;
  };
  while (!is_current()) {
    if (ctx.broker().image_changed == nullptr || ctx.shard().now() >= deadline)
      co_return common::model::fail(ErrorCode::request_timed_out, "this broker's metadata is behind");
    co_await common::until(*ctx.broker().image_changed, deadline);
    ctx.refresh_image();
  }
  co_return Result<void>();
}

bool is_own_cluster(const RequestContext& ctx, const std::optional<std::string>& cluster_id) {
  return !cluster_id || *cluster_id == ctx.image().cluster_id().to_string();
}

std::optional<std::string> wire_message(const common::model::Error& error) {
  if (error.code == ErrorCode::none) return std::nullopt;
  // Messages repeat what the client sent, and a long one may be longer than a string on the wire.
  constexpr size_t bytes_max = 1000;
  if (error.message.size() > bytes_max) {
    size_t end = bytes_max;
    while (end > 0 && (static_cast<uint8_t>(error.message[end]) & 0xc0) == 0x80) --end;  // not within a character
    return error.message.substr(0, end) + "...";
  }
  if (!error.message.empty()) return error.message;
  return std::string(common::model::to_string(error.code));
}

}  // namespace broker::api
