#include "controller/metadata/controller_state.h"

#include <algorithm>

#include "common/model/mutant.h"
#include "controller/metadata/configs.h"
#include "controller/metadata/partitions.h"
#include "controller/metadata/producer_ids.h"
#include "controller/metadata/reassignment.h"
#include "controller/metadata/topics.h"

namespace controller::metadata {

using common::model::mutant;

namespace {

// What clients ask for has to fit one entry of the metadata log with room to spare; what brokers and the controller
// itself decide cannot be refused, and grows with the cluster alone.
bool is_of_a_client(const ControllerRequest& request) {
  return std::visit(
      []<class R>(const R&) {
        return !std::is_same_v<R, AlterPartition> && !std::is_same_v<R, RegisterBroker> &&
               !std::is_same_v<R, BrokerHeartbeat>;
      },
      request);
}

const Refused too_large{{ErrorCode::policy_violation, "The request changes too much at once: divide it."}, false};

// Of the settings that it names. A list of a hundred megabytes is some gigabytes of items when it is looked into.
size_t bytes_of_settings(const ControllerRequest& request) {
  size_t bytes = 0;
  const auto add = [&bytes](const std::string& key, const std::optional<std::string>& value) {
    bytes += key.size() + (value ? value->size() : 0);
  };
  if (const auto* alter = std::get_if<AlterConfigs>(&request)) {
    for (const AlterConfigs::Resource& resource : alter->resources)
      for (const AlterConfigs::Change& change : resource.changes) add(change.key, change.value);
  } else if (const auto* create = std::get_if<CreateTopics>(&request)) {
    for (const CreateTopics::Topic& topic : create->topics)
      for (const auto& [key, value] : topic.configs) add(key, value);
  }
  return bytes;
}

size_t approximate_bytes(const std::vector<MetadataRecord>& records) {
  constexpr size_t usual = 64;
  size_t bytes = 0;
  for (const MetadataRecord& record : records) {
    bytes += usual;
    if (const auto* config = std::get_if<ConfigRecord>(&record)) {
      bytes += config->resource.name.size() + config->key.size() + (config->value ? config->value->size() : 0);
    } else if (const auto* partition = std::get_if<PartitionRecord>(&record)) {
      bytes += 2 * sizeof(BrokerId) * partition->state.replicas.size();
    }
  }
  return bytes;
}

}  // namespace

ControllerState::ControllerState(const ControllerOptions& options, const ConfigSchema& schema,
                                 common::model::Random& random, ActivationStart start, Instant now)
    : options_(options),
      schema_(schema),
      random_(random),
      image_(std::move(start.image)),
      next_index_(start.next_index),
      cluster_id_(start.cluster_id),
      registry_(options, image_, LogIndex{start.next_index.value - 1}, now),
      detector_(options.detector, now),
      reach_(options.detector.session_timeout),
      reach_looked_at_(now),
      slow_looked_at_(now),
      rebalanced_at_(now) {
  recovery_.scan(image_);
  // R28: nobody is known to be alive; the deposed controller's own broker is the likeliest to be dead.
  for (const auto& [id, broker] : image_.brokers()) {
    if (broker->fenced) continue;
    const bool deposed =
        start.previous_controller == id && id != options_.node_id && !mutant<"R28-does-not-suspect-its-predecessor">();
    detector_.watch(*broker, deposed ? Standing::suspected : Standing::unknown, now);
  }
}

void ControllerState::set_next_index(LogIndex index) {
  NARU_CHECK(index >= next_index_, "the metadata log went back from {} to {} under an active controller", next_index_,
             index);
  next_index_ = index;
}

Decision ControllerState::adopt(Draft&& draft, ControllerAnswer answer, Instant now) {
  if (draft.empty()) return draft.decide(std::move(answer));
  const MetadataImage before = image_;
  const ImageDelta delta = draft.delta();
  Decision decision = draft.decide(std::move(answer));
  image_ = draft.take_image();
  next_index_ = next_index_.next();
  follow_brokers(before, now);
  recovery_.follow(image_, delta);
  return decision;
}

// Watches brokers from the moment they are unfenced until they are fenced or registered anew.
void ControllerState::follow_brokers(const MetadataImage& before, Instant now) {
  if (before.brokers().same_as(image_.brokers())) return;
  for (const auto& [id, broker] : image_.brokers()) {
    const BrokerImage* old = before.broker(id);
    const bool was_watched = old != nullptr && !old->fenced && old->epoch == broker->epoch;
    if (!broker->fenced && !was_watched) {
      detector_.watch(*broker, Standing::alive, now);
      reach_.forget(id);
      fast_fenced_.erase(id);
    }
    if (broker->fenced) detector_.unwatch(id);
  }
  for (const auto& [id, broker] : before.brokers()) {
    if (image_.broker(id) != nullptr) continue;
    detector_.forget(id);
    slow_.forget(id);
    reach_.remove(id);
    fast_fenced_.erase(id);  // it would make the next death of a broker one of several for ever
  }
}

Decision ControllerState::bootstrap() {
  Draft d = draft();
  if (image_.cluster_id().is_zero()) {
    d.add(ClusterRecord{cluster_id_});
    d.add(FeatureRecord{metadata_version_feature, metadata_version_latest});
    d.note("cluster {} begins", cluster_id_);
  }
  // Leaders and controller must agree on minISR, or the ELR is unsound (R43, R48): so it is agreed, not configured on
  // each node. AlterConfigs changes it. A cluster of an earlier version may have lost it.
  constexpr std::string_view key = "min.insync.replicas";
  if (!image_.config(ResourceType::broker, "").contains(key))
    d.add(ConfigRecord{{ResourceType::broker, ""}, std::string(key), fmt::format("{}", options_.min_isr_default)});
  return adopt(std::move(d), Refused{}, rebalanced_at_);
}

Decision ControllerState::handle(const ControllerRequest& request, Instant now) {
  if (bytes_of_settings(request) > options_.request_bytes_max) return Decision{{}, too_large, {}, next_index_};
  Draft d = draft();
  ControllerAnswer a = std::visit([&](const auto& r) { return answer(d, r, now); }, request);
  const bool only_validated = std::visit(
      [](const auto& r) {
        if constexpr (requires { r.validate_only; }) return r.validate_only == ValidateOnly::yes;
        return false;
      },
      request);
  if (only_validated) return Decision{{}, std::move(a), {}, next_index_};
  if (is_of_a_client(request) && approximate_bytes(d.records()) > options_.request_bytes_max)
    return Decision{{}, too_large, {}, next_index_};
  return adopt(std::move(d), std::move(a), now);
}

ControllerAnswer ControllerState::answer(Draft& d, const CreateTopics& r, Instant) {
  return create_topics(d, r, options_, schema_, random_);
}
ControllerAnswer ControllerState::answer(Draft& d, const DeleteTopics& r, Instant) {
  // Topics of Naru's own are made anew at once by whoever needs them, and what lacks room would go with the next tick:
  // nobody is to be told that they can be restored.
  return delete_topics(d, r, [this](const TopicImage& topic) {
    return !options_.internal_replication.contains(topic.name) && !lacks_room(topic);
  });
}
ControllerAnswer ControllerState::answer(Draft& d, const CreatePartitions& r, Instant) {
  return create_partitions(d, r, options_, random_);
}
ControllerAnswer ControllerState::answer(Draft& d, const AlterConfigs& r, Instant) {
  return alter_configs(d, r, options_, schema_);
}
ControllerAnswer ControllerState::answer(Draft& d, const AlterPartition& r, Instant) {
  return alter_partition(d, r, options_);
}
ControllerAnswer ControllerState::answer(Draft& d, const ElectLeaders& r, Instant) {
  return elect_leaders(d, r, options_);
}
ControllerAnswer ControllerState::answer(Draft& d, const AlterPartitionReassignments& r, Instant) {
  return alter_reassignments(d, r, options_);
}
ControllerAnswer ControllerState::answer(Draft& d, const AllocateProducerIds& r, Instant) {
  return allocate_producer_ids(d, r, options_);
}
ControllerAnswer ControllerState::answer(Draft& d, const RegisterBroker& r, Instant now) {
  return registry_.register_broker(d, r, detector_.last_heartbeat(r.broker_id), now);
}
ControllerAnswer ControllerState::answer(Draft& d, const BrokerHeartbeat& r, Instant now) {
  BrokerHeartbeatAnswer a = registry_.heartbeat(d, r, now);
  if (a.error != ErrorCode::none) return a;
  detector_.on_heartbeat(r.broker_id, r.broker_epoch, now);
  if (!a.fenced) {
    if (const auto line = slow_.on_heartbeat(r.broker_id, r.broker_epoch, r.progress, now)) d.note("{}", *line);
  }
  for (const LogEnd& end : r.log_ends) recovery_.on_log_end(r.broker_id, r.broker_epoch, end);
  a.log_end_queries = recovery_.queries_for(r.broker_id);
  return a;
}
ControllerAnswer ControllerState::answer(Draft& d, const UnregisterBroker& r, Instant) {
  return registry_.unregister(d, r);
}
ControllerAnswer ControllerState::answer(Draft&, const DescribeQuorum&, Instant) {
  // Raft's own state: the runtime answers it before it comes here.
  return Refused{Error{ErrorCode::unknown_server_error, "the quorum is described by Raft"}};
}
ControllerAnswer ControllerState::answer(Draft&, const AddRaftVoter&, Instant) {
  return Refused{Error{ErrorCode::unknown_server_error, "Raft changes its voters"}};
}
ControllerAnswer ControllerState::answer(Draft&, const RemoveRaftVoter&, Instant) {
  return Refused{Error{ErrorCode::unknown_server_error, "Raft changes its voters"}};
}

std::vector<Decision> ControllerState::on_tick(Instant now) {
  std::vector<Decision> decisions;
  if (detector_.on_tick(now) == FailureDetector::OwnClock::paused) {
    slow_.on_own_pause();
    Decision pause;
    pause.log.push_back("this controller stood still for a while: all broker sessions start afresh");
    decisions.push_back(std::move(pause));
    return decisions;
  }
  fence_the_gone(now, decisions);
  relieve_the_unreached(now, decisions);
  relieve_the_slow(now, decisions);
  recover_by_longest_log(now, decisions);
  grow_internal(now, decisions);
  return_leaders(now, decisions);
  remove_kept_topics(now, decisions);
  return decisions;
}

void ControllerState::fence_the_gone(Instant now, std::vector<Decision>& decisions) {
  const auto may_fence_fast = [&](BrokerId id) {
    // One death is believed at once. Further ones may be our own illusion: then not if a partition would lose its last
    // leader.
    const bool others = std::any_of(fast_fenced_.begin(), fast_fenced_.end(), [&](BrokerId b) { return b != id; });
    return !others || !would_orphan(image_, id);
  };
  // One at a time: each fencing changes what the next one would do.
  for (bool more = true; more;) {
    more = false;
    for (const Verdict& verdict : detector_.verdicts(now, may_fence_fast)) {
      Draft d = draft();
      const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(verdict.silent_for);
      registry_.fence(d, verdict.broker_id, reason_of(verdict.evidence),
                      fmt::format(" (silent for {} ms)", silent.count()));
      detector_.on_fenced(verdict, now);
      if (verdict.evidence != Evidence::silence) fast_fenced_.insert(verdict.broker_id);
      decisions.push_back(adopt(std::move(d), Refused{}, now));
      more = true;
      break;
    }
  }
}

void ControllerState::on_witness(BrokerId reporter, BrokerId id, BrokerEpoch epoch, Instant now) {
  detector_.on_witness(reporter, id, epoch);
  const BrokerImage* broker = image_.broker(id);
  if (broker != nullptr && broker->epoch == epoch) reach_.on_report(reporter, id, now);
}

void ControllerState::relieve_the_unreached(Instant now, std::vector<Decision>& decisions) {
  constexpr std::chrono::milliseconds look_interval{250};
  if (now - reach_looked_at_ < look_interval) return;
  reach_looked_at_ = now;
  for (const BrokerId leader : reach_.suspects(now)) {
    Draft d = draft();
    move_from_unreached(
        d, leader, [&](BrokerId follower) { return reach_.is_cut(follower, leader, now); },
        [&](BrokerId id, const TopicIdPartition& p) {
          return registry_.is_reluctant(id, p) || reach_.is_shunned(id, now);
        },
        options_);
    if (d.empty()) continue;
    reach_.on_moved(leader, now);
    decisions.push_back(adopt(std::move(d), Refused{}, now));
  }
}

// "Gray failure": it stays a follower, in the ISR, and what only it can lead stays with it.
void ControllerState::relieve_the_slow(Instant now, std::vector<Decision>& decisions) {
  constexpr std::chrono::milliseconds look_interval{1000};
  if (now - slow_looked_at_ < look_interval) return;
  slow_looked_at_ = now;
  for (const BrokerId leader : slow_.slow()) {
    if (!slow_.may_move(now)) return;
    Draft d = draft();
    move_from_slow(
        d, leader,
        [&](BrokerId id, const TopicIdPartition& p) {
          return registry_.is_reluctant(id, p) || reach_.is_shunned(id, now) || slow_.is_slow(id);
        },
        options_);
    if (d.empty()) continue;
    slow_.on_moved(now);
    decisions.push_back(adopt(std::move(d), Refused{}, now));
  }
}

size_t ControllerState::slow_brokers() const {
  const std::set<BrokerId> slow = slow_.slow();
  return static_cast<size_t>(std::ranges::count_if(slow, [this](BrokerId id) { return image_.is_active(id); }));
}

bool ControllerState::has_no_copy(BrokerId id, const TopicIdPartition& partition) const {
  const BrokerImage* broker = image_.broker(id);
  return registry_.is_offline(id, partition) ||
         (broker != nullptr && recovery_.is_without(id, broker->epoch, partition));
}

void ControllerState::recover_by_longest_log(Instant now, std::vector<Decision>& decisions) {
  if (recovery_.idle()) return;
  Draft d = draft();
  recovery_.elect(
      d, [this](BrokerId id, const TopicIdPartition& p) { return registry_.is_offline(id, p); }, options_, now);
  if (!d.empty()) decisions.push_back(adopt(std::move(d), Refused{}, now));
}

void ControllerState::grow_internal(Instant now, std::vector<Decision>& decisions) {
  if (options_.internal_replication.empty() || scanned_internal_at_ == image_.offset()) return;
  scanned_internal_at_ = image_.offset();
  Draft d = draft();
  grow_internal_topics(d, options_);
  if (!d.empty()) decisions.push_back(adopt(std::move(d), Refused{}, now));
}

bool ControllerState::lacks_room(const TopicImage& topic) const {
  if (!registry_.is_space_scarce()) return false;
  return std::ranges::any_of(topic.partitions, [&](const auto& partition) {
    return std::ranges::any_of(partition.second->replicas, [&](BrokerId id) {
      return registry_.is_reluctant(id, {topic.id, partition.first});
    });
  });
}

// Whose time is over, or of whom a broker has no room for what it holds (R81): what is wanted goes before what is not.
void ControllerState::remove_kept_topics(Instant now, std::vector<Decision>& decisions) {
  constexpr size_t removals_max = 1000;  // a batch is atomic, so it is bounded; all may be over at the same time
  std::erase_if(kept_since_, [this](const auto& entry) { return !image_.is_kept(entry.first); });
  if (image_.kept_topics().empty()) return;
  Draft d = draft();
  const MetadataImage before = image_;
  for (const auto& [name, id] : before.kept_topics()) {
    const ConfigMap& settings = before.config(ResourceType::topic, name);
    const auto said = settings.find(kept_key);
    const std::string text = said != settings.end() ? said->second : std::string();
    auto& seen = kept_since_.try_emplace(id, text, now).first->second;
    if (seen.first != text) seen = {text, now};  // restored and deleted again between two looks
    const std::optional<KeptFor> kept = kept_from_setting(text);
    const bool is_over =
        !kept || now - seen.second >= kept->time || mutant<"R42-removes-kept-topics-before-their-time">();
    if (d.records().size() >= removals_max) continue;  // they go with the next tick
    if (mutant<"R42-keeps-topics-for-ever">()) continue;
    if (!is_over && !lacks_room(*before.topic_by_id(id))) continue;
    d.note("topic {} ({}), deleted before, is removed: {}", name, id,
           is_over ? "it could be restored until now" : "there is no room for it");
    d.add(RemoveTopicRecord{id});
  }
  if (!d.empty()) decisions.push_back(adopt(std::move(d), Refused{}, now));
}

void ControllerState::return_leaders(Instant now, std::vector<Decision>& decisions) {
  if (options_.auto_leader_rebalance == Enabled::no || now - rebalanced_at_ < options_.rebalance_interval) return;
  const std::set<BrokerId> settled = registry_.settled(image_, now);
  const uint64_t troubles = registry_.trouble_changes();
  const std::set<BrokerId> shunned = reach_.shunned(now);
  const std::set<BrokerId> slow = slow_.suspects(now);
  if (scanned_leaders_at_ == image_.offset() && scanned_settled_ == settled && scanned_troubles_ == troubles &&
      scanned_shunned_ == shunned && scanned_slow_ == slow)
    return;
  rebalanced_at_ = now;
  scanned_settled_ = settled;
  scanned_troubles_ = troubles;
  scanned_shunned_ = shunned;
  scanned_slow_ = slow;
  Draft d = draft();
  rebalance_leaders(
      d, settled,
      [&](BrokerId id, const TopicIdPartition& p) {
        return registry_.is_reluctant(id, p) || reach_.is_shunned(id, now) || slow.contains(id);
      },
      options_);
  if (!d.empty()) decisions.push_back(adopt(std::move(d), Refused{}, now));
  scanned_leaders_at_ = image_.offset();
}

}  // namespace controller::metadata
