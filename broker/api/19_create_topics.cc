// CreateTopics (key 19), versions 0-7: makes topics, by number of partitions and replicas or by hand-made assignment.
//
// Everything is checked by the active controller, to which any broker forwards. A topic is answered once the brokers
// that lead its partitions know it, so that a client that produces next does not meet UNKNOWN_TOPIC_OR_PARTITION; what
// it sends before their directories are made waits for these (ReplicaManager::is_being_made).
// -1 partitions or replicas: the cluster's default. Internal topics get what they need (topic_creation.h) where the
// request does not say otherwise.
// New by version: 1 error messages, validate only; 5 flexible, and the answer tells partitions, replicas and
// configuration of what was made; 7 topic ids.
#include "kafka/create_topics.h"

#include "broker/api/config_layers.h"
#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "broker/api/topic_creation.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::PartitionIndex;
using kafka::CreateTopicsRequest;
using kafka::CreateTopicsResponse;
using Answer = CreateTopicsResponse::CreatableTopicResult;

constexpr const char* metadata_topic = "__cluster_metadata";

meta::CreateTopics::Topic translate(const RequestContext& ctx, const CreateTopicsRequest::CreatableTopic& asked) {
  meta::CreateTopics::Topic topic = topic_to_create(ctx.config(), asked.name);
  if (!asked.assignments.empty()) topic.partition_count = topic.replication_factor = std::nullopt;
  if (asked.num_partitions != -1) topic.partition_count = asked.num_partitions;
  if (asked.replication_factor != -1) topic.replication_factor = asked.replication_factor;
  for (const auto& one : asked.assignments) {
    std::vector<BrokerId> replicas;
    for (const int32_t id : one.broker_ids) replicas.emplace_back(id);
    topic.assignments.emplace_back(PartitionIndex(one.partition_index), std::move(replicas));
  }
  std::erase_if(topic.configs, [&](const auto& needed) {
    return std::ranges::find(asked.configs, needed.first, &CreateTopicsRequest::CreatableTopicConfig::name) !=
           asked.configs.end();
  });
  for (const auto& config : asked.configs) topic.configs.emplace_back(config.name, config.value);
  return topic;
}

Answer refused(const std::string& name, const common::model::Error& error) {
  Answer answer;
  answer.name = name;
  answer.error_code = error.code;
  answer.error_message = wire_message(error);
  return answer;
}

// What the topic's settings are, or would be after a request that only validates.
void add_configs(const RequestContext& ctx, const meta::CreateTopics::Topic& asked, Answer& answer) {
  common::config::ConfigMap overrides;
  for (const auto& [key, value] : asked.configs) {
    if (value) overrides[key] = *value;
  }
  common::config::ConfigLayers layers = broker_layers(ctx);
  layers.topic = common::config::lookup_in(overrides);
  auto& configs = answer.configs.emplace();
  for (const common::config::DescribedConfig& config : common::config::describe_topic(layers)) {
    configs.push_back({.name = config.name,
                       .value = config.value,
                       .read_only = config.read_only,
                       .config_source = static_cast<int8_t>(config.source),
                       .is_sensitive = config.sensitive});
  }
}

Answer created(const RequestContext& ctx, const meta::CreateTopics::Topic& asked,
               const meta::CreateTopicsAnswer::Topic& made) {
  if (made.error.code != ErrorCode::none) return refused(made.name, made.error);
  Answer answer;
  answer.name = made.name;
  answer.topic_id = made.topic_id;
  answer.error_message.reset();
  answer.num_partitions = made.partition_count;
  answer.replication_factor = made.replication_factor;
  if (ctx.version() >= 5) add_configs(ctx, asked, answer);
  return answer;
}

Awaitable<CreateTopicsResponse> handle(RequestContext& ctx, CreateTopicsRequest request) {
  CreateTopicsResponse response;
  meta::CreateTopics wanted;
  for (const auto& topic : request.topics) {
    if (topic.name != metadata_topic) {
      wanted.topics.push_back(translate(ctx, topic));
    } else if (response.topics.empty()) {
      response.topics.push_back(refused(topic.name, {ErrorCode::invalid_request, "The metadata log is not a topic."}));
    }
  }
  if (wanted.topics.empty()) co_return response;
  if (request.validate_only) wanted.validate_only = meta::ValidateOnly::yes;
  const std::vector<meta::CreateTopics::Topic> asked = wanted.topics;
  meta::ControllerRequest call = std::move(wanted);
  const Result<meta::CreateTopicsAnswer> answer =
      co_await ask_controller<meta::CreateTopicsAnswer>(ctx, std::move(call), deadline_after(ctx, request.timeout_ms));
  // Kafka answers a name that was asked for twice once.
  std::set<std::string> answered;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (!answered.insert(asked[i].name).second) continue;
    response.topics.push_back(answer ? created(ctx, asked[i], answer->topics.at(i))
                                     : refused(asked[i].name, answer.error()));
  }
  co_return response;
}

}  // namespace

const ApiHandler create_topics =
    make_handler<CreateTopicsRequest, CreateTopicsResponse, &handle>("CreateTopics", {.min = 0, .max = 7});

}  // namespace broker::api
