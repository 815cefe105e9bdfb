#include "controller/metadata/partitions.h"

#include <algorithm>

#include "common/model/mutant.h"

namespace controller::metadata {
namespace {

using common::model::mutant;
using common::model::TopicPartition;

template <class F>
void for_each_partition(const MetadataImage& image, F f) {
  for (const MetadataImage::TopicNames* names : {&image.topic_names(), &image.kept_topics()}) {
    for (const auto& [name, id] : *names) {
      const TopicImage* topic = image.topic_by_id(id);
      for (const auto& [index, state] : topic->partitions) f(*topic, index, *state);
    }
  }
}

// The loop's own image stays as it is while the draft moves on.
template <class Affected, class MakePlan>
void change_where(Draft& draft, const ControllerOptions& options, Affected affected, MakePlan make_plan) {
  const MetadataImage before = draft.image();
  for_each_partition(before, [&](const TopicImage& topic, PartitionIndex index, const PartitionState& state) {
    if (affected(state)) change_partition(draft, topic, index, state, make_plan(state), options);
  });
}

bool is_subset(const std::vector<BrokerId>& members, const std::vector<BrokerId>& of) {
  return std::all_of(members.begin(), members.end(), [&](BrokerId m) { return contains(of, m); });
}

// R35. A retry that had been built anew once carried none at all (KAFKA-15353); who is there twice would count as two.
bool is_possible_isr(const std::vector<BrokerId>& isr, BrokerId sender, const PartitionState& state) {
  if (isr.empty()) return mutant<"R35-takes-an-empty-isr">();
  if (!is_subset(isr, state.replicas) && !mutant<"R35-takes-strangers-into-the-isr">()) return false;
  if (!contains(isr, sender) && !mutant<"R35-takes-an-isr-without-its-leader">()) return false;
  std::vector<BrokerId> sorted = isr;
  std::sort(sorted.begin(), sorted.end());
  const bool is_twice = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  return !is_twice || mutant<"R35-counts-a-member-twice">();
}

// R35: why the proposal cannot be accepted.
ErrorCode refusal(const MetadataImage& image, BrokerId sender, const PartitionState* state,
                  const AlterPartition::Partition& asked) {
  if (state == nullptr) {
    return image.topic_by_id(asked.topic_id) == nullptr ? ErrorCode::unknown_topic_id
                                                        : ErrorCode::unknown_topic_or_partition;
  }
  // Epochs above ours mean that we are the stale one.
  if ((asked.leader_epoch > state->leader_epoch || asked.partition_epoch > state->partition_epoch) &&
      !mutant<"R35-takes-epochs-of-the-future">()) {
    return ErrorCode::not_controller;
  }
  if (asked.leader_epoch < state->leader_epoch && !mutant<"R35-takes-older-leader-epochs">())
    return ErrorCode::fenced_leader_epoch;
  if (asked.partition_epoch < state->partition_epoch && !mutant<"R35-takes-older-partition-epochs">())
    return ErrorCode::invalid_update_version;
  if (state->leader != sender && !mutant<"R35-takes-anybodys-word">()) return ErrorCode::invalid_request;

  std::vector<BrokerId> isr;
  for (const auto& member : asked.isr) isr.push_back(member.broker_id);
  if (!is_possible_isr(isr, sender, *state)) return ErrorCode::invalid_request;
  if (asked.recovery_state == RecoveryState::recovering && !mutant<"R39-grows-while-recovering">() &&
      (state->recovery_state == RecoveryState::recovered || isr.size() > 1)) {
    return ErrorCode::invalid_request;  // R39: the ISR cannot grow until recovered, and there is no way back
  }

  for (const auto& member : asked.isr) {
    const BrokerImage* broker = image.broker(member.broker_id);
    if (broker == nullptr || (!is_active(*broker) && !mutant<"R29-fenced-brokers-join">()))
      return ErrorCode::ineligible_replica;  // KIP-841
    const bool added = !contains(state->isr, member.broker_id);
    if ((added || member.broker_epoch) && member.broker_epoch != broker->epoch &&
        !mutant<"R35-takes-members-of-an-older-life">())
      return ErrorCode::ineligible_replica;  // KIP-903
  }
  return ErrorCode::none;
}

void fill(AlterPartitionAnswer::Partition& answer, const PartitionState& state) {
  answer.leader = state.leader;
  answer.leader_epoch = state.leader_epoch;
  answer.partition_epoch = state.partition_epoch;
  answer.isr = state.isr;
  answer.recovery_state = state.recovery_state;
}

std::vector<BrokerId> without(std::vector<BrokerId> members, BrokerId id) {
  std::erase(members, id);
  return members;
}

Error elect_one(Draft& draft, const TopicPartition& tp, ElectionType type, const ControllerOptions& options) {
  const MetadataImage before = draft.image();
  const TopicImage* topic = before.topic_by_name(tp.topic);
  if (topic == nullptr) return {ErrorCode::unknown_topic_or_partition, fmt::format("No such topic as {}", tp.topic)};
  const PartitionState* state = topic->partition(tp.partition);
  if (state == nullptr) return {ErrorCode::unknown_topic_or_partition, fmt::format("No such partition as {}", tp)};
  const bool needless =
      type == ElectionType::preferred ? state->leader == state->replicas.front() : state->leader.has_value();
  if (needless) return {ErrorCode::election_not_needed, {}};
  PartitionPlan plan;
  plan.election = type == ElectionType::preferred ? Election::preferred : Election::unclean;
  if (!change_partition(draft, *topic, tp.partition, *state, plan, options)) {
    return {type == ElectionType::preferred ? ErrorCode::preferred_leader_not_available
                                            : ErrorCode::eligible_leaders_not_available,
            {}};
  }
  const PartitionState& now = *draft.image().partition(topic->id, tp.partition);
  draft.note("{}: leader {}, was {}: elected by command", tp, now.leader->value,
             state->leader ? state->leader->value : -1);
  return {ErrorCode::none, {}};
}

}  // namespace

bool change_partition(Draft& draft, const TopicImage& topic, PartitionIndex index, const PartitionState& state,
                      const PartitionPlan& plan, const ControllerOptions& options) {
  ElectionRules rules = rules_for(draft.image(), topic.name, options);
  rules.is_offline = [&draft, partition = TopicIdPartition{topic.id, index}](BrokerId id) {
    return draft.is_offline(id, partition);
  };
  auto record = plan_change(topic.id, index, state, plan, rules);
  if (!record) return false;
  const auto was_eligible = [&](BrokerId id) {
    return std::ranges::find(state.isr, id) != state.isr.end() || std::ranges::find(state.elr, id) != state.elr.end();
  };
  const std::optional<BrokerId> chosen = record->leader ? record->leader->broker : std::nullopt;
  // Ordered, or the next one before the last one has been recovered from: which the record does not say again.
  const bool may_lose = plan.election == Election::unclean || state.recovery_state == RecoveryState::recovering;
  const bool is_repeated = may_lose && chosen && !was_eligible(*chosen);
  if (record->recovery_state == RecoveryState::recovering || is_repeated) {
    draft.note("{}-{}: unclean election of {}; acknowledged records may be lost", topic.name, index, chosen->value);
  }
  draft.add(std::move(*record));
  const PartitionState& now = *draft.image().partition(topic.id, index);
  if (is_reassigning(state) && !is_reassigning(now)) {
    draft.note("{}-{}: reassigned to ({}), was ({})", topic.name, index, fmt::join(now.replicas, ","),
               fmt::join(original_replicas(state), ","));
  }
  return true;
}

AlterPartitionAnswer alter_partition(Draft& draft, const AlterPartition& request, const ControllerOptions& options) {
  AlterPartitionAnswer answer;
  const BrokerImage* sender = draft.image().broker(request.broker_id);
  if (sender == nullptr ||
      (sender->epoch != request.broker_epoch && !mutant<"R30-takes-isrs-of-an-older-life">())) {  // R30
    answer.error = ErrorCode::stale_broker_epoch;
    return answer;
  }
  for (const AlterPartition::Partition& asked : request.partitions) {
    AlterPartitionAnswer::Partition item;
    item.topic_id = asked.topic_id;
    item.partition = asked.partition;
    const MetadataImage before = draft.image();
    const PartitionState* state = before.partition(asked.topic_id, asked.partition);
    item.error = refusal(before, request.broker_id, state, asked);
    if (item.error == ErrorCode::none) {
      const TopicImage& topic = *before.topic_by_id(asked.topic_id);
      std::set<BrokerId> members;
      for (const auto& member : asked.isr) members.insert(member.broker_id);
      PartitionPlan plan;
      plan.isr.emplace();
      for (const BrokerId replica : state->replicas) {
        if (members.contains(replica)) plan.isr->push_back(replica);
      }
      std::vector<BrokerId> old = state->isr;
      if (std::set<BrokerId>(old.begin(), old.end()) == members) plan.isr = old;
      plan.recovery_state = asked.recovery_state;
      change_partition(draft, topic, asked.partition, *state, plan, options);
      const PartitionState& now = *draft.image().partition(asked.topic_id, asked.partition);
      if (now.isr != state->isr) {
        draft.note("{}-{}: isr ({}), was ({})", topic.name, asked.partition, fmt::join(now.isr, ","),
                   fmt::join(state->isr, ","));
      }
      fill(item, now);
    }
    answer.partitions.push_back(std::move(item));
  }
  return answer;
}

ElectLeadersAnswer elect_leaders(Draft& draft, const ElectLeaders& request, const ControllerOptions& options) {
  ElectLeadersAnswer answer;
  if (request.partitions) {
    for (const TopicPartition& tp : *request.partitions) {
      answer.partitions.push_back({tp, elect_one(draft, tp, request.type, options)});
    }
    return answer;
  }
  const MetadataImage before = draft.image();
  for (const auto& [name, id] : before.topic_names()) {  // as the asker knows them: without those that are kept
    for (const auto& [index, state] : before.topic_by_id(id)->partitions) {
      const TopicPartition tp{name, index};
      Error error = elect_one(draft, tp, request.type, options);
      if (error.code != ErrorCode::election_not_needed) answer.partitions.push_back({tp, std::move(error)});
    }
  }
  return answer;
}

void leave_isrs(Draft& draft, BrokerId broker, const ControllerOptions& options) {
  change_where(
      draft, options, [&](const PartitionState& p) { return contains(p.isr, broker); },
      [&](const PartitionState& p) {
        PartitionPlan plan;
        plan.isr = without(p.isr, broker);
        return plan;
      });
}

void lose_claims(Draft& draft, BrokerId broker, const ControllerOptions& options) {
  change_where(
      draft, options, [&](const PartitionState& p) { return contains(p.isr, broker) || contains(p.elr, broker); },
      [&](const PartitionState&) {
        PartitionPlan plan;
        plan.lost_claim = {broker};
        return plan;
      });
}

void elect_leaderless(Draft& draft, BrokerId broker, const ControllerOptions& options) {
  change_where(
      draft, options, [&](const PartitionState& p) { return !p.leader && contains(p.replicas, broker); },
      [](const PartitionState&) { return PartitionPlan{}; });
}

void elect_leaderless(Draft& draft, const TopicImage& topic, const ControllerOptions& options) {
  for (const auto& [index, state] : topic.partitions) {
    if (!state->leader) change_partition(draft, topic, index, *state, {}, options);
  }
}

void revise_eligible(Draft& draft, const TopicImage& topic, const ControllerOptions& options) {
  for (const auto& [index, state] : topic.partitions) {
    if (!state->elr.empty() || !state->last_known_elr.empty() || is_reassigning(*state))
      change_partition(draft, topic, index, *state, {}, options);
  }
}

namespace {

// How many of `partitions` changed.
template <class MakePlan>
size_t change_each(Draft& draft, const std::set<TopicIdPartition>& partitions, const ControllerOptions& options,
                   MakePlan make_plan) {
  const MetadataImage before = draft.image();
  size_t changed = 0;
  for (const TopicIdPartition& id : partitions) {
    const TopicImage* topic = before.topic_by_id(id.topic_id);
    const PartitionState* state = before.partition(id.topic_id, id.partition);
    if (state == nullptr) continue;
    const std::optional<PartitionPlan> plan = make_plan(id, *state);
    if (plan && change_partition(draft, *topic, id.partition, *state, *plan, options)) ++changed;
  }
  return changed;
}

}  // namespace

void renew_uncounted(Draft& draft, BrokerId broker, const std::set<TopicIdPartition>& damaged) {
  size_t renewed = 0;
  for (const TopicIdPartition& id : damaged) {
    const PartitionState* p = draft.image().partition(id.topic_id, id.partition);
    if (p == nullptr || !contains(p->replicas, broker) || contains(p->isr, broker) || contains(p->elr, broker))
      continue;
    draft.add(PartitionChangeRecord{id.topic_id, id.partition});
    ++renewed;
  }
  if (renewed > 0) draft.note("broker {}: {} replica(s) out of sync are damaged and may start over", broker, renewed);
}

void relieve(Draft& draft, BrokerId broker, const ReplicaTrouble& trouble, const Reluctance& is_reluctant,
             const ControllerOptions& options) {
  using Plan = std::optional<PartitionPlan>;
  const size_t failed =
      change_each(draft, trouble.failed, options, [&](const TopicIdPartition&, const PartitionState& p) -> Plan {
        if (!contains(p.isr, broker) && !contains(p.elr, broker)) return std::nullopt;
        PartitionPlan plan;
        plan.lost_claim = {broker};
        return plan;
      });
  if (failed > 0) draft.note("broker {}: {} replica(s) are offline, their directory has failed", broker, failed);
  const MetadataImage& image = draft.image();
  const size_t damaged =
      change_each(draft, trouble.damaged, options, [&](const TopicIdPartition&, const PartitionState& p) -> Plan {
        if (!contains(p.isr, broker) && !contains(p.elr, broker)) return std::nullopt;
        const auto is_sound = [&](BrokerId r) { return r != broker && image.is_active(r); };
        const bool has_other =
            std::any_of(p.isr.begin(), p.isr.end(), is_sound) || std::any_of(p.elr.begin(), p.elr.end(), is_sound);
        if (!has_other && !mutant<"R72-the-last-copy-gives-up">())
          return std::nullopt;  // damaged is better than nothing
        PartitionPlan plan;
        plan.lost_claim = {broker};
        return plan;
      });
  if (damaged > 0) draft.note("broker {}: {} replica(s) are damaged and start over from others", broker, damaged);
  const size_t moved = change_each(draft, trouble.low_on_space, options,
                                   [&](const TopicIdPartition& id, const PartitionState& p) -> Plan {
                                     if (p.leader != broker) return std::nullopt;
                                     PartitionPlan plan;
                                     for (const BrokerId r : p.replicas) {
                                       if (is_reluctant(r, id)) plan.reluctant.insert(r);
                                     }
                                     return plan;
                                   });
  if (moved > 0) draft.note("broker {}: {} leadership(s) move away, its disk is low on space", broker, moved);
}

void move_from_unreached(Draft& draft, BrokerId leader, const std::function<bool(BrokerId follower)>& is_cut,
                         const Reluctance& is_reluctant, const ControllerOptions& options) {
  const MetadataImage before = draft.image();
  size_t moved = 0;
  for_each_partition(before, [&](const TopicImage& topic, PartitionIndex index, const PartitionState& p) {
    if (p.leader != leader || p.isr.size() < 2) return;
    const bool is_alone = std::ranges::all_of(p.isr, [&](BrokerId id) { return id == leader || is_cut(id); });
    if (!is_alone) return;
    PartitionPlan plan;
    plan.reluctant = {leader};
    for (const BrokerId r : p.replicas) {
      if (is_reluctant(r, {topic.id, index})) plan.reluctant.insert(r);
    }
    if (change_partition(draft, topic, index, p, plan, options)) ++moved;
  });
  if (moved > 0) draft.note("broker {}: {} leadership(s) move away, its followers do not reach it", leader, moved);
}

void move_from_slow(Draft& draft, BrokerId leader, const Reluctance& is_reluctant, const ControllerOptions& options) {
  const MetadataImage before = draft.image();
  size_t moved = 0;
  for_each_partition(before, [&](const TopicImage& topic, PartitionIndex index, const PartitionState& p) {
    if (p.leader != leader || p.isr.size() < 2 || p.recovery_state != RecoveryState::recovered) return;
    PartitionPlan plan;
    plan.reluctant = {leader};
    plan.leader_reason = LeaderReason::slow;
    for (const BrokerId r : p.replicas) {
      if (is_reluctant(r, {topic.id, index})) plan.reluctant.insert(r);
    }
    if (change_partition(draft, topic, index, p, plan, options)) ++moved;
  });
  if (moved > 0) draft.note("broker {}: {} leadership(s) move away, it is slow", leader, moved);
}

void rebalance_leaders(Draft& draft, const std::set<BrokerId>& settled, const Reluctance& is_reluctant,
                       const ControllerOptions& options) {
  const MetadataImage before = draft.image();
  size_t moves = 0;
  for_each_partition(before, [&](const TopicImage& topic, PartitionIndex index, const PartitionState& p) {
    const BrokerId preferred = p.replicas.front();
    const bool move = p.leader && p.leader != preferred && contains(p.isr, preferred) && settled.contains(preferred) &&
                      before.is_active(preferred) && p.recovery_state == RecoveryState::recovered &&
                      !is_reluctant(preferred, {topic.id, index});
    if (!move || moves++ >= options.rebalance_moves_max) return;
    PartitionPlan plan;
    plan.election = Election::preferred;
    change_partition(draft, topic, index, p, plan, options);
  });
  if (moves > 0) draft.note("{} leaders return to their preferred replicas", draft.records().size());
}

bool leads_any(const MetadataImage& image, BrokerId broker) {
  for (const auto& [id, topic] : image.topics()) {
    for (const auto& [index, state] : topic->partitions) {
      if (state->leader == broker) return true;
    }
  }
  return false;
}

bool would_orphan(const MetadataImage& image, BrokerId broker) {
  for (const auto& [id, topic] : image.topics()) {
    for (const auto& [index, state] : topic->partitions) {
      if (state->leader != broker || state->replicas.size() < 2) continue;
      const bool other = std::any_of(state->isr.begin(), state->isr.end(),
                                     [&](BrokerId m) { return m != broker && image.is_active(m); });
      if (!other) return true;
    }
  }
  return false;
}

}  // namespace controller::metadata
