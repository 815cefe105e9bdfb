// What the history checker knows only when everything has been told.
#include <algorithm>

#include "cli/verify/history_checker.h"
#include "cli/verify/history_internal.h"

namespace cli::verify {
namespace {
constexpr int64_t second_us = 1'000'000;
}

void HistoryChecker::fault_began(std::string name) {
  close_fault_window();
  faults_.push_back({.name = std::move(name), .began = now_, .ended = -1, .gap = {}});
}

void HistoryChecker::fault_ended() {
  if (!faults_.empty()) faults_.back().ended = now_;
}

// A gap that is still open counts in the window that ends, and in the next.
void HistoryChecker::close_fault_window() {
  if (stopped_at_ < 0) {
    for_each_partition([&](int32_t number, const Partition& state) {
      if (state.last_ack >= 0 && now_ - state.last_ack > window_.longest) window_ = {now_ - state.last_ack, number};
    });
  }
  if (!faults_.empty()) faults_.back().gap = window_;
  window_ = {};
}

void HistoryChecker::producing_stopped() {
  if (stopped_at_ >= 0) return;
  close_fault_window();
  for_each_partition([&](int32_t, Partition& state) {
    if (state.last_ack >= 0) state.longest_gap = std::max(state.longest_gap, now_ - state.last_ack);
  });
  stopped_at_ = now_;
}

size_t HistoryChecker::bytes() const {
  size_t all = static_cast<size_t>(verdict_.sent) * sizeof(Record);
  const auto add_one = [&](const Partition& state) {
    constexpr size_t producer_bytes = 1200;  // an empty deque, and a node
    all += sizeof(Partition) + state.at.pages() * decltype(state.at)::page_bytes() + state.copies.bytes() +
           state.producers.size() * producer_bytes + state.jumps.size() * sizeof(Jump);
  };
  for (const auto& state : partitions_) {
    if (state) add_one(*state);
  }
  for (const auto& [number, state] : far_partitions_) add_one(state);
  return all;
}

void HistoryChecker::finish_record(int32_t partition, const Partition& state, Value value, const Record& record,
                                   Consumers consumers) {
  const Transactions::State transaction =
      record.transaction < 0 ? Transactions::State::committed : transactions_[record.transaction].state;
  if (transaction == Transactions::State::aborted && record.was_read && promise_.read_committed) {
    add(Anomaly::aborted, true, "partition {} record {} at {} was read, and its transaction {} was aborted", partition,
        value_text(value), record.offset, transactions_[record.transaction].id);
  }
  if (!record.acknowledged) {
    if (!record.refused) ++verdict_.unknown;
    return;
  }
  const bool must_be_there =
      transaction == Transactions::State::committed && (record.offset < 0 || record.offset >= state.log_start);
  if (!record.found && must_be_there && has_final_read_) {
    add(Anomaly::lost, promise_.acks == Promise::Acks::all,
        "partition {} record {} was acknowledged at {} and is not there", partition, value_text(value), record.offset);
  }
  if (consumers == Consumers::none || !record.found) return;
  const auto missing = static_cast<uint8_t>((groups_used_ == 0 ? 1 : groups_used_) & ~record.polled);
  for (int group = 0; group < groups_max; ++group) {
    if ((missing >> group & 1) == 0) continue;
    add(Anomaly::unseen, true, "partition {} record {} at {} reached no consumer{}", partition, value_text(value),
        record.offset, group == 0 ? std::string() : fmt::format(" of group {}", group));
  }
}

void HistoryChecker::finish_partition(int32_t partition, Partition& state) {
  // Acknowledged alone does not make a record visible when its transaction was aborted.
  const auto is_visible = [&](Value value) {
    const Record* record = find(state, value);
    return record != nullptr && (record->was_read || (record->acknowledged && record->transaction < 0));
  };
  for (const Jump& jump : state.jumps) {
    if (!state.at.any_in(jump.from, jump.to, is_visible)) continue;
    add(Anomaly::skipped, true, "consumer {} was at {} of partition {} and got {}", jump.consumer, jump.from, partition,
        jump.to);
  }
  state.copies.judge(
      [&](Anomaly anomaly, const std::string& what) { add(anomaly, true, "partition {}: {}", partition, what); });
  if (state.longest_gap > 0) verdict_.gaps[partition] = state.longest_gap;
}

void HistoryChecker::finish_transactions() {
  for (const Transactions::Transaction& transaction : transactions_.all()) {
    if (!has_final_read_) break;
    if (transaction.visible == 0 || transaction.visible == transaction.total) continue;
    if (transaction.state == Transactions::State::open || transaction.state == Transactions::State::aborted)
      continue;  // each of its records was counted as early or aborted
    add(Anomaly::torn, true, "{} of {} records of transaction {} are visible", transaction.visible, transaction.total,
        transaction.id);
  }
  for (const std::vector<int64_t>& cycle : transactions_.cycles()) {
    add(Anomaly::cycle, true, "{} transactions read from each other, among them {} and {}", cycle.size(), cycle[0],
        cycle[1]);
  }
}

// None: too little time for a rate that says anything.
std::optional<double> HistoryChecker::acks_per_second(int64_t from, int64_t to) const {
  constexpr int64_t least = second_us / 2 / ack_step;
  const int64_t first = (std::max(from, first_sent_at_) + ack_step - 1) / ack_step;
  const int64_t last = to / ack_step;
  if (first_sent_at_ < 0 || last - first < least || last > ack_steps_max) return std::nullopt;
  int64_t acks = 0;
  for (int64_t step = first; step < std::min(last, static_cast<int64_t>(acks_by_step_.size())); ++step)
    acks += acks_by_step_[static_cast<size_t>(step)];
  return static_cast<double>(acks) * second_us / static_cast<double>((last - first) * ack_step);
}

// Before each fault, and after it once writes went on again and what had been waiting for that was done; neither in the
// time of another fault.
void HistoryChecker::finish_faults() {
  constexpr int64_t look = 5 * second_us;
  constexpr int64_t settling = second_us / 2;
  int64_t quiet_since = 0;
  for (size_t i = 0; i < faults_.size(); ++i) {
    const Fault& fault = faults_[i];
    const int64_t quiet_until = i + 1 < faults_.size() ? faults_[i + 1].began : stopped_at_;
    const int64_t quiet_before = std::max(quiet_since, fault.began - look);
    quiet_since = std::max(fault.ended, fault.began + fault.gap.longest + settling);
    verdict_.faults.push_back(
        {.name = fault.name,
         .began = fault.began,
         .gap = fault.gap,
         .acks_per_second_before = acks_per_second(quiet_before, fault.began),
         .acks_per_second_after = acks_per_second(quiet_since, std::min(quiet_since + look, quiet_until))});
  }
}

void HistoryChecker::finish_requirements(const Requirements& requirements) {
  const int64_t time = std::max(verdict_.microseconds, second_us);
  const double rate = static_cast<double>(verdict_.acknowledged) * second_us / static_cast<double>(time);
  if (rate < static_cast<double>(requirements.acks_per_second)) {
    verdict_.invalid.push_back(
        fmt::format("{:.1f} acknowledgements a second, fewer than {}", rate, requirements.acks_per_second));
  }
  if (static_cast<int64_t>(faults_.size()) < requirements.faults)
    verdict_.invalid.push_back(fmt::format("{} faults, fewer than {}", faults_.size(), requirements.faults));
  if (verdict_.leader_changes < requirements.leader_changes) {
    verdict_.invalid.push_back(
        fmt::format("{} changes of a leader, fewer than {}", verdict_.leader_changes, requirements.leader_changes));
  }
}

Verdict HistoryChecker::finish(Consumers consumers, const Requirements& requirements) {
  producing_stopped();
  if (first_sent_at_ >= 0) verdict_.microseconds = stopped_at_ - first_sent_at_;
  for (const auto& [where, read] : unknown_reads_) {
    for (int64_t i = 0; i < read.times; ++i) {
      add(Anomaly::phantom, true, "partition {} offset {} holds record {} that was never sent", where.first,
          read.offset, value_text(where.second));
    }
  }
  for_each_partition([&](int32_t number, Partition& state) {
    for (auto& [id, records] : state.producers) {
      records.for_each([&, producer = id](const Record& record) {
        finish_record(number, state, make_value(producer, record.counter), record, consumers);
      });
    }
    finish_partition(number, state);
  });
  finish_transactions();
  finish_faults();
  finish_requirements(requirements);
  return verdict_;
}

}  // namespace cli::verify
