#include "broker/partition/isr_tracker.h"

#include <algorithm>

#include "common/model/check.h"
#include "common/model/mutant.h"

namespace broker::partition {
namespace {

using common::model::ErrorCode;
using common::model::mutant;

// How long a retriably failed proposal, or a follower called ineligible, waits before it is tried again.
constexpr Duration retry_backoff = std::chrono::milliseconds(50);
constexpr Duration ineligible_backoff = std::chrono::milliseconds(500);

template <class Ids>
bool contains(const Ids& ids, BrokerId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

enum class AfterRefusal { resend, revert, await_metadata };

AfterRefusal after(ErrorCode code) {
  switch (code) {
    case ErrorCode::ineligible_replica:
    case ErrorCode::operation_not_attempted:
      return AfterRefusal::revert;
    case ErrorCode::fenced_leader_epoch:
    case ErrorCode::invalid_update_version:
    case ErrorCode::new_leader_elected:
    case ErrorCode::invalid_request:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::unknown_topic_id:
      return AfterRefusal::await_metadata;
    default:
      return AfterRefusal::resend;
  }
}

}  // namespace

IsrTracker::IsrTracker(IsrStart start)
    : leader_(start.leader),
      leader_broker_epoch_(start.leader_broker_epoch),
      leader_epoch_(start.leader_epoch),
      lag_time_max_(start.lag_time_max),
      leader_epoch_start_offset_(start.log_end_offset),
      min_isr_(start.min_isr),
      counted_(start.counted),
      recovery_(start.recovery),
      partition_epoch_(start.partition_epoch),
      log_end_offset_(start.log_end_offset),
      durable_offset_(start.durable_offset),
      high_watermark_(std::min(start.high_watermark, start.log_end_offset)) {
  adopt({.partition_epoch = start.partition_epoch,
         .replicas = start.replicas,
         .isr = start.isr,
         .recovery = start.recovery,
         .adding = start.adding},
        start.now);
  for (const BrokerFacts& facts : start.brokers) {
    if (Follower* f = find(facts.id)) {
      f->registered_epoch = facts.epoch;
      f->eligible = facts.eligible;
    }
  }
  check_invariants();
}

IsrEffects IsrTracker::on_append(Offset log_end_offset, Instant now) {
  NARU_CHECK(log_end_offset >= log_end_offset_, "leader's log end fell from {} to {}", log_end_offset_, log_end_offset);
  note_end_left(now);
  log_end_offset_ = log_end_offset;
  IsrEffects effects;
  advance(effects, now);
  check_invariants();
  return effects;
}

IsrEffects IsrTracker::on_durable(Offset durable_offset, Instant now) {
  durable_offset_ = std::max(durable_offset_, std::min(durable_offset, log_end_offset_));
  IsrEffects effects;
  advance(effects, now);
  check_invariants();
  return effects;
}

IsrEffects IsrTracker::on_follower_position(const FollowerPosition& position, Instant now) {
  IsrEffects effects;
  Follower* f = find(position.follower);
  // R49: another epoch's position says nothing about this epoch's log.
  if (f == nullptr || (position.leader_epoch != leader_epoch_ && !mutant<"R49-counts-positions-of-other-epochs">()))
    return effects;
  // A position beyond our log is not a prefix of it, whatever its epochs say.
  if (position.fetch_offset > log_end_offset_) return effects;

  const bool counts = f->in_isr || f->in_proposal;
  if (!counts && f->fetch_epoch && f->fetch_epoch != position.broker_epoch) forget_life(*f, now);
  // Within one life, too, it may be another replica: the former one was given up, or had more than this one (R72).
  const bool is_anew = f->has_left || (f->log_end_offset && position.fetch_offset < *f->log_end_offset);
  if (!counts && is_anew && !mutant<"R56-waits-for-who-begins-anew">()) forget_life(*f, now);
  f->has_left = false;

  // R52: at our end: caught up now. At what was our end when it last spoke: caught up then.
  if (position.fetch_offset >= log_end_offset_) {
    f->caught_up_at = std::max(f->caught_up_at, now);
  } else if (mutant<"R52-any-position-is-caught-up">()) {
    f->caught_up_at = now;
  } else if (f->log_end_offset && position.fetch_offset >= f->end_at_position) {
    f->caught_up_at = std::max(f->caught_up_at, f->position_at);
  }
  f->log_end_offset = position.fetch_offset;
  f->durable_offset = std::min(position.durable_offset, position.fetch_offset);
  f->log_start_offset = position.log_start_offset;
  f->fetch_epoch = position.broker_epoch;
  f->seen_partition_epoch = position.partition_epoch;
  f->position_at = now;
  f->end_at_position = log_end_offset_;

  propose(effects, Laggards::kept, now);
  advance(effects, now);
  check_invariants();
  return effects;
}

// Nothing here makes the maximal ISR smaller: whoever is recorded or proposed counts with what it last told (R47).
IsrEffects IsrTracker::on_follower_left(BrokerId follower, BrokerEpoch life, Instant now) {
  IsrEffects effects;
  Follower* f = find(follower);
  if (f == nullptr || f->fetch_epoch != life) return effects;  // not of the life that told us its position
  f->has_left = true;
  advance(effects, now);
  check_invariants();
  return effects;
}

IsrEffects IsrTracker::on_tick(const std::vector<std::pair<BrokerId, Instant>>& spoken_at, Instant now) {
  for (const auto& [id, at] : spoken_at) {
    Follower* f = find(id);
    if (f == nullptr || !f->log_end_offset) continue;
    if (*f->log_end_offset >= log_end_offset_ && !mutant<"R52-forgets-who-is-at-the-end">()) {
      f->caught_up_at = std::max(f->caught_up_at, at);
    } else {
      f->caught_up_at = std::max(f->caught_up_at, std::min(f->at_end_until, at));
    }
  }
  // After a pause of our own everyone looks silent: give them one more tick.
  const bool was_running = last_tick_ && now - *last_tick_ <= lag_time_max_ / 2;
  last_tick_ = now;
  IsrEffects effects;
  if (proposed_ && resend_ && now >= resend_at_) {
    resend_ = false;
    if (mutant<"R53-retries-with-a-newer-proposal">()) proposed_ = proposal_of(partition_epoch_.next());
    effects.emplace_back(*proposed_);  // R53: the same one, with the same expected epoch
  }
  propose(effects, was_running ? Laggards::dropped : Laggards::kept, now);
  advance(effects, now);  // a laggard outside the ISR no longer holds it back (R56)
  check_invariants();
  return effects;
}

IsrEffects IsrTracker::on_recorded(const RecordedPartition& recorded, Instant now) {
  IsrEffects effects;
  // An answer that came first does not say who is only being added.
  if (recorded.partition_epoch == partition_epoch_) adding_ = recorded.adding;
  if (recorded.partition_epoch <= partition_epoch_ && !mutant<"R54-applies-older-metadata">()) return effects;  // R54
  adopt(recorded, now);
  propose(effects, Laggards::kept, now);
  advance(effects, now);
  check_invariants();
  return effects;
}

IsrEffects IsrTracker::on_proposal_recorded(RecordedPartition recorded, Instant now) {
  IsrEffects effects;
  if (recorded.partition_epoch < partition_epoch_ && !mutant<"R54-applies-older-answers">()) return effects;
  // Already applied from the metadata log.
  if (recorded.partition_epoch == partition_epoch_ && !(proposed_ && proposed_->expected == partition_epoch_))
    return effects;
  recorded.replicas = followers();
  recorded.adding = adding_;
  adopt(recorded, now);
  propose(effects, Laggards::kept, now);
  advance(effects, now);
  check_invariants();
  return effects;
}

void IsrTracker::on_proposal_refused(ErrorCode code, Instant now) {
  if (!proposed_) return;
  switch (after(code)) {
    case AfterRefusal::resend:
      resend_ = true;
      resend_at_ = now + retry_backoff;
      break;
    case AfterRefusal::revert:
      for (Follower& f : followers_) {
        if (f.in_proposal && !f.in_isr) f.refused_until = now + ineligible_backoff;
        f.in_proposal = f.in_isr;
      }
      proposed_.reset();
      break;
    case AfterRefusal::await_metadata:
      if (mutant<"R53-forgets-what-may-have-been-recorded">()) {
        for (Follower& f : followers_) f.in_proposal = f.in_isr;
        proposed_.reset();
      }
      // Our epochs are old; the proposal may even have been recorded: the maximal ISR counts until we are told.
      break;
  }
}

IsrEffects IsrTracker::on_broker_facts(const BrokerFacts& facts, Instant now) {
  IsrEffects effects;
  Follower* f = find(facts.id);
  if (f == nullptr) return effects;
  // R56: who was away does not hold the high watermark back by what it once was: it must first show that it has caught
  // up with what was there when it came back.
  if (!f->in_isr && !f->in_proposal && !mutant<"R56-waits-for-who-once-was-in-sync">()) {
    const bool is_other_life = f->registered_epoch != facts.epoch;
    if (is_other_life && f->fetch_epoch != facts.epoch) forget_life(*f, now);
    const bool at_end = f->log_end_offset && *f->log_end_offset >= log_end_offset_;
    const bool returns = facts.eligible && !f->eligible;
    if ((is_other_life || returns) && !at_end) must_catch_up(*f, now);
  }
  f->registered_epoch = facts.epoch;
  f->eligible = facts.eligible;
  f->refused_until = {};
  propose(effects, Laggards::kept, now);
  advance(effects, now);
  check_invariants();
  return effects;
}

BrokerIds IsrTracker::isr() const {
  BrokerIds ids{leader_};
  for (const Follower& f : followers_) {
    if (f.in_isr) ids.push_back(f.id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

int IsrTracker::isr_size() const {
  return 1 + static_cast<int>(
                 std::count_if(followers_.begin(), followers_.end(), [](const Follower& f) { return f.in_isr; }));
}

int IsrTracker::effective_min_isr() const {
  return std::max(1, std::min(min_isr_, 1 + static_cast<int>(followers_.size()) - adding_));
}

std::optional<Offset> IsrTracker::low_watermark(Offset own) const {
  Offset low = own;
  for (const Follower& f : followers_) {
    if (!f.eligible) continue;
    if (!f.log_end_offset) return std::nullopt;
    low = std::min(low, f.log_start_offset);
  }
  return low;
}

std::optional<Offset> IsrTracker::follower_end(BrokerId id) const {
  const Follower* f = find(id);
  return f != nullptr ? f->log_end_offset : std::nullopt;
}

bool IsrTracker::is_waited_for(BrokerId id, Instant now) const {
  const Follower* f = find(id);
  return f != nullptr && (f->in_isr || f->in_proposal || joins_soon(*f, now));
}

BrokerIds IsrTracker::followers() const {
  BrokerIds ids;
  for (const Follower& f : followers_) ids.push_back(f.id);
  return ids;
}

IsrTracker::Follower* IsrTracker::find(BrokerId id) {
  for (Follower& f : followers_) {
    if (f.id == id) return &f;
  }
  return nullptr;
}

const IsrTracker::Follower* IsrTracker::find(BrokerId id) const {
  return const_cast<IsrTracker*>(this)->find(id);
}

Offset IsrTracker::counted_end(const Follower& f) const {
  const bool durable = counted_ == CountedEnd::durable && !mutant<"R47-counts-what-followers-have-not-synced">();
  return durable ? f.durable_offset : *f.log_end_offset;
}

Offset IsrTracker::own_counted_end() const {
  const bool durable = counted_ == CountedEnd::durable && !mutant<"R47-counts-what-the-leader-has-not-synced">();
  return durable ? durable_offset_ : log_end_offset_;
}

bool IsrTracker::caught_up(const Follower& f, Instant now) const {
  return now - f.caught_up_at <= lag_time_max_;
}

bool IsrTracker::joins_soon(const Follower& f, Instant now) const {
  const bool follows = !f.has_left || mutant<"R56-waits-for-who-has-left">();
  return f.log_end_offset && follows && f.eligible && caught_up(f, now) && !mutant<"R56-does-not-wait-for-who-joins">();
}

// R51, all of it. Also R41: the follower must have applied the very state of the partition that a proposal is compared
// with, so a position that an earlier life of the replica sent (removed and added again since) never lets it in.
bool IsrTracker::may_join(const Follower& f, Instant now) const {
  // With `flush.messages=1` it must have synced that much: those who have may leave once it is in (R40).
  const bool counted = f.log_end_offset && (counted_end(f) >= high_watermark_ ||
                                            (*f.log_end_offset >= high_watermark_ && mutant<"R51-joins-unsynced">()));
  const bool at_hw = f.log_end_offset && (counted || mutant<"R51-joins-below-the-hw">());
  const bool at_leso =
      f.log_end_offset && (*f.log_end_offset >= leader_epoch_start_offset_ || mutant<"R51-joins-below-the-leso">());
  const bool may_serve = f.eligible || mutant<"R51-joins-although-fenced">();
  const bool same_life =
      (f.registered_epoch && f.fetch_epoch == f.registered_epoch) || mutant<"R51-joins-under-another-broker-epoch">();
  const bool same_replica = f.seen_partition_epoch >= partition_epoch_ || mutant<"R41-joins-by-an-earlier-life">();
  const bool follows = !f.has_left || mutant<"R51-joins-although-it-has-left">();
  return !f.in_isr && at_hw && at_leso && may_serve && same_life && same_replica && follows && now >= f.refused_until &&
         caught_up(f, now);
}

// The controller's word replaces ours; it also ends whatever we had proposed, because a proposal is accepted only at
// the partition epoch that it names.
void IsrTracker::adopt(const RecordedPartition& recorded, Instant now) {
  NARU_CHECK(contains(recorded.isr, leader_), "the leader {} is not in its ISR", leader_);
  boost::container::small_vector<Follower, 2> kept;
  for (const BrokerId id : recorded.replicas) {
    if (id == leader_) continue;
    const Follower* known = find(id);
    Follower f = known != nullptr ? *known : Follower{.id = id};
    f.in_isr = contains(recorded.isr, id);
    // A member is given the whole lag time to speak to us; whoever is not must first show that it is caught up.
    if (known == nullptr) f.caught_up_at = f.in_isr ? now : now - lag_time_max_ - Duration(1);
    f.in_proposal = f.in_isr;
    // A member is never below the high watermark, unless its log was begun anew before we were told that it is none.
    const bool leaves = known != nullptr && known->in_isr && !f.in_isr;
    if (leaves && f.log_end_offset && *f.log_end_offset < high_watermark_ &&
        !mutant<"R56-waits-for-who-lost-what-it-had">())
      must_catch_up(f, now);
    kept.push_back(f);
  }
  followers_ = std::move(kept);
  partition_epoch_ = recorded.partition_epoch;
  recovery_ = recorded.recovery;
  adding_ = recorded.adding;
  proposed_.reset();
  resend_ = false;
}

void IsrTracker::must_catch_up(Follower& f, Instant now) const {
  f.caught_up_at = f.at_end_until = now - lag_time_max_ - Duration(1);
  f.position_at = now;
  f.end_at_position = log_end_offset_;
}

// A position of another life of its broker says nothing of the log that it has now.
void IsrTracker::forget_life(Follower& f, Instant now) const {
  f.log_end_offset.reset();
  must_catch_up(f, now);
}

// Our log end is about to move: whoever stands at it was caught up until now (R52).
void IsrTracker::note_end_left(Instant now) {
  for (Follower& f : followers_) {
    if (f.log_end_offset && *f.log_end_offset >= log_end_offset_) f.at_end_until = now;
  }
}

// R47, R48, R50, R56.
void IsrTracker::advance(IsrEffects& effects, Instant now) {
  if (!has_enough_replicas() && !mutant<"R48-commits-below-min-isr">())
    return;  // R48: below minISR the members that left are only safe if nothing new commits
  Offset reached = own_counted_end();
  for (const Follower& f : followers_) {
    const bool proposed = f.in_proposal && !mutant<"R47-ignores-who-is-proposed">();
    const bool recorded = f.in_isr && (f.in_proposal || !mutant<"R47-ignores-who-is-to-leave">());
    const bool counts = recorded || proposed || joins_soon(f, now);
    if (!counts) continue;
    if (!f.log_end_offset && mutant<"R47-ignores-who-is-silent">()) continue;
    if (!f.log_end_offset) return;  // a member that has not spoken in this epoch
    reached = std::min(reached, counted_end(f));
  }
  if (reached == high_watermark_ || (reached < high_watermark_ && !mutant<"R50-hw-falls">())) return;
  check_commit(reached);
  high_watermark_ = reached;
  effects.emplace_back(CommitUpTo{high_watermark_});
}

// At most one change at a time: everyone who may join is added and everyone who lags is dropped in one proposal; the
// maximal ISR keeps counting both sides until the controller has answered.
void IsrTracker::propose(IsrEffects& effects, Laggards laggards, Instant now) {
  if (proposed_ && !mutant<"R53-two-proposals-at-once">()) return;  // R53
  bool joins = false;
  bool leaves = false;
  for (Follower& f : followers_) {
    if (f.in_isr) {
      // R52; and at once when the metadata says fenced or gone, should the controller not have removed it itself.
      const bool stays =
          f.eligible && (laggards == Laggards::kept || caught_up(f, now) || mutant<"R52-keeps-laggards">());
      f.in_proposal = stays;
      leaves = leaves || !stays;
    } else {
      f.in_proposal =
          (recovery_ == Recovery::recovered || mutant<"R39-isr-grows-before-recovery">()) && may_join(f, now);
      joins = joins || f.in_proposal;
    }
  }
  if (!joins && !leaves) {
    if (recovery_ == Recovery::recovering) {
      // Only the leader is in the ISR after an unclean election; once it serves, it is the truth (R39, KIP-704).
      recovery_ = Recovery::recovered;
      proposed_ = proposal_of(partition_epoch_);
      effects.emplace_back(*proposed_);
    }
    return;
  }
  proposed_ = proposal_of(partition_epoch_);
  effects.emplace_back(*proposed_);
}

ProposeIsr IsrTracker::proposal_of(PartitionEpoch expected) const {
  ProposeIsr p{.isr = {{leader_, leader_broker_epoch_}}, .expected = expected};
  for (const Follower& f : followers_) {
    if (f.in_proposal) p.isr.push_back({f.id, f.fetch_epoch ? f.fetch_epoch : f.registered_epoch});
  }
  std::sort(p.isr.begin(), p.isr.end(), [](const IsrMember& a, const IsrMember& b) { return a.id < b.id; });
  return p;
}

// What acks=all means (R47, R48, R50), said once more where it is given.
void IsrTracker::check_commit(Offset reached) const {
  NARU_CHECK(reached > high_watermark_, "R50: high watermark from {} to {}", high_watermark_, reached);
  NARU_CHECK(isr_size() >= effective_min_isr(), "R48: {} committed by {} of {}", reached, isr_size(),
             effective_min_isr());
  for (const Follower& f : followers_) {
    NARU_CHECK(!(f.in_isr || f.in_proposal) || (f.log_end_offset && *f.log_end_offset >= reached),
               "R47: {} committed, but {} is at {}", reached, f.id, f.log_end_offset.value_or(Offset(-1)));
  }
}

void IsrTracker::check_invariants() const {
  NARU_CHECK(high_watermark_ <= log_end_offset_, "hw {} beyond log end {}", high_watermark_, log_end_offset_);
  NARU_CHECK(durable_offset_ <= log_end_offset_, "synced {} beyond log end {}", durable_offset_, log_end_offset_);
  for (const Follower& f : followers_) {
    NARU_CHECK(f.id != leader_, "the leader {} among its followers", leader_);
    NARU_CHECK(!f.log_end_offset || *f.log_end_offset <= log_end_offset_, "follower {} at {} beyond our end {}", f.id,
               *f.log_end_offset, log_end_offset_);
    NARU_CHECK(proposed_ || f.in_proposal == f.in_isr, "{} proposed without a proposal", f.id);
  }
}

}  // namespace broker::partition
