// The metadata image of a cluster with 100,000 partitions.
#include "controller/metadata/image.h"
#include "micro.h"

namespace micro {

using namespace controller::metadata;  // NOLINT: what is measured
using common::model::LogIndex;

namespace {

constexpr uint64_t topics = 1000;
constexpr int32_t partitions = 100;

TopicId topic_id(uint64_t topic) {
  return Uuid::from_halves(topic * 0x9e3779b97f4a7c15, topic);  // spread, as random ids are
}

struct Cluster {
  MetadataImage image;
  int64_t index = 0;
  uint64_t next = 0;
};

std::shared_ptr<Cluster> big_cluster() {
  ImageEditor editor{MetadataImage{}};
  PartitionState state;
  state.replicas = state.isr = {BrokerId{1}, BrokerId{2}, BrokerId{3}};
  state.leader = BrokerId{1};
  for (uint64_t t = 1; t <= topics; ++t) {
    NARU_CHECK(editor.apply(TopicRecord{topic_id(t), fmt::format("topic-{}", t)}, LogIndex(1)).has_value());
    for (int32_t p = 0; p < partitions; ++p) {
      NARU_CHECK(editor.apply(PartitionRecord{topic_id(t), PartitionIndex(p), state}, LogIndex(1)).has_value());
    }
  }
  auto own = std::make_shared<Cluster>();
  own->image = editor.take_image();
  NARU_CHECK(own->image.partition_count() == topics * partitions);
  return own;
}

// An ISR change, as one committed entry.
Step applying() {
  return [own = big_cluster()] {
    own->next += 7919;
    PartitionChangeRecord change;
    change.topic_id = topic_id(own->next % topics + 1);
    change.partition = PartitionIndex(static_cast<int32_t>(own->next % partitions));
    change.isr = {BrokerId{1}, BrokerId{2}};
    auto applied = apply(own->image, {change}, LogIndex(++own->index));
    NARU_CHECK(applied.has_value(), "{}", applied.error().message);
    own->image = std::move(applied->image);
  };
}

Step looking_up() {
  std::vector<std::string> names;
  for (uint64_t t = 1; t <= topics; ++t) names.push_back(fmt::format("topic-{}", t));
  return [own = big_cluster(), names] {
    own->next += 7919;
    const auto* found =
        own->image.partition(names[own->next % topics], PartitionIndex(static_cast<int32_t>(own->next % partitions)));
    NARU_CHECK(found != nullptr);
    keep(found);
  };
}

}  // namespace

void add_metadata(Cases& all) {
  all.push_back({"metadata: apply an ISR change among 100,000 partitions", 200, applying});
  all.push_back({"metadata: find one of 100,000 partitions by name", 1000, looking_up});
}

}  // namespace micro
