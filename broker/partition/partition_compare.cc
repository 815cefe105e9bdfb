// Whether a follower's copy and the leader's hold the same records (R59). Epochs and offsets alone do not say so where
// a file of another partition has come to lie in the place of one of ours: what both copies end with is compared once
// in the life of a follower's process, and after each cut. Not with each new leader: where nothing was written for long
// the batch lies on the medium, and what waits for a failover would wait for that.
#include <utility>

#include "broker/partition/partition.h"
#include "broker/partition/partition_detail.h"
#include "common/records/batch.h"

namespace broker::partition {

namespace {

// None: nothing can be concluded from it. Compaction takes records out of a batch, or notes in it when it may, and each
// replica compacts when it likes.
std::optional<BatchIdentity> identity_of(const Result<common::log::ReadResult>& read) {
  if (!read) return std::nullopt;
  const Buffer bytes = read->records.flatten();
  const auto batch = common::records::BatchView::parse(bytes.view());
  if (!batch || batch->record_count() != batch->last_offset_delta() + 1 || batch->delete_horizon()) return std::nullopt;
  return BatchIdentity{.base_offset = batch->base_offset(),
                       .last_offset = batch->last_offset(),
                       .leader_epoch = batch->leader_epoch(),
                       .checksum = batch->crc()};
}

}  // namespace

bool Partition::may_be_rewritten(Offset base_offset) const {
  return settings_.cleaning.has_value() || base_offset < log_->cleaned_offset();
}

// ---- the follower ----

LastBatch Partition::last_batch() {
  check_on_shard();
  if (is_offline()) return {};
  if (restarting_) return {.is_known = false, .batch = {}};
  if (is_vouched_for_) return {};
  if (log_->log_end_offset() == log_->log_start_offset()) return {};
  const Offset end = log_->log_end_offset();
  const auto is_read = [&] { return end_read_ && end_read_->end == end; };
  if (!is_read() && !is_reading_end_) {
    end_read_.reset();
    log_->read_any({.from = end - 1, .limit = end, .max_bytes = 1},
                   [weak = weak_from_this(), end](const Result<common::log::ReadResult>& read) {
                     if (const auto self = weak.lock()) self->on_end_read(end, identity_of(read));
                   });
    is_reading_end_ = !is_read();
  }
  if (!is_read()) return {.is_known = false, .batch = {}};
  return {.is_known = true, .batch = std::exchange(end_read_, std::nullopt)->batch};
}

void Partition::on_end_read(Offset end, std::optional<BatchIdentity> batch) {
  if (!log_) return;
  if (batch && may_be_rewritten(batch->base_offset)) batch.reset();
  end_read_ = EndRead{end, batch};
  if (std::exchange(is_reading_end_, false)) tell_position();  // not from within last_batch()
}

// Nothing says which of both copies is the wrong one. It is this one as a rule, of a broker that was away; but what it
// holds is not deleted.
Applied Partition::refuse_own_copy() {
  if (std::exchange(differs_from_leader_, true)) return Applied::back_off;
  logger_.error(
      "the last batch here, before offset {}, is not the one that leader {} has there in the same leader epoch: one of "
      "both copies has a file of another partition. This one is set aside as {}*-damaged and made anew from the "
      "leader. Nobody deletes it: if it is the leader's that is wrong, the records are there",
      log_->log_end_offset(), *leader_, log_->path());
  log_->note_damage(fmt::format("what it ends with, before offset {}, is not what leader {} has there",
                                log_->log_end_offset(), *leader_));
  return Applied::back_off;
}

// ---- the leader ----

void Partition::compare_batch(BatchIdentity theirs, BrokerId follower, std::function<void(Compared)> done) {
  check_on_shard();
  if (is_offline() || !tracker_) return done(Compared::too_late);
  const bool is_here = theirs.last_offset >= log_->log_start_offset() && theirs.last_offset < log_->log_end_offset();
  if (!is_here || may_be_rewritten(theirs.base_offset)) return done(Compared::nothing_against);
  log_->read_any({.from = theirs.last_offset, .limit = log_->log_end_offset(), .max_bytes = 1},
                 [weak = weak_from_this(), epoch = leader_epoch_, theirs, follower,
                  done = std::move(done)](const Result<common::log::ReadResult>& read) {
                   const auto self = weak.lock();
                   if (!self) return;
                   if (!self->tracker_ || self->leader_epoch_ != epoch) return done(Compared::too_late);
                   done(self->compared(identity_of(read), theirs, follower));
                 });
}

// What is of another leader epoch is told apart by epochs. Where compaction has left a gap the read goes on behind it.
Compared Partition::compared(const std::optional<BatchIdentity>& ours, const BatchIdentity& theirs,
                             BrokerId follower) const {
  if (!ours || ours->leader_epoch != theirs.leader_epoch || *ours == theirs) return Compared::nothing_against;
  if (ours->base_offset > theirs.last_offset) return Compared::nothing_against;
  logger_.error(
      "the last batch of follower {}, offsets {} to {}, is not the one that lies here (offsets {} to {}) in the same "
      "leader epoch {}: one of both copies has a file of another partition. The follower's does not count, and is set "
      "aside",
      follower, theirs.base_offset, theirs.last_offset, ours->base_offset, ours->last_offset, theirs.leader_epoch);
  return Compared::differs;
}

}  // namespace broker::partition
