#include "broker/topic_settings.h"

#include <limits>

namespace broker {

namespace metadata = controller::metadata;
using common::config::TopicConfig;
using common::records::KeyRule;
using common::records::TimestampType;

namespace {

int64_t limit_of(const std::optional<std::chrono::milliseconds>& age) {
  return age ? age->count() : std::numeric_limits<int64_t>::max();
}

}  // namespace

partition::TopicSettings to_partition_settings(const TopicConfig& config) {
  partition::TopicSettings settings;
  settings.produce.max_batch_bytes = static_cast<size_t>(config.max_message_bytes);
  settings.produce.timestamp_type = config.timestamp_type == common::config::TimestampType::log_append_time
                                        ? TimestampType::log_append_time
                                        : TimestampType::create_time;
  settings.produce.timestamp_before_max_ms = limit_of(config.timestamp_before_max);
  settings.produce.timestamp_after_max_ms = limit_of(config.timestamp_after_max);
  settings.produce.keys = config.cleanup_policy.compact ? KeyRule::required : KeyRule::optional;
  settings.min_isr = config.min_insync_replicas;
  settings.sync_before_ack = config.flush_messages == 1;
  return settings;
}

partition::TopicSettings ConfiguredTopics::settings_of(const metadata::MetadataImage& image,
                                                       std::string_view topic) const {
  const auto layer = [&image](metadata::ResourceType type, std::string name) {
    return [&image, type, name = std::move(name)](std::string_view key) -> std::optional<std::string> {
      const metadata::ConfigMap& values = image.config(type, name);
      const auto found = values.find(key);
      return found == values.end() ? std::nullopt : std::optional(found->second);
    };
  };
  const common::config::ConfigLayers layers{
      .broker = &broker_,
      .dynamic_default = layer(metadata::ResourceType::broker, ""),
      .dynamic_broker = layer(metadata::ResourceType::broker, std::to_string(broker_.node_id.value)),
      .topic = layer(metadata::ResourceType::topic, std::string(topic))};
  return to_partition_settings(common::config::resolve_topic(layers));
}

}  // namespace broker
