#include "broker/http/console.h"

#include <charconv>

#include <fmt/format.h>

#include "broker/group/service/group_service.h"
#include "broker/http/assets.h"
#include "broker/http/cluster_json.h"
#include "broker/http/messages.h"
#include "broker/http/server.h"
#include "broker/partition/replica_manager.h"
#include "common/config/config.h"
#include "common/config/topic_config.h"
#include "common/model/address_text.h"
#include "controller/quorum/controller_client.h"
#include "controller/quorum/controller_node.h"

namespace broker::http {

namespace metadata = controller::metadata;
using common::Awaitable;
using nlohmann::json;

namespace {

constexpr size_t map_partitions_max = 2000;

Response as_json(const json& value) {
  Response response;
  response.body = dump(value);
  return response;
}

std::string sse(std::string_view event, std::optional<int64_t> id, std::string_view data) {
  std::string text = fmt::format("event: {}\n", event);
  if (id) text += fmt::format("id: {}\n", *id);
  text += fmt::format("data: {}\n\n", data);
  return text;
}

std::string_view source_name(common::config::ConfigSource source) {
  using Source = common::config::ConfigSource;
  switch (source) {
    case Source::topic:
      return "topic";
    case Source::dynamic_broker:
      return "this broker, dynamic";
    case Source::dynamic_default_broker:
      return "all brokers, dynamic";
    case Source::static_broker:
      return "file or environment";
    case Source::default_value:
      return "default";
  }
  return "?";
}

json described(const std::vector<common::config::DescribedConfig>& configs) {
  json out = json::array();
  for (const auto& config : configs) {
    out.push_back({{"name", config.name},
                   {"value", config.value ? json(*config.value) : json()},
                   {"source", source_name(config.source)},
                   {"default", config.is_default()},
                   {"sensitive", config.sensitive},
                   {"read_only", config.read_only},
                   {"doc", config.documentation}});
  }
  return out;
}

json lag_json(const GroupLag& lag) {
  json one{
      {"topic", lag.partition.topic}, {"partition", lag.partition.partition.value}, {"committed", lag.committed.value}};
  one["end"] = lag.end ? json(lag.end->value) : json();
  one["lag"] = lag.records ? json(*lag.records) : json();
  one["seconds"] = lag.seconds ? json(*lag.seconds) : json();
  return one;
}

json replica_json(const metadata::DescribeQuorumAnswer::Replica& replica, std::string_view role) {
  json one{{"id", replica.broker_id.value}, {"role", role}};
  one["log_end"] = replica.log_end ? json(replica.log_end->value) : json();
  one["last_fetch"] = replica.last_fetch ? json(replica.last_fetch->value) : json();
  one["last_caught_up"] = replica.last_caught_up ? json(replica.last_caught_up->value) : json();
  return one;
}

}  // namespace

Console::Console(const ProcessParts& process, LagMeter& lag_meter)
    : process_(process),
      hosts_(*process.config, own_host_name()),
      lag_meter_(lag_meter),
      timeline_(*process.here),
      traffic_(process) {}

void Console::set_serving(const BrokerParts* broker) {
  broker_ = broker;
  traffic_.set_serving(broker);
  timeline_.go_live();
}

void Console::stop() {
  reader_.given_up = true;
  timeline_.changed().pulse();
}

bool Console::is_known_name(std::string_view host) const {
  for (const auto& [id, broker] : timeline_.image()->brokers()) {
    if (is_same_host(host, broker->cluster_endpoint.host)) return true;
    for (const metadata::Listener& listener : broker->listeners) {
      if (!listener.host.empty() && is_same_host(host, listener.host)) return true;
    }
  }
  return false;
}

bool Console::is_of_a_page_of_ours(std::string_view origin) const {
  for (const auto& [id, broker] : timeline_.image()->brokers()) {
    const json known = broker_json(*broker);
    if (known.contains("http") && is_same_host(origin, known["http"].get_ref<const std::string&>())) return true;
  }
  return false;
}

Awaitable<std::optional<Response>> Console::answer(std::shared_ptr<const Request> request) {
  if (!request->path.starts_with("/api/")) co_return find_asset(*request);
  if (!hosts_.allow(request->host) && !is_known_name(request->host)) {
    constexpr const char* why = "{} is not known here as a name of this broker; naru.http.allowed.hosts can add it";
    co_return refuse(403, fmt::format(why, host_in(request->host)));
  }
  Response response = co_await api(request);
  response.headers.emplace_back("Cache-Control", "no-store");  // records stay in no cache
  response.headers.emplace_back("Vary", "Origin");
  const std::string& origin = request->origin;
  if (!origin.empty() && (is_same_host(origin, request->host) || is_of_a_page_of_ours(origin)))
    response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  co_return response;
}

common::model::Result<MessageReader*> Console::reader() {
  if (!reader_.shard) {
    auto made = make_reader(*process_.here);
    if (!made) return tl::unexpected(std::move(made.error()));
    reader_.shard = std::move(*made);
  }
  return &reader_;
}

Awaitable<Response> Console::api(std::shared_ptr<const Request> request) {
  const std::string& path = request->path;
  if (path == "/api/v1/cluster") co_return cluster();
  if (path == "/api/v1/events") co_return events(*request);
  if (broker_ == nullptr) co_return refuse(503, "this broker is starting");
  if (path == "/api/v1/traffic") {
    Response response;
    response.body = *co_await traffic_.json();
    co_return response;
  }
  if (path == "/api/v1/topic") co_return co_await topic(std::string(request->parameter("name")));
  if (path == "/api/v1/groups") co_return co_await groups();
  if (path == "/api/v1/quorum") co_return co_await quorum();
  if (path == "/api/v1/configs") co_return configs();
  if (path == "/api/v1/messages") {
    common::model::Result<MessageQuery> query = query_from(*request);
    if (!query) co_return refuse(400, query.error().message);
    const common::model::Result<MessageReader*> there = reader();
    if (!there) co_return refuse(503, there.error().message);
    co_return co_await browse(process_, *broker_, **there, timeline_.image(), std::move(*query));
  }
  co_return refuse(404, "there is no such resource");
}

Response Console::cluster() const {
  const metadata::MetadataImage& image = *timeline_.image();
  json out{{"cluster_id", image.cluster_id().to_string()},
           {"self", process_.config->node_id.value},
           {"offset", timeline_.offset()}};
  out["version"] = NARU_VERSION;
  out["controller"] = timeline_.controller() ? json(timeline_.controller()->value) : json();
  out["term"] = timeline_.term().value;
  out["partitions"] = image.partition_count();
  out["problems_only"] = image.partition_count() > map_partitions_max;
  out["brokers"] = json::array();
  for (const auto& [id, broker] : image.brokers()) out["brokers"].push_back(broker_json(*broker));
  out["topics"] = topics_json(image, map_partitions_max);
  out["events"] = json::array();
  for (const auto& item : timeline_.recent()) {
    json one = json::parse(*item);
    for (json& event : one["events"]) {
      event["offset"] = one["offset"];
      event["time"] = one["time"];
      out["events"].push_back(std::move(event));
    }
  }
  return as_json(out);
}

Response Console::events(const Request& request) {
  const std::string_view asked =
      !request.last_event_id.empty() ? std::string_view(request.last_event_id) : request.parameter("after");
  int64_t after = timeline_.offset();
  if (!asked.empty()) {
    const auto [end, error] = std::from_chars(asked.data(), asked.data() + asked.size(), after);
    if (error != std::errc() || end != asked.data() + asked.size()) return refuse(400, "after must be an offset");
  }
  Response response;
  response.content_type = "text/event-stream";
  response.stream = [this, after](StreamWriter& writer) { return follow(writer, after); };
  return response;
}

// Who controls which cluster: the offsets of another one, come to this address since, mean nothing to a page.
std::string Console::standing() const {
  const common::model::Uuid& cluster = timeline_.image()->cluster_id();
  return dump({{"controller", timeline_.controller() ? json(timeline_.controller()->value) : json()},
               {"term", timeline_.term().value},
               {"cluster_id", cluster.is_zero() ? json() : json(cluster.to_string())}});
}

// Changes at once, but at most one message each 100 ms; traffic once a second.
Awaitable<void> Console::follow(StreamWriter& writer, int64_t after) {
  constexpr std::chrono::milliseconds frame{100};
  constexpr size_t frame_bytes_max = 256 << 10;  // that a slow reader makes us hold; and one change more
  constexpr std::chrono::seconds traffic_interval{1};
  common::Shard& here = *process_.here;
  std::string told;
  common::Instant next_traffic = here.now();
  std::string text = "retry: 500\n\n";
  while (writer.is_open()) {
    if (std::string now = standing(); now != told) {
      told = std::move(now);
      text += sse("controller", std::nullopt, told);
    }
    // A broker that has not come as far as the page has yet: it will.
    const bool ahead = after > timeline_.offset();
    const auto items = ahead ? std::vector<Timeline::Item>{} : timeline_.since(after);
    if (!items) {
      text += sse("reset", timeline_.offset(), "{}");
      after = timeline_.offset();
    } else {
      for (const Timeline::Item& item : *items) {
        text += sse("change", item.offset, *item.json);
        after = item.offset;
        if (text.size() >= frame_bytes_max) break;
      }
    }
    if (here.now() >= next_traffic) {
      text += sse("traffic", std::nullopt, *co_await traffic_.json());
      next_traffic = here.now() + traffic_interval;
    }
    if (!text.empty() && !co_await writer.write(std::exchange(text, {}))) co_return;
    co_await common::sleep_until(here, here.now() + frame);
    if (timeline_.offset() == after && told == standing()) {
      co_await common::until(timeline_.changed(), next_traffic);
    }
  }
}

Awaitable<Response> Console::topic(const std::string& name) {
  const metadata::ImagePtr image = timeline_.image();
  const metadata::TopicImage* found = image->topic_by_name(name);
  if (found == nullptr) co_return refuse(404, "there is no such topic");
  std::map<int32_t, partition::PartitionDescription> here;
  for (size_t i = 0; i < broker_->replicas.size(); ++i) {
    co_await common::hop(*process_.shards[i]);
    broker_->replicas[i]->for_each([&](const std::shared_ptr<partition::Partition>& p) {
      if (p->id().topic_id == found->id) here[p->index().value] = p->describe();
    });
    co_await common::hop(*process_.here);
  }
  json partitions = json::array();
  for (const auto& [index, state] : found->partitions) {
    json one = partition_json(index.value, *state);
    if (const auto replica = here.find(index.value); replica != here.end()) {
      one["start"] = replica->second.log_start_offset.value;
      one["end"] = replica->second.high_watermark.value;
      one["size"] = replica->second.size_bytes;
      one["segments"] = replica->second.segments;
    }
    partitions.push_back(std::move(one));
  }
  json out{{"name", name}, {"id", found->id.to_string()}, {"partitions", std::move(partitions)}};
  out["configs"] = described(common::config::describe_topic(
      {.broker = process_.config,
       .dynamic_default = common::config::lookup_in(image->config(metadata::ResourceType::broker, "")),
       .dynamic_broker = common::config::lookup_in(
           image->config(metadata::ResourceType::broker, std::to_string(process_.config->node_id.value))),
       .topic = common::config::lookup_in(image->config(metadata::ResourceType::topic, name))}));
  co_return as_json(out);
}

Awaitable<Response> Console::groups() {
  const BrokerSample sample = co_await gather(process_, *broker_);
  const std::vector<GroupLag> lags = co_await lag_meter_.measure(process_, *broker_, sample);
  json out = json::array();
  size_t at = 0;
  for (const group::GroupSurvey& group : sample.groups) {
    json one{{"group", group.group},
             {"state", group.state},
             {"members", group.members},
             {"coordinator", process_.config->node_id.value}};
    // Null, not 0, where this broker knows of none: no replica of those partitions is here.
    std::optional<int64_t> sum;
    std::optional<double> oldest;
    if (group.offsets.empty()) sum = 0, oldest = 0;
    json offsets = json::array();
    for (; at < lags.size() && lags[at].group == group.group; ++at) {
      if (lags[at].records) sum = sum.value_or(0) + *lags[at].records;
      if (lags[at].seconds) oldest = std::max(oldest.value_or(0), *lags[at].seconds);
      offsets.push_back(lag_json(lags[at]));
    }
    one["lag"] = sum ? json(*sum) : json();
    one["seconds"] = oldest ? json(*oldest) : json();
    one["offsets"] = std::move(offsets);
    out.push_back(std::move(one));
  }
  co_return as_json({{"broker", process_.config->node_id.value}, {"groups", std::move(out)}});
}

Awaitable<Response> Console::quorum() {
  constexpr std::chrono::seconds patience{3};
  common::Shard& here = *process_.here;
  metadata::ControllerRequest request = metadata::DescribeQuorum{};
  const metadata::ControllerAnswer answer =
      co_await broker_->controller->client().call(here, std::move(request), here.now() + patience);
  const auto* quorum = std::get_if<metadata::DescribeQuorumAnswer>(&answer);
  if (quorum == nullptr)
    co_return refuse(503, "no controller answers: the quorum has no leader, or it cannot be reached from here");
  json out{{"leader", quorum->leader ? json(quorum->leader->value) : json()},
           {"term", quorum->term.value},
           {"high_watermark", quorum->high_watermark.value}};
  out["replicas"] = json::array();
  for (const auto& voter : quorum->voters)
    out["replicas"].push_back(replica_json(voter, voter.broker_id == quorum->leader ? "leader" : "voter"));
  for (const auto& observer : quorum->observers) out["replicas"].push_back(replica_json(observer, "observer"));
  for (json& replica : out["replicas"]) {
    for (const auto& node : quorum->nodes) {
      if (node.broker_id.value == replica["id"])
        replica["address"] = common::model::address_text(node.endpoint.host, node.endpoint.port);
    }
  }
  co_return as_json(out);
}

Response Console::configs() const {
  const metadata::MetadataImage& image = *timeline_.image();
  const auto& all = image.config(metadata::ResourceType::broker, "");
  const auto& one = image.config(metadata::ResourceType::broker, std::to_string(process_.config->node_id.value));
  return as_json(
      {{"broker", process_.config->node_id.value},
       {"configs", described(common::config::describe_broker({.broker = process_.config,
                                                              .dynamic_default = common::config::lookup_in(all),
                                                              .dynamic_broker = common::config::lookup_in(one),
                                                              .topic = {}}))}});
}

}  // namespace broker::http
