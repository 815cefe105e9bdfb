// The log as the core sees it: every entry since the last snapshot (and a few before it), in memory, with its running
// checksum. Bounded because snapshots are made by size; payloads are shared, not copied.
// Thread-compatible.
#pragma once
#include <deque>

#include "controller/raft/types.h"

namespace controller::raft {

class LogView {
 public:
  LogView(LogPosition start, std::vector<Entry> entries);

  [[nodiscard]] LogIndex start() const { return start_.end; }
  [[nodiscard]] LogIndex end() const { return start_.end + static_cast<int64_t>(entries_.size()); }
  [[nodiscard]] LogPosition end_position() const { return *position_at(end()); }
  // nullopt before the start or beyond the end.
  [[nodiscard]] std::optional<LogPosition> position_at(LogIndex end) const;
  [[nodiscard]] const Entry& at(LogIndex index) const;
  // Where this log's last entry of the largest term that is not above `term` ends; the start if there is none.
  [[nodiscard]] LogPosition end_of_term(Term term) const;
  // From `from` up to `bytes_max`, but at least one if there is one.
  [[nodiscard]] std::vector<Entry> entries(LogIndex from, size_t bytes_max) const;
  // The earliest start that keeps at most `bytes` before `end`.
  [[nodiscard]] LogIndex start_keeping(LogIndex end, size_t bytes) const;

  // Must continue the log: next index, no lower term.
  void append(Entry entry);
  void truncate(LogIndex end);
  void drop_prefix(LogIndex start);
  void reset(LogPosition position);

 private:
  struct Held {
    Entry entry;
    uint64_t checksum = 0;  // after it
  };
  [[nodiscard]] const Held& held(LogIndex index) const;

  LogPosition start_;
  std::deque<Held> entries_;  // contiguous from start_.end, terms never falling
};

}  // namespace controller::raft
