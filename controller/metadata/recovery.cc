#include "controller/metadata/recovery.h"

#include <algorithm>
#include <utility>

#include "common/model/mutant.h"
#include "controller/metadata/election.h"

namespace controller::metadata {

using common::model::mutant;

namespace {

bool needs_recovery(const PartitionState& p) {
  return !p.leader && p.isr.empty() && p.elr.empty() && !p.last_known_elr.empty();
}

// The longest of these copies. A log without records has no epoch to go by, and ends where it begins: what was deleted
// from it had been committed (R82). So it is longer than those with records only if it ends behind the longest of them.
std::optional<BrokerId> longest(const std::vector<std::pair<BrokerId, LogEnd>>& copies) {
  const std::pair<BrokerId, LogEnd>* with_records = nullptr;
  const std::pair<BrokerId, LogEnd>* empty = nullptr;
  for (const auto& copy : copies) {
    const LogEnd& end = copy.second;
    if (!end.last_epoch) {
      if (empty == nullptr || end.end > empty->second.end) empty = &copy;
    } else if (with_records == nullptr || mutant<"R46-takes-the-last">() ||
               std::pair(*end.last_epoch, end.end) >
                   std::pair(*with_records->second.last_epoch, with_records->second.end)) {
      with_records = &copy;
    }
  }
  if (with_records == nullptr) return empty != nullptr ? std::optional(empty->first) : std::nullopt;
  const bool is_behind = empty != nullptr && empty->second.end > with_records->second.end &&
                         !mutant<"R46-takes-an-empty-log-for-the-shortest">();
  return is_behind ? empty->first : with_records->first;
}

}  // namespace

void LongestLogRecovery::consider(const MetadataImage& image, const TopicIdPartition& partition,
                                  const PartitionState* state) {
  const auto old = pending_.find(partition);
  if (state == nullptr || !needs_recovery(*state)) {
    if (old != pending_.end()) pending_.erase(old);
    return;
  }
  if (old != pending_.end() && old->second.leader_epoch == state->leader_epoch &&
      old->second.candidates == state->last_known_elr) {
    return;
  }
  Pending pending;
  pending.leader_epoch = state->leader_epoch;
  pending.asked_at = image.offset().value_or(LogIndex{0});
  pending.candidates = state->last_known_elr;
  pending_.insert_or_assign(partition, std::move(pending));
}

void LongestLogRecovery::scan(const MetadataImage& image) {
  for (const auto& [id, topic] : image.topics()) {
    for (const auto& [index, state] : topic->partitions) consider(image, {id, index}, state.get());
  }
}

void LongestLogRecovery::follow(const MetadataImage& image, const ImageDelta& delta) {
  std::erase_if(pending_, [&](const auto& entry) { return delta.deleted_topics.contains(entry.first.topic_id); });
  for (const auto& [id, indexes] : delta.partitions) {
    for (const PartitionIndex index : indexes) consider(image, {id, index}, image.partition(id, index));
  }
}

std::vector<LogEndQuery> LongestLogRecovery::queries_for(BrokerId broker) const {
  constexpr size_t queries_max = 1000;  // in one answer; the next heartbeat carries on
  std::vector<LogEndQuery> queries;
  for (const auto& [partition, pending] : pending_) {
    if (queries.size() == queries_max) break;
    if (!contains(pending.candidates, broker) || pending.answers.contains(broker)) continue;
    queries.push_back({partition, pending.leader_epoch, pending.asked_at});
  }
  return queries;
}

void LongestLogRecovery::on_log_end(BrokerId broker, BrokerEpoch epoch, const LogEnd& end) {
  const auto found = pending_.find(end.partition);
  if (found == pending_.end() || found->second.leader_epoch != end.leader_epoch) return;
  if (!contains(found->second.candidates, broker)) return;
  found->second.answers.insert_or_assign(broker, Answer{epoch, end});
}

bool LongestLogRecovery::is_without(BrokerId broker, BrokerEpoch epoch, const TopicIdPartition& partition) const {
  const auto found = pending_.find(partition);
  if (found == pending_.end()) return false;
  const auto answer = found->second.answers.find(broker);
  if (answer == found->second.answers.end() || answer->second.broker_epoch != epoch) return false;
  return answer->second.end.never_in_sync && !mutant<"R46-takes-a-new-copy-for-the-one-that-is-gone">();
}

LongestLogRecovery::Heard LongestLogRecovery::heard_of(const TopicIdPartition& partition, Pending& pending,
                                                       const MetadataImage& image, const IsOffline& is_offline,
                                                       const ControllerOptions& options, Instant now) const {
  Heard heard;
  if (!pending.looked_at) pending.looked_at = now;
  const bool may_still_come = now - *pending.looked_at < options.detector.session_timeout;
  for (const BrokerId candidate : pending.candidates) {
    const auto answer = pending.answers.find(candidate);
    const BrokerImage* broker = image.broker(candidate);
    if (answer != pending.answers.end() && (broker == nullptr || broker->epoch != answer->second.broker_epoch)) {
      pending.answers.erase(answer);  // of a former life: its log may have changed since
      heard.complete = false;
    } else if (broker == nullptr) {
      ++heard.offline;  // unregistered: whoever did that knows that it does not come back
    } else if (is_without(candidate, broker->epoch, partition)) {
      ++heard.offline;  // what it has now was never counted on, however long it is
    } else if (is_offline(candidate, partition)) {
      ++heard.offline;
      if (answer != pending.answers.end()) {
        heard.out_of_reach.emplace_back(candidate, answer->second.end);
      } else if (is_active(*broker) || may_still_come) {
        heard.complete = false;  // it can still say where its copy ended
      }
    } else if (answer == pending.answers.end() || !is_active(*broker)) {
      heard.complete = false;
    } else {
      heard.online.emplace_back(candidate, answer->second.end);
    }
  }
  return heard;
}

void LongestLogRecovery::elect(Draft& draft, const IsOffline& is_offline, const ControllerOptions& options,
                               Instant now) {
  for (auto& [partition, pending] : pending_) {
    const MetadataImage before = draft.image();
    const PartitionState* state = before.partition(partition.topic_id, partition.partition);
    if (state == nullptr || !needs_recovery(*state) || state->leader_epoch != pending.leader_epoch) continue;
    const Heard heard = heard_of(partition, pending, before, is_offline, options, now);
    const std::optional<BrokerId> best = longest(heard.online);
    if ((!heard.complete && !mutant<"R46-does-not-wait-for-all">()) || !best) continue;
    // What it knows may come back with its directory; without it, it would be cut off for good.
    std::vector<std::pair<BrokerId, LogEnd>> all = heard.online;
    all.insert(all.end(), heard.out_of_reach.begin(), heard.out_of_reach.end());
    if (longest(all) != best && !mutant<"R46-does-without-a-longer-one-that-is-offline">()) continue;
    const TopicImage& topic = *before.topic_by_id(partition.topic_id);
    // No more can have been promised than there were replicas (R48).
    const size_t copies = std::min(min_isr(before, topic.name, options), original_replicas(*state).size());
    const size_t losses_max = std::max<size_t>(copies, 1) - 1;
    if (heard.offline > losses_max && !mutant<"R46-does-without-any-that-is-offline">()) continue;
    PartitionPlan plan;
    plan.recovered_leader = best;
    for (const BrokerId candidate : pending.candidates) {
      if (candidate != *best && before.broker(candidate) != nullptr) plan.recovered_among.push_back(candidate);
    }
    auto record =
        plan_change(partition.topic_id, partition.partition, *state, plan, rules_for(before, topic.name, options));
    if (!record) continue;
    draft.note(
        "{}-{}: leader {} by longest log (end {}): every complete replica stopped uncleanly, records may be lost",
        topic.name, partition.partition, best->value, pending.answers.at(*best).end.end);
    draft.add(std::move(*record));
  }
}

}  // namespace controller::metadata
