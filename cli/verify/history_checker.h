// What happened to a topic while it was being harmed, and whether any promise was broken: every acknowledged record is
// there once, in order, at the offset it was acknowledged with; nothing appears that was not sent; consumers miss
// nothing; what was committed or told once is not taken back; replicas hold the same. One pass, constant work for each
// event (a producer whose counters have gaps costs a search), a few tens of bytes for each record.
//
// Why it exists: "nothing is lost" is a claim about histories, so it is checked from the outside, by what clients saw,
// with no help from the brokers. The order of the calls is the order of time: whatever began after something else had
// ended must be told after it. Times (`at`) serve the report of gaps only.
//
// Pure; thread-compatible.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "cli/verify/group_offsets.h"
#include "cli/verify/record_table.h"
#include "cli/verify/replica_copies.h"
#include "cli/verify/transactions.h"
#include "cli/verify/verdict.h"

namespace cli::verify {

// The longest time without an acknowledgement, per partition, in the window since the last mark: what a kill cost.
class GapMeter {
 public:
  void expect(int32_t partition, int64_t now) { last_.try_emplace(partition, now); }
  void acknowledged(int32_t partition, int64_t now);
  // Ends the window and begins the next; a gap that is still open counts in both.
  using Gap = verify::Gap;
  Gap mark(int64_t now);

 private:
  std::map<int32_t, int64_t> last_;
  Gap worst_;
};

class HistoryChecker {
 public:
  explicit HistoryChecker(Promise promise = {}) : promise_(promise) {}

  // Producing ---------------------------------------------------------------------------------------------------------
  void sent(int32_t partition, Value value) { sent(partition, value, no_transaction); }
  void sent(int32_t partition, Value value, int64_t transaction);
  void acknowledged(int32_t partition, Value value, int64_t offset);
  void failed(int32_t partition, Value value, Failure failure);
  static constexpr int64_t no_transaction = -1;

  // Transactions. A consumer's reads between `began` and the end belong to the transaction (consume-transform-produce).
  void transaction_began(int64_t transaction, int32_t consumer = -1);
  void transaction_committing(int64_t transaction);  // the commit was asked for
  enum class Outcome { committed, aborted, unknown };
  void transaction_ended(int64_t transaction, Outcome outcome);

  // Consuming ---------------------------------------------------------------------------------------------------------
  // Which group a consumer reads for; 0 if never told. At most groups_max groups.
  void member(int32_t consumer, int32_t group);
  // `consumer` was given a partition anew: its next record may be anywhere that its group's offset allows.
  void assigned(int32_t consumer, int32_t partition, int32_t generation = -1);
  void revoked(int32_t consumer, int32_t partition);
  void polled(int32_t consumer, int32_t partition, int64_t offset, Value value);
  // Commits and fetches of group offsets are calls that take time: `call` is unique among those under way. An answer to
  // a call that nobody began is ignored (false).
  bool commit_began(int64_t call, int32_t group, int32_t partition, int64_t offset);
  bool commit_acknowledged(int64_t call);
  bool commit_failed(int64_t call, Failure failure);
  bool commit_fetch_began(int64_t call, int32_t group, int32_t partition);
  bool commit_fetch_answered(int64_t call, int64_t offset);  // -1: the group has none
  bool commit_fetch_failed(int64_t call) { return offsets_.fetch_failed(call); }

  // Looking -----------------------------------------------------------------------------------------------------------
  // ListOffsets(latest), or the high watermark of a fetch from the leader.
  bool end_asked(int64_t call, int32_t partition);
  bool end_answered(int64_t call, int64_t offset);
  bool end_failed(int64_t call) { return end_calls_.erase(call) > 0; }
  // Some broker's metadata named this leader.
  void leader_seen(int32_t partition, int32_t leader, int32_t leader_epoch);

  // Time and faults ---------------------------------------------------------------------------------------------------
  void at(int64_t microseconds) { now_ = std::max(now_, microseconds); }
  void fault_began(std::string name);
  void fault_ended();
  void producing_stopped();  // nobody waits for acknowledgements any more

  // Afterwards --------------------------------------------------------------------------------------------------------
  // Records below it may be gone: retention took them, or they were there before.
  void log_start(int32_t partition, int64_t offset) { partition_at(partition).log_start = offset; }
  // Records whose offset is known to be below it need not be kept: nothing is told of them any more. For histories that
  // go on for so long that retention takes what memory would have to hold.
  void forget_below(int32_t partition, int64_t offset);
  // Everything that is in the partition, in the order of offsets.
  void final_read(int32_t partition, int64_t offset, Value value);
  // It could not be read to the end: what is absent is not lost, only not shown.
  void final_read_cut_off() { has_final_read_ = false; }
  // Everything that one replica holds, in the order of offsets; then where its log starts and its high watermark.
  void copied(int32_t partition, int32_t replica, int64_t offset, uint64_t hash, int32_t leader_epoch);
  void copy_ended(int32_t partition, int32_t replica, int64_t log_start, int64_t high_watermark);

  // Lost, reordered and unseen are known only now. `expect_polled`: a consumer group has read to the end.
  enum class Consumers { none, read_to_end };
  Verdict finish(Consumers consumers, const Requirements& requirements = {});

  // About what is allocated. Costs a look at each partition.
  [[nodiscard]] size_t bytes() const;

 private:
  static constexpr Value absent_value = -1;
  struct Position {
    std::optional<int64_t> next;
    std::optional<int64_t> floor;  // of the group's offset, when the partition was assigned
  };
  struct Jump {
    int32_t consumer;
    int64_t from, to;
  };
  struct Owner {
    int32_t group, consumer, generation;
  };
  struct Partition {
    std::unordered_map<int32_t, ProducerRecords> producers;
    std::pair<int32_t, ProducerRecords*> last_producer{-1, nullptr};
    OffsetTable<Value, absent_value> at;
    int64_t acknowledged_max = -1;
    int64_t known_end = 0;  // no later answer may be below
    int64_t log_start = 0;
    std::map<int32_t, Position> positions;  // by consumer
    std::vector<Jump> jumps;
    std::vector<Owner> owners;
    std::map<int32_t, int32_t> leaders;  // epoch -> leader
    ReplicaCopies copies;
    int64_t last_ack = -1;
    int64_t longest_gap = 0;
  };
  struct UnknownRead {
    int64_t offset = 0;
    int64_t times = 0;
  };
  struct EndCall {
    int32_t partition = 0;
    int64_t floor = 0;
  };
  struct Fault {
    std::string name;
    int64_t began = 0;
    int64_t ended = -1;
    Gap gap;
  };

  // Counts it; the first few are told in words. Not promised: counted apart.
  template <class... A>
  void add(Anomaly anomaly, bool promised, fmt::format_string<A...> text, A&&... values);
  template <class F>
  void for_each_partition(F f);

  Partition& partition_at(int32_t partition);
  static Record* find(Partition& state, Value value);
  static ProducerRecords& producer(Partition& state, int32_t id);
  // Notes that `value` was seen at `offset`; false if that contradicts what was seen before.
  bool place(int32_t partition, Partition& state, int64_t offset, Value value, std::string_view seen_by, bool is_ack);
  Record* read_one(int32_t partition, Partition& state, int64_t offset, Value value, std::string_view seen_by);
  void check_transaction(int32_t partition, const Record& record, Value value, int64_t offset);
  void check_position(int32_t consumer, int32_t partition, Partition& state, int64_t offset);
  [[nodiscard]] int32_t group_of(int32_t consumer) const;
  void close_fault_window();
  void count_ack(int32_t partition, Partition& state);

  void finish_record(int32_t partition, const Partition& state, Value value, const Record& record, Consumers consumers);
  void finish_partition(int32_t partition, Partition& state);
  void finish_transactions();
  void finish_faults();
  void finish_requirements(const Requirements& requirements);
  [[nodiscard]] std::optional<double> acks_per_second(int64_t from, int64_t to) const;

  Promise promise_;
  std::vector<std::unique_ptr<Partition>> partitions_;
  std::map<int32_t, Partition> far_partitions_;  // of large or negative numbers
  std::unordered_map<int32_t, int32_t> groups_;  // consumer -> group
  uint8_t groups_used_ = 0;
  std::map<std::pair<int32_t, Value>, UnknownRead> unknown_reads_;
  std::unordered_map<int64_t, EndCall> end_calls_;
  GroupOffsets offsets_;
  Transactions transactions_;
  std::vector<Fault> faults_;
  Gap window_;  // the worst since the last fault began
  static constexpr int64_t ack_step = 100'000;                // microseconds
  static constexpr int64_t ack_steps_max = int64_t{1} << 21;  // two days
  std::vector<int64_t> acks_by_step_;
  int64_t now_ = 0;
  int64_t first_sent_at_ = -1;
  int64_t stopped_at_ = -1;
  bool has_final_read_ = true;
  Verdict verdict_;
};

}  // namespace cli::verify
