// What a partition needs of its topic's configuration (the topic's own settings over the broker's defaults). Immutable.
#pragma once
#include <chrono>
#include <optional>
#include <string_view>

#include "common/log/log_config.h"
#include "common/model/types.h"
#include "common/records/validate.h"

namespace controller::metadata {
class MetadataImage;
}

namespace broker::partition {

// compression.type and its levels.
struct StoredCodec {
  std::optional<common::records::Codec> codec;  // none: that of the batch
  common::records::CompressOptions compression;
};

// Of a topic whose cleanup.policy contains compact.
struct CleaningSettings {
  double min_dirty_ratio = 0.5;  // min.cleanable.dirty.ratio
  std::chrono::milliseconds min_lag{0};
  std::optional<std::chrono::milliseconds> max_lag;
  std::chrono::milliseconds delete_retention{86'400'000};
  StoredCodec stored;
};

struct TopicSettings {
  common::log::LogConfig log;
  common::records::ProduceLimits produce;
  StoredCodec stored;
  std::optional<CleaningSettings> cleaning;
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
