// FindCoordinator (key 10), versions 0-6: which broker coordinates a group? The leader of the __consumer_offsets
// partition that the group's name falls on; the topic is created at the first question.
//
// New by version: 1 kinds of keys, error messages; 3 flexible; 4 many keys in one question.
// Left out: transactional ids and share groups. They are refused with INVALID_REQUEST and a message, which clients show
// to the user; an error to retry on would have them wait for ever. librdkafka (up to version 2 here) tries again on
// that too, and only gives up on a transactional id when it is not authorized: then the message reaches the user.
#include "kafka/find_coordinator.h"

#include "broker/api/cluster_view.h"
#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "broker/api/topic_creation.h"
#include "broker/group/service/group_service.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::Error;
using common::model::PartitionIndex;
using kafka::FindCoordinatorRequest;
using kafka::FindCoordinatorResponse;
using Coordinator = FindCoordinatorResponse::Coordinator;

constexpr int8_t key_of_group = 0;
constexpr int8_t key_of_transaction = 1;

Coordinator nobody(const std::string& key, const Error& error) {
  return {.key = key,
          .node_id = -1,
          .host = "",
          .port = -1,
          .error_code = error.code,
          .error_message = wire_message(error)};
}

Coordinator find(const RequestContext& ctx, const ClusterView& cluster, const std::string& group) {
  const meta::TopicImage* topic = ctx.image().topic_by_name(group::offsets_topic_name);
  if (topic == nullptr || topic->partition_count() == 0) {
    return nobody(group, {ErrorCode::coordinator_not_available, "__consumer_offsets could not be created yet."});
  }
  const PartitionIndex index = group::coordinator_partition(group, topic->partition_count());
  const meta::PartitionImage* partition = topic->partition(index);
  const std::optional<BrokerId> leader = partition == nullptr ? std::nullopt : cluster.of(*partition).leader;
  if (!leader) {
    return nobody(group, {ErrorCode::coordinator_not_available,
                          fmt::format("__consumer_offsets-{} has no leader at the moment.", index)});
  }
  const NodeAddress* node = cluster.find(*leader);
  return {.key = group,
          .node_id = node->id.value,
          .host = node->host,
          .port = node->port,
          .error_code = ErrorCode::none,
          .error_message = std::nullopt};
}

Awaitable<FindCoordinatorResponse> handle(RequestContext& ctx, FindCoordinatorRequest request) {
  if (request.key_type == key_of_group && ctx.image().topic_by_name(group::offsets_topic_name) == nullptr) {
    std::vector<std::string> names{std::string(group::offsets_topic_name)};
    const auto failed = co_await create_missing_topics(ctx, std::move(names));
    for (const auto& [name, error] : failed) {
      ctx.broker().log.debug("{} was asked for and could not be created: {} ({})", name, error.code, error.message);
    }
  }
  co_await ctx.until_turn();  // behind a commit that waits for its replicas
  const ClusterView cluster(ctx);
  const auto answer = [&](const std::string& key) {
    if (request.key_type == key_of_group) return find(ctx, cluster, key);
    const bool is_old_transactional = request.key_type == key_of_transaction && ctx.version() < 3;
    return nobody(key,
                  {is_old_transactional ? ErrorCode::transactional_id_authorization_failed : ErrorCode::invalid_request,
                   "Only group coordinators are offered: no transactions, no share groups."});
  };
  FindCoordinatorResponse response;
  response.error_message.reset();
  if (cluster.may_be_replaced()) {
    ctx.end_connection("cut off from the other brokers: who asks for a coordinator is to ask one of those");
  }
  if (ctx.version() >= 4) {
    for (const std::string& key : request.coordinator_keys) response.coordinators.push_back(answer(key));
    co_return response;
  }
  Coordinator one = answer(request.key);
  response.error_code = one.error_code;
  response.error_message = std::move(one.error_message);
  response.node_id = one.node_id;
  response.host = std::move(one.host);
  response.port = one.port;
  co_return response;
}

}  // namespace

const ApiHandler find_coordinator =
    make_handler<FindCoordinatorRequest, FindCoordinatorResponse, &handle>("FindCoordinator", {.min = 0, .max = 6});

}  // namespace broker::api
