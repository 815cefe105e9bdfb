#include "cli/verify/history_checker.h"

#include <algorithm>

#include <fmt/format.h>

namespace cli::verify {
namespace {
constexpr size_t examples_max = 20;
// A record at an offset beyond this would be a lie about the log, not a place to allocate for.
constexpr int64_t offset_max = int64_t{1} << 32;
}  // namespace

std::string_view to_string(Anomaly anomaly) {
  switch (anomaly) {
    case Anomaly::lost:
      return "lost";
    case Anomaly::duplicated:
      return "duplicated";
    case Anomaly::reordered:
      return "reordered";
    case Anomaly::divergent:
      return "divergent";
    case Anomaly::phantom:
      return "phantom";
    case Anomaly::real_time:
      return "real_time";
    case Anomaly::unseen:
      return "unseen";
    case Anomaly::skipped:
      return "skipped";
  }
  return "?";
}

void HistoryChecker::add(Anomaly anomaly, std::string what) {
  ++verdict_.anomalies[anomaly];
  if (verdict_.examples.size() < examples_max)
    verdict_.examples.push_back(fmt::format("{}: {}", to_string(anomaly), what));
}

void HistoryChecker::sent(int32_t partition, Value value) {
  Partition& state = partitions_[partition];
  Record record;
  record.floor = state.acknowledged_max;
  state.records.emplace(value, record);
  ++verdict_.sent;
}

void HistoryChecker::acknowledged(int32_t partition, Value value, int64_t offset) {
  Partition& state = partitions_[partition];
  ++verdict_.acknowledged;
  const auto it = state.records.find(value);
  if (it == state.records.end()) {
    add(Anomaly::phantom, fmt::format("partition {} acknowledged record {} that was never sent", partition, value));
    return;
  }
  Record& record = it->second;
  record.acknowledged = true;
  if (offset <= record.floor) {
    add(Anomaly::real_time,
        fmt::format("partition {} record {} acknowledged at {}, after {} had been acknowledged before it was sent",
                    partition, value, offset, record.floor));
  }
  state.acknowledged_max = std::max(state.acknowledged_max, offset);
  if (place(partition, state, offset, value, "an acknowledgement")) record.offset = offset;
}

void HistoryChecker::failed(int32_t partition, Value value, Failure failure) {
  ++verdict_.failed;
  const auto it = partitions_[partition].records.find(value);
  if (it == partitions_[partition].records.end() || failure == Failure::unknown) return;
  it->second.refused = true;
}

bool HistoryChecker::place(int32_t partition, Partition& state, int64_t offset, Value value, std::string_view seen_by) {
  if (offset < 0 || offset > offset_max) {
    add(Anomaly::divergent, fmt::format("partition {} offset {} by {}", partition, offset, seen_by));
    return false;
  }
  const auto index = static_cast<size_t>(offset);
  if (index >= state.at.size()) state.at.resize(std::max(index + 1, state.at.size() * 2), absent_value);
  Value& held = state.at[index];
  if (held == absent_value) held = value;
  if (held == value) return true;
  add(Anomaly::divergent,
      fmt::format("partition {} offset {} held record {}, and {} by {}", partition, offset, held, value, seen_by));
  return false;
}

HistoryChecker::Record* HistoryChecker::read_one(int32_t partition, int64_t offset, Value value,
                                                 std::string_view seen_by) {
  Partition& state = partitions_[partition];
  place(partition, state, offset, value, seen_by);
  const auto it = state.records.find(value);
  if (it == state.records.end()) {
    add(Anomaly::phantom,
        fmt::format("partition {} offset {} holds record {} that was never sent", partition, offset, value));
    return nullptr;
  }
  Record& record = it->second;
  if (record.refused) {
    add(Anomaly::phantom,
        fmt::format("partition {} offset {} holds record {} that was refused", partition, offset, value));
    record.refused = false;  // said once
  }
  if (record.offset >= 0 && record.offset != offset) {
    add(Anomaly::duplicated,
        fmt::format("partition {} record {} at {} and at {}", partition, value, record.offset, offset));
  } else {
    record.offset = offset;
  }
  return &record;
}

void HistoryChecker::assigned(int32_t consumer, int32_t partition) {
  positions_[{consumer, partition}].reset();
}

void HistoryChecker::polled(int32_t consumer, int32_t partition, int64_t offset, Value value) {
  ++verdict_.polled;
  std::optional<int64_t>& next = positions_[{consumer, partition}];
  if (next && offset != *next) {
    add(Anomaly::skipped,
        fmt::format("consumer {} was at {} of partition {} and got {}", consumer, *next, partition, offset));
  }
  next = offset + 1;
  if (Record* record = read_one(partition, offset, value, "a consumer")) record->polled = true;
}

void HistoryChecker::final_read(int32_t partition, int64_t offset, Value value) {
  ++verdict_.found;
  Record* record = read_one(partition, offset, value, "the final read");
  if (record != nullptr) record->found = true;
  std::optional<Value>& last = partitions_[partition].last_found;
  if (last && value < *last) {
    add(Anomaly::reordered,
        fmt::format("partition {} has record {} at {}, behind {}", partition, value, offset, *last));
  }
  last = std::max(last.value_or(value), value);
}

Verdict HistoryChecker::finish(Consumers consumers) {
  for (auto& [partition, state] : partitions_) {
    for (const auto& [value, record] : state.records) {
      if (!record.acknowledged) {
        if (!record.refused) ++verdict_.unknown;
        continue;
      }
      if (!record.found) {
        add(Anomaly::lost, fmt::format("partition {} record {} was acknowledged at {} and is not there", partition,
                                       value, record.offset));
      }
      if (consumers == Consumers::read_to_end && !record.polled && record.found) {
        add(Anomaly::unseen,
            fmt::format("partition {} record {} at {} reached no consumer", partition, value, record.offset));
      }
    }
  }
  return verdict_;
}

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
