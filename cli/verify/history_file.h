// A history on disk: one event a line, appended as it happens, in the order of time. Text, because people write bad
// histories by hand and read real ones when something was found; short, because real ones have millions of lines.
//
//   naru-history 1                    the first line
//   # anything                        a remark, as are empty lines
//   promise acks=all|1|0 [idempotent=no] [isolation=read_uncommitted]     before any event
//   require acks=N faults=N leaders=N too few and the run is invalid: acks a second, faults, changes of a leader
//   @ T                               it is T microseconds since the start; holds until the next
//   sent P V [T]                      a send begins: partition, value (COUNTER or PRODUCER:COUNTER), transaction
//   ack P V O                         acknowledged at offset O (-1: not told: acks=0, or idempotent, see clients.cc)
//   refused P V  |  unknown P V       definitely not written  |  nobody knows
//   member C G                        consumer C reads for group G (0 to 7; 0 if not told)
//   assign C P [GENERATION]  |  revoke C P
//   poll C P O V                      V `-`: no record of this history
//   commit K G P O                    call K begins: group G commits O; then committed K, commit-refused K or
//                                     commit-unknown K
//   offset? K G P                     call K: what has the group committed? then offset K O (-1: nothing) or failed K
//   end? K P                          call K: where does the partition end? then end K O or failed K
//   leader P BROKER EPOCH             somebody's metadata says so
//   begin T [C]  |  commit-txn T  |  txn T committed|aborted|unknown      C: whose reads belong to it
//   fault WORDS  |  healed            one at a time
//   stop                              producers stop, by their own will
//   start P O                         what lies below offset O need not be there
//   final P O V                       the last read of everything, in the order of offsets
//   copy P REPLICA O HASH EPOCH       as read from one replica (hash in hexadecimal)
//   copied P REPLICA START HW         that replica was read to its end: its log start and high watermark
//   complete [polled]                 the final read is complete (and consumers have read to the end): the last line.
//                                     Without it the history is cut off, and the run invalid.
//
// Calls K of any kind are numbers of one space, unique while under way.
#pragma once
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "cli/verify/history_checker.h"

namespace cli::verify {

// What is wrong with a file, with the number of the line.
struct HistoryError {
  int64_t line = 0;
  std::string message;
};

// Parses line by line into a checker. Whatever the bytes are, it costs time and memory in proportion to their number.
// Thread-compatible, as the checker is.
class HistoryReader {
 public:
  HistoryReader();
  ~HistoryReader();
  HistoryReader(const HistoryReader&) = delete;
  HistoryReader& operator=(const HistoryReader&) = delete;

  // Any piece of the file; lines may be cut anywhere.
  tl::expected<void, HistoryError> feed(std::string_view bytes);
  // After the last piece. `at_least` is asked for besides what the file requires.
  tl::expected<Verdict, HistoryError> finish(const Requirements& at_least = {});
  [[nodiscard]] int64_t lines() const { return line_; }
  [[nodiscard]] int64_t events() const { return events_; }

 private:
  struct Words;
  tl::expected<void, HistoryError> line(std::string_view text);
  bool event(std::string_view word, Words& words);
  bool produce_event(std::string_view word, Words& words);
  bool consume_event(std::string_view word, Words& words);
  bool call_event(std::string_view word, Words& words);
  bool transaction_event(std::string_view word, Words& words);
  bool last_event(std::string_view word, Words& words);
  bool header(std::string_view word, Words& words);
  HistoryChecker& checker();

  Promise promise_;
  Requirements requirements_;
  std::unique_ptr<HistoryChecker> checker_;
  std::string rest_;  // a line that is not complete yet
  int64_t line_ = 0;
  int64_t events_ = 0;
  bool has_magic_ = false;
  bool is_complete_ = false;
  bool were_polled_ = false;
};

tl::expected<Verdict, HistoryError> check_history(std::FILE* file, const Requirements& at_least = {},
                                                  const std::function<void(int64_t)>& lines_read = {});

}  // namespace cli::verify
