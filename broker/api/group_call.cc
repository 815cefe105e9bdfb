#include "broker/api/group_call.h"

namespace broker::api {

std::optional<common::model::TopicIdPartition> coordinator_of(const MetadataImage& image, std::string_view group) {
  const controller::metadata::TopicImage* topic = image.topic_by_name(group::offsets_topic_name);
  if (topic == nullptr || topic->partition_count() == 0) return std::nullopt;
  return common::model::TopicIdPartition{topic->id, group::coordinator_partition(group, topic->partition_count())};
}

}  // namespace broker::api
