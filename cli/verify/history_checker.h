// What happened to a topic while it was being harmed, and whether any promise was broken: every acknowledged record is
// there once, in order, at the offset it was acknowledged with; nothing appears that was not sent; consumers miss
// nothing. One pass, constant work for each event.
//
// Why it exists: "nothing is lost" is a claim about histories, so it is checked from the outside, by what clients saw,
// with no help from the brokers. Pure; thread-compatible. Times are nanoseconds of one monotonic clock.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cli::verify {

// The number a producer gave its record: increasing with each send into one partition.
using Value = int64_t;

enum class Failure {
  definite,  // the brokers said no before anything was written: must never be seen
  unknown,   // may appear later, at most once
};

enum class Anomaly {
  lost,        // acknowledged, and absent at the end or not where it was acknowledged
  duplicated,  // one record at two offsets
  reordered,   // a producer's records not in the order of sending
  divergent,   // two different records seen at one offset
  phantom,     // read, and never sent or definitely refused
  real_time,   // acknowledged at an offset below one that was acknowledged before it was sent
  unseen,      // acknowledged, and no consumer of the group was ever given it
  skipped,     // a consumer jumped over offsets without a rebalance
};
constexpr int anomaly_count = 8;
std::string_view to_string(Anomaly anomaly);

struct Verdict {
  int64_t sent = 0;
  int64_t acknowledged = 0;
  int64_t failed = 0;
  int64_t unknown = 0;  // neither acknowledged nor definitely refused
  int64_t polled = 0;
  int64_t found = 0;  // records in the final read
  std::map<Anomaly, int64_t> anomalies;
  std::vector<std::string> examples;  // the first few, in words
  [[nodiscard]] bool clean() const { return anomalies.empty(); }
  [[nodiscard]] int64_t count(Anomaly anomaly) const {
    const auto it = anomalies.find(anomaly);
    return it == anomalies.end() ? 0 : it->second;
  }
};

class HistoryChecker {
 public:
  void sent(int32_t partition, Value value);
  void acknowledged(int32_t partition, Value value, int64_t offset);
  void failed(int32_t partition, Value value, Failure failure);
  // `consumer` was given a partition anew: its next record may be anywhere.
  void assigned(int32_t consumer, int32_t partition);
  void polled(int32_t consumer, int32_t partition, int64_t offset, Value value);
  // Afterwards, everything that is in the partition, in the order of offsets.
  void final_read(int32_t partition, int64_t offset, Value value);

  // Lost, reordered and unseen are known only now. `expect_polled`: a consumer group has read to the end.
  enum class Consumers { none, read_to_end };
  Verdict finish(Consumers consumers);

 private:
  struct Record {
    bool acknowledged = false;
    bool refused = false;  // definitely
    bool polled = false;
    bool found = false;
    int64_t offset = -1;  // as acknowledged, or where it was found
    int64_t floor = -1;   // the largest offset acknowledged before it was sent
  };
  struct Partition {
    std::unordered_map<Value, Record> records;
    std::vector<Value> at;  // by offset; absent_value where nothing was seen
    int64_t acknowledged_max = -1;
    std::optional<Value> last_found;
  };
  static constexpr Value absent_value = -1;

  void add(Anomaly anomaly, std::string what);
  // Notes that `value` was seen at `offset`; false if that contradicts what was seen before.
  bool place(int32_t partition, Partition& state, int64_t offset, Value value, std::string_view seen_by);
  Record* read_one(int32_t partition, int64_t offset, Value value, std::string_view seen_by);

  std::map<int32_t, Partition> partitions_;
  std::map<std::pair<int32_t, int32_t>, std::optional<int64_t>> positions_;  // (consumer, partition) -> next offset
  Verdict verdict_;
};

// The longest time without an acknowledgement, per partition, in the window since the last mark: what a kill cost.
class GapMeter {
 public:
  void expect(int32_t partition, int64_t now) { last_.try_emplace(partition, now); }
  void acknowledged(int32_t partition, int64_t now);
  // Ends the window and begins the next; a gap that is still open counts in both.
  struct Gap {
    int64_t longest = 0;
    int32_t partition = -1;
  };
  Gap mark(int64_t now);

 private:
  std::map<int32_t, int64_t> last_;
  Gap worst_;
};

}  // namespace cli::verify
