#include "broker/topic_settings.h"

#include <algorithm>
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

common::log::LogConfig to_log_config(const TopicConfig& config) {
  common::log::LogConfig log;
  log.segment_bytes = static_cast<uint64_t>(config.segment_bytes);
  log.segment_ms = config.segment_age;
  log.segment_jitter = config.segment_jitter;
  log.index_interval_bytes = static_cast<uint32_t>(config.index_interval_bytes);
  log.segment_index_bytes = static_cast<uint32_t>(config.segment_index_bytes);
  log.retention_ms = config.retention_age;
  log.retention_bytes = config.retention_bytes ? std::optional(static_cast<uint64_t>(*config.retention_bytes)) : std::nullopt;
  log.delete_old_segments = config.cleanup_policy.remove;
  log.flush_messages = config.flush_messages;
  log.flush_ms = config.flush_age;
  log.file_delete_delay = config.file_delete_delay;
  log.log_append_time = config.timestamp_type == common::config::TimestampType::log_append_time;
  // Also where the policy says nothing of compaction any more: what it left stays.
  log.allow_offset_gaps = true;
  // Only what is no longer appended to can be compacted.
  if (config.cleanup_policy.compact && config.max_compaction_lag)
    log.segment_ms = std::min(log.segment_ms, *config.max_compaction_lag);
  return log;
}

partition::StoredCodec to_stored_codec(const TopicConfig& config) {
  using common::config::CompressionType;
  using common::records::Codec;
  switch (config.compression_type) {
    case CompressionType::producer:
      break;
    case CompressionType::uncompressed:
      return {.codec = Codec::none, .compression = {}};
    case CompressionType::gzip:
      if (config.gzip_level < 0) return {.codec = Codec::gzip, .compression = {}};
      return {.codec = Codec::gzip, .compression = {.level = config.gzip_level}};
    case CompressionType::snappy:
      return {.codec = Codec::snappy, .compression = {}};
    case CompressionType::lz4:
      return {.codec = Codec::lz4, .compression = {.level = config.lz4_level}};
    case CompressionType::zstd:
      return {.codec = Codec::zstd, .compression = {.level = config.zstd_level}};
  }
  return {};
}

partition::CleaningSettings to_cleaning_settings(const TopicConfig& config) {
  return {.min_dirty_ratio = config.min_cleanable_ratio,
          .min_lag = config.min_compaction_lag,
          .max_lag = config.max_compaction_lag,
          .delete_retention = config.delete_retention,
          .stored = to_stored_codec(config)};
}

}  // namespace

partition::TopicSettings to_partition_settings(const TopicConfig& config) {
  partition::TopicSettings settings;
  settings.log = to_log_config(config);
  settings.produce.max_batch_bytes = static_cast<size_t>(config.max_message_bytes);
  settings.produce.timestamp_type = config.timestamp_type == common::config::TimestampType::log_append_time
                                        ? TimestampType::log_append_time
                                        : TimestampType::create_time;
  settings.produce.timestamp_before_max_ms = limit_of(config.timestamp_before_max);
  settings.produce.timestamp_after_max_ms = limit_of(config.timestamp_after_max);
  settings.produce.decompress.max_record_bytes =
      std::min(settings.produce.decompress.max_output_bytes, static_cast<size_t>(config.max_decompressed_message_bytes));
  settings.produce.keys = config.cleanup_policy.compact ? KeyRule::required : KeyRule::optional;
  settings.stored = to_stored_codec(config);
  if (config.cleanup_policy.compact) settings.cleaning = to_cleaning_settings(config);
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
  partition::TopicSettings settings = to_partition_settings(common::config::resolve_topic(layers));
  settings.producer_expiration = broker_.producer_id_expiration;
  return settings;
}

}  // namespace broker
