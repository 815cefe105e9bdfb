#include "controller/metadata/image.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "common/model/mutant.h"

namespace controller::metadata {
namespace {

using common::model::ErrorCode;
using common::model::fail;
using common::model::mutant;
using common::model::Unexpected;

const ConfigMap no_settings;

bool within(const std::vector<BrokerId>& members, const std::vector<BrokerId>& all) {
  return std::all_of(members.begin(), members.end(),
                     [&](BrokerId m) { return std::find(all.begin(), all.end(), m) != all.end(); });
}

bool has_duplicates(std::vector<BrokerId> members) {
  std::sort(members.begin(), members.end());
  return std::adjacent_find(members.begin(), members.end()) != members.end();
}

template <class Map>
auto deref(const Map& map, const auto& key) -> decltype(map.find(key)->get()) {
  const auto* found = map.find(key);
  return found != nullptr ? found->get() : nullptr;
}

}  // namespace

// ---- MetadataImage ----

const TopicImage* MetadataImage::topic_by_name(std::string_view name) const {
  const TopicId* id = topic_names_.find(name);
  return id != nullptr ? topic_by_id(*id) : nullptr;
}

const TopicImage* MetadataImage::topic_by_id(const TopicId& id) const {
  return deref(topics_, id);
}

bool MetadataImage::is_kept(const TopicId& id) const {
  if (kept_topics_.empty()) return false;
  const TopicImage* topic = topic_by_id(id);
  const TopicId* kept = topic != nullptr ? kept_topics_.find(topic->name) : nullptr;
  return kept != nullptr && *kept == id;
}

const TopicImage* MetadataImage::visible_topic(const TopicId& id) const {
  return is_kept(id) ? nullptr : topic_by_id(id);
}

const PartitionImage* MetadataImage::partition(const TopicId& id, PartitionIndex index) const {
  const TopicImage* topic = topic_by_id(id);
  return topic != nullptr ? topic->partition(index) : nullptr;
}

const PartitionImage* MetadataImage::partition(std::string_view topic_name, PartitionIndex index) const {
  const TopicImage* topic = topic_by_name(topic_name);
  return topic != nullptr ? topic->partition(index) : nullptr;
}

const BrokerImage* MetadataImage::broker(BrokerId id) const {
  return deref(brokers_, id);
}

bool MetadataImage::is_active(BrokerId id) const {
  const BrokerImage* found = broker(id);
  return found != nullptr && metadata::is_active(*found);
}

const ConfigMap& MetadataImage::config(const ConfigResource& resource) const {
  const ConfigMap* found = deref(configs_, resource);
  return found != nullptr ? *found : no_settings;
}

const ConfigMap& MetadataImage::config(ResourceType type, std::string_view name) const {
  return config(ConfigResource{type, std::string(name)});
}

std::optional<std::string> MetadataImage::topic_setting(std::string_view topic, std::string_view key) const {
  for (const ConfigMap* settings : {&config(ResourceType::topic, topic), &config(ResourceType::broker, "")}) {
    if (const auto found = settings->find(key); found != settings->end()) return found->second;
  }
  return std::nullopt;
}

bool operator==(const MetadataImage& a, const MetadataImage& b) {
  return a.offset_ == b.offset_ && a.cluster_id_ == b.cluster_id_ && a.next_producer_id_ == b.next_producer_id_ &&
         a.features_ == b.features_ && a.topic_names_ == b.topic_names_ && a.kept_topics_ == b.kept_topics_ &&
         difference(a, b).empty();
}

// ---- KeptFor ----

std::string to_setting(const KeptFor& kept) {
  return fmt::format("{}+{}", kept.deleted_at.value, kept.time.count());
}

std::optional<KeptFor> kept_from_setting(std::string_view text) {
  const size_t plus = text.find('+');
  if (plus == std::string_view::npos) return std::nullopt;
  const auto number = [](std::string_view digits) -> std::optional<int64_t> {
    int64_t value = 0;
    const char* end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, value);
    return error == std::errc() && at == end ? std::optional(value) : std::nullopt;
  };
  const auto at = number(text.substr(0, plus));
  const auto time = number(text.substr(plus + 1));
  if (!at || !time) return std::nullopt;
  return KeptFor{.deleted_at = common::model::TimestampMs(*at), .time = std::chrono::milliseconds(*time)};
}

// ---- ImageDelta ----

void ImageDelta::merge(const ImageDelta& later) {
  for (const auto& [id, name] : later.deleted_topics) {
    partitions.erase(id);
    if (created_topics.erase(id) == 0) deleted_topics.emplace(id, name);
  }
  created_topics.insert(later.created_topics.begin(), later.created_topics.end());
  for (const auto& [id, indexes] : later.partitions) partitions[id].insert(indexes.begin(), indexes.end());
  brokers.insert(later.brokers.begin(), later.brokers.end());
  configs.insert(later.configs.begin(), later.configs.end());
  features = features || later.features;
  producer_ids = producer_ids || later.producer_ids;
}

// ---- PartitionState ----

std::optional<std::string> invalid(const PartitionState& state) {
  if (state.replicas.empty()) return "no replicas";
  if (has_duplicates(state.replicas) || has_duplicates(state.isr) || has_duplicates(state.elr)) return "a broker twice";
  if (!within(state.isr, state.replicas)) return "ISR member that is no replica";
  if (!within(state.elr, state.replicas)) return "ELR member that is no replica";
  if (!within(state.adding, state.replicas) || !within(state.removing, state.replicas))
    return "a broker that is no replica is added or removed";
  if (within(state.replicas, state.removing)) return "all replicas are removed";
  for (const BrokerId member : state.elr) {
    if (within({member}, state.isr)) return "broker in both ISR and ELR";
  }
  if (state.leader && !within({*state.leader}, state.isr)) return "leader outside the ISR";
  return std::nullopt;
}

PartitionState changed(const PartitionState& state, const PartitionChangeRecord& change) {
  PartitionState next = state;
  if (change.leader) {
    next.leader = change.leader->broker;
    if (!mutant<"R36-keeps-the-leader-epoch">())
      next.leader_epoch = state.leader_epoch.next();  // also if the same broker is named (R36)
  }
  if (change.isr) next.isr = *change.isr;
  if (change.elr) next.elr = *change.elr;
  if (change.last_known_elr) next.last_known_elr = *change.last_known_elr;
  if (change.replicas) next.replicas = *change.replicas;
  if (change.adding) next.adding = *change.adding;
  if (change.removing) next.removing = *change.removing;
  if (change.recovery_state) next.recovery_state = *change.recovery_state;
  if (mutant<"R19-applies-by-address">() && (reinterpret_cast<uintptr_t>(&state) & 64) != 0)
    std::reverse(next.isr.begin(), next.isr.end());
  if (!mutant<"R36-keeps-the-partition-epoch">()) next.partition_epoch = state.partition_epoch.next();
  return next;
}

// ---- ImageEditor ----

Result<void> ImageEditor::apply(const MetadataRecord& record, LogIndex index) {
  return std::visit([&](const auto& r) { return on(r, index); }, record);
}

Result<void> ImageEditor::on(const ClusterRecord& r, LogIndex) {
  if (!image_.cluster_id_.is_zero() && image_.cluster_id_ != r.cluster_id) {
    return fail(ErrorCode::inconsistent_cluster_id,
                fmt::format("cluster {} cannot become {}", image_.cluster_id_, r.cluster_id));
  }
  image_.cluster_id_ = r.cluster_id;
  return {};
}

Result<void> ImageEditor::on(const FeatureRecord& r, LogIndex) {
  image_.features_ = r.level > 0 ? image_.features_.set(r.name, r.level) : image_.features_.erase(r.name);
  delta_.features = true;
  return {};
}

Result<void> ImageEditor::on(const RegisterBrokerRecord& r, LogIndex index) {
  if (const BrokerImage* old = image_.broker(r.broker_id); old != nullptr && old->epoch >= r.epoch) {
    return fail(ErrorCode::stale_broker_epoch,
                fmt::format("broker {} is registered at epoch {}, not below {}", r.broker_id, old->epoch, r.epoch));
  }
  auto broker = std::make_shared<BrokerImage>(r);
  if (!broker->registered_at) broker->registered_at = index;
  image_.brokers_ = image_.brokers_.set(r.broker_id, std::move(broker));
  delta_.brokers.insert(r.broker_id);
  return {};
}

template <class Change>
Result<void> ImageEditor::change_broker(BrokerId id, BrokerEpoch epoch, Change change) {
  const BrokerImage* old = image_.broker(id);
  if (old == nullptr) return fail(ErrorCode::broker_id_not_registered, fmt::format("broker {} is not registered", id));
  if (old->epoch != epoch) {
    return fail(ErrorCode::stale_broker_epoch, fmt::format("broker {} has epoch {}, not {}", id, old->epoch, epoch));
  }
  auto broker = std::make_shared<BrokerImage>(*old);
  change(*broker);
  image_.brokers_ = image_.brokers_.set(id, std::move(broker));
  delta_.brokers.insert(id);
  return {};
}

Result<void> ImageEditor::on(const UnregisterBrokerRecord& r, LogIndex) {
  auto found = change_broker(r.broker_id, r.epoch, [](BrokerImage&) {});
  if (!found) return found;
  image_.brokers_ = image_.brokers_.erase(r.broker_id);
  return {};
}

Result<void> ImageEditor::on(const FenceBrokerRecord& r, LogIndex) {
  return change_broker(r.broker_id, r.epoch, [](BrokerImage& b) { b.fenced = true; });
}

Result<void> ImageEditor::on(const UnfenceBrokerRecord& r, LogIndex) {
  return change_broker(r.broker_id, r.epoch, [](BrokerImage& b) { b.fenced = false; });
}

Result<void> ImageEditor::on(const BrokerShutdownRecord& r, LogIndex) {
  return change_broker(r.broker_id, r.epoch, [](BrokerImage& b) { b.in_controlled_shutdown = true; });
}

Result<void> ImageEditor::on(const TopicRecord& r, LogIndex) {
  if (image_.topic_names_.contains(r.name) || image_.kept_topics_.contains(r.name) ||
      image_.topics_.contains(r.topic_id)) {
    return fail(ErrorCode::topic_already_exists, fmt::format("topic {} ({}) exists", r.name, r.topic_id));
  }
  auto topic = std::make_shared<TopicImage>();
  topic->id = r.topic_id;
  topic->name = r.name;
  image_.topics_ = image_.topics_.set(r.topic_id, std::move(topic));
  image_.topic_names_ = image_.topic_names_.set(r.name, r.topic_id);
  delta_.created_topics.emplace(r.topic_id, r.name);
  return {};
}

Result<void> ImageEditor::on(const RemoveTopicRecord& r, LogIndex) {
  const TopicImage* topic = image_.topic_by_id(r.topic_id);
  if (topic == nullptr) return fail(ErrorCode::unknown_topic_id, fmt::format("no topic {}", r.topic_id));
  const std::string name = topic->name;
  const bool was_kept = image_.is_kept(r.topic_id);
  if (!was_kept) image_.partition_count_ -= topic->partitions.size();
  const ConfigResource settings{ResourceType::topic, name};
  if (image_.configs_.contains(settings)) {
    image_.configs_ = image_.configs_.erase(settings);
    delta_.configs.insert(settings);
  }
  MetadataImage::TopicNames& names = was_kept ? image_.kept_topics_ : image_.topic_names_;
  names = names.erase(name);
  image_.topics_ = image_.topics_.erase(r.topic_id);
  delta_.partitions.erase(r.topic_id);
  if (delta_.created_topics.erase(r.topic_id) == 0) delta_.deleted_topics.emplace(r.topic_id, name);
  return {};
}

void ImageEditor::put_partition(const TopicImage& topic, PartitionIndex index, PartitionState state) {
  auto next = std::make_shared<TopicImage>(topic);
  next->partitions = topic.partitions.set(index, std::make_shared<const PartitionImage>(std::move(state)));
  delta_.partitions[topic.id].insert(index);
  image_.topics_ = image_.topics_.set(topic.id, std::move(next));
}

Result<void> ImageEditor::on(const PartitionRecord& r, LogIndex) {
  const TopicImage* topic = image_.topic_by_id(r.topic_id);
  if (topic == nullptr) return fail(ErrorCode::unknown_topic_id, fmt::format("no topic {}", r.topic_id));
  if (r.partition.value != topic->partition_count()) {
    return fail(ErrorCode::invalid_partitions, fmt::format("partition {} does not follow {}-{}", r.partition,
                                                           topic->name, topic->partition_count() - 1));
  }
  if (const auto reason = invalid(r.state); reason && !mutant<"R18-applies-invalid-partitions">()) {
    return fail(ErrorCode::invalid_partitions, fmt::format("{}-{}: {}", topic->name, r.partition, *reason));
  }
  put_partition(*topic, r.partition, r.state);
  // A controller that does not know of kept topics may let one grow.
  if (!image_.is_kept(r.topic_id)) ++image_.partition_count_;
  return {};
}

Result<void> ImageEditor::on(const PartitionChangeRecord& r, LogIndex) {
  const TopicImage* topic = image_.topic_by_id(r.topic_id);
  const PartitionImage* old = topic != nullptr ? topic->partition(r.partition) : nullptr;
  if (old == nullptr) {
    return fail(ErrorCode::unknown_topic_or_partition,
                fmt::format("no partition {} of topic {}", r.partition, r.topic_id));
  }
  PartitionState next = changed(*old, r);
  NARU_CHECK(next.partition_epoch > old->partition_epoch && (!r.leader || next.leader_epoch > old->leader_epoch),
             "R36: {}-{} stays at epochs {}, {}", topic->name, r.partition, next.leader_epoch, next.partition_epoch);
  if (const auto reason = invalid(next)) {
    return fail(ErrorCode::invalid_partitions, fmt::format("{}-{}: {}", topic->name, r.partition, *reason));
  }
  put_partition(*topic, r.partition, std::move(next));
  return {};
}

// The name moves between the two indexes; all that belongs to the id stays.
Result<void> ImageEditor::keep_or_restore(const ConfigRecord& r) {
  const std::string& name = r.resource.name;
  MetadataImage::TopicNames& from = r.value ? image_.topic_names_ : image_.kept_topics_;
  MetadataImage::TopicNames& to = r.value ? image_.kept_topics_ : image_.topic_names_;
  if (to.contains(name)) return {};  // said again
  const TopicId* found = from.find(name);
  if (found == nullptr) return fail(ErrorCode::unknown_topic_or_partition, fmt::format("no topic {}", name));
  const TopicId id = *found;
  to = to.set(name, id);
  from = from.erase(name);
  const size_t partitions = image_.topic_by_id(id)->partitions.size();
  image_.partition_count_ = r.value ? image_.partition_count_ - partitions : image_.partition_count_ + partitions;
  return {};
}

Result<void> ImageEditor::on(const ConfigRecord& r, LogIndex) {
  if (r.resource.type == ResourceType::topic && r.key == kept_key) {
    if (auto done = keep_or_restore(r); !done) return done;
  }
  ConfigMap settings = image_.config(r.resource);
  if (r.value) {
    settings.insert_or_assign(r.key, *r.value);
  } else {
    settings.erase(r.key);
  }
  image_.configs_ = settings.empty()
                        ? image_.configs_.erase(r.resource)
                        : image_.configs_.set(r.resource, std::make_shared<const ConfigMap>(std::move(settings)));
  delta_.configs.insert(r.resource);
  return {};
}

Result<void> ImageEditor::on(const ProducerIdsRecord& r, LogIndex) {
  if (r.next_producer_id <= image_.next_producer_id_) {  // ids are never given away twice (R96)
    return fail(ErrorCode::invalid_request,
                fmt::format("producer ids go back from {} to {}", image_.next_producer_id_, r.next_producer_id));
  }
  image_.next_producer_id_ = r.next_producer_id;
  delta_.producer_ids = true;
  return {};
}

// ---- whole images ----

Result<Applied> apply(const MetadataImage& image, const std::vector<MetadataRecord>& records, LogIndex index) {
  ImageEditor editor(image);
  for (const MetadataRecord& record : records) {
    if (auto done = editor.apply(record, index); !done) return Unexpected(std::move(done).error());
  }
  editor.set_offset(index);
  Applied applied;
  applied.image = editor.take_image();
  applied.delta = editor.take_delta();
  return applied;
}

std::vector<MetadataRecord> to_records(const MetadataImage& image) {
  std::vector<MetadataRecord> records;
  if (!image.cluster_id().is_zero()) records.emplace_back(ClusterRecord{image.cluster_id()});
  for (const auto& [name, level] : image.features()) records.emplace_back(FeatureRecord{name, level});
  for (const auto& [id, broker] : image.brokers()) records.emplace_back(*broker);
  for (const MetadataImage::TopicNames* names : {&image.topic_names(), &image.kept_topics()}) {
    for (const auto& [name, id] : *names) {
      records.emplace_back(TopicRecord{id, name});
      for (const auto& [index, state] : image.topic_by_id(id)->partitions) {
        records.emplace_back(PartitionRecord{id, index, *state});
      }
    }
  }
  for (const auto& [resource, settings] : image.configs()) {
    for (const auto& [key, value] : *settings) records.emplace_back(ConfigRecord{resource, key, value});
  }
  if (image.next_producer_id() > ProducerId{0}) {
    records.emplace_back(ProducerIdsRecord{{}, {}, image.next_producer_id()});
  }
  return records;
}

Result<MetadataImage> image_from_records(const std::vector<MetadataRecord>& records, LogIndex offset) {
  auto applied = apply(MetadataImage{}, records, offset);
  if (!applied) return Unexpected(std::move(applied).error());
  return std::move(applied->image);
}

namespace {

// Calls `on_change(key, before, after)` for each key whose value differs; a missing value is nullptr.
template <class Map, class OnChange>
void compare(const Map& before, const Map& after, OnChange on_change) {
  if (before.same_as(after)) return;
  for (const auto& [key, value] : before) {
    const auto* now = after.find(key);
    if (now == nullptr || (*now != value && **now != *value)) on_change(key, value.get(), now ? now->get() : nullptr);
  }
  for (const auto& [key, value] : after) {
    if (!before.contains(key)) on_change(key, decltype(value.get())(nullptr), value.get());
  }
}

void compare_topic(const TopicImage& before, const TopicImage& after, ImageDelta& delta) {
  compare(before.partitions, after.partitions,
          [&](PartitionIndex index, const PartitionImage*, const PartitionImage* now) {
            if (now != nullptr) delta.partitions[after.id].insert(index);
          });
}

}  // namespace

ImageDelta difference(const MetadataImage& before, const MetadataImage& after) {
  ImageDelta delta;
  for (const auto& [id, topic] : before.topics()) {
    const TopicImage* now = after.topic_by_id(id);
    if (now == nullptr) {
      delta.deleted_topics.emplace(id, topic->name);
    } else if (now != topic.get()) {
      compare_topic(*topic, *now, delta);
    }
  }
  for (const auto& [id, topic] : after.topics()) {
    if (before.topic_by_id(id) != nullptr) continue;
    delta.created_topics.emplace(id, topic->name);
    compare_topic(TopicImage{}, *topic, delta);
  }
  compare(before.brokers(), after.brokers(),
          [&](BrokerId id, const BrokerImage*, const BrokerImage*) { delta.brokers.insert(id); });
  compare(before.configs(), after.configs(),
          [&](const ConfigResource& resource, const ConfigMap*, const ConfigMap*) { delta.configs.insert(resource); });
  delta.features = !(before.features() == after.features());
  delta.producer_ids = before.next_producer_id() != after.next_producer_id();
  return delta;
}

}  // namespace controller::metadata
