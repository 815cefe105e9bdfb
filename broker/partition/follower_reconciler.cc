#include "broker/partition/follower_reconciler.h"

#include <algorithm>

#include "common/model/mutant.h"

namespace broker::partition {

using common::model::ErrorCode;
using common::model::mutant;
using common::model::Offset;

std::optional<EpochEnd> find_divergence(const LogView& leader, common::model::LeaderEpoch last_epoch,
                                        Offset fetch_offset) {
  const std::optional<EpochEnd> ours = leader.end_offset_for(last_epoch);
  if (mutant<"R61-never-diverges">()) return std::nullopt;
  const bool same_epoch = ours && (ours->epoch >= last_epoch || mutant<"R61-compares-ends-only">());
  const bool same_end = ours && (ours->end_offset >= fetch_offset || mutant<"R61-compares-epochs-only">());
  if (!ours || (same_epoch && same_end)) return std::nullopt;
  return ours;
}

FetchAsk FollowerReconciler::ask(const LogView& log) const {
  return {.leader_epoch = leader_epoch_, .fetch_offset = log.log_end_offset(), .last_epoch = log.latest_epoch()};
}

FollowerAction FollowerReconciler::on_answer(const LeaderAnswer& answer, const LogView& log) const {
  // R63: it answers a question that we would no longer ask.
  if (answer.asked != ask(log) && !mutant<"R63-applies-any-answer">())
    return Ignore{"not an answer to where the log stands now"};
  switch (answer.error) {
    case ErrorCode::none:
      break;
    case ErrorCode::offset_out_of_range:
      // R67: the leader has deleted what we lack. Nothing of ours below its log start can be joined to it.
      if (log.log_end_offset() < answer.log_start_offset && !mutant<"R67-waits-below-the-log-start">())
        return RestartAt{answer.log_start_offset};
      // Only a log without any epoch gets here with an end beyond the leader's (else the answer is a divergence): it
      // holds no records, so beginning anew at the leader's end loses nothing.
      if (log.log_end_offset() > answer.log_end_offset && !log.latest_epoch()) return RestartAt{answer.log_end_offset};
      return Backoff{answer.error};
    case ErrorCode::fenced_leader_epoch:
    case ErrorCode::unknown_leader_epoch:
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::unknown_topic_id:
    case ErrorCode::inconsistent_topic_id:
      return AwaitMetadata{answer.error};
    default:
      return Backoff{answer.error};
  }
  if (answer.diverging && mutant<"R59-truncates-to-the-hw">()) return TruncateTo{high_watermark_};
  if (answer.diverging && !mutant<"R59-appends-after-a-divergence">()) return on_diverging(*answer.diverging, log);
  return Append{};
}

// R60: cut to min(leader's end of its epoch, our end of the largest epoch that we know at or below it, our log end),
// and ask again: the leader compares anew from there, which is the repetition that KIP-279 asks for.
FollowerAction FollowerReconciler::on_diverging(const EpochEnd& leader, const LogView& log) const {
  const std::optional<EpochEnd> own = log.end_offset_for(leader.epoch);
  // We know nothing that old: all that we hold is of epochs that the leader does not have there.
  if (!own) return TruncateTo{log.log_start_offset()};
  Offset to = std::min(own->end_offset, log.log_end_offset());
  if (own->epoch == leader.epoch && !mutant<"R60-keeps-more-than-the-leader">()) to = std::min(to, leader.end_offset);
  if (mutant<"R60-takes-the-leaders-end">()) to = std::max(leader.end_offset, log.log_start_offset());
  // The leader's epoch ended before our log begins: nothing here can be joined to it.
  if (to < log.log_start_offset()) return RestartAt{to};
  return TruncateTo{to};
}

bool FollowerReconciler::advance_to(Offset leader_high_watermark, const LogView& log) {
  Offset reached = std::min(leader_high_watermark, log.log_end_offset());
  if (mutant<"R65-hw-beyond-its-log">()) reached = leader_high_watermark;
  if (reached <= high_watermark_) return false;
  high_watermark_ = reached;
  return true;
}

void FollowerReconciler::on_log_replaced(const LogView& log) {
  if (!mutant<"R66-truncation-leaves-the-hw">())
    high_watermark_ = std::clamp(high_watermark_, log.log_start_offset(), log.log_end_offset());
}

}  // namespace broker::partition
