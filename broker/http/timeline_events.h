// The metadata log retold for people: what each committed batch changed, in words and with the reason, as far as the
// batch itself tells it (a leader changes because its broker was fenced by the same batch). Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/metadata/image.h"

namespace broker::http {

struct TimelineEvent {
  std::string kind;  // election, isr, fence, broker, topic, config, quorum
  std::string text;
  std::string reason;  // may be empty
};

// What a page must know after a batch: the new state of what it touched, and the events.
struct BatchStory {
  struct Partition {
    std::string topic;
    int32_t index = 0;
    controller::metadata::PartitionState state;
  };
  std::vector<Partition> partitions;
  std::vector<controller::metadata::BrokerImage> brokers;
  std::vector<int32_t> gone_brokers;
  std::vector<std::string> gone_topics;
  std::vector<TimelineEvent> events;
  size_t events_left_out = 0;
  size_t sessions_lost = 0;               // brokers fenced because they are gone or silent
  std::optional<size_t> partition_count;  // of the cluster, where it is another than before
};

// Applies `records` to `editor`. A record that does not apply ends the story (the node itself halts then, R18).
[[nodiscard]] BatchStory tell(controller::metadata::ImageEditor& editor,
                              const std::vector<controller::metadata::MetadataRecord>& records,
                              common::model::LogIndex index);

}  // namespace broker::http
