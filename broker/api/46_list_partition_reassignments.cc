// ListPartitionReassignments (key 46), version 0: partitions whose replicas are being moved, all or those asked for.
// `kafka-topics.sh --describe` asks for it every time.
#include "kafka/list_partition_reassignments.h"

#include <map>
#include <set>
#include <string_view>

#include "broker/api/cluster_view.h"
#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::PartitionIndex;
using kafka::ListPartitionReassignmentsRequest;
using kafka::ListPartitionReassignmentsResponse;
using Ongoing = ListPartitionReassignmentsResponse::OngoingTopicReassignment;

void add(Ongoing& ongoing, PartitionIndex index, const meta::PartitionImage& partition) {
  if (partition.adding.empty() && partition.removing.empty()) return;
  ongoing.partitions.push_back({.partition_index = index.value,
                                .replicas = wire_ids(partition.replicas),
                                .adding_replicas = wire_ids(partition.adding),
                                .removing_replicas = wire_ids(partition.removing)});
}

Awaitable<ListPartitionReassignmentsResponse> handle(RequestContext& ctx, ListPartitionReassignmentsRequest request) {
  ListPartitionReassignmentsResponse response;
  response.error_message.reset();
  // Kafka has its controller answer: nothing that is older than the request.
  if (const auto current = co_await until_image_is_current(ctx, deadline_after(ctx, request.timeout_ms)); !current) {
    response.error_code = current.error().code;
    response.error_message = wire_message(current.error());
    co_return response;
  }
  const auto keep = [&](Ongoing ongoing) {
    if (!ongoing.partitions.empty()) response.topics.push_back(std::move(ongoing));
  };
  if (request.topics) {
    std::map<std::string_view, std::set<int32_t>> answered;  // a topic may be named again, with other partitions
    for (const auto& asked : *request.topics) {
      std::set<int32_t>& of_topic = answered[asked.name];
      Ongoing ongoing;
      ongoing.name = asked.name;
      for (const int32_t index : asked.partition_indexes) {
        if (!of_topic.insert(index).second) continue;
        const meta::PartitionImage* partition = ctx.image().partition(asked.name, PartitionIndex(index));
        if (partition != nullptr) add(ongoing, PartitionIndex(index), *partition);
      }
      keep(std::move(ongoing));
    }
    co_return response;
  }
  for (const auto& [name, id] : ctx.image().topic_names()) {
    Ongoing ongoing;
    ongoing.name = name;
    for (const auto& [index, partition] : ctx.image().topic_by_id(id)->partitions) add(ongoing, index, *partition);
    keep(std::move(ongoing));
  }
  co_return response;
}

}  // namespace

const ApiHandler list_partition_reassignments =
    make_handler<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, &handle>(
        "ListPartitionReassignments", {.min = 0, .max = 0});

}  // namespace broker::api
