// What clients are told of brokers and partitions, from the request's image and for the listener that it came in on.
// Metadata, DescribeCluster, DescribeTopicPartitions and FindCoordinator answer from the same view.
//
// Made for one request; thread-compatible.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/api/context.h"

namespace broker::api {

struct NodeAddress {
  BrokerId id;
  std::string host;
  uint16_t port = 0;
  std::optional<std::string> rack;
  bool fenced = false;
};

struct PartitionView {
  ErrorCode error = ErrorCode::none;
  std::optional<BrokerId> leader;  // one that the client can reach on this listener
  std::vector<int32_t> offline;    // replicas that it cannot reach
};

class ClusterView {
 public:
  explicit ClusterView(const RequestContext& ctx);

  // Registered and not fenced, with an address on this listener; by id.
  [[nodiscard]] const std::map<BrokerId, NodeAddress>& live() const { return live_; }
  [[nodiscard]] const NodeAddress* find(BrokerId id) const;
  // Fenced ones have an address too, as far as it is known (DescribeCluster v2).
  [[nodiscard]] std::vector<NodeAddress> all() const;
  // A live broker to which admin requests may go: the active controller if it can be reached, else this one, else any
  // (every broker forwards). Clients look it up in the list of brokers, so it is never one that is missing there.
  [[nodiscard]] std::optional<BrokerId> controller() const;
  // LEADER_NOT_AVAILABLE without a leader, when it is fenced, or when it is this broker and may have been replaced
  // (R33); LISTENER_NOT_FOUND when it is live elsewhere only.
  [[nodiscard]] PartitionView of(const controller::metadata::PartitionImage& partition) const;
  // R33: others may know better. Who got nothing usable from this view had better ask them.
  [[nodiscard]] bool may_be_replaced() const { return may_be_replaced_; }
  // This broker, which may not lead any more whatever its metadata says (R33).
  [[nodiscard]] bool is_doubtful(BrokerId leader) const { return may_be_replaced_ && leader == ctx_.node_id(); }

 private:
  [[nodiscard]] std::optional<NodeAddress> address_of(const controller::metadata::BrokerImage& broker) const;
  [[nodiscard]] std::string host_of(const controller::metadata::BrokerImage& broker) const;

  const RequestContext& ctx_;
  const bool may_be_replaced_;
  std::map<BrokerId, NodeAddress> live_;
};

// Ids as the wire has them; no broker is -1.
[[nodiscard]] inline int32_t wire_id(std::optional<BrokerId> id) {
  return id ? id->value : -1;
}
[[nodiscard]] std::vector<int32_t> wire_ids(const std::vector<BrokerId>& ids);

[[nodiscard]] bool is_internal_topic(std::string_view name);

// Every operation that exists on a resource, as a bit set of Kafka's operation numbers: what a client may do where
// there is no authorizer.
inline constexpr int32_t topic_operations = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
inline constexpr int32_t cluster_operations = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
inline constexpr int32_t group_operations = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

}  // namespace broker::api
