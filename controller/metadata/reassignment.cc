#include "controller/metadata/reassignment.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "common/model/mutant.h"
#include "controller/metadata/partitions.h"
#include "controller/metadata/topics.h"

namespace controller::metadata {
namespace {

using common::model::fail;
using common::model::mutant;
using common::model::TopicPartition;
using Brokers = std::vector<BrokerId>;

// Whether it may be needed to keep what is committed.
bool counts(const PartitionState& state, BrokerId id) {
  return contains(state.isr, id) || contains(state.elr, id) || contains(state.last_known_elr, id);
}

Result<Brokers> targets_of(const MetadataImage& image, const PartitionState& state,
                           const AlterPartitionReassignments::Partition& asked, FactorChange factor_change) {
  if (!asked.replicas) {
    if (!is_reassigning(state))
      return fail(ErrorCode::no_reassignment_in_progress, "No partition reassignment is in progress.");
    return original_replicas(state);
  }
  if (auto good = check_assignment(image, *asked.replicas, std::nullopt); !good)
    return common::model::Unexpected(std::move(good).error());
  const size_t before = original_replicas(state).size();
  if (factor_change == FactorChange::refused && asked.replicas->size() != before) {
    return fail(ErrorCode::invalid_replication_factor,
                fmt::format("The replication factor is changed from {} to {}", before, asked.replicas->size()));
  }
  return *asked.replicas;
}

Error reassign_one(Draft& draft, const AlterPartitionReassignments::Partition& asked, FactorChange factor_change,
                   const ControllerOptions& options) {
  const MetadataImage before = draft.image();
  const TopicPartition& tp = asked.partition;
  const TopicImage* topic = before.topic_by_name(tp.topic);
  if (topic == nullptr)
    return {ErrorCode::unknown_topic_or_partition, fmt::format("Unable to find a topic named {}.", tp.topic)};
  const PartitionState* state = topic->partition(tp.partition);
  if (state == nullptr) {
    return {ErrorCode::unknown_topic_or_partition,
            fmt::format("Unable to find partition {}:{}.", tp.topic, tp.partition)};
  }
  auto targets = targets_of(before, *state, asked, factor_change);
  if (!targets) return std::move(targets).error();
  PartitionPlan plan;
  plan.assignment = reassigned(*state, *targets);
  if (*plan.assignment == ReplicaSet{state->replicas, state->adding, state->removing}) return {ErrorCode::none, {}};
  draft.note("{}: {} to ({}), is ({})", tp, asked.replicas ? "reassignment" : "reassignment turned back",
             fmt::join(*targets, ","), fmt::join(state->replicas, ","));
  change_partition(draft, *topic, tp.partition, *state, plan, options);
  return {ErrorCode::none, {}};
}

// Chooses brokers for replicas that are lacking: racks that have none yet first, then those with the fewest.
class Candidates {
 public:
  explicit Candidates(const MetadataImage& image) {
    for (const auto& [id, broker] : image.brokers()) {
      if (is_active(*broker)) racks_.emplace(id, broker->rack.value_or(""));
    }
  }
  [[nodiscard]] size_t count() const { return racks_.size(); }

  void charge(const Brokers& replicas) {
    for (const BrokerId id : replicas) ++load_[id];
  }

  // `replicas` and more of them; fewer than wished for if there are not enough brokers.
  Brokers extended(Brokers replicas, size_t wanted) {
    while (replicas.size() < wanted) {
      std::optional<std::tuple<size_t, size_t, BrokerId>> best;
      for (const auto& [id, rack] : racks_) {
        if (contains(replicas, id)) continue;
        const auto same_rack = static_cast<size_t>(std::count_if(replicas.begin(), replicas.end(), [&](BrokerId r) {
          const auto found = racks_.find(r);
          return found != racks_.end() && found->second == rack;
        }));
        const std::tuple candidate(same_rack, load_[id], id);
        if (!best || candidate < *best) best = candidate;
      }
      if (!best) break;
      replicas.push_back(std::get<2>(*best));
      ++load_[replicas.back()];
    }
    return replicas;
  }

 private:
  std::map<BrokerId, std::string> racks_;
  std::map<BrokerId, size_t> load_;
};

void grow_internal_topic(Draft& draft, const TopicImage& topic, size_t wanted, const ControllerOptions& options) {
  Candidates candidates(draft.image());
  if (candidates.count() < wanted) return;
  for (const auto& [index, state] : topic.partitions) candidates.charge(state->replicas);
  size_t grown = 0;
  for (const auto& [index, state] : topic.partitions) {
    if (is_reassigning(*state) || state->replicas.size() >= wanted) continue;
    const Brokers targets = candidates.extended(state->replicas, wanted);
    if (targets.size() < wanted) continue;
    PartitionPlan plan;
    plan.assignment = reassigned(*state, targets);
    change_partition(draft, topic, index, *state, plan, options);
    ++grown;
  }
  if (grown == 0) return;
  draft.note("{}: {} partition(s) grow to {} replicas", topic.name, grown, wanted);
  // What a single broker could not promise: two copies of what is acknowledged.
  const bool own = draft.image().config(ResourceType::topic, topic.name).contains("min.insync.replicas");
  if (!own && wanted >= 3 && min_isr(draft.image(), topic.name, options) < 2)
    draft.add(ConfigRecord{{ResourceType::topic, topic.name}, "min.insync.replicas", "2"});
}

}  // namespace

ReplicaSet reassigned(const PartitionState& state, const Brokers& targets) {
  if (mutant<"R40-drops-the-old-at-once">()) return {targets, {}, {}};
  const Brokers originals = original_replicas(state);
  ReplicaSet set{targets, {}, {}};
  for (const BrokerId r : state.replicas) {
    const bool needed = contains(originals, r) || (counts(state, r) && !mutant<"R40-drops-new-members-at-once">());
    if (!contains(targets, r) && needed) set.replicas.push_back(r);
  }
  for (const BrokerId r : set.replicas) {
    if (!contains(originals, r)) set.adding.push_back(r);
    if (!contains(targets, r)) set.removing.push_back(r);
  }
  return set;
}

AlterPartitionReassignmentsAnswer alter_reassignments(Draft& draft, const AlterPartitionReassignments& request,
                                                      const ControllerOptions& options) {
  AlterPartitionReassignmentsAnswer answer;
  for (const AlterPartitionReassignments::Partition& asked : request.partitions) {
    answer.partitions.push_back({asked.partition, reassign_one(draft, asked, request.factor_change, options)});
  }
  return answer;
}

void grow_internal_topics(Draft& draft, const ControllerOptions& options) {
  const MetadataImage before = draft.image();
  for (const auto& [name, wanted] : options.internal_replication) {
    const TopicImage* topic = before.topic_by_name(name);
    if (topic != nullptr)
      grow_internal_topic(draft, *topic, static_cast<size_t>(std::max<int16_t>(1, wanted)), options);
  }
}

}  // namespace controller::metadata
