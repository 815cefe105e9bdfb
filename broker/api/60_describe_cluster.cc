// DescribeCluster (key 60), versions 0-2: the brokers, the controller and the cluster id, for admin clients.
//
// Naru's own: who asks for it by a tag (naru topic restore) is told which topics are deleted and kept, in a tag too.
// New by version: 1 endpoint type (this is a broker's listener: asking for controllers is refused, KIP-919); 2 fenced
// brokers on request.
#include "kafka/describe_cluster.h"

#include "broker/api/cluster_view.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::DescribeClusterRequest;
using kafka::DescribeClusterResponse;

constexpr int8_t endpoint_brokers = 1;
constexpr int8_t endpoint_controllers = 2;

std::vector<DescribeClusterResponse::KeptTopic> kept_topics(const controller::metadata::MetadataImage& image) {
  namespace meta = controller::metadata;
  std::vector<DescribeClusterResponse::KeptTopic> all;
  for (const auto& [name, id] : image.kept_topics()) {
    auto& topic = all.emplace_back();
    topic.name = name;
    topic.topic_id = id;
    topic.partitions = image.topic_by_id(id)->partition_count();
    const meta::ConfigMap& settings = image.config(meta::ResourceType::topic, name);
    const auto said = settings.find(meta::kept_key);
    if (const auto kept = said != settings.end() ? meta::kept_from_setting(said->second) : std::nullopt) {
      topic.deleted_at_ms = kept->deleted_at.value;
      topic.keep_ms = kept->time.count();
    }
  }
  return all;
}

Awaitable<DescribeClusterResponse> handle(RequestContext& ctx, DescribeClusterRequest request) {
  DescribeClusterResponse response;
  if (request.endpoint_type != endpoint_brokers) {
    const bool known = request.endpoint_type == endpoint_controllers;
    response.error_code = known ? ErrorCode::mismatched_endpoint_type : ErrorCode::unsupported_endpoint_type;
    response.error_message = known ? "This listener serves brokers; controllers were asked for."
                                   : fmt::format("Unknown endpoint type {}.", request.endpoint_type);
    co_return response;
  }
  const ClusterView cluster(ctx);
  response.cluster_id = ctx.image().cluster_id().to_string();
  response.controller_id = wire_id(cluster.controller());
  for (const NodeAddress& node : cluster.all()) {
    if (node.fenced && !request.include_fenced_brokers) continue;
    response.brokers.push_back({.broker_id = node.id.value,
                                .host = node.host,
                                .port = node.port,
                                .rack = node.rack,
                                .is_fenced = node.fenced});
  }
  if (request.include_kept_topics) response.kept_topics = kept_topics(ctx.image());
  if (request.include_cluster_authorized_operations) response.cluster_authorized_operations = cluster_operations;
  co_return response;
}

}  // namespace

const ApiHandler describe_cluster =
    make_handler<DescribeClusterRequest, DescribeClusterResponse, &handle>("DescribeCluster", {.min = 0, .max = 2});

}  // namespace broker::api
