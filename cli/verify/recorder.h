// What all threads of a run report to: every event goes to the history checker, and to a history file where one is
// asked for, in one order. A call is told when it begins, before it is made, and when it has ended, after its answer
// came; so what the recorder was told later did not end earlier. Thread-safe.
#pragma once
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/problem.h"
#include "cli/verify/history_checker.h"

namespace cli::verify {

class Recorder {
 public:
  explicit Recorder(Promise promise);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  // Everything from now on also goes to this file. Before anybody else reports.
  Outcome<void> write_to(const std::string& file);

  // What is measured beside the history: gaps of a partition count from now on; `least` of Progress does.
  void expect(int32_t partition);
  void point();

  // Events, in the words of history_checker.h. What returns a number names a call, for whoever tells how it ended: a
  // commit of a group's offset, or a question for one (commit_asked) or for a partition's end (end_asked).
  void sent(int32_t partition, Value value);
  void acknowledged(int32_t partition, Value value, int64_t offset);
  void failed(int32_t partition, Value value, Failure failure);
  void member(int32_t consumer, int32_t group);
  void assigned(int32_t consumer, int32_t partition, int32_t generation);
  void revoked(int32_t consumer, int32_t partition);
  void polled(int32_t consumer, int32_t partition, int64_t offset, Value value);
  int64_t commit_began(int32_t group, int32_t partition, int64_t offset);
  void commit_ended(int64_t call, bool is_acknowledged);
  int64_t commit_asked(int32_t group, int32_t partition);
  void commit_told(int64_t call, int64_t offset);
  int64_t end_asked(int32_t partition);
  void end_told(int64_t call, int64_t offset);
  void call_failed(int64_t call);
  void leader_seen(int32_t partition, int32_t leader, int32_t epoch);
  void fault_began(const std::string& name);
  void fault_ended();
  void producing_stopped();
  void log_start(int32_t partition, int64_t offset);
  void final_read(int32_t partition, int64_t offset, Value value);
  void copied(int32_t partition, int32_t replica, int64_t offset, uint64_t hash, int32_t epoch);
  void copy_ended(int32_t partition, int32_t replica, int64_t start, int64_t high_watermark);

  // The longest time without an acknowledgement since the last mark, in nanoseconds.
  GapMeter::Gap mark();
  struct Progress {
    int64_t sent = 0, acknowledged = 0, failed = 0, polled = 0, found = 0, copied = 0;
    int64_t silent_ns = 0;  // of the partition that has waited longest for an acknowledgement
    int64_t least = 0;      // acknowledgements since the last point, of the partition that had fewest
  };
  Progress progress();
  // The offset behind the last record of this run that a consumer was given, or the final read found.
  int64_t polled_to(int32_t partition);
  int64_t found_to(int32_t partition);
  // `is_complete`: the final read reached the end of every partition.
  Verdict finish(HistoryChecker::Consumers consumers, bool is_complete, const Requirements& requirements);

 private:
  template <class... A>
  void write(fmt::format_string<A...> text, A&&... values);
  void tick();  // tells the time, at most every half millisecond

  std::mutex mutex_;
  const Promise promise_;
  HistoryChecker checker_;
  GapMeter gaps_;
  Progress progress_;
  int64_t began_ns_;
  int64_t told_us_ = -1000;
  int64_t calls_ = 0;
  std::map<int32_t, int64_t> last_ack_;
  std::map<int32_t, int64_t> since_point_;
  std::map<int32_t, int64_t> polled_to_;
  std::map<int32_t, int64_t> found_to_;
  std::map<std::pair<int32_t, int32_t>, int32_t> leaders_;  // (partition, epoch), so that a view is told once
  std::FILE* file_ = nullptr;
  fmt::memory_buffer line_;
};

}  // namespace cli::verify
