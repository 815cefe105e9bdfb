#include "broker/api/topic_creation.h"

#include "broker/api/controller_call.h"
#include "common/config/config.h"

namespace broker::api {

namespace meta = controller::metadata;
using common::config::BrokerConfig;
using common::model::Error;

namespace {

constexpr std::chrono::milliseconds creation_time_max{5000};

}  // namespace

meta::CreateTopics::Topic topic_to_create(const BrokerConfig& config, const std::string& name) {
  meta::CreateTopics::Topic topic;
  topic.name = name;
  if (name == "__consumer_offsets") {
    topic.partition_count = config.offsets_partitions;
    topic.replication_factor = config.offsets_replication_factor;
    topic.configs = {{"cleanup.policy", "compact"},
                     {"compression.type", "producer"},
                     {"segment.bytes", std::to_string(config.offsets_segment_bytes)}};
  } else if (name == "__transaction_state") {
    topic.partition_count = config.transactions_partitions;
    topic.replication_factor = config.transactions_replication_factor;
    topic.configs = {{"cleanup.policy", "compact"},
                     {"compression.type", "uncompressed"},
                     {"unclean.leader.election.enable", "false"},
                     {"min.insync.replicas", std::to_string(config.transactions_min_isr)},
                     {"segment.bytes", std::to_string(config.transactions_segment_bytes)}};
  }
  return topic;
}

Awaitable<std::map<std::string, Error>> create_missing_topics(RequestContext& ctx, std::vector<std::string> names) {
  std::map<std::string, Error> failed;
  if (names.empty()) co_return failed;
  meta::CreateTopics request;
  for (const std::string& name : names) request.topics.push_back(topic_to_create(ctx.config(), name));
  meta::ControllerRequest call = std::move(request);
  const Result<meta::CreateTopicsAnswer> answer =
      co_await ask_controller<meta::CreateTopicsAnswer>(ctx, std::move(call), ctx.shard().now() + creation_time_max);
  if (!answer) {
    for (const std::string& name : names) failed.emplace(name, answer.error());
  } else {
    for (const meta::CreateTopicsAnswer::Topic& topic : answer->topics) {
      const bool exists = topic.error.code == ErrorCode::none || topic.error.code == ErrorCode::topic_already_exists;
      if (!exists) failed.emplace(topic.name, topic.error);
    }
  }
  // Another broker's request may have been faster, and a timeout is not a no.
  std::erase_if(failed, [&](const auto& one) { return ctx.image().topic_by_name(one.first) != nullptr; });
  co_return failed;
}

}  // namespace broker::api
