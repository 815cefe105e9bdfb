// DescribeTopicPartitions (key 75), version 0: topics page by page, with eligible leader replicas (KIP-966).
//
// Topics are answered in name order, from the cursor on, until the page is full (the smaller of the client's and our
// limit, at least one partition); the answer's cursor then says where to go on. No names: all topics.
#include "kafka/describe_topic_partitions.h"

#include <algorithm>
#include <set>

#include "broker/api/cluster_view.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "common/config/config.h"
#include "controller/metadata/topics.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::PartitionIndex;
using kafka::DescribeTopicPartitionsRequest;
using kafka::DescribeTopicPartitionsResponse;
using Topic = DescribeTopicPartitionsResponse::DescribeTopicPartitionsResponseTopic;
using Partition = DescribeTopicPartitionsResponse::DescribeTopicPartitionsResponsePartition;

Partition describe(const ClusterView& cluster, PartitionIndex index, const meta::PartitionImage& image) {
  PartitionView view = cluster.of(image);
  Partition partition;
  partition.error_code = view.error;
  partition.partition_index = index.value;
  partition.leader_id = wire_id(view.leader);
  partition.leader_epoch = image.leader_epoch.value;
  partition.replica_nodes = wire_ids(image.replicas);
  partition.isr_nodes = wire_ids(image.isr);
  partition.eligible_leader_replicas = wire_ids(image.elr);
  partition.last_known_elr = wire_ids(image.last_known_elr);
  partition.offline_replicas = std::move(view.offline);
  return partition;
}

std::set<std::string> names_in_order(const RequestContext& ctx, const DescribeTopicPartitionsRequest& request) {
  std::set<std::string> names;
  for (const auto& topic : request.topics) names.insert(topic.name);
  if (request.topics.empty()) {
    for (const auto& [name, id] : ctx.image().topic_names()) names.insert(names.end(), name);
  }
  if (request.cursor) names.erase(names.begin(), names.lower_bound(request.cursor->topic_name));
  return names;
}

Topic without_partitions(const RequestContext& ctx, const std::string& name) {
  Topic topic;
  topic.name = name;
  topic.is_internal = is_internal_topic(name);
  topic.topic_authorized_operations = topic_operations;
  if (meta::invalid_topic_name(name)) {
    topic.error_code = ErrorCode::invalid_topic_exception;
  } else if (const meta::TopicImage* image = ctx.image().topic_by_name(name); image == nullptr) {
    topic.error_code = ErrorCode::unknown_topic_or_partition;
  } else {
    topic.topic_id = image->id;
  }
  return topic;
}

Awaitable<DescribeTopicPartitionsResponse> handle(RequestContext& ctx, DescribeTopicPartitionsRequest request) {
  DescribeTopicPartitionsResponse response;
  if (request.cursor && request.cursor->partition_index < 0) {
    ctx.close_connection("DescribeTopicPartitions with a negative partition in its cursor");
    co_return response;
  }
  const ClusterView cluster(ctx);
  int left = std::max(1, std::min(ctx.config().describe_page_max, request.response_partition_limit));
  for (const std::string& name : names_in_order(ctx, request)) {
    Topic topic = without_partitions(ctx, name);
    const meta::TopicImage* image = ctx.image().topic_by_name(name);
    const bool resumed = request.cursor && request.cursor->topic_name == name;
    int32_t next = resumed ? request.cursor->partition_index : 0;
    const int32_t end = image == nullptr ? 0 : image->partition_count();
    if (left == 0 && (next < end || image == nullptr)) {
      response.next_cursor = {.topic_name = name, .partition_index = next};
      break;
    }
    for (; next < end && left > 0; ++next, --left) {
      if (const meta::PartitionImage* partition = image->partition(PartitionIndex(next))) {
        topic.partitions.push_back(describe(cluster, PartitionIndex(next), *partition));
      }
    }
    response.topics.push_back(std::move(topic));
    if (next < end) {
      response.next_cursor = {.topic_name = name, .partition_index = next};
      break;
    }
  }
  co_return response;
}

}  // namespace

const ApiHandler describe_topic_partitions =
    make_handler<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, &handle>("DescribeTopicPartitions",
                                                                                           {.min = 0, .max = 0});

}  // namespace broker::api
