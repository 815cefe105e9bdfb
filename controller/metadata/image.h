// What the cluster agreed on up to one index of the metadata log: every broker holds such an image and answers clients
// from it. Images share what did not change, so holding an old one is cheap; ImageEditor makes the next one by applying
// records.
//
// MetadataImage, ImageDelta: immutable once published; any thread. ImageEditor: thread-compatible.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/result.h"
#include "controller/metadata/persistent_map.h"
#include "controller/metadata/records.h"

namespace controller::metadata {

using common::model::Result;

using BrokerImage = RegisterBrokerRecord;  // as registered, with `fenced` and `in_controlled_shutdown` kept current
using PartitionImage = PartitionState;

// Whether the broker may lead, be in an ISR and be given partitions (R29).
[[nodiscard]] inline bool is_active(const BrokerImage& b) {
  return !b.fenced && !b.in_controlled_shutdown;
}

struct TopicImage {
  TopicId id;
  std::string name;
  PersistentMap<PartitionIndex, std::shared_ptr<const PartitionImage>> partitions;

  // nullptr if there is none.
  [[nodiscard]] const PartitionImage* partition(PartitionIndex index) const {
    const auto* found = partitions.find(index);
    return found != nullptr ? found->get() : nullptr;
  }
  [[nodiscard]] int32_t partition_count() const { return static_cast<int32_t>(partitions.size()); }
};

using ConfigMap = std::map<std::string, std::string, std::less<>>;

// Set on a topic that was deleted and is kept for a while: clients see it no more, and its replicas go on as they were,
// so that restoring it gives back what it held, and nothing else: the same topic id, records, epochs and offsets. Who
// makes another topic of its name ends that in the same batch. A setting, so that a version which does not know of it
// can apply it; no client may set it, for no table has it.
inline constexpr std::string_view kept_key = "naru.deleted";
struct KeptFor {
  common::model::TimestampMs deleted_at;  // for people
  std::chrono::milliseconds time{0};      // at least, from when the active controller first saw it
  friend bool operator==(const KeptFor&, const KeptFor&) = default;
};
[[nodiscard]] std::string to_setting(const KeptFor& kept);
[[nodiscard]] std::optional<KeptFor> kept_from_setting(std::string_view text);

class MetadataImage {
 public:
  using Topics = PersistentMap<TopicId, std::shared_ptr<const TopicImage>>;
  using TopicNames = PersistentMap<std::string, TopicId>;
  using Brokers = PersistentMap<BrokerId, std::shared_ptr<const BrokerImage>>;
  using Configs = PersistentMap<ConfigResource, std::shared_ptr<const ConfigMap>>;
  using Features = PersistentMap<std::string, int16_t>;

  // Index of the last entry applied; unset before the first.
  [[nodiscard]] std::optional<LogIndex> offset() const { return offset_; }
  [[nodiscard]] const Uuid& cluster_id() const { return cluster_id_; }

  [[nodiscard]] const TopicImage* topic_by_name(std::string_view name) const;
  [[nodiscard]] const TopicImage* topic_by_id(const TopicId& id) const;
  [[nodiscard]] const PartitionImage* partition(const TopicId& id, PartitionIndex index) const;
  [[nodiscard]] const PartitionImage* partition(std::string_view topic, PartitionIndex index) const;
  // In name order: `for (const auto& [name, id] : image.topic_names())`.
  [[nodiscard]] const TopicNames& topic_names() const { return topic_names_; }
  [[nodiscard]] const Topics& topics() const { return topics_; }  // by id; those that are kept, too
  // Deleted, and kept for a while (kept_key). No name is in both.
  [[nodiscard]] const TopicNames& kept_topics() const { return kept_topics_; }
  [[nodiscard]] bool is_kept(const TopicId& id) const;
  // As clients may have it: nullptr also for one that is kept.
  [[nodiscard]] const TopicImage* visible_topic(const TopicId& id) const;

  [[nodiscard]] const BrokerImage* broker(BrokerId id) const;
  [[nodiscard]] const Brokers& brokers() const { return brokers_; }  // by id
  // Registered, unfenced, not shutting down.
  [[nodiscard]] bool is_active(BrokerId id) const;

  // The settings made on that resource alone (no defaults mixed in); never null.
  [[nodiscard]] const ConfigMap& config(const ConfigResource& resource) const;
  [[nodiscard]] const ConfigMap& config(ResourceType type, std::string_view name) const;
  [[nodiscard]] const Configs& configs() const { return configs_; }
  // A topic's setting: its own, else the cluster-wide default (dynamic), else unset.
  [[nodiscard]] std::optional<std::string> topic_setting(std::string_view topic, std::string_view key) const;

  [[nodiscard]] ProducerId next_producer_id() const { return next_producer_id_; }
  [[nodiscard]] const Features& features() const { return features_; }

  [[nodiscard]] size_t partition_count() const { return partition_count_; }  // without those of kept topics

  // Equality of contents (tests, simulator); the offset counts too.
  friend bool operator==(const MetadataImage& a, const MetadataImage& b);

 private:
  friend class ImageEditor;

  std::optional<LogIndex> offset_;
  Uuid cluster_id_;
  Topics topics_;
  TopicNames topic_names_;
  TopicNames kept_topics_;
  Brokers brokers_;
  Configs configs_;
  Features features_;
  ProducerId next_producer_id_{0};
  size_t partition_count_ = 0;
};

using ImagePtr = std::shared_ptr<const MetadataImage>;

// What differs between two images. A topic deleted and created again under its name is one deleted and one created id.
struct ImageDelta {
  std::map<TopicId, std::string> created_topics;
  std::map<TopicId, std::string> deleted_topics;
  // Created or changed partitions, those of created topics included; not those of deleted topics.
  std::map<TopicId, std::set<PartitionIndex>> partitions;
  std::set<BrokerId> brokers;  // registered, changed or gone
  std::set<ConfigResource> configs;
  bool features = false;
  bool producer_ids = false;

  [[nodiscard]] bool empty() const {
    return created_topics.empty() && deleted_topics.empty() && partitions.empty() && brokers.empty() &&
           configs.empty() && !features && !producer_ids;
  }
  // Adds a later delta, so that a slow reader can skip images.
  void merge(const ImageDelta& later);
};
using DeltaPtr = std::shared_ptr<const ImageDelta>;

// Applies records one after the other; each step sees the ones before it. Decisions of the active controller are built
// on one of these too, so what it proposes has been applied before it is appended (R18).
class ImageEditor {
 public:
  explicit ImageEditor(MetadataImage from) : image_(std::move(from)) {}

  // A record that does not fit the image (unknown topic, duplicate partition, broken invariant) is refused and changes
  // nothing. For a committed record that is fatal to the node (R18).
  [[nodiscard]] Result<void> apply(const MetadataRecord& record, LogIndex index);
  void set_offset(LogIndex index) { image_.offset_ = index; }

  [[nodiscard]] const MetadataImage& image() const { return image_; }
  [[nodiscard]] const ImageDelta& delta() const { return delta_; }
  [[nodiscard]] MetadataImage take_image() { return std::move(image_); }
  [[nodiscard]] ImageDelta take_delta() { return std::move(delta_); }

 private:
  Result<void> on(const ClusterRecord& r, LogIndex index);
  Result<void> on(const FeatureRecord& r, LogIndex index);
  Result<void> on(const RegisterBrokerRecord& r, LogIndex index);
  Result<void> on(const UnregisterBrokerRecord& r, LogIndex index);
  Result<void> on(const FenceBrokerRecord& r, LogIndex index);
  Result<void> on(const UnfenceBrokerRecord& r, LogIndex index);
  Result<void> on(const BrokerShutdownRecord& r, LogIndex index);
  Result<void> on(const TopicRecord& r, LogIndex index);
  Result<void> on(const RemoveTopicRecord& r, LogIndex index);
  Result<void> on(const PartitionRecord& r, LogIndex index);
  Result<void> on(const PartitionChangeRecord& r, LogIndex index);
  Result<void> on(const ConfigRecord& r, LogIndex index);
  Result<void> on(const ProducerIdsRecord& r, LogIndex index);

  Result<void> keep_or_restore(const ConfigRecord& r);
  template <class Change>
  Result<void> change_broker(BrokerId id, BrokerEpoch epoch, Change change);
  void put_partition(const TopicImage& topic, PartitionIndex index, PartitionState state);

  MetadataImage image_;
  ImageDelta delta_;
};

struct Applied {
  MetadataImage image;
  ImageDelta delta;
};
// The image after one committed entry at `index`.
[[nodiscard]] Result<Applied> apply(const MetadataImage& image, const std::vector<MetadataRecord>& records,
                                    LogIndex index);

// Records that make `image` out of an empty one: what a snapshot holds. apply_snapshot is the inverse.
[[nodiscard]] std::vector<MetadataRecord> to_records(const MetadataImage& image);
[[nodiscard]] Result<MetadataImage> image_from_records(const std::vector<MetadataRecord>& records, LogIndex offset);

// What a reader of `before` must look at to arrive at `after` (after a snapshot replaced the image).
[[nodiscard]] ImageDelta difference(const MetadataImage& before, const MetadataImage& after);

// The reason why a partition's state is impossible, if it is.
[[nodiscard]] std::optional<std::string> invalid(const PartitionState& state);
// `state` after `change`: epochs raised as R36 says.
[[nodiscard]] PartitionState changed(const PartitionState& state, const PartitionChangeRecord& change);

}  // namespace controller::metadata
