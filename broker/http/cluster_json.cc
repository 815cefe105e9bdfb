#include "broker/http/cluster_json.h"

#include <fmt/format.h>

#include "broker/http/service.h"
#include "common/model/address_text.h"
#include "common/net/networks.h"

namespace broker::http {

using nlohmann::json;
namespace metadata = controller::metadata;

namespace {

json numbers(const std::vector<metadata::BrokerId>& ids) {
  json out = json::array();
  for (const metadata::BrokerId id : ids) out.push_back(id.value);
  return out;
}

bool is_internal(std::string_view name) {
  return name.starts_with("__");
}

}  // namespace

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json broker_json(const metadata::BrokerImage& broker) {
  json out{{"id", broker.broker_id.value}, {"fenced", broker.fenced}, {"leaving", broker.in_controlled_shutdown}};
  if (broker.rack) out["rack"] = *broker.rack;
  out["host"] = broker.cluster_endpoint.host;
  for (const metadata::Listener& listener : broker.listeners) {
    if (listener.name == http_listener_name && listener.host == any_host) {
      out["http"] = fmt::format(":{}", listener.port);
      continue;
    }
    // A network that the broker is in, for clients that come by it, is shown as its address there.
    const std::string_view in_network = common::net::address_of_interface(listener.host);
    const std::string host = !in_network.empty()     ? std::string(in_network)
                             : listener.host.empty() ? broker.cluster_endpoint.host
                                                     : listener.host;
    const std::string address = common::model::address_text(host, listener.port);
    if (listener.name == http_listener_name) {
      out["http"] = address;
    } else {
      out["listeners"].push_back({{"name", listener.name}, {"address", address}});
    }
  }
  return out;
}

json partition_json(int32_t index, const metadata::PartitionState& state) {
  json out{{"p", index},
           {"epoch", state.leader_epoch.value},
           {"replicas", numbers(state.replicas)},
           {"isr", numbers(state.isr)}};
  out["leader"] = state.leader ? json(state.leader->value) : json();
  if (!state.elr.empty()) out["elr"] = numbers(state.elr);
  if (!state.adding.empty()) out["adding"] = numbers(state.adding);
  if (!state.removing.empty()) out["removing"] = numbers(state.removing);
  return out;
}

json topics_json(const metadata::MetadataImage& image, size_t partitions_max) {
  const bool all = image.partition_count() <= partitions_max;
  json topics = json::array();
  for (const auto& [name, id] : image.topic_names()) {
    const metadata::TopicImage* topic = image.topic_by_id(id);
    if (topic == nullptr) continue;
    json one{
        {"name", name}, {"id", id.to_string()}, {"internal", is_internal(name)}, {"count", topic->partition_count()}};
    json partitions = json::array();
    for (const auto& [index, state] : topic->partitions) {
      const bool problem = !state->leader || state->isr.size() < state->replicas.size();
      if (all || problem) partitions.push_back(partition_json(index.value, *state));
    }
    one["partitions"] = std::move(partitions);
    topics.push_back(std::move(one));
  }
  return topics;
}

}  // namespace broker::http
