// The follower's part: what an answer of the leader does to the log.
#include <algorithm>
#include <chrono>
#include <utility>

#include "broker/partition/partition.h"
#include "broker/partition/partition_detail.h"
#include "common/model/mutant.h"

namespace broker::partition {

using common::model::mutant;

namespace {

constexpr std::chrono::seconds restart_retry{1};

}  // namespace

ReplicaPosition Partition::position() const {
  const LogFacts facts(*log_);
  FetchAsk ask = reconciler_ ? reconciler_->ask(facts)
                             : FetchAsk{.leader_epoch = leader_epoch_, .fetch_offset = log_->log_end_offset()};
  return {.ask = ask,
          .partition_epoch = partition_epoch_,
          .durable_offset = log_->flushed_offset(),  // also where nobody waits for it yet: that may change (D2)
          .log_start_offset = log_->log_start_offset()};
}

Applied Partition::apply(const LeaderAnswer& answer, BufferChain records) {
  const Applied outcome = take(answer, std::move(records));
  fetch_fails_ = outcome == Applied::back_off && role_ == Role::follower;
  return outcome;
}

Applied Partition::take(const LeaderAnswer& answer, BufferChain records) {
  check_on_shard();
  if (is_offline()) return Applied::back_off;
  if (restarting_) return Applied::busy;  // asked on a stream that began meanwhile; tell_position() comes at the end
  if (!reconciler_) return Applied::done;
  const LogFacts facts(*log_);
  const FollowerAction action = reconciler_->on_answer(answer, facts);
  if (std::holds_alternative<Ignore>(action)) return Applied::done;
  if (answer.differs) return refuse_own_copy();
  if (const auto* wait = std::get_if<AwaitMetadata>(&action)) {
    logger_.debug("leader {} answers {} to epoch {}", *leader_, wait->code, leader_epoch_);
    return Applied::await_metadata;
  }
  if (const auto* failed = std::get_if<Backoff>(&action)) {
    logger_.warn("leader {} answers {}: asks again later", *leader_, failed->code);
    return Applied::back_off;
  }
  if (const auto* cut = std::get_if<TruncateTo>(&action)) return truncate(cut->offset, answer);
  if (const auto* restart = std::get_if<RestartAt>(&action)) {
    restart_at(restart->offset);
    return Applied::busy;
  }

  leader_counts_synced_ = answer.counts_synced;
  if (!records.empty()) {
    const Offset before = log_->log_end_offset();
    const Result<common::log::AppendInfo> info = log_->append_as_follower(
        records, leader_epoch_, state_.clock.to_record(shard_.now(), shard_.clock().wall_now()));
    if (!info) {
      // Asked for again at once, for as long as a disk is full.
      if (const auto grant = refusal_lines_.ask(shard_.now()); grant.allowed) {
        logger_.warn("records of leader {} not appended at {}: {} {} ({} more like this since the last line)", *leader_,
                     log_->log_end_offset(), info.error().code, info.error().message, grant.suppressed);
      }
      return Applied::back_off;
    }
    counters_.replication_bytes_in += records.size();
    if (is_being_added(state_.self)) counters_.reassignment_bytes_in += records.size();
    // Compaction leaves gaps, also in a topic that is not compacted any more.
    if (info->first_offset > before && !settings_.cleaning) {
      logger_.warn("leader {} has nothing from {} to {}, though this topic is not compacted (now)", *leader_, before,
                   info->first_offset);
    }
  }
  apply_high_watermark(answer.asked.leader_epoch, answer.high_watermark, answer.log_start_offset);
  flush_if_needed();
  return Applied::done;
}

Applied Partition::truncate(Offset offset, const LeaderAnswer& answer) {
  const Offset before = log_->log_end_offset();
  const Stood stood = stands();
  end_read_.reset();
  is_vouched_for_ = false;
  const Result<Offset> end = log_->truncate_to(std::min(offset, before));
  const LogFacts facts(*log_);
  if (end && *end < before) {
    logger_.info("truncated from {} to {}: leader {} has epoch {} end at {}", before, *end, *leader_,
                 answer.diverging->epoch, answer.diverging->end_offset);
  }
  reconciler_->on_log_replaced(facts);  // also of a cut that got half way
  if (reconciler_->high_watermark() < high_watermark_) {
    logger_.warn("high watermark falls from {} to {} with the log", high_watermark_, reconciler_->high_watermark());
  }
  set_high_watermark(mutant<"R62-takes-the-hw-of-a-divergence">() ? answer.high_watermark
                                                                  : reconciler_->high_watermark());
  const bool is_noted = !must_note_cut(stood);
  if (!end) {
    logger_.error("truncation to {} failed: {} {}", offset, end.error().code, end.error().message);
    return Applied::back_off;
  }
  // R66: a truncation that leaves the same question would be answered the same way, for ever.
  if (reconciler_->ask(facts) == answer.asked) {
    logger_.error("truncation to {} left the divergence from leader {} in place", offset, *leader_);
    return Applied::back_off;
  }
  return is_noted ? Applied::done : Applied::busy;
}

Partition::Stood Partition::stands() const {
  return {log_->flushed_offset(), high_watermark_, log_->log_start_offset()};
}

// R71: a torn tail below the stored recovery point or high watermark would be taken for rot, and what comes below the
// stored log start for deleted, so those are lowered before anything comes where the log was cut.
bool Partition::must_note_cut(const Stood& before) {
  if (!lower_checkpoints_) return false;
  const Stood now = stands();
  const bool falls = !mutant<"R71-high-watermark-beyond-a-cut">();
  common::log::Ceilings most{.recovery_point = now.synced, .high_watermark = {}, .log_start = {}};
  if (now.high_watermark < before.high_watermark && falls) most.high_watermark = now.high_watermark;
  if (now.log_start < before.log_start && falls) most.log_start = now.log_start;
  if (now.synced >= before.synced && !most.high_watermark && !most.log_start) return false;
  restarting_ = true;
  lower_checkpoints_(most, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->go_on_after_cut();
  });
  return true;
}

void Partition::go_on_after_cut() {
  restarting_ = false;
  if (!log_) return;
  take_postponed();
  tell_position();
}

void Partition::restart_at(Offset offset) {
  logger_.warn("log starts over at {}, was [{}, {}): leader {} keeps nothing older", offset, log_->log_start_offset(),
               log_->log_end_offset(), *leader_);
  restarting_ = true;
  is_vouched_for_ = false;
  log_->truncate_fully_and_start_at(offset, [weak = weak_from_this(), before = stands()](Result<void> done) {
    if (const auto self = weak.lock()) self->on_restarted(std::move(done), before);
  });
}

void Partition::on_restarted(Result<void> done, const Stood& before) {
  restarting_ = false;
  if (!log_) return;
  if (!done && is_offline()) {
    logger_.error("log could not be started over: {} {}", done.error().code, done.error().message);
    return;
  }
  if (!done) {
    // The disk is full (R81): the log is as it was, and the leader's next answer will be the same.
    logger_.warn("log could not be started over, tried again in {} s: {} {}", restart_retry.count(), done.error().code,
                 done.error().message);
    take_postponed();
    restart_again_ = shard_.call_at(shard_.now() + restart_retry, [this] { tell_position(); });
    return;
  }
  differs_from_leader_ = false;
  if (reconciler_) reconciler_->on_log_replaced(LogFacts(*log_));
  set_high_watermark(std::clamp(high_watermark_, log_->log_start_offset(), log_->log_end_offset()));
  if (!must_note_cut(before)) go_on_after_cut();
}

// Whoever gave it has returned long ago, and has told nobody of a role that we did not have yet.
void Partition::take_postponed() {
  const std::optional<Assignment> postponed = std::exchange(postponed_, std::nullopt);
  if (!postponed) return;
  const LeaderEpoch epoch_before = leader_epoch_;
  const Role role_before = role_;
  assign(*postponed);
  if (on_late_role_ && (leader_epoch_ != epoch_before || role_ != role_before)) on_late_role_(shared_from_this());
}

void Partition::apply_high_watermark(LeaderEpoch leader_epoch, Offset high_watermark, Offset leader_log_start) {
  const bool other_epoch = leader_epoch != leader_epoch_ && !mutant<"R63-takes-the-hw-of-another-epoch">();
  if (!reconciler_ || restarting_ || other_epoch || is_offline()) return;
  is_vouched_for_ = true;  // no leader tells it before it has compared what we end with (R59)
  if (reconciler_->advance_to(high_watermark, LogFacts(*log_))) set_high_watermark(reconciler_->high_watermark());
  // Never past what we know to be committed (R82).
  const Offset start =
      mutant<"R82-follower-deletes-above-its-hw">() ? leader_log_start : std::min(leader_log_start, high_watermark_);
  if (start > log_->log_start_offset()) {
    log_->advance_log_start(start);
    tell_position();
  }
}

void Partition::note_what_counts(LeaderEpoch leader_epoch, bool synced) {
  if (!reconciler_ || restarting_ || leader_epoch != leader_epoch_ || is_offline()) return;
  leader_counts_synced_ = synced;
  flush_if_needed();  // there may be nothing more to come from the leader until this is synced
}

void Partition::set_position_observer(PositionObserver& observer, uint32_t slot) {
  position_observer_ = &observer;
  position_slot_ = slot;
}

void Partition::clear_position_observer(const PositionObserver& observer) {
  if (position_observer_ == &observer) position_observer_ = nullptr;
}

void Partition::tell_position() {
  if (position_observer_ != nullptr && !restarting_ && log_) position_observer_->on_position_changed(position_slot_);
}

}  // namespace broker::partition
