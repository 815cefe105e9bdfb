// What a partition needs of its topic's configuration (the topic's own settings over the broker's defaults). Immutable.
#pragma once
#include <chrono>
#include <string_view>

#include "common/log/log_config.h"
#include "common/model/types.h"
#include "common/records/validate.h"

namespace controller::metadata {
class MetadataImage;
}

namespace broker::partition {

struct TopicSettings {
  common::log::LogConfig log;
  common::records::ProduceLimits produce;
  int min_isr = 1;               // min.insync.replicas
  bool sync_before_ack = false;  // flush.messages=1: an offset counts once it is synced (D2)
  std::chrono::milliseconds producer_expiration = std::chrono::hours(24);  // producer.id.expiration.ms (R88)
};

// Where the settings come from: the image's topic and default settings over the broker's file. Thread-safe.
class TopicSettingsSource {
 public:
  virtual ~TopicSettingsSource() = default;
  [[nodiscard]] virtual TopicSettings settings_of(const controller::metadata::MetadataImage& image,
                                                  std::string_view topic) const = 0;
};

}  // namespace broker::partition
