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

// A log without records has no epoch to go by, and ends where it begins: what was deleted from it had been committed
// (R82).
bool is_longer_log(const LogEnd& a, const LogEnd& b) {
  if (a.last_epoch && b.last_epoch) return std::pair(*a.last_epoch, a.end) > std::pair(*b.last_epoch, b.end);
  if (mutant<"R46-takes-an-empty-log-for-the-shortest">()) return a.last_epoch > b.last_epoch;
  return std::pair(a.end, a.last_epoch.has_value()) > std::pair(b.end, b.last_epoch.has_value());
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

void LongestLogRecovery::elect(Draft& draft, const IsOffline& is_offline, const ControllerOptions& options,
                               Instant now) {
  for (auto& [partition, pending] : pending_) {
    const MetadataImage before = draft.image();
    const PartitionState* state = before.partition(partition.topic_id, partition.partition);
    if (state == nullptr || !needs_recovery(*state) || state->leader_epoch != pending.leader_epoch) continue;
    const auto is_longer = [&](BrokerId id, BrokerId than) {
      return is_longer_log(pending.answers.at(id).end, pending.answers.at(than).end);
    };
    std::optional<BrokerId> best;
    std::optional<BrokerId> best_offline;
    bool complete = true;
    size_t offline = 0;
    if (!pending.looked_at) pending.looked_at = now;
    const bool may_still_come = now - *pending.looked_at < options.detector.session_timeout;
    for (const BrokerId candidate : pending.candidates) {
      const auto answer = pending.answers.find(candidate);
      const BrokerImage* broker = before.broker(candidate);
      if (answer != pending.answers.end() && (broker == nullptr || broker->epoch != answer->second.broker_epoch)) {
        pending.answers.erase(answer);  // of a former life: its log may have changed since
        complete = false;
      } else if (broker == nullptr) {
        ++offline;  // unregistered: whoever did that knows that it does not come back
      } else if (is_offline(candidate, partition)) {
        ++offline;
        if (answer != pending.answers.end()) {
          if (!best_offline || is_longer(candidate, *best_offline)) best_offline = candidate;
        } else if (is_active(*broker) || may_still_come) {
          complete = false;  // it can still say where its copy ended
        }
      } else if (answer == pending.answers.end() || !is_active(*broker)) {
        complete = false;
      } else {
        if (!best || is_longer(candidate, *best) || mutant<"R46-takes-the-last">()) best = candidate;
      }
    }
    if ((!complete && !mutant<"R46-does-not-wait-for-all">()) || !best) continue;
    // What it knows may come back with its directory; without it, it would be cut off for good.
    if (best_offline && is_longer(*best_offline, *best) && !mutant<"R46-does-without-a-longer-one-that-is-offline">())
      continue;
    const TopicImage& topic = *before.topic_by_id(partition.topic_id);
    // No more can have been promised than there were replicas (R48).
    const size_t copies = std::min(min_isr(before, topic.name, options), original_replicas(*state).size());
    const size_t losses_max = std::max<size_t>(copies, 1) - 1;
    if (offline > losses_max && !mutant<"R46-does-without-any-that-is-offline">()) continue;
    PartitionPlan plan;
    plan.recovered_leader = best;
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
