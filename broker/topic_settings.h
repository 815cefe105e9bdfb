// A topic's effective settings for its partitions: the image's topic and cluster-wide values over the broker's file.
// Immutable; thread-safe.
#pragma once
#include <string_view>

#include "broker/partition/topic_settings.h"
#include "common/config/config.h"
#include "common/config/topic_config.h"
#include "controller/metadata/image.h"

namespace broker {

// What a partition needs of a topic's effective configuration.
partition::TopicSettings to_partition_settings(const common::config::TopicConfig& config);

class ConfiguredTopics final : public partition::TopicSettingsSource {
 public:
  explicit ConfiguredTopics(const common::config::BrokerConfig& broker) : broker_(broker) {}
  [[nodiscard]] partition::TopicSettings settings_of(const controller::metadata::MetadataImage& image,
                                                     std::string_view topic) const override;

 private:
  const common::config::BrokerConfig& broker_;
};

}  // namespace broker
