#include "broker/replication/follower_fetcher.h"

#include <utility>

#include "common/model/check.h"
#include "common/model/mutant.h"

namespace broker::replication {

using common::model::ErrorCode;
using common::model::fail;
using common::model::mutant;
using common::model::Result;

namespace {
constexpr size_t positions_per_frame = 4096;
// To look what a copy ends with takes tens of microseconds (a batch of a megabyte 200), opens its file where there are
// more logs than descriptors, and costs its leader as much: a thousand in one turn would be a pause for everybody.
constexpr size_t last_batches_per_frame = 64;
}  // namespace

FollowerFetcher::FollowerFetcher(FollowerFetchOptions options, std::function<void()> on_work)
    : options_(options), on_work_(std::move(on_work)) {}

FollowerFetcher::~FollowerFetcher() {
  for (const auto& slot : slots_) {
    if (slot) slot->replica->clear_position_observer(*this);
  }
}

void FollowerFetcher::follow(const TopicIdPartition& id, std::shared_ptr<partition::FollowerReplica> replica) {
  if (const auto known = by_id_.find(id); known != by_id_.end()) {
    if (slots_[known->second]->replica == replica) return on_position_changed(known->second);
    unfollow(id);
  }
  const auto number = static_cast<uint32_t>(slots_.size());
  slots_.push_back(std::make_unique<Slot>(Slot{.id = id, .replica = std::move(replica)}));
  by_id_.emplace(id, number);
  slots_.back()->replica->set_position_observer(*this, number);
  mark_dirty(number);
}

void FollowerFetcher::unfollow(const TopicIdPartition& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const uint32_t number = found->second;
  by_id_.erase(found);
  slots_[number]->replica->clear_position_observer(*this);
  if (slots_[number]->is_announced) {
    slots_[number].reset();
    to_close_.push_back(number);
    on_work_();
  } else {
    // The leader counts slots: one that it never heard of is opened and closed in one frame. See next_frame().
    to_close_.push_back(number);
    mark_dirty(number);
  }
}

Result<void> FollowerFetcher::on_frame(LeaderFrame frame, Instant now) {
  if (frame.sequence <= last_received_ && !mutant<"R23-follower-takes-frames-twice">()) return {};  // R23
  last_received_ = frame.sequence;
  for (SlotAnswer& answer : frame.answers) {
    if (auto r = apply(std::move(answer), now); !r) return r;
  }
  for (const SlotHighWatermark& said : frame.high_watermarks) {
    if (said.slot >= slots_.size())
      return fail(ErrorCode::invalid_request, "a high watermark of a slot that was never opened");
    if (Slot* slot = find(said.slot)) {
      slot->replica->note_what_counts(said.leader_epoch, said.counts_synced);
      slot->replica->apply_high_watermark(said.leader_epoch, said.high_watermark, said.log_start_offset);
    }
  }
  return {};
}

Result<void> FollowerFetcher::apply(SlotAnswer answer, Instant now) {
  if (answer.slot >= slots_.size())
    return fail(ErrorCode::invalid_request, "an answer for a slot that was never opened");
  Slot* slot = find(answer.slot);
  if (slot == nullptr) return {};  // closed meanwhile
  if (answer.number <= slot->answered || slot->busy)
    return fail(ErrorCode::invalid_request, "two answers for one position");
  slot->answered = answer.number;
  slot->owes_answer = true;
  if (answer.answer.diverging && !mutant<"R59-compares-before-the-cut-only">()) slot->owes_last_batch = true;
  switch (slot->replica->apply(answer.answer, std::move(answer.records))) {
    case partition::Applied::done:
      mark_dirty(answer.slot);
      break;
    case partition::Applied::busy:
      slot->busy = true;
      break;
    case partition::Applied::await_metadata:
      back_off(answer.slot, now + options_.metadata_patience);
      break;
    case partition::Applied::back_off:
      if (mutant<"R69-one-failure-ends-the-stream">()) return fail(ErrorCode::unknown_server_error, "failed");
      back_off(answer.slot, now + options_.backoff);
      break;
  }
  return {};
}

std::optional<FollowerFrame> FollowerFetcher::next_frame(Instant now) {
  resume_due(now);
  FollowerFrame frame;
  size_t taken = 0;
  size_t looked_at = 0;
  for (; taken < dirty_.size() && taken < positions_per_frame && looked_at < last_batches_per_frame; ++taken) {
    const uint32_t number = dirty_[taken];
    Slot* slot = find(number);
    if (slot == nullptr) continue;
    slot->dirty = false;
    if (!slot->is_announced) {
      slot->is_announced = true;
      frame.opened.push_back({.slot = number, .partition = slot->id});
    }
    const bool closing = !by_id_.contains(slot->id) || by_id_.at(slot->id) != number;
    if (closing) {
      slots_[number].reset();
      continue;
    }
    if (slot->busy || slot->resumes_at) continue;
    const partition::ReplicaPosition position = slot->replica->position();
    if (!slot->owes_answer && slot->sent == position) continue;
    std::optional<partition::BatchIdentity> last_batch;
    if (slot->owes_last_batch) {
      ++looked_at;
      const partition::LastBatch last = slot->replica->last_batch();
      if (!last.is_known) {
        slot->busy = true;
        continue;
      }
      last_batch = last.batch;
      slot->owes_last_batch = false;
    }
    slot->sent = position;
    slot->owes_answer = false;
    frame.positions.push_back(
        {.slot = number, .answers = slot->answered, .position = position, .last_batch = last_batch});
  }
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<std::ptrdiff_t>(taken));
  gives_way_ = looked_at == last_batches_per_frame && !dirty_.empty();
  if (dirty_.empty()) frame.closed = std::exchange(to_close_, {});  // after the slots that they close were opened
  if (frame.empty()) return std::nullopt;
  frame.sequence = ++last_sent_;
  return frame;
}

std::optional<Instant> FollowerFetcher::next_deadline() const {
  if (resumes_.empty()) return std::nullopt;
  return resumes_.begin()->first;
}

void FollowerFetcher::on_position_changed(uint32_t number) {
  Slot* slot = find(number);
  if (slot == nullptr) return;
  slot->busy = false;
  slot->resumes_at.reset();
  mark_dirty(number);
}

void FollowerFetcher::mark_dirty(uint32_t number) {
  Slot& slot = *slots_[number];
  if (slot.dirty) return;
  slot.dirty = true;
  dirty_.push_back(number);
  on_work_();
}

void FollowerFetcher::back_off(uint32_t number, Instant until) {
  slots_[number]->resumes_at = until;
  resumes_.emplace(until, number);
  on_work_();
}

void FollowerFetcher::resume_due(Instant now) {
  while (!resumes_.empty() && resumes_.begin()->first <= now) {
    const auto [at, number] = *resumes_.begin();
    resumes_.erase(resumes_.begin());
    Slot* slot = find(number);
    if (slot == nullptr || slot->resumes_at != at) continue;
    slot->resumes_at.reset();
    mark_dirty(number);
  }
}

}  // namespace broker::replication
