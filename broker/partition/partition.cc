// Roles: how a replica becomes leader, follower or nothing, and what every role shares.
#include "broker/partition/partition.h"

#include <algorithm>
#include <utility>

#include "broker/partition/partition_detail.h"
#include "common/model/mutant.h"

namespace broker::partition {

using common::model::fail;
using common::model::mutant;

namespace {

CountedEnd counted_end(const TopicSettings& settings) {
  return settings.sync_before_ack ? CountedEnd::durable : CountedEnd::written;
}

std::string text_of(const BrokerIds& ids) {
  std::string text = "(";
  for (const BrokerId id : ids) text += fmt::format("{}{}", text.size() > 1 ? "," : "", id);
  return text + ")";
}

}  // namespace

Partition::Partition(common::Shard& shard, PartitionOptions options)
    : id_(options.id),
      topic_(std::move(options.topic)),
      directory_(std::move(options.directory)),
      shard_(shard),
      state_(*options.state),
      sender_(*options.sender),
      listener_(options.listener),
      on_late_role_(std::move(options.on_late_role)),
      logger_(std::move(options.logger)),
      lower_checkpoints_(std::move(options.lower_checkpoints)),
      log_(std::move(options.log)),
      settings_(options.settings),
      high_watermark_(std::clamp(options.high_watermark, log_->log_start_offset(), log_->log_end_offset())) {
  log_->producers().on_high_watermark(high_watermark_);
}

Partition::~Partition() {
  NARU_CHECK(committed_waiters_.empty() && low_watermark_waiters_.empty(), "{} dies under its waiters",
             logger_identity());
}

std::string Partition::logger_identity() const {
  return fmt::format("{}-{}", topic_, id_.partition);
}

Offset Partition::log_start_offset() const {
  return log_ ? log_->log_start_offset() : Offset(0);
}
Offset Partition::log_end_offset() const {
  return log_ ? log_->log_end_offset() : Offset(0);
}
std::optional<LeaderEpoch> Partition::last_record_epoch() const {
  if (!log_ || log_->log_end_offset() == log_->log_start_offset()) return std::nullopt;
  return log_->epochs().epoch_at(log_->log_end_offset() - 1);
}
Offset Partition::recovery_point() const {
  return log_ ? log_->flushed_offset() : Offset(0);
}
Offset Partition::cleaned_offset() const {
  return log_ ? log_->cleaned_offset() : Offset(0);
}
bool Partition::is_offline() const {
  return !log_ || log_->failure().has_value();
}

Offset Partition::last_stable_offset() const {
  return readable_end(Isolation::read_committed);
}

std::vector<common::records::ProducerSummary> Partition::producers() const {
  if (!log_) return {};
  return log_->producers().describe();
}

PartitionDescription Partition::describe() const {
  PartitionDescription d{
      .topic = topic_, .topic_id = id_.topic_id, .partition = id_.partition, .directory = directory_};
  d.size_bytes = log_ ? static_cast<int64_t>(log_->size_bytes()) : 0;
  d.log_start_offset = log_start_offset();
  d.log_end_offset = log_end_offset();
  d.high_watermark = high_watermark_;
  d.is_leader = is_leader();
  d.last_stable_offset = last_stable_offset();
  d.segments = log_ ? log_->segment_count() : 0;
  d.min_isr = settings_.min_isr;
  d.fetch_fails = fetch_fails_;
  if (role_ != Role::none) d.leader_epoch = leader_epoch_;
  if (log_) d.producers = log_->producers().size();
  if (tracker_) {
    d.isr = tracker_->isr();
    for (const BrokerId id : tracker_->followers()) d.followers.push_back({id, tracker_->follower_end(id)});
  }
  return d;
}

void Partition::assign(const Assignment& assignment) {
  check_on_shard();
  if (is_offline()) return;
  if (restarting_) {
    postponed_ = assignment;
    postponed_->settings.reset();  // they are told apart as well, and may change again meanwhile
    return;
  }
  // Metadata never goes back, and roles are given only by an image that holds our registration: it is newer than
  // whatever our log was told before. An epoch beyond it has rotted (R72); to go on from there would be to spread it.
  if (const auto latest = log_->epochs().latest(); latest && assignment.leader_epoch < *latest) {
    log_->note_damage(
        fmt::format("it ends in leader epoch {}, but none above {} ever began", *latest, assignment.leader_epoch));
    return;
  }
  if (assignment.leader_epoch < leader_epoch_ && !mutant<"R54-goes-back-an-epoch">()) return;
  adding_ = assignment.adding;
  if (role_ == Role::none || assignment.leader_epoch > leader_epoch_) {
    if (assignment.leader_epoch > leader_epoch_) previous_leader_ = leader_;
    if (assignment.settings) settings_ = *assignment.settings;
    if (!assignment.leader) {
      become_nothing(assignment);
    } else if (*assignment.leader == state_.self) {
      become_leader(assignment);
    } else {
      become_follower(assignment);
    }
  } else if (assignment.recorded.partition_epoch > partition_epoch_) {
    partition_epoch_ = assignment.recorded.partition_epoch;
    if (tracker_) {
      const BrokerIds before = tracker_->isr();
      if (assignment.settings) tracker_->set_rules(assignment.settings->min_isr, counted_end(*assignment.settings));
      perform(tracker_->on_recorded(assignment.recorded, shard_.now()));
      for (const BrokerFacts& facts : assignment.brokers) perform(tracker_->on_broker_facts(facts, shard_.now()));
      complete_low_watermark();
      if (const BrokerIds after = tracker_->isr(); after != before) {
        count_isr_change(before.size());
        logger_.info("ISR {}, was {}", text_of(after), text_of(before));
      }
    } else {
      if (!mutant<"R41-does-not-say-what-it-has-seen">()) tell_position();  // it carries the partition epoch (R41)
    }
  } else if (tracker_ && assignment.recorded.partition_epoch == partition_epoch_) {
    perform(tracker_->on_recorded(assignment.recorded, shard_.now()));  // perhaps the answer to a proposal came first
  }
  for_observers([](FollowerObserver& o, uint32_t slot) { o.on_role(slot); });
}

void Partition::become_leader(const Assignment& a) {
  const Role was = role_;
  end_role(ErrorCode::not_leader_or_follower);
  leader_ = a.leader;
  leader_epoch_ = a.leader_epoch;
  partition_epoch_ = a.recorded.partition_epoch;
  // R55: the epoch begins at our log end. The cache knows before the first request does; the file follows, and is
  // rebuilt from the batches should we die in between (R79).
  if (!mutant<"R55-leads-without-an-epoch-start">()) log_->begin_epoch(leader_epoch_);
  const Instant now = shard_.now();
  tracker_ = std::make_unique<IsrTracker>(IsrStart{.leader = state_.self,
                                                   .leader_broker_epoch = state_.broker_epoch,
                                                   .leader_epoch = leader_epoch_,
                                                   .partition_epoch = partition_epoch_,
                                                   .replicas = a.recorded.replicas,
                                                   .isr = a.recorded.isr,
                                                   .recovery = a.recorded.recovery,
                                                   .brokers = a.brokers,
                                                   .log_end_offset = log_->log_end_offset(),
                                                   .durable_offset = log_->flushed_offset(),
                                                   .high_watermark = high_watermark_,
                                                   .adding = a.recorded.adding,
                                                   .min_isr = settings_.min_isr,
                                                   .counted = counted_end(settings_),
                                                   .lag_time_max = state_.lag_time_max,
                                                   .now = now});
  role_ = Role::leader;
  if (state_.metrics != nullptr && a.recorded.recovery == Recovery::recovering) ++state_.metrics->unclean_recoveries;
  logger_.info("leader of epoch {} from offset {}, was {}; ISR {}, high watermark {}", leader_epoch_,
               log_->log_end_offset(),
               was == Role::leader     ? "leader"
               : was == Role::follower ? "follower"
                                       : "idle",
               text_of(tracker_->isr()), high_watermark_);
  perform(tracker_->on_tick({}, now));
  flush_if_needed();
}

void Partition::become_follower(const Assignment& a) {
  const Role was = role_;
  end_role(ErrorCode::not_leader_or_follower);
  leader_ = a.leader;
  leader_epoch_ = a.leader_epoch;
  partition_epoch_ = a.recorded.partition_epoch;
  reconciler_.emplace(leader_epoch_, high_watermark_);
  role_ = Role::follower;
  if (was != Role::follower) {
    logger_.info("follower of {} in epoch {}, log end {}, high watermark {}", *leader_, leader_epoch_,
                 log_->log_end_offset(), high_watermark_);
  } else {
    logger_.debug("follower of {} in epoch {}, log end {}", *leader_, leader_epoch_, log_->log_end_offset());
  }
  tell_position();
}

void Partition::become_nothing(const Assignment& a) {
  if (role_ != Role::none) logger_.info("no leader in epoch {}", a.leader_epoch);
  end_role(ErrorCode::not_leader_or_follower);
  leader_.reset();
  leader_epoch_ = a.leader_epoch;
  partition_epoch_ = a.recorded.partition_epoch;
}

// R58: whoever waits on the old role is answered.
void Partition::end_role(ErrorCode code) {
  role_ = Role::none;
  leader_counts_synced_ = false;
  fetch_fails_ = false;
  end_read_.reset();
  // What was refused a moment before we led must not be overtaken once we do.
  std::erase_if(unwritten_, [&](const auto& entry) { return shard_.now() - entry.second.at > own_gap_patience; });
  tracker_.reset();
  reconciler_.reset();
  if (!mutant<"R58-waits-beyond-the-role">()) fail_all(committed_waiters_, code);
  fail_all(synced_waiters_, code);
  fail_all(low_watermark_waiters_, code);
  if (!mutant<"R58-fetches-wait-beyond-the-role">()) wake_watches(true);
}

void Partition::resign(ErrorCode code) {
  check_on_shard();
  end_role(code);
  postponed_.reset();
  leader_.reset();
  for_observers([](FollowerObserver& o, uint32_t slot) { o.on_role(slot); });
}

std::unique_ptr<common::log::Log> Partition::release_log(ErrorCode code) {
  resign(code);
  for (const auto& read : std::exchange(cold_reads_, {})) {
    read->result.emplace(fail(code, "the replica is gone"));
    read->found.emplace(fail(code, "the replica is gone"));
    read->done.set();
  }
  return std::move(log_);
}

void Partition::on_broker_facts(const BrokerFacts& facts) {
  // A role that waits begins with what is true by then.
  if (postponed_) {
    for (BrokerFacts& known : postponed_->brokers) {
      if (known.id == facts.id) known = facts;
    }
  }
  if (!tracker_) return;
  perform(tracker_->on_broker_facts(facts, shard_.now()));
  complete_low_watermark();  // nobody waits for who is fenced
}

void Partition::set_settings(const TopicSettings& settings) {
  check_on_shard();
  const bool counts_otherwise = settings.sync_before_ack != settings_.sync_before_ack;
  settings_ = settings;
  if (!log_) return;
  log_->set_config(settings.log);
  if (!tracker_) {
    flush_if_needed();
    if (settings_.sync_before_ack) tell_position();  // what is synced, which was worth no message so far
    return;
  }
  // All of them before anything is judged by one: min.insync.replicas may fall where flush.messages=1 begins.
  tracker_->set_rules(settings.min_isr, counted_end(settings));
  perform(tracker_->on_durable(log_->flushed_offset(), shard_.now()));
  if (counts_otherwise) for_observers([](FollowerObserver& o, uint32_t slot) { o.on_high_watermark(slot); });
  flush_if_needed();
}

void Partition::tick(const std::vector<std::pair<BrokerId, Instant>>& spoken_at) {
  if (is_offline()) return;
  log_->tick({.monotonic = shard_.now(), .wall = shard_.clock().wall_now()});
  if (tracker_) perform(tracker_->on_tick(spoken_at, shard_.now()));
  look_whether_cut_off(spoken_at);
  flush_if_needed();  // one that failed for want of room or descriptors is not asked for by anybody else
}

// R33: clients that can still reach us must not wait here for what cannot come: nothing is committed without every
// member of the ISR, and only the controller can take one out. A stream that is silent for too long is not among those
// that have spoken; and who follows somebody else by now has closed its slot on a stream that goes on.
void Partition::look_whether_cut_off(const std::vector<std::pair<BrokerId, Instant>>& spoken_at) {
  cut_off_ = false;
  if (!tracker_ || !state_.isolated()) return;
  const auto is_here = [&](BrokerId id) {
    if (id == state_.self) return true;
    return is_followed_by(id) && std::ranges::any_of(spoken_at, [&](const auto& spoken) { return spoken.first == id; });
  };
  if (std::ranges::all_of(tracker_->isr(), is_here)) return;
  cut_off_ = true;
  fail_all(committed_waiters_, ErrorCode::not_enough_replicas_after_append);
}

bool Partition::is_followed_by(BrokerId id) const {
  return std::ranges::any_of(
      observers_, [&](const Observer& o) { return o.observer != nullptr && o.observer->follower_id() == id; });
}

bool Partition::may_be_outdated() const {
  if (!tracker_ || !state_.has_lost_session()) return false;
  return !std::ranges::all_of(tracker_->isr(), [&](BrokerId id) { return id == state_.self || is_followed_by(id); });
}

size_t Partition::apply_retention(TimestampMs believed_wall) {
  if (is_offline() || restarting_) return 0;
  log_->producers().expire(believed_wall, settings_.producer_expiration.count());
  const size_t deleted = log_->apply_retention({.monotonic = shard_.now(), .wall = believed_wall}, high_watermark_);
  if (deleted > 0) for_observers([](FollowerObserver& o, uint32_t slot) { o.on_high_watermark(slot); });
  return deleted;
}

std::optional<CleaningFacts> Partition::cleaning_facts() const {
  if (!settings_.cleaning || is_offline() || restarting_) return std::nullopt;
  return CleaningFacts{.settings = *settings_.cleaning,
                       .segments = log_->segment_facts(),
                       .log_start_offset = log_->log_start_offset(),
                       .cleaned_offset = log_->cleaned_offset(),
                       .stable_end = last_stable_offset()};
}

Result<std::unique_ptr<common::log::Compaction>> Partition::compact(common::log::CompactionRequest request) {
  check_on_shard();
  if (is_offline() || restarting_) return fail(ErrorCode::operation_not_attempted);
  request.end = std::min(request.end, last_stable_offset());
  return log_->compact(std::move(request));
}

void Partition::perform(const IsrEffects& effects) {
  for (const auto& effect : effects) {
    if (const auto* commit = std::get_if<CommitUpTo>(&effect)) {
      set_high_watermark(commit->high_watermark);
    } else {
      propose(std::get<ProposeIsr>(effect));
    }
  }
}

void Partition::propose(const ProposeIsr& proposal) {
  BrokerIds ids;
  for (const IsrMember& m : proposal.isr) ids.push_back(m.id);
  logger_.info("proposes ISR {} instead of {}", text_of(ids), text_of(tracker_->isr()));
  sender_.send({.partition = id_, .leader_epoch = leader_epoch_, .propose = proposal, .recovery = Recovery::recovered},
               [weak = weak_from_this(), epoch = leader_epoch_, at = proposal.expected](Result<IsrRecorded> answer) {
                 if (const auto self = weak.lock()) {
                   // The base class is FollowerReplica's and LeaderReplica's too: the pointer is to the whole.
                   self->on_proposal_answer(epoch, at, std::move(answer));
                 }
               });
}

void Partition::on_proposal_answer(LeaderEpoch epoch, PartitionEpoch expected, Result<IsrRecorded> answer) {
  if (!tracker_ || leader_epoch_ != epoch) return;
  if (!answer) {
    if (!tracker_->proposes_at(expected)) return;
    logger_.info("ISR proposal refused: {} {}", answer.error().code, answer.error().message);
    ++counters_.failed_isr_updates;
    tracker_->on_proposal_refused(answer.error().code, shard_.now());
    return;
  }
  if (answer->leader_epoch != epoch) return;  // the metadata log will say what became of us (R54)
  // Its record has come first, and another proposal may be under way since: whom that one adds counts on (R47, R53).
  const bool is_news = answer->partition.partition_epoch > tracker_->partition_epoch();
  if (!is_news && !tracker_->proposes_at(expected)) return;
  const BrokerIds before = tracker_->isr();
  partition_epoch_ = std::max(partition_epoch_, answer->partition.partition_epoch);
  perform(tracker_->on_proposal_recorded(answer->partition, shard_.now()));
  if (!tracker_ || tracker_->isr() == before) return;
  count_isr_change(before.size());
  logger_.info("ISR {}, was {}", text_of(tracker_->isr()), text_of(before));
}

void Partition::count_isr_change(size_t before) {
  const size_t now = tracker_->isr().size();
  if (now < before) ++counters_.isr_shrinks;
  if (now > before) ++counters_.isr_expands;
}

void Partition::set_high_watermark(Offset high_watermark) {
  if (high_watermark == high_watermark_) return;
  NARU_CHECK(high_watermark <= log_end_offset(), "R65: {}: high watermark {} beyond the log end {}", logger_identity(),
             high_watermark, log_end_offset());
  NARU_CHECK(!tracker_ || high_watermark > high_watermark_, "R50: {}: high watermark from {} to {} in epoch {}",
             logger_identity(), high_watermark_, high_watermark, leader_epoch_);
  high_watermark_ = high_watermark;
  log_->producers().on_high_watermark(high_watermark);
  complete_committed();
  wake_watches(false);
  for_observers([](FollowerObserver& o, uint32_t slot) { o.on_high_watermark(slot); });
  if (listener_ != nullptr) listener_->on_high_watermark(*this);
}

// D2: one sync at a time; what was appended meanwhile asks for the next one.
void Partition::flush_if_needed() {
  // Settings may differ between brokers, while one after the other gets them: who leads decides what commits (D2).
  const bool is_waited_for =
      settings_.sync_before_ack || (leader_counts_synced_ && !mutant<"R48-syncs-by-its-own-settings">());
  if (!is_waited_for || flushing_since_ || !log_ || log_->flushed_offset() >= log_->log_end_offset()) return;
  flushing_since_ = shard_.now();
  log_->flush([weak = weak_from_this()](Result<Offset> flushed) {
    const auto self = weak.lock();
    if (!self) return;
    if (self->state_.metrics != nullptr && self->flushing_since_) {
      const common::Duration took = self->shard_.now() - *self->flushing_since_;
      self->state_.metrics->sync_latency.observe(took);
      self->state_.metrics->syncs.add(took);
    }
    self->flushing_since_.reset();
    if (!flushed || !self->log_) return;  // the log's failure takes the directory offline (R76)
    complete(self->synced_waiters_, *flushed, ErrorCode::none);
    if (self->tracker_) {
      self->perform(self->tracker_->on_durable(*flushed, self->shard_.now()));
    } else {
      self->tell_position();
    }
    self->flush_if_needed();
  });
}

void Partition::attach(FollowerObserver& observer, uint32_t slot) {
  observers_.push_back({&observer, slot});
}

void Partition::detach(FollowerObserver& observer, uint32_t slot) {
  for (Observer& o : observers_) {
    if (o.observer == &observer && o.slot == slot) o.observer = nullptr;
  }
  if (walking_observers_ == 0) std::erase_if(observers_, [](const Observer& o) { return o.observer == nullptr; });
}

void Partition::watch(const std::shared_ptr<FetchWaiter>& waiter, Offset from, Isolation isolation) {
  check_on_shard();
  if (role_ == Role::none || is_offline() || from < readable_end(isolation)) return waiter->wake();
  if (watches_.size() >= prune_watches_at_) {  // seldom: many wait, and each of them would look at all others
    std::erase_if(watches_, [](const Watch& w) { return w.waiter.expired(); });
    prune_watches_at_ = 2 * watches_.size() + 16;
  }
  watches_.push_back({waiter, from, isolation});
}

void Partition::wake_watches(bool all) {
  if (watches_.empty()) return;
  const Offset uncommitted = readable_end(Isolation::read_uncommitted);
  const Offset committed = readable_end(Isolation::read_committed);
  std::erase_if(watches_, [&](const Watch& w) {
    if (!all && w.from >= (w.isolation == Isolation::read_committed ? committed : uncommitted))
      return w.waiter.expired();
    if (const auto waiter = w.waiter.lock()) waiter->wake();
    return true;
  });
}

}  // namespace broker::partition
