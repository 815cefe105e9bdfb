// Creating, deleting and growing topics, with Kafka's rules for names, numbers and manual assignments, and its errors.
//
// Functions over a Draft; pure. A topic that is refused leaves no record; the others of the request go on.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/model/random.h"
#include "controller/metadata/draft.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

constexpr size_t topic_name_length_max = 249;

// Why a name is not allowed, in Kafka's words.
[[nodiscard]] std::optional<std::string> invalid_topic_name(std::string_view name);
// The existing topic whose name differs only by '.' against '_' (they share metric names in Kafka).
[[nodiscard]] std::optional<std::string> colliding_topic(const MetadataImage& image, std::string_view name);

// The replicas of one partition as a client listed them.
[[nodiscard]] Result<void> check_assignment(const MetadataImage& image, const std::vector<BrokerId>& replicas,
                                            std::optional<int16_t> replication_factor);

[[nodiscard]] CreateTopicsAnswer create_topics(Draft& draft, const CreateTopics& request,
                                               const ControllerOptions& options, const ConfigSchema& schema,
                                               common::model::Random& random);
// Which one an item of the request means, of those that the asker may know of: kept ones only when he wants them gone.
[[nodiscard]] const TopicImage* topic_to_delete(const MetadataImage& image, const DeleteTopics& request,
                                                const DeleteTopics::Topic& asked);
// `may_be_kept`: others go at once, whatever the request says.
[[nodiscard]] DeleteTopicsAnswer delete_topics(Draft& draft, const DeleteTopics& request,
                                               const std::function<bool(const TopicImage&)>& may_be_kept);
// Of one that was deleted and is kept. `id`: which one is meant, if the asker says so; when that one is there again
// already, it has been asked for before.
[[nodiscard]] Error restore_topic(Draft& draft, const std::string& name, std::optional<TopicId> id);
[[nodiscard]] CreatePartitionsAnswer create_partitions(Draft& draft, const CreatePartitions& request,
                                                       const ControllerOptions& options, common::model::Random& random);

}  // namespace controller::metadata
