// DescribeQuorum (key 55), versions 0-2: leader, voters and observers of the metadata quorum, under the name that Kafka
// gives its log: __cluster_metadata, partition 0.
//
// New by version: 1 times of the last fetch and of being caught up; 2 directory ids, error messages, the nodes'
// addresses.
#include "kafka/describe_quorum.h"

#include "broker/api/cluster_view.h"
#include "broker/api/controller_call.h"
#include "broker/api/first_mentions.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "common/config/config.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using kafka::DescribeQuorumRequest;
using kafka::DescribeQuorumResponse;
using Partition = DescribeQuorumResponse::PartitionData;
using Replica = DescribeQuorumResponse::ReplicaState;

constexpr const char* metadata_topic = "__cluster_metadata";

int64_t wire_time(const std::optional<common::model::TimestampMs>& time) {
  return time ? time->value : -1;
}

std::vector<Replica> translate(const RequestContext& ctx,
                               const std::vector<meta::DescribeQuorumAnswer::Replica>& from) {
  std::vector<Replica> out;
  for (const auto& one : from) {
    Replica replica;
    replica.replica_id = one.broker_id.value;
    if (ctx.version() >= 2) replica.replica_directory_id = one.directory_id;
    replica.log_end_offset = one.log_end ? one.log_end->value : -1;
    replica.last_fetch_timestamp = wire_time(one.last_fetch);
    replica.last_caught_up_timestamp = wire_time(one.last_caught_up);
    out.push_back(replica);
  }
  return out;
}

Partition refused(const RequestContext& ctx, int32_t index, const common::model::Error& error) {
  Partition partition;
  partition.partition_index = index;
  partition.error_code = error.code;
  partition.error_message.reset();
  if (ctx.version() >= 2) partition.error_message = wire_message(error);
  return partition;
}

Partition described(const RequestContext& ctx, const meta::DescribeQuorumAnswer& quorum) {
  Partition partition = refused(ctx, 0, {ErrorCode::none, {}});
  partition.leader_id = wire_id(quorum.leader);
  partition.leader_epoch = quorum.term.value;
  partition.high_watermark = quorum.high_watermark.value;
  partition.current_voters = translate(ctx, quorum.voters);
  partition.observers = translate(ctx, quorum.observers);
  return partition;
}

// The address at which the quorum listens; Kafka names a controller listener here.
void add_nodes(const meta::DescribeQuorumAnswer& quorum, DescribeQuorumResponse& response) {
  for (const meta::DescribeQuorumAnswer::Node& node : quorum.nodes) {
    auto& out = response.nodes.emplace_back();
    out.node_id = node.broker_id.value;
    out.listeners.push_back({.name = "CONTROLLER", .host = node.endpoint.host, .port = node.endpoint.port});
  }
}

Awaitable<DescribeQuorumResponse> handle(RequestContext& ctx, DescribeQuorumRequest request) {
  DescribeQuorumResponse response;
  response.error_message.reset();
  meta::ControllerRequest call = meta::DescribeQuorum{};
  const Result<meta::DescribeQuorumAnswer> answer = co_await ask_controller<meta::DescribeQuorumAnswer>(
      ctx, std::move(call), ctx.shard().now() + ctx.config().request_timeout);
  const common::model::Error error = answer ? answer->error : answer.error();
  if (error.code != ErrorCode::none) {
    response.error_code = error.code;
    if (ctx.version() >= 2) response.error_message = wire_message(error);
    co_return response;
  }
  keep_first_mentions(request.topics, [](const auto& topic) { return topic.topic_name; });
  for (auto& asked : request.topics) {
    keep_first_mentions(asked.partitions, [](const auto& partition) { return partition.partition_index; });
    auto& topic = response.topics.emplace_back();
    topic.topic_name = asked.topic_name;
    for (const auto& partition : asked.partitions) {
      const bool known = asked.topic_name == metadata_topic && partition.partition_index == 0;
      topic.partitions.push_back(
          known ? described(ctx, *answer)
                : refused(ctx, partition.partition_index, {ErrorCode::unknown_topic_or_partition, {}}));
    }
  }
  if (ctx.version() >= 2) add_nodes(*answer, response);
  co_return response;
}

}  // namespace

const ApiHandler describe_quorum =
    make_handler<DescribeQuorumRequest, DescribeQuorumResponse, &handle>("DescribeQuorum", {.min = 0, .max = 2});

}  // namespace broker::api
