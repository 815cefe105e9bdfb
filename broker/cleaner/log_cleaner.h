// Compacts the logs of one shard, one after the other: looks for the dirtiest, waits for its turn among the broker's
// shards, and drives the run step by step, no faster than log.cleaner.io.max.bytes.per.second. The work itself is done
// on the disk's pool (R78); what is decided is in policy.h, what a run does to a log in common/log/compaction.h.
//
// Lives on its shard, asserted.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "broker/cleaner/policy.h"
#include "broker/cleaner/turns.h"
#include "broker/partition/replica_manager.h"
#include "common/model/random.h"

namespace broker::cleaner {

struct CleanerLimits {
  int at_a_time = 1;                                    // log.cleaner.threads
  common::Duration backoff = std::chrono::seconds(15);  // log.cleaner.backoff.ms
  uint64_t map_bytes = 128u << 20;                      // log.cleaner.dedupe.buffer.size, all runs together
  double map_load = 0.9;                                // log.cleaner.io.buffer.load.factor
  uint64_t io_buffer_bytes = 512u << 10;                // log.cleaner.io.buffer.size, likewise
  double io_bytes_per_second = 1e300;                   // log.cleaner.io.max.bytes.per.second, likewise
};

struct LogCleanerOptions {
  common::Shard* shard = nullptr;
  partition::ReplicaManager* replicas = nullptr;
  CleanerTurns* turns = nullptr;
  common::model::Random* random = nullptr;
  common::Logger logger;
  CleanerLimits limits;
};

// How compaction on a shard goes on, for metrics.
struct CleanerStanding {
  std::optional<common::Instant> looked_at;  // when it last looked for a log to compact
  double dirtiest = 0;                       // the largest dirty share that it found then, enough to begin or not
  // Of the last run: what was left of what it read.
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
  common::Duration took{0};
  std::map<std::string, size_t> uncleanable;  // by directory: logs that cannot be compacted as they are
};

class LogCleaner {
 public:
  explicit LogCleaner(LogCleanerOptions options);
  ~LogCleaner();
  LogCleaner(const LogCleaner&) = delete;
  LogCleaner& operator=(const LogCleaner&) = delete;

  void start();
  // Ends the run under way, if there is one; nothing begins any more.
  void stop();
  // From the next run on. How many there are at a time is CleanerTurns' business.
  void set_limits(const CleanerLimits& limits) { options_.limits = limits; }

  [[nodiscard]] uint64_t runs_done() const { return runs_done_; }
  [[nodiscard]] CleanerStanding standing() const;

 private:
  struct Run;
  void arm(common::Duration after);
  void look();
  [[nodiscard]] std::shared_ptr<partition::Partition> dirtiest(Dirty& found);
  void on_turn();
  void step();
  void on_step(const common::model::Result<common::log::CompactionStep>& step);
  void on_error(const common::model::Error& error);
  void finish(common::Duration next_look);
  [[nodiscard]] common::log::CompactionRequest request_for(const partition::Partition& partition, const Dirty& dirty);

  LogCleanerOptions options_;
  std::unique_ptr<Run> run_;
  std::map<partition::TopicIdPartition, common::Instant> held_back_;  // could not be compacted: not before then
  std::set<partition::TopicIdPartition> uncleanable_;                 // among those held back
  CleanerStanding standing_;
  uint64_t runs_done_ = 0;
  bool stopped_ = false;
  common::TimerHandle timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::cleaner
