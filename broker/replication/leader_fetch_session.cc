#include "broker/replication/leader_fetch_session.h"

#include <algorithm>
#include <utility>

#include "common/model/check.h"
#include "common/model/mutant.h"

namespace broker::replication {

using common::model::ErrorCode;
using common::model::fail;
using common::model::mutant;
using common::model::Result;

namespace {

constexpr size_t high_watermarks_per_frame = 4096;

// Errors that may only mean that our metadata is behind the follower's.
bool may_be_behind(ErrorCode code) {
  return code == ErrorCode::unknown_leader_epoch || code == ErrorCode::not_leader_or_follower ||
         code == ErrorCode::unknown_topic_or_partition || code == ErrorCode::unknown_topic_id;
}

}  // namespace

LeaderFetchSession::LeaderFetchSession(FollowerHello follower, LeaderFetchOptions options, FindReplica find,
                                       std::function<void()> on_work)
    : follower_(std::move(follower)),
      options_(std::move(options)),
      find_(std::move(find)),
      on_work_(std::move(on_work)),
      self_(std::make_shared<LeaderFetchSession*>(this)) {
  bounds_[0].throttle = options_.throttle;
  bounds_[0].concerns = options_.is_throttled;
  if (!options_.follower_throttle) return;
  bounds_[1].throttle = options_.follower_throttle(follower_.node_id);
  bounds_[1].concerns = [this](const TopicIdPartition& id) { return options_.is_throttled_for(id, follower_.node_id); };
}

LeaderFetchSession::~LeaderFetchSession() {
  *self_ = nullptr;
  for (uint32_t n = 0; n < slots_.size(); ++n) {
    if (!slots_[n]) continue;
    give_back(*slots_[n]);
    if (slots_[n]->replica) slots_[n]->replica->detach(*this, n);
  }
}

Result<void> LeaderFetchSession::on_frame(const FollowerFrame& frame, Instant now) {
  last_heard_ = now;
  if (frame.sequence <= last_received_ && !mutant<"R23-leader-takes-frames-twice">()) return {};  // R23
  last_received_ = frame.sequence;
  for (const OpenSlot& opened : frame.opened) {
    if (auto r = open(opened); !r) return r;
  }
  for (const SlotPosition& said : frame.positions) {
    if (auto r = take(said); !r) return r;
  }
  for (const uint32_t number : frame.closed) {
    if (auto r = close(number); !r) return r;
  }
  return {};
}

std::optional<LeaderFrame> LeaderFetchSession::next_frame(Instant now) {
  LeaderFrame frame;
  size_t frame_bytes = 0;
  release_held_back(now);
  // One turn for each partition that is ready now; those that become ready again stand behind the others.
  for (size_t turns = ready_.size(); turns > 0 && frame_bytes < options_.frame_bytes && has_credit(); --turns) {
    const uint32_t number = ready_.front();
    ready_.pop_front();
    if (Slot* slot = find(number)) {
      if (Bound* bound = to_be_paid_first(*slot, now)) {
        bound->waiting.push_back(number);
        continue;
      }
      if (is_held_back(*slot, now)) {
        paced_.push_back(number);
        continue;
      }
      slot->in_ready_queue = false;
      answer(number, frame, frame_bytes, now);
    }
  }
  if (!high_watermarks_.empty()) {
    if (!high_watermarks_due_) high_watermarks_due_ = now + options_.high_watermark_delay;
    if (!frame.answers.empty() || now >= *high_watermarks_due_) collect_high_watermarks(frame);
  }
  if (frame.empty()) return std::nullopt;
  frame.sequence = ++last_sent_;
  return frame;
}

LeaderFetchSession::Bound* LeaderFetchSession::to_be_paid_first(const Slot& slot, Instant now) {
  if (slot.standing != Standing::matching || !slot.cold_records.empty()) return nullptr;
  for (Bound& bound : bounds_) {
    if (is_throttled(bound, slot) && !bound.throttle->may_send(now)) return &bound;
  }
  return nullptr;
}

// Those who waited for the pace or a throttle stand behind those who are ready.
void LeaderFetchSession::release_held_back(Instant now) {
  const auto release = [this](std::vector<uint32_t>& waiting) {
    ready_.insert(ready_.end(), waiting.begin(), waiting.end());
    waiting.clear();
  };
  if (has_paced_work(now)) release(paced_);
  if (!has_credit()) return;
  for (Bound& bound : bounds_) {
    if (!bound.waiting.empty() && bound.throttle->may_send(now)) release(bound.waiting);
  }
}

void LeaderFetchSession::on_throttle_changed() {
  bool any = false;
  for (Bound& bound : bounds_) {
    any = any || !bound.waiting.empty();
    ready_.insert(ready_.end(), bound.waiting.begin(), bound.waiting.end());
    bound.waiting.clear();
  }
  if (any) on_work_();
}

void LeaderFetchSession::on_log_end(uint32_t number) {
  const Slot* slot = find(number);
  if (slot != nullptr && slot->standing == Standing::matching) enqueue(number);
}

void LeaderFetchSession::on_high_watermark(uint32_t number) {
  note_high_watermark(number);
}

void LeaderFetchSession::on_role(uint32_t number) {
  Slot* slot = find(number);
  if (slot == nullptr) return;
  resolve(number);
  slot->standing = Standing::unknown;
  if (slot->has_position) judge(number);
}

void LeaderFetchSession::on_replica_created(const TopicIdPartition& partition) {
  std::vector<uint32_t> waiting;
  const auto [first, last] = unresolved_.equal_range(partition);
  for (auto i = first; i != last; ++i) waiting.push_back(i->second);
  for (const uint32_t number : waiting) on_role(number);
}

LeaderFetchSession::Slot* LeaderFetchSession::find(uint32_t number) {
  return number < slots_.size() ? slots_[number].get() : nullptr;
}

Result<void> LeaderFetchSession::open(const OpenSlot& opened) {
  // Numbers are given out in order, so that a slot is found by index and an old answer never meets a later partition.
  if (opened.slot != slots_.size()) return fail(ErrorCode::invalid_request, "slots must be opened in order");
  if (slots_.size() >= options_.slots_max) return fail(ErrorCode::invalid_request, "too many slots on one stream");
  slots_.push_back(std::make_unique<Slot>());
  slots_.back()->id = opened.partition;
  ++open_slots_;
  resolve(opened.slot);
  return {};
}

Result<void> LeaderFetchSession::close(uint32_t number) {
  Slot* slot = find(number);
  if (slot == nullptr) return fail(ErrorCode::invalid_request, "closes a slot that is not open");
  settle(*slot);
  give_up_cold_read(*slot);
  const std::shared_ptr<partition::LeaderReplica> replica = slot->replica;
  if (replica) replica->detach(*this, number);
  forget_unresolved(number);
  slots_[number].reset();
  --open_slots_;
  if (replica) replica->on_follower_left(follower_.node_id, follower_.broker_epoch);
  if (!ready_.empty()) on_work_();
  return {};
}

Result<void> LeaderFetchSession::take(const SlotPosition& said) {
  Slot* slot = find(said.slot);
  if (slot == nullptr) return fail(ErrorCode::invalid_request, "a position of a slot that is not open");
  if (said.answers > last_answer_) return fail(ErrorCode::invalid_request, "answers something that was not said");
  if (slot->unanswered != 0 && said.answers >= slot->unanswered) {
    slot->was_refused = slot->unanswered_bytes > 0 && slot->position.ask == said.position.ask &&
                        !mutant<"R69-fills-the-credit-with-what-is-refused">();
    settle(*slot);
    if (!ready_.empty()) on_work_();
  }
  // Records that were read, or are being read, are those that are asked for still: a sync of the follower's changes
  // nothing about that.
  if (!slot->has_position || slot->position.ask != said.position.ask) {
    ++slot->generation;
    slot->cold_records = {};
    if (slot->cold_read == 0) give_back(*slot);
  }
  slot->position = said.position;
  slot->has_position = true;
  if (said.last_batch && !mutant<"R59-does-not-compare-records">()) {
    slot->unverified = said.last_batch;
    slot->comparison = 0;
    slot->differs = false;
  }
  judge(said.slot);
  return {};
}

void LeaderFetchSession::resolve(uint32_t number) {
  Slot& slot = *slots_[number];
  std::shared_ptr<partition::LeaderReplica> found = find_(slot.id);
  if (found == slot.replica && found) return;
  forget_unresolved(number);
  if (slot.replica) slot.replica->detach(*this, number);
  give_up_cold_read(slot);
  slot.comparison = 0;
  slot.replica = std::move(found);
  if (slot.replica) {
    slot.replica->attach(*this, number);
  } else {
    unresolved_.emplace(slot.id, number);
  }
}

void LeaderFetchSession::forget_unresolved(uint32_t number) {
  const auto [first, last] = unresolved_.equal_range(slots_[number]->id);
  for (auto i = first; i != last; ++i) {
    if (i->second == number) {
      unresolved_.erase(i);
      return;
    }
  }
}

// Lets the last position count, if it may, and decides what the follower is to be told.
void LeaderFetchSession::judge(uint32_t number) {
  Slot& slot = *slots_[number];
  slot.standing = Standing::unknown;
  if (!slot.replica) return;
  const partition::ReplicaPosition& p = slot.position;
  // Emptied since, or there would be another one.
  if (slot.unverified && slot.unverified->last_offset >= p.ask.fetch_offset) slot.unverified.reset();
  const bool counts = (!slot.unverified && !slot.differs) || mutant<"R59-counts-what-was-not-compared">();
  slot.verdict = slot.replica->on_follower_position({.follower = follower_.node_id,
                                                     .broker_epoch = follower_.broker_epoch,
                                                     .leader_epoch = p.ask.leader_epoch,
                                                     .partition_epoch = p.partition_epoch,
                                                     .fetch_offset = p.ask.fetch_offset,
                                                     .durable_offset = p.durable_offset,
                                                     .log_start_offset = p.log_start_offset,
                                                     .is_unverified = !counts},
                                                    p.ask.last_epoch);
  if (may_be_behind(slot.verdict.error)) return;
  if (slot.verdict.error != ErrorCode::none || slot.verdict.diverging) {
    slot.standing = Standing::refused;
    enqueue(number);
    return;
  }
  if (slot.unverified) return compare(number);
  if (slot.differs) {
    slot.verdict.differs = true;
    slot.standing = Standing::refused;
    enqueue(number);
    return;
  }
  slot.standing = Standing::matching;
  const partition::LeaderView view = slot.replica->leader_view();
  if (p.ask.fetch_offset < view.log_end_offset) enqueue(number);
  if (!slot.knows(view)) note_high_watermark(number);
}

// Of each position that tells it: what follows from there on is what we have sent.
void LeaderFetchSession::compare(uint32_t number) {
  Slot& slot = *slots_[number];
  if (slot.comparison != 0) return;
  slot.comparison = ++last_comparison_;
  slot.replica->compare_batch(*slot.unverified, follower_.node_id,
                              [self = self_, number, comparison = slot.comparison](partition::Compared compared) {
                                if (*self != nullptr) (*self)->on_compared(number, comparison, compared);
                              });
}

void LeaderFetchSession::on_compared(uint32_t number, uint64_t comparison, partition::Compared compared) {
  Slot* slot = find(number);
  if (slot == nullptr || slot->comparison != comparison) return;
  slot->comparison = 0;
  if (compared != partition::Compared::too_late) {
    slot->unverified.reset();
    slot->differs = compared == partition::Compared::differs;
  }
  judge(number);
}

void LeaderFetchSession::settle(Slot& slot) {
  slot.unanswered = 0;
  bytes_unanswered_ -= std::exchange(slot.unanswered_bytes, 0);
}

void LeaderFetchSession::enqueue(uint32_t number) {
  Slot& slot = *slots_[number];
  // What is no feeding, such as a refusal, does not wait for a throttle, which may take minutes.
  const bool is_fed = slot.standing == Standing::matching && !slot.verdict.in_sync;
  if (!is_fed && slot.in_ready_queue) {
    for (Bound& bound : bounds_) {
      if (std::erase(bound.waiting, number) > 0) slot.in_ready_queue = false;
    }
  }
  if (slot.in_ready_queue || slot.unanswered != 0 || slot.cold_read != 0) return;
  slot.in_ready_queue = true;
  ready_.push_back(number);
  on_work_();
}

void LeaderFetchSession::note_high_watermark(uint32_t number) {
  Slot* slot = find(number);
  if (slot == nullptr || slot->standing != Standing::matching || slot->high_watermark_noted) return;
  slot->high_watermark_noted = true;
  high_watermarks_.push_back(number);
  if (!high_watermarks_due_) on_work_();  // else next_deadline() has been told
}

void LeaderFetchSession::answer(uint32_t number, LeaderFrame& frame, size_t& frame_bytes, Instant now) {
  Slot& slot = *slots_[number];
  if (slot.unanswered != 0 || slot.cold_read != 0 || slot.standing == Standing::unknown || !slot.replica) return;
  const partition::LeaderView view = slot.replica->leader_view();
  SlotAnswer answer{.slot = number, .number = last_answer_ + 1};
  answer.answer = {.asked = slot.position.ask,
                   .high_watermark = view.high_watermark,
                   .log_start_offset = view.log_start_offset,
                   .log_end_offset = view.log_end_offset,
                   .counts_synced = view.counts_synced};
  if (slot.standing == Standing::refused) {
    answer.answer.error = slot.verdict.error;
    answer.answer.diverging = slot.verdict.diverging;
    answer.answer.differs = slot.verdict.differs;
  } else if (slot.position.ask.fetch_offset >= view.log_end_offset || !fill(number, answer, now)) {
    return;
  }
  last_answer_ = answer.number;
  slot.unanswered = answer.number;
  slot.unanswered_bytes = answer.records.size();
  bytes_unanswered_ += slot.unanswered_bytes;
  // A single batch may be larger than what was to be read.
  const size_t paced = std::min(std::exchange(slot.paced_bytes, 0), slot.unanswered_bytes);
  if (is_paced(slot)) options_.pace->on_sent(slot.unanswered_bytes - paced, now);
  for (size_t i = 0; i < bounds; ++i) {
    const size_t prepaid = std::min(std::exchange(slot.prepaid_bytes[i], 0), slot.unanswered_bytes);
    pay(bounds_[i], slot, slot.unanswered_bytes - prepaid, now);
  }
  frame_bytes += slot.unanswered_bytes;
  if (answer.answer.has_records) slot.on_sent(view);
  frame.answers.push_back(std::move(answer));
}

void LeaderFetchSession::pay(Bound& bound, const Slot& slot, size_t bytes, Instant now) {
  if (!is_throttled(bound, slot)) return;
  bound.throttle->on_sent(bytes, now);
  bound.paid_until = bound.throttle->ready_at();
}

// Puts records, or the error of reading them, into the answer. false: nothing to say now.
bool LeaderFetchSession::fill(uint32_t number, SlotAnswer& answer, Instant now) {
  Slot& slot = *slots_[number];
  if (!slot.cold_records.empty()) {
    answer.records = std::exchange(slot.cold_records, {});
  } else {
    Result<partition::FollowerRead> read =
        slot.replica->read_for_follower(follower_.node_id, slot.position.ask.fetch_offset, read_bytes(slot));
    if (!read) {
      answer.answer.error = read.error().code;
      return true;
    }
    if (read->cold) {
      start_cold_read(number, now);
      return false;
    }
    answer.records = std::move(read->records);
  }
  answer.answer.has_records = !answer.records.empty();
  return answer.answer.has_records;
}

// Pace and throttle are paid here: else each of the partitions that they concern would have its records read, and hold
// them in memory until it is their turn.
void LeaderFetchSession::start_cold_read(uint32_t number, Instant now) {
  Slot& slot = *slots_[number];
  slot.cold_read = ++last_cold_read_;
  slot.reserved_bytes = read_bytes(slot);
  bytes_unanswered_ += slot.reserved_bytes;
  for (size_t i = 0; i < bounds; ++i) {
    slot.prepaid_bytes[i] = is_throttled(bounds_[i], slot) ? slot.reserved_bytes : 0;
    pay(bounds_[i], slot, slot.reserved_bytes, now);
  }
  slot.paced_bytes = is_paced(slot) ? slot.reserved_bytes : 0;
  if (slot.paced_bytes > 0) options_.pace->on_sent(slot.paced_bytes, now);
  slot.replica->read_cold_for_follower(
      follower_.node_id, slot.position.ask.fetch_offset, slot.reserved_bytes,
      [self = self_, number, read = slot.cold_read, generation = slot.generation](Result<BufferChain> records) {
        if (*self != nullptr) (*self)->on_cold_read(number, read, generation, std::move(records));
      });
}

void LeaderFetchSession::give_back(Slot& slot) {
  for (size_t i = 0; i < bounds; ++i) {
    const size_t prepaid = std::exchange(slot.prepaid_bytes[i], 0);
    if (prepaid > 0) bounds_[i].throttle->give_back(prepaid);
  }
  const size_t paced = std::exchange(slot.paced_bytes, 0);
  if (paced > 0) options_.pace->give_back(paced);
}

// The replica it reads has gone, and a log that is gone answers nothing. What is asked for next may be read of another
// one.
void LeaderFetchSession::give_up_cold_read(Slot& slot) {
  slot.cold_records = {};
  give_back(slot);
  if (std::exchange(slot.cold_read, 0) == 0) return;
  bytes_unanswered_ -= std::exchange(slot.reserved_bytes, 0);
  on_work_();  // whoever waits for the credit
}

void LeaderFetchSession::on_cold_read(uint32_t number, uint64_t read, uint64_t generation,
                                      Result<BufferChain> records) {
  Slot* slot = find(number);
  if (slot == nullptr || slot->cold_read != read) return;
  slot->cold_read = 0;
  bytes_unanswered_ -= std::exchange(slot->reserved_bytes, 0);
  const bool is_wanted = slot->generation == generation && slot->standing == Standing::matching;
  // Most partitions are smaller than what is read at once.
  const size_t found = is_wanted && records ? records->size() : 0;
  for (size_t i = 0; i < bounds; ++i) {
    size_t& prepaid = slot->prepaid_bytes[i];
    if (prepaid > found) bounds_[i].throttle->give_back(std::exchange(prepaid, found) - found);
  }
  if (slot->paced_bytes > found) options_.pace->give_back(std::exchange(slot->paced_bytes, found) - found);
  if (is_wanted) {
    if (records) {
      slot->cold_records = std::move(*records);
    } else {
      slot->standing = Standing::refused;
      slot->verdict = {.error = records.error().code};
    }
  }
  enqueue(number);
}

void LeaderFetchSession::collect_high_watermarks(LeaderFrame& frame) {
  const size_t count = std::min(high_watermarks_.size(), high_watermarks_per_frame);
  for (size_t i = high_watermarks_.size() - count; i < high_watermarks_.size(); ++i) {
    const uint32_t number = high_watermarks_[i];
    Slot* slot = find(number);
    if (slot == nullptr) continue;
    slot->high_watermark_noted = false;
    if (slot->standing != Standing::matching && !mutant<"R62-tells-the-hw-to-who-diverges">())
      continue;  // R62: a log that does not match ours learns no high watermark
    const partition::LeaderView view = slot->replica->leader_view();
    if (slot->knows(view)) continue;
    slot->on_sent(view);
    frame.high_watermarks.push_back({.slot = number,
                                     .leader_epoch = slot->position.ask.leader_epoch,
                                     .high_watermark = view.high_watermark,
                                     .log_start_offset = view.log_start_offset,
                                     .counts_synced = view.counts_synced});
  }
  high_watermarks_.resize(high_watermarks_.size() - count);
  if (high_watermarks_.empty()) high_watermarks_due_.reset();
}

}  // namespace broker::replication
