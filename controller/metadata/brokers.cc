#include "controller/metadata/brokers.h"

#include <algorithm>
#include <utility>

#include "common/model/mutant.h"
#include "controller/metadata/partitions.h"

namespace controller::metadata {
namespace {

using common::model::fail;
using common::model::mutant;

bool stalled(const Progress& p, Duration limit) {
  return std::max({p.append_stalled, p.sync_stalled, p.network_stalled, p.apply_stalled}) >= limit;
}

bool has_all(const std::vector<DirectoryId>& directories, const std::vector<DirectoryId>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const DirectoryId& d) {
    return std::find(directories.begin(), directories.end(), d) != directories.end();
  });
}

// Why this registration can never be accepted (R24).
Result<void> check_identity(const MetadataImage& image, const RegisterBroker& r) {
  if (r.cluster_id != image.cluster_id() && !mutant<"R24-registers-strangers">()) {
    return fail(ErrorCode::inconsistent_cluster_id,
                fmt::format("Expected cluster ID {}, but got cluster ID {}", image.cluster_id(), r.cluster_id));
  }
  if (r.broker_id < BrokerId{0} || r.incarnation_id.is_zero() || r.listeners.empty()) {
    return fail(ErrorCode::invalid_registration, "a registration needs an id, an incarnation id and a listener");
  }
  for (const auto& [id, other] : image.brokers()) {
    if (id == r.broker_id) continue;
    for (const DirectoryId& directory : r.directories) {
      if (std::find(other->directories.begin(), other->directories.end(), directory) == other->directories.end() ||
          mutant<"R24-two-owners-of-a-directory">())
        continue;
      return fail(ErrorCode::invalid_registration,
                  fmt::format("the log directory {} belongs to broker {}", directory, id));
    }
  }
  for (const auto& [name, level] : image.features()) {
    const auto range = r.features.find(name);
    if (range == r.features.end() || level < range->second.min || level > range->second.max) {
      return fail(ErrorCode::unsupported_version,
                  fmt::format("this cluster runs {} {}, which the broker does not support", name, level));
    }
  }
  return {};
}

}  // namespace

BrokerRegistry::BrokerRegistry(const ControllerOptions& options, const MetadataImage& image, LogIndex activation,
                               Instant now)
    : options_(options), activation_(activation) {
  for (const auto& [id, broker] : image.brokers()) {
    if (is_active(*broker)) heard(*broker).active_since = now;
  }
}

BrokerRegistry::Heard& BrokerRegistry::heard(const BrokerImage& broker) {
  Heard& h = heard_[broker.broker_id];
  if (h.epoch != broker.epoch) {
    h = Heard{};
    h.epoch = broker.epoch;
    h.unfence_from = std::max(activation_, broker.registered_at.value_or(activation_));
    if (broker.in_controlled_shutdown) h.shutdown_at = activation_;
  }
  return h;
}

RegisterBrokerAnswer BrokerRegistry::register_broker(Draft& draft, const RegisterBroker& request,
                                                     std::optional<Instant> last_heard, Instant now) {
  RegisterBrokerAnswer answer;
  if (auto good = check_identity(draft.image(), request); !good) {
    answer.error = std::move(good).error();
    return answer;
  }
  const BrokerImage* found = draft.image().broker(request.broker_id);
  const std::optional<BrokerImage> old = found != nullptr ? std::optional(*found) : std::nullopt;
  if (old && old->incarnation_id == request.incarnation_id &&
      !mutant<"R24-a-retry-gets-a-new-epoch">()) {  // a retry keeps its epoch (KAFKA-16952)
    answer.broker_epoch = old->epoch;
    return answer;
  }
  if (old && !old->fenced) {
    // R26: the newcomer holds the lock on the same directories, so the old process on them is dead, unless it just
    // spoke.
    const bool same_disks = old->directories == request.directories;
    const bool spoke = last_heard && now - *last_heard < 2 * options_.detector.heartbeat_interval;
    if ((!same_disks || spoke) && !mutant<"R26-replaces-a-live-incarnation">()) {
      answer.error = {ErrorCode::duplicate_broker_registration,
                      fmt::format("Another broker is registered with that broker id {}.", request.broker_id)};
      return answer;
    }
    if (!mutant<"R25-replaces-without-fencing">())
      fence(draft, request.broker_id, FenceReason::replaced);  // R25: in the same batch
  }

  RegisterBrokerRecord record;
  record.broker_id = request.broker_id;
  record.epoch = BrokerEpoch{draft.index().value};
  record.incarnation_id = request.incarnation_id;
  record.directories = request.directories;
  record.listeners = request.listeners;
  record.cluster_endpoint = request.cluster_endpoint;
  record.rack = request.rack;
  record.features = request.features;
  answer.broker_epoch = record.epoch;
  draft.add(std::move(record));
  // A directory that is gone takes what was acknowledged with it, however orderly the others were closed (R83).
  const bool complete = !old || has_all(request.directories, old->directories);
  const bool clean = complete && (!old || request.previous_broker_epoch == old->epoch);
  if (!clean && !mutant<"R44-keeps-claims-after-an-unclean-end">())
    lose_claims(draft, request.broker_id, options_);  // R44
  draft.note("broker {} registered with epoch {}{}", request.broker_id, answer.broker_epoch,
             clean ? "" : complete ? " after an unclean stop" : " without a data directory that it had");
  return answer;
}

BrokerHeartbeatAnswer BrokerRegistry::heartbeat(Draft& draft, const BrokerHeartbeat& beat, Instant now) {
  BrokerHeartbeatAnswer answer;
  const BrokerImage* found = draft.image().broker(beat.broker_id);
  if (found == nullptr || (found->epoch != beat.broker_epoch && !mutant<"R30-hears-an-older-life">())) {  // R30
    answer.error = found == nullptr ? ErrorCode::broker_id_not_registered : ErrorCode::stale_broker_epoch;
    return answer;
  }
  const BrokerImage broker = *found;
  Heard& h = heard(broker);
  h.applied = std::max(h.applied, beat.metadata_offset);
  answer.caught_up = (h.applied && *h.applied >= h.unfence_from) || mutant<"R27-serves-before-it-has-caught-up">();
  note_trouble(h, beat);  // before anything is elected
  const bool stuck = stalled(beat.progress, options_.stall_limit) && !mutant<"R32-any-heartbeat-will-do">();

  if (beat.want_shutdown) {
    shut_down(draft, broker, h);
  } else if (!broker.fenced && (beat.want_fence || stuck)) {
    fence(draft, beat.broker_id, beat.want_fence ? FenceReason::own_wish : FenceReason::stalled);
  } else if (broker.fenced && !broker.in_controlled_shutdown &&
             (beat.ready || mutant<"R27-serves-before-it-has-recovered">()) && answer.caught_up && !beat.want_fence &&
             !stuck) {
    draft.add(UnfenceBrokerRecord{broker.broker_id, broker.epoch});  // R27
    draft.note("broker {} is in service", broker.broker_id);
    h.active_since = now;
    elect_leaderless(draft, broker.broker_id, options_);
  }
  look_at_trouble(draft, beat.broker_id, h);
  answer.fenced = draft.image().broker(beat.broker_id)->fenced;
  answer.may_shut_down = beat.want_shutdown && answer.fenced;
  return answer;
}

void BrokerRegistry::note_trouble(Heard& h, const BrokerHeartbeat& beat) {
  if (!beat.trouble || *beat.trouble == h.trouble) return;
  for (const TopicIdPartition& id : beat.trouble->damaged) {
    if (!h.trouble.damaged.contains(id)) h.newly_damaged.insert(id);
  }
  h.trouble = *beat.trouble;
  h.relieved_at.reset();
  ++trouble_changes_;
}

void BrokerRegistry::look_at_trouble(Draft& draft, BrokerId id, Heard& h) {
  if (h.trouble == ReplicaTrouble{} || h.relieved_at == draft.image().offset()) return;
  const ReplicaTrouble due = due_trouble(draft.image(), id, h);
  h.relieved_at = due == h.trouble ? draft.image().offset() : std::nullopt;
  renew_uncounted(draft, id, std::exchange(h.newly_damaged, {}));
  relieve(
      draft, id, due, [this](BrokerId other, const TopicIdPartition& p) { return is_reluctant(other, p); }, options_);
}

// R39: a replica that could not be used was ordered to lead, and makes room for an empty one as soon as its broker has
// applied that. What the broker said before is no reason to take the election back.
ReplicaTrouble BrokerRegistry::due_trouble(const MetadataImage& image, BrokerId id, Heard& h) {
  ReplicaTrouble due = h.trouble;
  std::map<TopicIdPartition, Heard::Ordered> ordered;
  for (const TopicIdPartition& replica : h.trouble.failed) {
    const PartitionState* p = image.partition(replica.topic_id, replica.partition);
    if (p == nullptr || p->leader != id || p->recovery_state != RecoveryState::recovering) continue;
    const auto known = h.ordered.find(replica);
    const bool is_known = known != h.ordered.end() && known->second.epoch == p->leader_epoch;
    const Heard::Ordered order = is_known ? known->second : Heard::Ordered{p->leader_epoch, image.offset()};
    ordered.emplace(replica, order);
    if (h.applied < order.by && !mutant<"R39-takes-back-what-was-ordered">()) due.failed.erase(replica);
  }
  h.ordered = std::move(ordered);
  return due;
}

bool BrokerRegistry::is_reluctant(BrokerId id, const TopicIdPartition& partition) const {
  const auto found = heard_.find(id);
  return found != heard_.end() && found->second.trouble.low_on_space.contains(partition);
}

bool BrokerRegistry::is_space_scarce() const {
  return std::ranges::any_of(heard_, [](const auto& entry) { return !entry.second.trouble.low_on_space.empty(); });
}

bool BrokerRegistry::is_offline(BrokerId id, const TopicIdPartition& partition) const {
  const auto found = heard_.find(id);
  return found != heard_.end() && found->second.trouble.failed.contains(partition);
}

// R31: first the persisted state and the moves, then, once everybody knows where the leaders went, the fence.
void BrokerRegistry::shut_down(Draft& draft, const BrokerImage& broker, Heard& h) {
  if (broker.fenced) return;
  if (!broker.in_controlled_shutdown) {
    draft.add(BrokerShutdownRecord{broker.broker_id, broker.epoch});
    draft.note("broker {} is shutting down", broker.broker_id);
    if (!mutant<"R31-stays-in-isrs">()) leave_isrs(draft, broker.broker_id, options_);
    h.shutdown_at = draft.index();
    h.active_since.reset();
    return;
  }
  if (leads_any(draft.image(), broker.broker_id) && !mutant<"R31-leaves-while-it-leads">()) {
    leave_isrs(draft, broker.broker_id, options_);
    h.shutdown_at = draft.index();
  } else if (mutant<"R31-does-not-wait-for-the-others">() ||
             everyone_applied(draft.image(), broker.broker_id, h.shutdown_at.value_or(activation_))) {
    fence(draft, broker.broker_id, FenceReason::shut_down);
  }
}

bool BrokerRegistry::everyone_applied(const MetadataImage& image, BrokerId but, LogIndex index) const {
  for (const auto& [id, broker] : image.brokers()) {
    if (id == but || !is_active(*broker)) continue;
    const auto offset = applied(id);
    if (!offset || *offset < index) return false;
  }
  return true;
}

UnregisterBrokerAnswer BrokerRegistry::unregister(Draft& draft, const UnregisterBroker& request) {
  UnregisterBrokerAnswer answer;
  const BrokerImage* found = draft.image().broker(request.broker_id);
  if (found == nullptr) {
    answer.error = {ErrorCode::broker_id_not_registered,
                    fmt::format("Broker ID {} is not currently registered", request.broker_id)};
    return answer;
  }
  const BrokerEpoch epoch = found->epoch;
  if (!found->fenced) fence(draft, request.broker_id, FenceReason::unregistered);
  lose_claims(draft, request.broker_id, options_);
  draft.add(UnregisterBrokerRecord{request.broker_id, epoch});
  draft.note("broker {} unregistered", request.broker_id);
  heard_.erase(request.broker_id);
  return answer;
}

std::string_view to_string(FenceReason reason) {
  switch (reason) {
    case FenceReason::unknown:
      break;
    case FenceReason::refused:
      return "its address refuses connections";
    case FenceReason::lost_stream:
      return "its stream is lost";
    case FenceReason::silent:
      return "silence";
    case FenceReason::replaced:
      return "replaced by a new incarnation";
    case FenceReason::own_wish:
      return "at its own wish";
    case FenceReason::stalled:
      return "its progress has stalled";
    case FenceReason::shut_down:
      return "shut down in good order";
    case FenceReason::unregistered:
      return "unregistered";
  }
  return "?";
}

void BrokerRegistry::fence(Draft& draft, BrokerId id, FenceReason reason, std::string_view detail) {
  const BrokerImage* broker = draft.image().broker(id);
  if (broker == nullptr || broker->fenced) return;
  Heard& h = heard(*broker);
  h.active_since.reset();
  h.unfence_from = draft.index();
  draft.add(FenceBrokerRecord{id, broker->epoch, reason});
  draft.note("broker {} fenced: {}{}", id, to_string(reason), detail);
  if (!mutant<"R37-fencing-leaves-the-isrs">()) leave_isrs(draft, id, options_);
}

std::optional<LogIndex> BrokerRegistry::applied(BrokerId id) const {
  const auto found = heard_.find(id);
  return found != heard_.end() ? found->second.applied : std::nullopt;
}

std::set<BrokerId> BrokerRegistry::settled(const MetadataImage& image, Instant now) const {
  std::set<BrokerId> brokers;
  for (const auto& [id, h] : heard_) {
    if (h.active_since && now - *h.active_since >= options_.rebalance_settle && image.is_active(id)) brokers.insert(id);
  }
  return brokers;
}

}  // namespace controller::metadata
