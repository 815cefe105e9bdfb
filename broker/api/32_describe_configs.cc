// DescribeConfigs (key 32), versions 0-4: the settings of topics and of this broker, each with the layer it comes from.
//
// BROKER with this broker's id: everything, as it holds here; with an empty name: the cluster-wide dynamic defaults.
// New by version: 1 sources and synonyms (0 had only "is default"); 3 types and documentation; 4 flexible.
// Left out: other brokers' files are theirs to tell (clients ask each broker itself; another id is INVALID_REQUEST, as
// in Kafka), broker loggers, client metrics and groups as resources.
#include "kafka/describe_configs.h"

#include <set>
#include <string_view>

#include "broker/api/config_layers.h"
#include "broker/api/controller_call.h"
#include "broker/api/first_mentions.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "controller/metadata/topics.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::config::DescribedConfig;
using common::model::fail;
using kafka::DescribeConfigsRequest;
using kafka::DescribeConfigsResponse;
using Asked = DescribeConfigsRequest::DescribeConfigsResource;
using Entry = DescribeConfigsResponse::DescribeConfigsResourceResult;
using Answer = DescribeConfigsResponse::DescribeConfigsResult;

Entry translate(const RequestContext& ctx, const DescribeConfigsRequest& request, const DescribedConfig& config) {
  Entry entry;
  entry.name = config.name;
  entry.value = config.value;
  entry.read_only = config.read_only;
  if (ctx.version() == 0) {
    entry.is_default = config.is_default();
  } else {
    entry.config_source = static_cast<int8_t>(config.source);
  }
  entry.is_sensitive = config.sensitive;
  if (request.include_synonyms && ctx.version() >= 1) {
    for (const common::config::SynonymValue& synonym : config.synonyms) {
      entry.synonyms.push_back(
          {.name = synonym.name, .value = synonym.value, .source = static_cast<int8_t>(synonym.source)});
    }
  }
  if (ctx.version() >= 3) entry.config_type = static_cast<int8_t>(config.type);
  entry.documentation.reset();
  if (request.include_documentation && ctx.version() >= 3) entry.documentation = config.documentation;
  return entry;
}

Result<std::vector<DescribedConfig>> describe_topic(const RequestContext& ctx, const std::string& name) {
  if (const auto reason = meta::invalid_topic_name(name)) {
    return fail(ErrorCode::invalid_topic_exception, fmt::format("Topic name is invalid: {}", *reason));
  }
  if (ctx.image().topic_by_name(name) == nullptr) {
    return fail(ErrorCode::unknown_topic_or_partition, fmt::format("There is no topic {}.", name));
  }
  return common::config::describe_topic(topic_layers(ctx, name));
}

Result<std::vector<DescribedConfig>> describe_broker(const RequestContext& ctx, const std::string& name) {
  if (name.empty()) {
    return common::config::describe_dynamic_defaults(ctx.image().config(meta::ResourceType::broker, ""));
  }
  if (name != std::to_string(ctx.node_id().value)) {
    return fail(ErrorCode::invalid_request,
                fmt::format("Unexpected broker id, expected {} or empty string, but received {}", ctx.node_id(), name));
  }
  return common::config::describe_broker(broker_layers(ctx));
}

Result<std::vector<DescribedConfig>> describe(const RequestContext& ctx, const Asked& asked) {
  switch (static_cast<meta::ResourceType>(asked.resource_type)) {
    case meta::ResourceType::topic:
      return describe_topic(ctx, asked.resource_name);
    case meta::ResourceType::broker:
      return describe_broker(ctx, asked.resource_name);
    default:
      return fail(ErrorCode::invalid_request, fmt::format("Unsupported resource type {}", asked.resource_type));
  }
}

// Null or (before Kafka 2.8's clients) nothing at all asks for every key.
class Wanted {
 public:
  explicit Wanted(const Asked& asked) {
    // In order: a request may name 200,000 keys, and each setting would be compared with all of them (R109).
    if (asked.configuration_keys) keys_.insert(asked.configuration_keys->begin(), asked.configuration_keys->end());
  }
  [[nodiscard]] bool contains(const std::string& key) const { return keys_.empty() || keys_.contains(key); }

 private:
  std::set<std::string_view> keys_;  // of the request
};

Awaitable<DescribeConfigsResponse> handle(RequestContext& ctx, DescribeConfigsRequest request) {
  DescribeConfigsResponse response;
  keep_first_mentions(request.resources,
                      [](const Asked& asked) { return std::pair(asked.resource_type, asked.resource_name); });
  // Tools that watch a cluster ask for all of its topics at once: the shard's others come in between.
  constexpr size_t resources_in_turn = 64;
  for (const Asked& asked : request.resources) {
    if (!response.results.empty() && response.results.size() % resources_in_turn == 0)
      co_await common::yield_to(ctx.shard());
    Answer answer;
    answer.resource_type = asked.resource_type;
    answer.resource_name = asked.resource_name;
    answer.error_message.reset();
    if (const Result<std::vector<DescribedConfig>> found = describe(ctx, asked); !found) {
      answer.error_code = found.error().code;
      answer.error_message = wire_message(found.error());
    } else {
      const Wanted wanted(asked);
      for (const DescribedConfig& config : *found) {
        if (wanted.contains(config.name)) answer.configs.push_back(translate(ctx, request, config));
      }
    }
    response.results.push_back(std::move(answer));
  }
  co_return response;
}

}  // namespace

const ApiHandler describe_configs =
    make_handler<DescribeConfigsRequest, DescribeConfigsResponse, &handle>("DescribeConfigs", {.min = 0, .max = 4});

}  // namespace broker::api
