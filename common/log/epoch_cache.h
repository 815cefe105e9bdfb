// Which leader epoch began at which offset: the key to truncation after a change of leader (R59-R61, R66, R79; KIP-101,
// KIP-279). A function of the batches in the log plus the entry of a leader that has not appended yet.
// Thread-compatible: lives with its log.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "common/model/types.h"

namespace common::log {

using model::LeaderEpoch;
using model::Offset;

struct EpochStart {
  LeaderEpoch epoch;
  Offset start_offset;
  friend bool operator==(const EpochStart&, const EpochStart&) = default;
};

struct EpochEnd {
  LeaderEpoch epoch;  // the largest known epoch not above the one asked for
  Offset end_offset;  // where the next epoch begins, or the log end
  friend bool operator==(const EpochEnd&, const EpochEnd&) = default;
};

enum class Changed { no, yes };

class EpochCache {
 public:
  // Epochs begin in order. An entry that contradicts later ones replaces them: the newest word counts (KAFKA-7897).
  Changed assign(LeaderEpoch epoch, Offset start_offset);

  // R60. None: no epoch is known at all. Below the first known epoch: (asked, start of the first).
  [[nodiscard]] std::optional<EpochEnd> end_offset_for(LeaderEpoch asked, Offset log_end_offset) const;
  [[nodiscard]] std::optional<LeaderEpoch> latest() const;
  [[nodiscard]] std::optional<LeaderEpoch> epoch_at(Offset offset) const;
  // What it says of [first, end): for somebody on another thread.
  [[nodiscard]] EpochCache within(Offset first, Offset end) const;
  // No checksum covers a batch's epoch: one that is not what this says of the batch's last offset has rotted. Why;
  // none: the epoch is right, or nothing is known.
  [[nodiscard]] std::optional<std::string> contradiction(Offset last_offset, LeaderEpoch epoch) const;
  // Entries that begin at or past `end_offset` go. Also when nothing was cut from the log (R66).
  Changed truncate_from_end(Offset end_offset);
  // The log now starts here: the epoch of that offset moves up to it, earlier ones go.
  Changed truncate_from_start(Offset start_offset);
  Changed clear();

  [[nodiscard]] const std::vector<EpochStart>& entries() const { return entries_; }

 private:
  // Invariant: both epochs and offsets strictly increase.
  void check_invariants() const;
  std::vector<EpochStart> entries_;
};

}  // namespace common::log
