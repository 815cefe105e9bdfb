// Metadata (key 3), versions 0-13: brokers, topics, partitions and their leaders. Creates topics that are missing where
// both broker and client allow it.
//
// Which topics: version 0 takes an empty list for all, later ones null for all and an empty list for none. From 12 on a
// topic may be asked for by id. An automatically created topic is answered as it is after its creation, not with an
// error to try again on: the controller call ends when this broker and the leaders know it.
// New by version: 1 controller, racks, internal topics; 2 cluster id; 4 the client's say in auto-creation; 5 offline
// replicas; 6 LISTENER_NOT_FOUND (before: LEADER_NOT_AVAILABLE); 7 leader epochs; 8 authorized operations; 9 flexible;
// 10 topic ids; 13 an error for the whole answer. Version 0 reports replicas that are away as REPLICA_NOT_AVAILABLE.
#include "kafka/metadata.h"

#include "broker/api/cluster_view.h"
#include "broker/api/first_mentions.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "broker/api/topic_creation.h"
#include "common/config/config.h"
#include "common/model/mutant.h"
#include "controller/metadata/topics.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::mutant;
using common::model::PartitionIndex;
using kafka::MetadataRequest;
using kafka::MetadataResponse;
using Topic = MetadataResponse::MetadataResponseTopic;
using Partition = MetadataResponse::MetadataResponsePartition;

Partition describe(const RequestContext& ctx, const ClusterView& cluster, PartitionIndex index,
                   const meta::PartitionImage& image) {
  PartitionView view = cluster.of(image);
  Partition partition;
  partition.error_code = view.error;
  if (ctx.version() < 6 && view.error == ErrorCode::listener_not_found) {
    partition.error_code = ErrorCode::leader_not_available;
  }
  partition.partition_index = index.value;
  partition.leader_id = wire_id(view.leader);
  partition.leader_epoch = image.leader_epoch.value;
  partition.replica_nodes = wire_ids(image.replicas);
  partition.isr_nodes = wire_ids(image.isr);
  if (ctx.version() == 0) {
    const auto away = [&](int32_t id) { return cluster.find(BrokerId(id)) == nullptr; };
    const size_t gone = std::erase_if(partition.replica_nodes, away) + std::erase_if(partition.isr_nodes, away);
    if (gone > 0 && view.error == ErrorCode::none) partition.error_code = ErrorCode::replica_not_available;
  }
  partition.offline_replicas = std::move(view.offline);
  return partition;
}

Topic describe(const RequestContext& ctx, const ClusterView& cluster, const MetadataRequest& request,
               const meta::TopicImage& image) {
  Topic topic;
  topic.name = image.name;
  topic.topic_id = image.id;
  topic.is_internal = is_internal_topic(image.name);
  topic.partitions.reserve(static_cast<size_t>(image.partition_count()));
  for (const auto& [index, partition] : image.partitions) {
    topic.partitions.push_back(describe(ctx, cluster, index, *partition));
  }
  if (request.include_topic_authorized_operations) topic.topic_authorized_operations = topic_operations;
  return topic;
}

Topic missing_name(const std::string& name, ErrorCode error) {
  Topic topic;
  topic.error_code = error;
  topic.name = name;
  topic.is_internal = is_internal_topic(name);
  return topic;
}

bool wants_all(const RequestContext& ctx, const MetadataRequest& request) {
  return !request.topics || (ctx.version() == 0 && request.topics->empty());
}

bool asks_by_id(const MetadataRequest::MetadataRequestTopic& topic) {
  return !topic.topic_id.is_zero();
}

// The asked names that do not exist and may be made.
std::vector<std::string> names_to_create(const RequestContext& ctx, const MetadataRequest& request) {
  std::vector<std::string> names;
  if (!request.allow_auto_topic_creation || !ctx.config().auto_create_topics || wants_all(ctx, request)) return names;
  for (const auto& topic : *request.topics) {
    if (!topic.name || asks_by_id(topic) || ctx.image().topic_by_name(*topic.name) != nullptr) continue;
    // Whoever still writes to a topic that was just deleted does not end the time in which it can be restored.
    if (ctx.image().kept_topics().contains(*topic.name)) continue;
    if (!meta::invalid_topic_name(*topic.name)) names.push_back(*topic.name);
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

// A cluster that has just been started: brokers that the configuration names are still to register, or nobody is in
// service yet. Clients give up on INVALID_REPLICATION_FACTOR, so they are told to ask again.
bool is_still_gathering(const RequestContext& ctx) {
  const auto& brokers = ctx.image().brokers();
  if (std::none_of(brokers.begin(), brokers.end(), [](const auto& b) { return meta::is_active(*b.second); }))
    return true;
  const size_t registered = ctx.image().brokers().size();
  const size_t configured = ctx.config().voters.size();
  return registered < configured && ctx.config().default_replication_factor <= static_cast<int64_t>(configured);
}

ErrorCode creation_error(const RequestContext& ctx, const std::map<std::string, common::model::Error>& failed,
                         const std::string& name) {
  const auto found = failed.find(name);
  if (found == failed.end()) return ErrorCode::unknown_topic_or_partition;
  switch (found->second.code) {
    case ErrorCode::invalid_replication_factor:
      return is_still_gathering(ctx) ? ErrorCode::leader_not_available : found->second.code;
    case ErrorCode::invalid_topic_exception:
    case ErrorCode::invalid_partitions:
    case ErrorCode::policy_violation:
      return found->second.code;
    default:  // no controller at the moment, a timeout: clients ask again
      return ErrorCode::leader_not_available;
  }
}

Topic answer_one(const RequestContext& ctx, const ClusterView& cluster, const MetadataRequest& request,
                 const MetadataRequest::MetadataRequestTopic& asked,
                 const std::map<std::string, common::model::Error>& failed) {
  if (asks_by_id(asked)) {
    Topic unknown;
    unknown.topic_id = asked.topic_id;
    if (ctx.version() >= 12) unknown.name.reset();
    // Versions 10 and 11 have the field, but Kafka never took it there.
    unknown.error_code = ctx.version() < 12 ? ErrorCode::invalid_request : ErrorCode::unknown_topic_id;
    const meta::TopicImage* image = ctx.version() < 12 ? nullptr : ctx.image().visible_topic(asked.topic_id);
    return image != nullptr ? describe(ctx, cluster, request, *image) : unknown;
  }
  if (!asked.name) return missing_name("", ErrorCode::invalid_request);
  const meta::TopicImage* image = ctx.image().topic_by_name(*asked.name);
  if (image != nullptr) return describe(ctx, cluster, request, *image);
  if (meta::invalid_topic_name(*asked.name)) return missing_name(*asked.name, ErrorCode::invalid_topic_exception);
  return missing_name(*asked.name, creation_error(ctx, failed, *asked.name));
}

// Leaders that have probably just died: our own stream to them broke, and the metadata does not know it yet.
bool names_lost_leader(const RequestContext& ctx, const MetadataRequest& request, common::model::Instant since) {
  const auto is_lost = [&](BrokerId id) {
    const auto lost = ctx.broker().lost_peers.find(id);
    return lost != ctx.broker().lost_peers.end() && lost->second >= since;
  };
  const auto has_lost_leader = [&](const meta::TopicImage& topic) {
    return std::ranges::any_of(topic.partitions,
                               [&](const auto& p) { return p.second->leader && is_lost(*p.second->leader); });
  };
  if (std::ranges::none_of(ctx.broker().lost_peers, [&](const auto& lost) { return lost.second >= since; }))
    return false;
  if (wants_all(ctx, request)) {
    return std::ranges::any_of(ctx.image().topic_names(),
                               [&](const auto& t) { return has_lost_leader(*ctx.image().topic_by_id(t.second)); });
  }
  return std::ranges::any_of(*request.topics, [&](const auto& asked) {
    const meta::TopicImage* topic = asks_by_id(asked) ? ctx.image().visible_topic(asked.topic_id)
                                    : asked.name      ? ctx.image().topic_by_name(*asked.name)
                                                      : nullptr;
    return topic != nullptr && has_lost_leader(*topic);
  });
}

// Clients notice a death at once, as we do, and ask who leads now. An answer that names the dead one costs them a whole
// pause until they ask again (250 ms in librdkafka); the successor is usually known sooner, so they wait for it here.
Awaitable<void> await_successors(RequestContext& ctx, const MetadataRequest& request) {
  constexpr std::chrono::milliseconds patience{400};
  if (ctx.broker().image_changed == nullptr || ctx.broker().lost_peers.empty()) co_return;
  const common::model::Instant until = ctx.shard().now() + patience;
  while (ctx.shard().now() < until && names_lost_leader(ctx, request, ctx.shard().now() - patience)) {
    ctx.settle_order();
    // What was lost is forgotten while nothing changes.
    co_await common::until(*ctx.broker().image_changed,
                           std::min(until, ctx.shard().now() + std::chrono::milliseconds(50)));
    ctx.refresh_image();
  }
}

// Who is told to ask again does so after a second, while the brokers of a cluster that starts register within a
// fraction of one: they are waited for.
Awaitable<void> await_brokers(RequestContext& ctx) {
  constexpr std::chrono::seconds patience{1};
  const common::model::Instant until = ctx.shard().now() + patience;
  while (ctx.broker().image_changed != nullptr && is_still_gathering(ctx) && ctx.shard().now() < until) {
    ctx.settle_order();
    co_await common::until(*ctx.broker().image_changed, until);
    ctx.refresh_image();
  }
}

// Clients ask whom they are connected to, and learn of no successor here, of our own partitions' leaders or of anybody
// else's (R33). Who asks for brokers only finds another one among these.
bool is_for_others_to_answer(const ClusterView& cluster, const MetadataResponse& response) {
  return cluster.may_be_replaced() && !response.topics.empty();
}

Awaitable<MetadataResponse> handle(RequestContext& ctx, MetadataRequest request) {
  if (request.topics) {
    keep_first_mentions(*request.topics, [](const auto& asked) {
      return std::pair(asked.topic_id, asks_by_id(asked) ? std::nullopt : asked.name);
    });
  }
  auto missing = names_to_create(ctx, request);
  if (!missing.empty()) co_await await_brokers(ctx);
  const auto failed = co_await create_missing_topics(ctx, std::move(missing));
  // Behind a produce that waits for its replicas this answer may wait for seconds. librdkafka before 2.4 takes whatever
  // it hears last for the newest: an old leader heard after the new one can tie it to the old one for good.
  if (!mutant<"R87-describes-the-cluster-before-its-turn">()) co_await ctx.until_turn();
  co_await await_successors(ctx, request);
  const ClusterView cluster(ctx);
  MetadataResponse response;
  for (const auto& [id, node] : cluster.live()) {
    response.brokers.push_back({.node_id = id.value, .host = node.host, .port = node.port, .rack = node.rack});
  }
  if (!ctx.image().cluster_id().is_zero()) response.cluster_id = ctx.image().cluster_id().to_string();
  response.controller_id = wire_id(cluster.controller());
  if (wants_all(ctx, request)) {
    for (const auto& [name, id] : ctx.image().topic_names()) {
      response.topics.push_back(describe(ctx, cluster, request, *ctx.image().topic_by_id(id)));
    }
  } else {
    for (const auto& asked : *request.topics) {
      response.topics.push_back(answer_one(ctx, cluster, request, asked, failed));
    }
  }
  if (is_for_others_to_answer(cluster, response)) {
    ctx.end_connection("cut off from the other brokers: who asks for leaders is to ask one of those");
  }
  if (request.include_cluster_authorized_operations) response.cluster_authorized_operations = cluster_operations;
  co_return response;
}

}  // namespace

const ApiHandler metadata_api =
    make_handler<MetadataRequest, MetadataResponse, &handle>("Metadata", {.min = 0, .max = 13});

}  // namespace broker::api
