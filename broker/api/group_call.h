// Asking the coordinator of a group from a handler, wherever among this broker's shards it lives.
// Coroutines of the request's shard.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "broker/api/context.h"
#include "broker/group/service/group_service.h"

namespace broker::api {

// The partition of __consumer_offsets that a group belongs to; none while there is no such topic.
[[nodiscard]] std::optional<common::model::TopicIdPartition> coordinator_of(const MetadataImage& image,
                                                                            std::string_view group);

// The answer of the group's coordinator; NOT_COORDINATOR if that is not this broker.
template <class R>
Awaitable<typename group::AnswerTo<R>::type> ask_group(RequestContext& ctx, R request) {
  const std::optional<common::model::TopicIdPartition> home = coordinator_of(ctx.image(), request.group);
  if (!home || ctx.broker().groups == nullptr) {
    const group::Request any(std::move(request));
    co_return std::get<typename group::AnswerTo<R>::type>(group::refusal(any, ErrorCode::not_coordinator));
  }
  co_return co_await ctx.broker().groups->ask(ctx.shard(), *home, std::move(request));
}

// -1 on the wire.
[[nodiscard]] inline int32_t wire_generation(std::optional<group::Generation> generation) {
  return generation ? generation->value : -1;
}

}  // namespace broker::api
