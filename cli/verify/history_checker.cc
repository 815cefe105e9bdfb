// The events; what is known only at the end is in history_verdict.cc.
#include "cli/verify/history_checker.h"

#include <algorithm>

#include "cli/verify/history_internal.h"

namespace cli::verify {
namespace {
// An offset beyond this would be a lie about the log.
constexpr int64_t offset_max = int64_t{1} << 50;
constexpr int32_t near_partitions = 1 << 16;
}  // namespace

HistoryChecker::Partition& HistoryChecker::partition_at(int32_t partition) {
  if (partition < 0 || partition >= near_partitions) return far_partitions_[partition];
  const auto index = static_cast<size_t>(partition);
  if (index >= partitions_.size()) partitions_.resize(index + 1);
  if (!partitions_[index]) partitions_[index] = std::make_unique<Partition>();
  return *partitions_[index];
}

ProducerRecords& HistoryChecker::producer(Partition& state, int32_t id) {
  auto& [last_id, last] = state.last_producer;
  if (last == nullptr || last_id != id) {
    last = &state.producers[id];
    last_id = id;
  }
  return *last;
}

Record* HistoryChecker::find(Partition& state, Value value) {
  if (value < 0) return nullptr;
  const int32_t id = producer_of(value);
  if (state.last_producer.second == nullptr || state.last_producer.first != id) {
    const auto it = state.producers.find(id);
    if (it == state.producers.end()) return nullptr;
    state.last_producer = {id, &it->second};
  }
  return state.last_producer.second->find(counter_of(value));
}

// Producing -----------------------------------------------------------------------------------------------------------

void HistoryChecker::sent(int32_t partition, Value value, int64_t transaction) {
  if (value < 0) return;
  Partition& state = partition_at(partition);
  ++verdict_.sent;
  if (first_sent_at_ < 0) first_sent_at_ = now_;
  if (state.last_ack < 0 && stopped_at_ < 0) state.last_ack = now_;
  Record* record = producer(state, producer_of(value)).add(counter_of(value));
  if (record == nullptr) return;  // sent again under the same number: one record
  record->floor = state.acknowledged_max;
  if (transaction != no_transaction) record->transaction = transactions_.find(transaction);
  if (record->transaction >= 0) ++transactions_[record->transaction].total;
  if (unknown_reads_.empty()) return;
  const auto seen = unknown_reads_.find({partition, value});
  if (seen == unknown_reads_.end()) return;
  add(Anomaly::early, true, "partition {} record {} was read at {} before it was sent", partition, value_text(value),
      seen->second.offset);
  record->was_read = true;
  unknown_reads_.erase(seen);
}

void HistoryChecker::count_ack(int32_t partition, Partition& state) {
  if (stopped_at_ >= 0) return;
  const int64_t step = now_ / ack_step;
  if (step < ack_steps_max) {
    if (static_cast<size_t>(step) >= acks_by_step_.size()) acks_by_step_.resize(static_cast<size_t>(step) + 1);
    ++acks_by_step_[static_cast<size_t>(step)];
  }
  const int64_t gap = now_ - state.last_ack;
  if (gap > state.longest_gap) state.longest_gap = gap;
  if (gap > window_.longest) window_ = {gap, partition};
  state.last_ack = now_;
}

void HistoryChecker::acknowledged(int32_t partition, Value value, int64_t offset) {
  Partition& state = partition_at(partition);
  ++verdict_.acknowledged;
  Record* record = find(state, value);
  if (record == nullptr) {
    add(Anomaly::phantom, true, "partition {} acknowledged record {} that was never sent", partition,
        value_text(value));
    return;
  }
  count_ack(partition, state);
  record->acknowledged = true;
  if (offset < 0 && promise_.acks == Promise::Acks::none) return;  // nobody asked where
  if (record->refused) {
    add(Anomaly::phantom, true, "partition {} record {} was refused, then acknowledged at {}", partition,
        value_text(value), offset);
  }
  if (offset < 0 && promise_.idempotent) return;  // what came after it is there, so it is, too; nobody heard where
  const bool to_all = promise_.acks == Promise::Acks::all;
  if (offset <= record->floor) {
    add(Anomaly::real_time, to_all,
        "partition {} record {} acknowledged at {}, after {} had been acknowledged before it was sent", partition,
        value_text(value), offset, record->floor);
  }
  state.acknowledged_max = std::max(state.acknowledged_max, offset);
  if (to_all && offset < offset_max) state.known_end = std::max(state.known_end, offset + 1);
  if (place(partition, state, offset, value, "an acknowledgement", true)) record->offset = offset;
}

void HistoryChecker::failed(int32_t partition, Value value, Failure failure) {
  ++verdict_.failed;
  Record* record = find(partition_at(partition), value);
  if (record == nullptr || failure == Failure::unknown || record->refused) return;
  record->refused = true;
  if (record->transaction >= 0) --transactions_[record->transaction].total;
}

void HistoryChecker::transaction_began(int64_t transaction, int32_t consumer) {
  if (transactions_.began(transaction, consumer)) ++verdict_.transactions;
}

void HistoryChecker::transaction_committing(int64_t transaction) {
  const int32_t index = transactions_.find(transaction);
  if (index >= 0) transactions_.ended(index, Transactions::State::committing);
}

void HistoryChecker::transaction_ended(int64_t transaction, Outcome outcome) {
  const int32_t index = transactions_.find(transaction);
  if (index < 0) return;
  transactions_.ended(index, outcome == Outcome::committed ? Transactions::State::committed
                             : outcome == Outcome::aborted ? Transactions::State::aborted
                                                           : Transactions::State::unknown);
}

// Reading -------------------------------------------------------------------------------------------------------------

bool HistoryChecker::place(int32_t partition, Partition& state, int64_t offset, Value value, std::string_view seen_by,
                           bool is_ack) {
  if (offset < 0 || offset > offset_max) {
    add(Anomaly::divergent, true, "partition {} offset {} by {}", partition, offset, seen_by);
    return false;
  }
  Value& held = state.at.at(offset);
  if (held == absent_value) held = value;
  if (held == value) return true;
  const Record* other = find(state, held);
  const bool promised = promise_.acks == Promise::Acks::all || (!is_ack && (other == nullptr || other->was_read));
  add(Anomaly::divergent, promised, "partition {} offset {} held record {}, and {} by {}", partition, offset,
      value_text(held), value_text(value), seen_by);
  if (!promised && !is_ack) held = value;
  return false;
}

void HistoryChecker::check_transaction(int32_t partition, const Record& record, Value value, int64_t offset) {
  if (!promise_.read_committed || transactions_[record.transaction].state != Transactions::State::open) return;
  add(Anomaly::early, true, "partition {} offset {} record {} was read before its transaction {} began to commit",
      partition, offset, value_text(value), transactions_[record.transaction].id);
}

Record* HistoryChecker::read_one(int32_t partition, Partition& state, int64_t offset, Value value,
                                 std::string_view seen_by) {
  place(partition, state, offset, value, seen_by, false);
  state.known_end = std::max(state.known_end, std::min(offset, offset_max) + 1);
  Record* record = find(state, value);
  if (record == nullptr) {
    if (value >= 0 && unknown_reads_.size() < unknown_reads_max) {
      UnknownRead& read = unknown_reads_[{partition, value}];  // it may be sent yet, which is another anomaly
      read.offset = offset;
      ++read.times;
    } else {
      add(Anomaly::phantom, true, "partition {} offset {} holds record {} that was never sent", partition, offset,
          value_text(value));
    }
    return nullptr;
  }
  if (record->refused) {
    add(Anomaly::phantom, true, "partition {} offset {} holds record {} that was refused", partition, offset,
        value_text(value));
    record->refused = false;  // said once
  }
  if (record->offset >= 0 && record->offset != offset) {
    add(Anomaly::duplicated, promise_.idempotent, "partition {} record {} at {} and at {}", partition,
        value_text(value), record->offset, offset);
  } else {
    record->offset = offset;
  }
  record->was_read = true;
  if (record->transaction >= 0) check_transaction(partition, *record, value, offset);
  return record;
}

void HistoryChecker::final_read(int32_t partition, int64_t offset, Value value) {
  ++verdict_.found;
  Partition& state = partition_at(partition);
  Record* record = read_one(partition, state, offset, value, "the final read");
  if (record == nullptr) return;
  if (!record->found && record->transaction >= 0) ++transactions_[record->transaction].visible;
  record->found = true;
  ProducerRecords& mine = producer(state, producer_of(value));
  if (record->counter < mine.last_found) {
    add(Anomaly::reordered, promise_.idempotent, "partition {} has record {} at {}, behind {}", partition,
        value_text(value), offset, value_text(make_value(producer_of(value), mine.last_found)));
  }
  mine.last_found = std::max(mine.last_found, record->counter);
}

void HistoryChecker::forget_below(int32_t partition, int64_t offset) {
  Partition& state = partition_at(partition);
  for (auto& [id, records] : state.producers) records.forget_below(offset);
  state.at.forget_below(offset);
}

void HistoryChecker::copied(int32_t partition, int32_t replica, int64_t offset, uint64_t hash, int32_t leader_epoch) {
  if (offset < 0 || offset > offset_max) return;
  ++verdict_.copied;
  partition_at(partition).copies.copied(replica, offset, hash, leader_epoch);
}

void HistoryChecker::copy_ended(int32_t partition, int32_t replica, int64_t log_start, int64_t high_watermark) {
  partition_at(partition).copies.ended(replica, log_start, high_watermark);
}

// Consumers and groups ------------------------------------------------------------------------------------------------

void HistoryChecker::member(int32_t consumer, int32_t group) {
  if (group < 0 || group >= groups_max) return;
  groups_[consumer] = group;
  groups_used_ |= static_cast<uint8_t>(1U << group);
}

int32_t HistoryChecker::group_of(int32_t consumer) const {
  if (groups_.empty()) return 0;
  const auto it = groups_.find(consumer);
  return it == groups_.end() ? 0 : it->second;
}

void HistoryChecker::assigned(int32_t consumer, int32_t partition, int32_t generation) {
  Partition& state = partition_at(partition);
  const int32_t group = group_of(consumer);
  state.positions[consumer] = {.next = std::nullopt, .floor = offsets_.floor({group, partition})};
  std::erase_if(state.owners, [&](const Owner& owner) { return owner.consumer == consumer; });
  if (generation < 0) return;
  for (const Owner& owner : state.owners) {
    if (owner.group != group || owner.generation != generation) continue;
    add(Anomaly::double_owner, true, "partition {} belongs to consumers {} and {} in generation {}", partition,
        owner.consumer, consumer, generation);
  }
  state.owners.push_back({group, consumer, generation});
}

void HistoryChecker::revoked(int32_t consumer, int32_t partition) {
  Partition& state = partition_at(partition);
  state.positions.erase(consumer);
  std::erase_if(state.owners, [&](const Owner& owner) { return owner.consumer == consumer; });
}

void HistoryChecker::check_position(int32_t consumer, int32_t partition, Partition& state, int64_t offset) {
  Position& position = state.positions[consumer];
  if (position.floor) {
    // A commit that has begun since may be lower, and be what the new owner was given.
    const int64_t least = std::min(*position.floor, offsets_.floor({group_of(consumer), partition}).value_or(0));
    position.floor.reset();
    if (offset < least) {
      add(Anomaly::commit_regress, true, "consumer {} began partition {} at {}, and {} had been committed", consumer,
          partition, offset, least);
    }
  }
  if (position.next && offset < *position.next) {
    add(Anomaly::backwards, true, "consumer {} was at {} of partition {} and got {}", consumer, *position.next,
        partition, offset);
  } else if (position.next && offset > *position.next) {
    state.jumps.push_back({consumer, *position.next, offset});  // harmless where no record lies in between
  }
  position.next = offset + 1;
}

void HistoryChecker::polled(int32_t consumer, int32_t partition, int64_t offset, Value value) {
  ++verdict_.polled;
  const int32_t group = group_of(consumer);
  groups_used_ |= static_cast<uint8_t>(1U << group);
  Partition& state = partition_at(partition);
  if (offset >= 0 && offset <= offset_max) check_position(consumer, partition, state, offset);
  Record* record = read_one(partition, state, offset, value, "a consumer");
  if (record == nullptr) return;
  record->polled |= static_cast<uint8_t>(1U << group);
  if (record->transaction >= 0) transactions_.read(consumer, record->transaction);
}

bool HistoryChecker::commit_began(int64_t call, int32_t group, int32_t partition, int64_t offset) {
  return offsets_.commit_began(call, {group, partition}, offset);
}

bool HistoryChecker::commit_acknowledged(int64_t call) {
  ++verdict_.commits;
  return offsets_.commit_acknowledged(call);
}

bool HistoryChecker::commit_failed(int64_t call, Failure failure) {
  return offsets_.commit_failed(call, failure);
}

bool HistoryChecker::commit_fetch_began(int64_t call, int32_t group, int32_t partition) {
  return offsets_.fetch_began(call, {group, partition});
}

bool HistoryChecker::commit_fetch_answered(int64_t call, int64_t offset) {
  std::optional<GroupOffsets::Regress> regress;
  if (!offsets_.fetch_answered(call, offset, regress)) return false;
  ++verdict_.commits_fetched;
  if (regress) {
    add(Anomaly::commit_regress, true, "group {} partition {}: {} was committed, and {} is told", regress->key.group,
        regress->key.partition, regress->floor, regress->answer < 0 ? "none" : fmt::format("{}", regress->answer));
  }
  return true;
}

// Looking -------------------------------------------------------------------------------------------------------------

bool HistoryChecker::end_asked(int64_t call, int32_t partition) {
  return end_calls_.try_emplace(call, EndCall{partition, partition_at(partition).known_end}).second;
}

bool HistoryChecker::end_answered(int64_t call, int64_t offset) {
  const auto it = end_calls_.find(call);
  if (it == end_calls_.end()) return false;
  const EndCall asked = it->second;
  end_calls_.erase(it);
  ++verdict_.ends_asked;
  Partition& state = partition_at(asked.partition);
  if (offset < asked.floor) {
    add(Anomaly::stale, true, "partition {} is said to end at {}, and had reached {} before", asked.partition, offset,
        asked.floor);
  }
  if (offset <= offset_max) state.known_end = std::max(state.known_end, offset);
  return true;
}

void HistoryChecker::leader_seen(int32_t partition, int32_t leader, int32_t leader_epoch) {
  if (leader < 0 || leader_epoch < 0) return;
  std::map<int32_t, int32_t>& leaders = partition_at(partition).leaders;
  if (!leaders.empty() && leader_epoch > leaders.rbegin()->first && leader != leaders.rbegin()->second)
    ++verdict_.leader_changes;
  const auto [it, first] = leaders.try_emplace(leader_epoch, leader);
  if (it->second == leader) return;
  add(Anomaly::leader_epoch, true, "partition {} epoch {} is led by {} and by {}", partition, leader_epoch, it->second,
      leader);
}

// Gaps, apart ---------------------------------------------------------------------------------------------------------

void GapMeter::acknowledged(int32_t partition, int64_t now) {
  const auto [it, first] = last_.try_emplace(partition, now);
  const int64_t gap = now - it->second;
  if (!first && gap > worst_.longest) worst_ = {gap, partition};
  it->second = now;
}

GapMeter::Gap GapMeter::mark(int64_t now) {
  for (const auto& [partition, last] : last_) {
    if (now - last > worst_.longest) worst_ = {now - last, partition};
  }
  const Gap ended = worst_;
  worst_ = {};
  return ended;
}

}  // namespace cli::verify
