// KIP-951: an answer that says "not the leader" also says who is, and where, so that a client moves at once instead of
// asking for metadata first. Made for one response, on the shard of its connection.
#pragma once
#include <optional>

#include "broker/api/cluster_view.h"
#include "broker/api/context.h"

namespace broker::api {

class LeaderHints {
 public:
  explicit LeaderHints(const RequestContext& ctx) : ctx_(ctx) {}

  // Fills `leader` from the request's image and adds the leader's address to the response, once.
  template <class Response>
  void add(const common::model::TopicIdPartition& id, typename Response::LeaderIdAndEpoch& leader, Response& response) {
    const controller::metadata::PartitionImage* partition = ctx_.image().partition(id.topic_id, id.partition);
    if (partition == nullptr || !partition->leader) return;
    if (!view_) view_.emplace(ctx_);
    if (view_->is_doubtful(*partition->leader)) return;  // who refuses because it may have been replaced is no hint
    leader.leader_id = partition->leader->value;
    leader.leader_epoch = partition->leader_epoch.value;
    for (const auto& known : response.node_endpoints) {
      if (known.node_id == leader.leader_id) return;
    }
    const NodeAddress* address = view_->find(*partition->leader);
    if (address == nullptr) return;
    typename Response::NodeEndpoint node;
    node.node_id = leader.leader_id;
    node.host = address->host;
    node.port = address->port;
    node.rack = address->rack;
    response.node_endpoints.push_back(std::move(node));
  }

 private:
  const RequestContext& ctx_;
  std::optional<ClusterView> view_;  // costs a walk over all brokers: only when it is needed
};

}  // namespace broker::api
