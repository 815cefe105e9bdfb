// Asking the active controller from a handler, and the small translations that every such handler needs.
// Coroutines of the request's shard.
#pragma once
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/api/context.h"
#include "controller/quorum/controller_client.h"

namespace broker::api {

// A client's timeout as a deadline. Zero and less mean "do not wait" to Kafka; a moment is given even so, because a
// request that was never sent cannot be "in progress". Five minutes at most.
[[nodiscard]] common::Instant deadline_after(const RequestContext& ctx, int32_t timeout_ms);

// As the client knows it: THROTTLING_QUOTA_EXCEEDED came with CreateTopics 6, DeleteTopics 5 and CreatePartitions 3; to
// all others REQUEST_TIMED_OUT says that they may ask again.
[[nodiscard]] common::model::Error error_for(const RequestContext& ctx, common::model::Error error);

// The controller's answer of the expected kind, or why the call as a whole was refused.
template <class Answer>
Awaitable<Result<Answer>> ask_controller(RequestContext& ctx, controller::metadata::ControllerRequest request,
                                         common::Instant deadline) {
  controller::metadata::RequestOrigin origin{.principal = ctx.principal(), .client_host = ctx.client_host()};
  controller::metadata::ControllerAnswer answer =
      co_await ctx.broker().controller->call(ctx.shard(), std::move(request), deadline, std::move(origin));
  ctx.refresh_image();
  if (auto* found = std::get_if<Answer>(&answer)) co_return std::move(*found);
  auto* refused = std::get_if<controller::metadata::Refused>(&answer);
  NARU_CHECK(refused != nullptr, "the controller's answer {} is of another kind", answer.index());
  co_return tl::unexpected(error_for(ctx, std::move(refused->error)));
}

// Until this shard's metadata has everything that was committed when this was called: for answers that must not be
// older than their request. REQUEST_TIMED_OUT and what the call may be refused with.
Awaitable<Result<void>> until_image_is_current(RequestContext& ctx, common::Instant deadline);

// The message of an answer: null when all is well; Kafka's name of the error when there are no better words.
[[nodiscard]] std::optional<std::string> wire_message(const common::model::Error& error);

// Whether a request that names a cluster, if it does, names this one.
[[nodiscard]] bool is_own_cluster(const RequestContext& ctx, const std::optional<std::string>& cluster_id);

// What occurs more than once.
template <class T, class Of>
std::set<std::string> repeated(const std::vector<T>& items, Of name_of) {
  std::set<std::string> seen;
  std::set<std::string> twice;
  for (const T& item : items) {
    if (!seen.insert(name_of(item)).second) twice.insert(name_of(item));
  }
  return twice;
}

}  // namespace broker::api
