#include "broker/partition/replica_manager.h"

#include <algorithm>
#include <utility>

#include "common/model/mutant.h"

namespace broker::partition {

using common::log::NewCopy;
using common::model::fail;
using common::model::mutant;
namespace metadata = controller::metadata;

namespace {

constexpr auto unmade_retry = std::chrono::seconds(10);

Assignment assignment_of(const metadata::PartitionImage& state) {
  Assignment a;
  a.leader = state.leader;
  a.leader_epoch = state.leader_epoch;
  a.recorded.partition_epoch = state.partition_epoch;
  a.recorded.replicas.assign(state.replicas.begin(), state.replicas.end());
  a.recorded.isr.assign(state.isr.begin(), state.isr.end());
  a.recorded.adding = static_cast<int>(state.adding.size());
  a.adding.assign(state.adding.begin(), state.adding.end());
  a.recorded.recovery =
      state.recovery_state == metadata::RecoveryState::recovered ? Recovery::recovered : Recovery::recovering;
  return a;
}

template <class Ids>
bool contains(const Ids& ids, BrokerId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

int home_shard(const TopicId& topic, PartitionIndex partition, int shard_count) {
  const uint64_t mixed = ((topic.high() ^ topic.low()) * 0x9e3779b97f4a7c15ull) >> 32;
  return static_cast<int>((mixed + static_cast<uint64_t>(partition.value)) % static_cast<uint64_t>(shard_count));
}

ReplicaManager::ReplicaManager(ReplicaManagerOptions options)
    : options_(std::move(options)), creations_(*options_.shard) {
  state_.self = options_.self;
  state_.lag_time_max = options_.lag_time_max;
  state_.metrics = &metrics_;
  since_ = options_.shard->now();
  state_.clock.look(since_, options_.shard->clock().wall_now());
}

ReplicaManager::~ReplicaManager() = default;

// ---- metadata ----

void ReplicaManager::on_image(metadata::ImagePtr image, metadata::DeltaPtr delta) {
  NARU_CHECK(options_.shard->is_current());
  image_ = std::move(image);
  if (takes_part_ && is_replaced() && !mutant<"R30-leads-in-the-place-of-its-copy">()) give_up_roles();
  if (takes_part_) {
    apply_delta(*delta);
  } else {
    take_part();
  }
}

void ReplicaManager::take_part() {
  if (takes_part_ || !image_ || !broker_epoch_) return;
  const metadata::BrokerImage* self = image_->broker(options_.self);
  if (self == nullptr || self->epoch != *broker_epoch_) return;
  takes_part_ = true;
  sweep_unknown();
  for (const auto& [topic_id, topic] : image_->topics()) {
    for (const auto& [index, state] : topic->partitions) {
      if (is_home(topic_id, index)) apply_partition(topic_id, index);
    }
  }
  tell_trouble();  // what recovery found damaged
  note_if_all_are_made();
}

// A process with a copy of our disk is registered under our id, as it may be once we were silent (R26): what the
// metadata gives to this id from then on it gives to that one. Or we are, anew, and were not told yet; then the answer
// gives the roles back.
bool ReplicaManager::is_replaced() const {
  const metadata::BrokerImage* self = image_->broker(options_.self);
  return self != nullptr && !own_epochs_.contains(self->epoch);
}

// R30: two leaders of one leader epoch would answer for two logs.
void ReplicaManager::give_up_roles() {
  options_.logger.warn(
      "this broker's id is registered under epoch {}, which this process was not given: it leads and follows nothing "
      "before it is told of one",
      image_->broker(options_.self)->epoch);
  takes_part_ = false;
  for (const auto& [id, partition] : partitions_) {
    if (partition->role() == Role::none && !partition->is_to_begin()) continue;
    partition->resign(ErrorCode::not_leader_or_follower);
    for (ReplicaListener* listener : listeners_) listener->on_stopped(id, partition->topic());
  }
}

// R42: what lies on disk and is not ours by the image. A topic that was deleted while we were down cannot be told from
// one that this image has lost, so it is kept for a while.
void ReplicaManager::sweep_unknown() {
  std::vector<TopicIdPartition> unknown;
  const auto is_ours = [&](const TopicIdPartition& id) {
    const metadata::PartitionImage* state = image_->partition(id.topic_id, id.partition);
    return state != nullptr && contains(state->replicas, options_.self);
  };
  for (const auto& [id, partition] : partitions_) {
    if (!is_ours(id)) unknown.push_back(id);
  }
  std::erase_if(damaged_, [&](const auto& entry) {
    if (is_ours(entry.first) || !entry.second) return false;
    unusable_.erase(entry.first);
    dispose(*entry.second, Fate::set_aside);
    return true;
  });
  // Not at the first time: of a topic that was deleted while a copy of this broker was registered.
  std::erase_if(unusable_, [&](const auto& entry) {
    if (entry.second != Unusable::not_made || is_ours(entry.first)) return false;
    making_.erase(entry.first);
    return true;
  });
  for (const TopicIdPartition& id : unknown)
    remove(id, mutant<"R42-deletes-what-it-does-not-know">() ? Fate::deleted : Fate::set_aside);
}

void ReplicaManager::apply_delta(const metadata::ImageDelta& delta) {
  if (!delta.deleted_topics.empty()) {
    std::vector<TopicIdPartition> gone;
    for (const auto& [id, partition] : partitions_) {
      if (delta.deleted_topics.contains(id.topic_id)) gone.push_back(id);
    }
    for (const TopicIdPartition& id : gone) remove(id, Fate::deleted);
    for (const auto& [id, name] : delta.deleted_topics) metrics_.retired.erase(name);
    const auto unusable = unusable_;
    for (const auto& [id, why] : unusable) {
      if (delta.deleted_topics.contains(id.topic_id)) forget_unusable(id);
    }
    tell_trouble();
  }
  apply_configs(delta);
  for (const auto& [topic_id, indexes] : delta.partitions) {
    for (const PartitionIndex index : indexes) {
      if (is_home(topic_id, index)) apply_partition(topic_id, index);
    }
  }
  with_settings_.clear();
  if (delta.brokers.empty()) return;
  for (const auto& [id, partition] : partitions_) {
    if (!partition->is_leader() && !partition->is_to_begin()) continue;
    for (const BrokerId broker : delta.brokers) partition->on_broker_facts(facts_of(broker));
  }
}

void ReplicaManager::apply_configs(const metadata::ImageDelta& delta) {
  bool all = false;
  std::set<std::string> topics;
  for (const metadata::ConfigResource& resource : delta.configs) {
    if (resource.type == metadata::ResourceType::topic) topics.insert(resource.name);
    all = all || resource.type == metadata::ResourceType::broker;
  }
  if (!all && topics.empty()) return;
  for (const auto& [id, partition] : partitions_) {
    if (!all && !topics.contains(partition->topic())) continue;
    // Images are merged: what the same one says of the partition belongs to it. A new minISR must not meet the ISR of
    // before, which may be that of a leader deposed since (R48): assign() takes both together.
    const auto also = delta.partitions.find(id.topic_id);
    if (also != delta.partitions.end() && also->second.contains(id.partition) &&
        !mutant<"R48-new-min-isr-for-an-old-isr">()) {
      with_settings_.insert(id);
      continue;
    }
    partition->set_settings(options_.settings->settings_of(*image_, partition->topic()));
  }
}

void ReplicaManager::apply_partition(const TopicId& topic_id, PartitionIndex index) {
  const metadata::TopicImage* topic = image_->topic_by_id(topic_id);
  const metadata::PartitionImage* state = topic != nullptr ? topic->partition(index) : nullptr;
  const TopicIdPartition id{topic_id, index};
  if (state == nullptr) return;
  const auto found = partitions_.find(id);
  if (!contains(state->replicas, options_.self)) {
    if (found != partitions_.end()) remove(id, Fate::deleted);  // a committed record took it from us
    if (const auto unmade = unusable_.find(id); unmade != unusable_.end() && unmade->second != Unusable::lost) {
      forget_unusable(id);
      tell_trouble();
    }
    return;
  }
  if (damaged_.contains(id)) {
    if (!start_over(id, *state)) {
      if (found != partitions_.end()) assign(found->second, *state);
      return;
    }
    tell_trouble();  // now, and not once it is made: the next heartbeat would take the election of it back (R39)
  }
  if (const auto here = partitions_.find(id); here == partitions_.end()) {
    create(id, topic->name);
  } else {
    assign(here->second, *state);
  }
}

void ReplicaManager::on_damage(const TopicIdPartition& id) {
  if (!damaged_.try_emplace(id).second) return;
  options_.shard->post([this, alive = std::weak_ptr(alive_), id] {
    if (alive.expired()) return;
    tell_trouble();
    // Where nobody counts on it already, no other state of the partition may come that it could start over with.
    if (takes_part_) apply_partition(id.topic_id, id.partition);
  });
}

// R72: a damaged replica makes room for an empty one once the cluster does not count on it (ISR, ELR) and somebody else
// leads, who has everything committed. And not before this state of the partition is new to it: whoever leads knows our
// position in the older ones, and could still ask for us to be counted on its account; in this one it cannot (R41).
bool ReplicaManager::start_over(const TopicIdPartition& id, const metadata::PartitionState& state) {
  const bool other_leads = state.leader && state.leader != options_.self;
  const bool can_lose_nothing = other_leads && (!counts(state) || mutant<"R72-starts-over-while-it-counts">());
  const auto found = partitions_.find(id);
  if (found == partitions_.end()) {
    // This life gave up every claim when it registered. It leads all the same: it was made to, uncleanly (R39), and no
    // copy is left of what it had.
    const bool is_told_to = state.leader == options_.self;
    const std::optional<PlacedLog> placed = damaged_.at(id);
    if (!placed || unusable_.at(id) == Unusable::lost || (!can_lose_nothing && !is_told_to)) return false;
    unusable_.erase(id);
    damaged_.erase(id);
    dispose(*placed, other_leads ? Fate::replaced : Fate::kept);
  } else {
    if (!can_lose_nothing || state.partition_epoch <= found->second->position().partition_epoch) return false;
    options_.logger.warn("{} starts over from broker {}", found->second->log_path(), *state.leader);
    // R59: if it is the leader's records that are another partition's, these are the only ones.
    const bool may_be_right = found->second->differs_from_leader() && !mutant<"R59-deletes-the-other-copy-later">();
    remove(id, may_be_right ? Fate::kept : Fate::replaced);
  }
  return true;
}

void ReplicaManager::forget_unusable(const TopicIdPartition& id) {
  unusable_.erase(id);
  making_.erase(id);
  note_if_all_are_made();
  lost_ends_.erase(id);
  const auto damaged = damaged_.extract(id);
  if (!damaged.empty() && damaged.mapped()) dispose(*damaged.mapped(), Fate::deleted);
}

void ReplicaManager::dispose(const PlacedLog& log, Fate fate) {
  if (fate == Fate::deleted) {
    options_.directories->remove(log.partition, log.topic_id, log.jobs);
  } else {
    const bool for_good = fate == Fate::kept && !mutant<"R72-deletes-the-only-copy-later">();
    options_.directories->set_aside(log, for_good ? common::log::Aside::for_good : common::log::Aside::for_a_while,
                                    fate == Fate::set_aside ? Forget::before : Forget::after);
  }
}

void ReplicaManager::assign(const std::shared_ptr<Partition>& partition, const metadata::PartitionImage& state) {
  Assignment assignment = assignment_of(state);
  for (const BrokerId id : state.replicas) assignment.brokers.push_back(facts_of(id));
  const LeaderEpoch epoch_before = partition->leader_epoch();
  const Role role_before = partition->role();
  if (role_before == Role::none) partition->set_settings(options_.settings->settings_of(*image_, partition->topic()));
  const bool has_settings = with_settings_.contains(partition->id());
  if (has_settings) assignment.settings = options_.settings->settings_of(*image_, partition->topic());
  partition->assign(assignment);
  if (counts(state)) note_in_sync(*partition);
  if (has_settings) partition->set_settings(*assignment.settings);  // also if it was nothing new
  if (partition->leader_epoch() == epoch_before && partition->role() == role_before) return;
  tell_role(partition);
}

void ReplicaManager::tell_role(const std::shared_ptr<Partition>& partition) {
  for (ReplicaListener* listener : listeners_) {
    switch (partition->role()) {
      case Role::leader:
        listener->on_leading(partition);
        break;
      case Role::follower:
        listener->on_following(partition);
        break;
      case Role::none:
        listener->on_stopped(partition->id(), partition->topic());
        break;
    }
  }
}

void ReplicaManager::create(const TopicIdPartition& id, const std::string& topic) {
  if (const auto found = unusable_.find(id); found != unusable_.end() && found->second != Unusable::not_made) return;
  if (!creations_.begin(id)) return;
  const auto [making, is_first] = making_.try_emplace(id, NewCopy::counts_now);
  if (is_first && is_in_place_of_another(id)) {
    making->second = NewCopy::counts_later;
    options_.logger.error(
        "{}-{}: the copy that this broker had is not here. If its disk is not mounted, mount it and start this broker "
        "again; where nobody leads, an unclean election gives up what only that copy holds",
        topic, id.partition);
  }
  options_.directories->create({topic, id.partition}, id.topic_id, making->second, *options_.shard,
                               [this, alive = std::weak_ptr(alive_), id, topic](Result<PlacedLog> placed) {
                                 if (alive.expired()) return;
                                 on_created(id, topic, std::move(placed));
                                 creations_.end(id);
                               });
}

// R46: it is looked for here, and may have been in what this start did not find. Where nothing is missing it was never
// made, or never durably: then nothing was acknowledged that only it has. A replica that is only being added is asked for
// nothing before it has been in sync.
bool ReplicaManager::is_in_place_of_another(const TopicIdPartition& id) const {
  const metadata::PartitionImage* state = image_->partition(id.topic_id, id.partition);
  return state != nullptr && contains(state->last_known_elr, options_.self) && options_.directories->found_less();
}

void ReplicaManager::on_created(const TopicIdPartition& id, const std::string& topic, Result<PlacedLog> placed) {
  const auto failed = [&](const common::model::Error& error) {
    if (unusable_.emplace(id, Unusable::not_made).second) {
      options_.logger.error("replica {}-{} could not be made: {} {}", topic, id.partition, error.code, error.message);
    }
    tell_trouble();
  };
  // The cluster may have moved on meanwhile: also past a copy that could not be made, of which nobody will hear again.
  const metadata::PartitionImage* state = image_->partition(id.topic_id, id.partition);
  if (state == nullptr || !contains(state->replicas, options_.self)) {
    making_.erase(id);
    note_if_all_are_made();
    if (placed) options_.directories->remove(placed->partition, id.topic_id);
    return;
  }
  if (!placed) return failed(placed.error());
  Result<std::shared_ptr<Partition>> opened = open(*placed, options_.settings->settings_of(*image_, topic));
  if (!opened) {
    options_.directories->remove(placed->partition, id.topic_id);  // the next attempt finds its name free
    return failed(opened.error());
  }
  unusable_.erase(id);
  making_.erase(id);
  const std::shared_ptr<Partition> partition = partitions_.emplace(id, std::move(*opened)).first->second;
  if (placed->never_in_sync) never_in_sync_.insert(id);
  if (takes_part_) assign(partition, *state);
  tell_trouble();
  note_if_all_are_made();
}

// R46: those that were not here say themselves, from now on, whether they may be taken for what this broker had.
void ReplicaManager::note_if_all_are_made() {
  if (!takes_part_ || !making_.empty() || std::exchange(has_made_all_, true)) return;
  options_.directories->note_copies_made();
}

bool ReplicaManager::counts(const metadata::PartitionState& state) const {
  return contains(state.isr, options_.self) || contains(state.elr, options_.self);
}

void ReplicaManager::note_in_sync(const Partition& partition) {
  const TopicIdPartition& id = partition.id();
  if (never_in_sync_.erase(id) > 0) options_.directories->note_in_sync({partition.topic(), id.partition}, id.topic_id);
}

void ReplicaManager::retry_unmade() {
  if (!image_) return;
  const auto unusable = unusable_;
  for (const auto& [id, why] : unusable) {
    const metadata::TopicImage* topic = image_->topic_by_id(id.topic_id);
    if (why == Unusable::not_made && topic != nullptr) create(id, topic->name);
  }
}

// R76, R81: the controller gives what we led to others.
void ReplicaManager::tell_trouble() {
  if (!options_.on_trouble) return;
  metadata::ReplicaTrouble trouble;
  for (const auto& [id, why] : unusable_) trouble.failed.insert(id);
  for (const auto& [id, placed] : damaged_) {
    if (!placed && !mutant<"R72-keeps-damage-to-itself">()) trouble.damaged.insert(id);
  }
  if (!state_.low_on_space.empty() && !mutant<"R81-leads-on-without-space">()) {
    for (const auto& [id, partition] : partitions_) {
      if (state_.low_on_space.contains(partition->directory())) trouble.low_on_space.insert(id);
    }
  }
  if (trouble == told_trouble_) return;
  told_trouble_ = trouble;
  options_.on_trouble(std::move(trouble));
}

void ReplicaManager::remove(const TopicIdPartition& id, Fate fate) {
  const auto found = partitions_.find(id);
  const std::shared_ptr<Partition> partition = found->second;
  partitions_.erase(found);  // before anyone is told: whoever looks must not find it
  const std::string path = partition->log_path();
  retire(*partition);
  PlacedLog placed{{partition->topic(), id.partition}, id.topic_id, path, partition->directory(), {}};
  if (const auto log = partition->release_log(ErrorCode::not_leader_or_follower)) placed.jobs = log->job_gate();
  for (ReplicaListener* listener : listeners_) listener->on_stopped(id, partition->topic());
  damaged_.erase(id);
  never_in_sync_.erase(id);
  if (fate != Fate::deleted) options_.logger.warn("{} is set aside", path);
  dispose(placed, fate);
}

// What it counted stays counted.
void ReplicaManager::retire(Partition& partition) {
  metrics_.retired_in_all.add(partition.counters());
  metrics_.retired[partition.topic()].add(partition.counters());
}

BrokerFacts ReplicaManager::facts_of(BrokerId id) const {
  BrokerFacts facts{.id = id};
  if (const metadata::BrokerImage* broker = image_->broker(id)) {
    facts.epoch = broker->epoch;
    facts.eligible = metadata::is_active(*broker);
  }
  return facts;
}

bool ReplicaManager::is_home(const TopicId& topic, PartitionIndex index) const {
  return home_shard(topic, index, options_.shard_count) == options_.shard_index;
}

// ---- lookup ----

std::shared_ptr<Partition> ReplicaManager::find_or_null(const TopicIdPartition& id) const {
  const auto found = partitions_.find(id);
  return found != partitions_.end() ? found->second : nullptr;
}

Result<std::shared_ptr<Partition>> ReplicaManager::find(const TopicIdPartition& id) const {
  NARU_CHECK(options_.shard->is_current());
  if (const auto found = partitions_.find(id); found != partitions_.end()) return found->second;
  if (unusable_.contains(id)) return fail(ErrorCode::kafka_storage_error);
  const bool exists = image_ && image_->partition(id.topic_id, id.partition) != nullptr;
  return fail(exists ? ErrorCode::not_leader_or_follower : ErrorCode::unknown_topic_or_partition);
}

bool ReplicaManager::is_being_made(const TopicIdPartition& id) const {
  if (!creations_.has(id)) return false;
  const metadata::PartitionImage* state = image_->partition(id.topic_id, id.partition);
  return state != nullptr && state->leader == options_.self;
}

Awaitable<void> ReplicaManager::until_made(TopicIdPartition id) {
  constexpr std::chrono::seconds patience{5};  // a disk that hangs must not hold up the other partitions of a request
  return creations_.wait(id, options_.shard->now() + patience);
}

void ReplicaManager::add_listener(ReplicaListener& listener) {
  listeners_.push_back(&listener);
  for (const auto& [id, partition] : partitions_) {
    if (partition->role() == Role::leader) listener.on_leading(partition);
    if (partition->role() == Role::follower) listener.on_following(partition);
  }
}

void ReplicaManager::remove_listener(ReplicaListener& listener) {
  std::erase(listeners_, &listener);
}

// ---- time ----

void ReplicaManager::arm() {
  timer_ = options_.shard->call_at(options_.shard->now() + options_.tick_interval, [this] {
    tick();
    arm();
  });
}

void ReplicaManager::look_at_bytes(Instant now) {
  if (!byte_rates_.is_due(now)) return;
  ByteRates::Counted counted{metrics_.retired_in_all.bytes_in, metrics_.retired_in_all.bytes_out};
  for (const auto& [id, partition] : partitions_) {
    counted.in += partition->counters().bytes_in;
    counted.out += partition->counters().bytes_out;
  }
  byte_rates_.look(now, counted);
}

void ReplicaManager::look_at_times(Instant now, Instant syncing_since) {
  const auto ms = [](Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); };
  const auto said = [&](std::optional<Duration> mean) { return mean ? ms(*mean) : -1; };
  sync_stalled_ms_ = ms(now - syncing_since);
  write_ms_ = said(metrics_.writes.look());
  // One that has not ended may be the first for long.
  std::optional<Duration> sync = metrics_.syncs.look();
  if (syncing_since < now) sync = std::max(sync, std::optional(now - syncing_since));
  sync_ms_ = said(sync);
}

void ReplicaManager::tick() {
  const Instant now = options_.shard->now();
  look_at_bytes(now);
  const std::vector<std::pair<BrokerId, Instant>> spoken =
      activity_ ? activity_() : std::vector<std::pair<BrokerId, Instant>>{};
  Instant syncing_since = now;
  for (const auto& [id, partition] : partitions_) {
    partition->tick(spoken);
    syncing_since = std::min(syncing_since, partition->syncing_since().value_or(now));
  }
  look_at_times(now, syncing_since);
  const TimestampMs wall = options_.shard->clock().wall_now();
  state_.clock.look(now, wall);
  if (now >= next_attempt_) {
    next_attempt_ = now + unmade_retry;
    retry_unmade();
  }
  // What may go is the image's to say: before it has come, logs have the settings that no topic may have.
  if (now < next_retention_ || !(takes_part_ || mutant<"R82-retention-before-the-metadata">())) return;
  next_retention_ = now + options_.retention_interval;
  for (const auto& [id, partition] : partitions_) partition->apply_retention(state_.clock.to_compare(now, wall));
}

}  // namespace broker::partition
