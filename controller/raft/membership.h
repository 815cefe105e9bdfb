// Which voter set is in force: the last one in the log, committed or not (R12: effective on append, reverted on
// truncation). Thread-compatible.
#pragma once
#include <vector>

#include "controller/raft/types.h"

namespace controller::raft {

class Membership {
 public:
  // `base` holds for a log that begins at `from`.
  Membership(VoterSet base, LogIndex from) { reset(std::move(base), from); }

  void reset(VoterSet base, LogIndex from);
  // Entries of kind voters or bootstrap whose payload decodes; others are ignored. Returns whether the set changed.
  bool on_append(const Entry& entry);
  // Returns whether the set changed.
  bool on_truncate(LogIndex end);
  // Forgets what only positions before `start` need.
  void drop_prefix(LogIndex start);

  [[nodiscard]] const VoterSet& current() const { return history_.back().voters; }
  [[nodiscard]] const VoterSet& at(LogIndex end) const;
  // What the last change replaced. One change at a time: everything before the last one is committed (R12).
  [[nodiscard]] const VoterSet& former() const { return history_[history_.size() > 1 ? history_.size() - 2 : 0].voters; }
  // The last change lies before it: it is settled once this much is committed.
  [[nodiscard]] LogIndex settled_at() const { return history_.back().from; }

 private:
  struct Change {
    LogIndex from;  // first position (exclusive end) at which it holds
    VoterSet voters;
  };
  std::vector<Change> history_;  // never empty, positions rising
};

// Whether an entry that came from a peer or a disk can be taken into a log at all.
[[nodiscard]] bool is_well_formed(const Entry& entry);

}  // namespace controller::raft
