#include "broker/api/cluster_view.h"

#include <algorithm>

#include "common/model/mutant.h"
#include "common/net/networks.h"

namespace broker::api {

namespace meta = controller::metadata;
using common::model::mutant;

namespace {

bool is_wildcard(std::string_view host) {
  return host.empty() || host == "0.0.0.0" || host == "::";
}

}  // namespace

ClusterView::ClusterView(const RequestContext& ctx)
    : ctx_(ctx), may_be_replaced_(ctx.broker().may_be_replaced && ctx.broker().may_be_replaced()) {
  for (const auto& [id, broker] : ctx.image().brokers()) {
    if (broker->fenced) continue;
    if (std::optional<NodeAddress> address = address_of(*broker)) live_.emplace(id, std::move(*address));
  }
}

// A broker without advertised listeners registers no host, and behind it the networks that it is in. Of ourselves the
// client knows an address already (the one that reached us); another broker it finds in the network by which it came
// here. Is that broker not in there, the address that its peers use is the best there is. Where the client reached us
// nobody else listens: hosts have inner networks with the same addresses (docker0 is 172.17.0.1 on each).
std::string ClusterView::host_of(const meta::BrokerImage& broker) const {
  const std::string& reached = ctx_.connection().local.host;
  if (broker.broker_id == ctx_.node_id()) return reached;
  for (const meta::Listener& listener : broker.listeners) {
    if (listener.name != ctx_.listener() || !common::net::is_neighbour(reached, listener.host)) continue;
    const std::string_view address = common::net::address_of_interface(listener.host);
    if (address != reached || listener.port != ctx_.connection().local.port) return std::string(address);
  }
  return is_wildcard(broker.cluster_endpoint.host) ? reached : broker.cluster_endpoint.host;
}

std::optional<NodeAddress> ClusterView::address_of(const meta::BrokerImage& broker) const {
  const auto listener = std::ranges::find(broker.listeners, ctx_.listener(), &meta::Listener::name);
  if (listener == broker.listeners.end()) return std::nullopt;
  NodeAddress address{.id = broker.broker_id,
                      .host = listener->host,
                      .port = listener->port,
                      .rack = broker.rack,
                      .fenced = broker.fenced};
  if (is_wildcard(address.host)) address.host = host_of(broker);
  return address;
}

const NodeAddress* ClusterView::find(BrokerId id) const {
  const auto found = live_.find(id);
  return found == live_.end() ? nullptr : &found->second;
}

std::vector<NodeAddress> ClusterView::all() const {
  std::vector<NodeAddress> addresses;
  for (const auto& [id, broker] : ctx_.image().brokers()) {
    if (std::optional<NodeAddress> address = address_of(*broker)) addresses.push_back(std::move(*address));
  }
  return addresses;
}

std::optional<BrokerId> ClusterView::controller() const {
  const auto& active = ctx_.broker().active_controller;
  const std::optional<BrokerId> known = active ? active() : std::nullopt;
  if (known && live_.contains(*known)) return known;
  if (live_.contains(ctx_.node_id())) return ctx_.node_id();
  if (live_.empty()) return std::nullopt;
  return live_.begin()->first;
}

PartitionView ClusterView::of(const meta::PartitionImage& partition) const {
  PartitionView view;
  for (const BrokerId replica : partition.replicas) {
    if (!live_.contains(replica)) view.offline.push_back(replica.value);
  }
  if (partition.leader && is_doubtful(*partition.leader) && !mutant<"R33-names-itself-in-isolation">()) {
    view.error = ErrorCode::leader_not_available;
    return view;
  }
  if (partition.leader && live_.contains(*partition.leader)) {
    view.leader = partition.leader;
    return view;
  }
  const meta::BrokerImage* leader = partition.leader ? ctx_.image().broker(*partition.leader) : nullptr;
  const bool elsewhere = leader != nullptr && !leader->fenced;
  view.error = elsewhere ? ErrorCode::listener_not_found : ErrorCode::leader_not_available;
  return view;
}

std::vector<int32_t> wire_ids(const std::vector<BrokerId>& ids) {
  std::vector<int32_t> out;
  out.reserve(ids.size());
  for (const BrokerId id : ids) out.push_back(id.value);
  return out;
}

bool is_internal_topic(std::string_view name) {
  return name == "__consumer_offsets" || name == "__transaction_state";
}

}  // namespace broker::api
