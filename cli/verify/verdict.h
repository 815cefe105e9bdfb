// What the history checker says: which promises were broken and how often, and whether the run shows anything at all.
// Immutable values once made.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cli::verify {

// What a record holds: which producer, and that producer's counter, increasing with each send into one partition. A
// plain small number is a record of producer 0. Unique in a partition.
using Value = int64_t;
constexpr int counter_bits = 40;
constexpr int64_t counter_max = (int64_t{1} << counter_bits) - 1;
constexpr int32_t producer_max = (1 << 20) - 1;
constexpr Value make_value(int32_t producer, int64_t counter) {
  return (static_cast<int64_t>(producer) << counter_bits) | counter;
}
constexpr int32_t producer_of(Value value) {
  return static_cast<int32_t>(value >> counter_bits);
}
constexpr int64_t counter_of(Value value) {
  return value & counter_max;
}
// "17", or "3:17" of producer 3.
std::string value_text(Value value);

enum class Failure {
  definite,  // the brokers said no before anything was written: must never be seen
  unknown,   // may appear later, at most once
};

enum class Anomaly {
  lost,               // acknowledged, and absent at the end or not where it was acknowledged
  duplicated,         // one record at two offsets
  reordered,          // a producer's records not in the order of sending
  divergent,          // two different records seen at one offset
  phantom,            // read, and never sent or definitely refused
  real_time,          // acknowledged at an offset below one that was acknowledged before it was sent
  unseen,             // acknowledged, and no consumer of a group was ever given it
  skipped,            // a consumer jumped over records without a rebalance
  backwards,          // a consumer was given an earlier offset again without a rebalance
  early,              // read before any send began, or of a transaction that had not begun to commit
  stale,              // the end of a partition went back: below an earlier answer, or below what was acknowledged
  replica_divergent,  // two replicas hold different bytes below the high watermark, or one lacks them
  commit_regress,     // a group's offset older than the last acknowledged commit, or none after one
  double_owner,       // two members own a partition in one generation of their group
  leader_epoch,       // epochs that fall with rising offsets, or two leaders of one epoch
  torn,               // a transaction of which a part is visible
  aborted,            // read, and of a transaction that was aborted
  cycle,              // transactions that each read from the other
};
constexpr int anomaly_count = 18;
std::string_view to_string(Anomaly anomaly);
// One sentence: what it means that this happened.
std::string_view meaning_of(Anomaly anomaly);

// What the brokers answered for. What was not promised with these settings is counted apart (Verdict::tolerated).
struct Promise {
  enum class Acks { none, leader, all };
  Acks acks = Acks::all;
  bool idempotent = true;      // no duplicates and the order of sending, also over retries
  bool read_committed = true;  // consumers and the final read see no transaction before it is committed
};

// Below these a run says nothing, however clean. Zero asks for nothing.
struct Requirements {
  int64_t acks_per_second = 0;
  int64_t faults = 0;
  int64_t leader_changes = 0;
};

// How long writers waited in one partition, and since when.
struct Gap {
  int64_t longest = 0;  // in the unit of the times given
  int32_t partition = -1;
};

struct FaultReport {
  std::string name;
  int64_t began = 0;  // microseconds
  Gap gap;            // until the next fault
  // None: there was too little time to tell.
  std::optional<double> acks_per_second_before;
  std::optional<double> acks_per_second_after;
};

struct Verdict {
  int64_t sent = 0;
  int64_t acknowledged = 0;
  int64_t failed = 0;
  int64_t unknown = 0;  // neither acknowledged nor definitely refused
  int64_t polled = 0;
  int64_t found = 0;  // records in the final read
  int64_t ends_asked = 0;
  int64_t commits = 0;          // acknowledged
  int64_t commits_fetched = 0;  // answers to OffsetFetch
  int64_t copied = 0;           // records read from replicas
  int64_t transactions = 0;
  int64_t leader_changes = 0;
  int64_t microseconds = 0;  // from the first send until producing stopped
  std::map<Anomaly, int64_t> anomalies;
  std::map<Anomaly, int64_t> tolerated;  // happened, but nobody had promised otherwise
  std::vector<std::string> examples;     // the first few, in words
  std::vector<std::string> invalid;      // why the run shows too little; empty: it counts
  std::map<int32_t, int64_t> gaps;       // partition -> longest time between acknowledgements, microseconds
  std::vector<FaultReport> faults;
  [[nodiscard]] bool clean() const { return anomalies.empty(); }
  [[nodiscard]] bool valid() const { return invalid.empty(); }
  [[nodiscard]] int64_t count(Anomaly anomaly) const {
    const auto it = anomalies.find(anomaly);
    return it == anomalies.end() ? 0 : it->second;
  }
};

}  // namespace cli::verify
