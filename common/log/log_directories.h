// The data directories of one broker (log.dirs) together: what may be missing in them, what lies in two of them, and
// whether they tell of the same last run. Thread-compatible, as LogDirectory.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/log/log_directory.h"
#include "common/model/random.h"

namespace common::log {

// R46: whether what this broker had may be missing: in a directory that is new, in the place of one whose disk is not
// there, or that is not in log.dirs any more, or a partition that is gone; or it was at an earlier start, and not all
// copies have been made since.
[[nodiscard]] bool found_less(const std::vector<const LogDirectory*>& directories);
// Durably, for the next starts, where it is so. Before any of them is given its identity.
void note_if_less(const std::vector<std::unique_ptr<LogDirectory>>& directories);
// What the next start is to find, apart from partitions. Once all have their identities.
void note_siblings(const std::vector<std::unique_ptr<LogDirectory>>& directories);
struct MadeWay {
  TopicPartition partition;
  std::string path;
  LogDirectory* directory = nullptr;  // it lies in
};
// Where a disk was not mounted for a while a partition may lie in two directories. What can be told to be worth less
// than the other copy makes way for it: its directory disowns it. That is a copy in the place of what was missing that
// has got nothing since, and what was away while the other one was this broker's (R44).
[[nodiscard]] std::vector<MadeWay> make_way(const std::vector<std::unique_ptr<LogDirectory>>& directories);
// Durably, under names of their own: once the cluster is known to be theirs, and before an identity or a marker is
// written. These are what the two are told apart by: a start after them that still found both could not.
void set_aside(const std::vector<MadeWay>& stale, model::Random& random, const Logger& logger);
// Any other partition that lies in two directories has a stale copy in one of them, and nobody can tell which.
[[nodiscard]] Result<void> check_each_partition_once(const std::vector<const LogDirectory*>& directories);
// Partitions that had records by the checkpoints, and lie in none of the directories any more. That one which was
// deleted or set aside in order is not among them is the business of whoever did that: a checkpoint must not outlive
// its name.
[[nodiscard]] std::vector<TopicPartition> lost_partitions(const std::vector<const LogDirectory*>& directories);
// A clean end counts only if all directories agree on the broker epoch (R70).
[[nodiscard]] std::optional<BrokerEpoch> agreed_previous_epoch(const std::vector<const LogDirectory*>& directories);

}  // namespace common::log
