#include "cli/consumed_offsets.h"

#include <string_view>

namespace cli {

void ConsumedOffsets::add(const rd_kafka_message_t& message) {
  const std::string_view topic = rd_kafka_topic_name(message.rkt);
  auto found = next_.find(topic);
  if (found == next_.end()) found = next_.emplace(std::string(topic), std::map<int32_t, int64_t>{}).first;
  found->second[message.partition] = message.offset + 1;
}

void ConsumedOffsets::written(rd_kafka_t* consumer) {
  if (next_.empty()) return;
  const KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(next_.size())));
  for (const auto& [topic, partitions] : next_) {
    for (const auto& [partition, offset] : partitions)
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
  }
  next_.clear();
  // A partition that another member has by now is refused, and is that one's matter.
  rd_kafka_offsets_store(consumer, list.get());
}

}  // namespace cli
