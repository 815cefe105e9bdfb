// What a log must know of its topic's configuration, and of what the last run left behind. Plain values.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>

#include "common/model/types.h"

namespace common::log {

using std::chrono::milliseconds;

struct LogConfig {
  uint64_t segment_bytes = 1u << 30;                                      // segment.bytes
  milliseconds segment_ms = std::chrono::hours(7 * 24);                   // segment.ms
  milliseconds segment_jitter{0};                                         // segment.jitter.ms: at most this much less
  uint32_t index_interval_bytes = 4096;                                   // index.interval.bytes
  uint32_t segment_index_bytes = 10u << 20;                               // segment.index.bytes
  std::optional<milliseconds> retention_ms = std::chrono::hours(7 * 24);  // retention.ms; none: for ever
  std::optional<uint64_t> retention_bytes;                                // retention.bytes; none: no limit
  bool delete_old_segments = true;                                        // cleanup.policy contains delete
  std::optional<int64_t> flush_messages;                                  // flush.messages; none: the kernel decides
  std::optional<milliseconds> flush_ms;                                   // flush.ms
  milliseconds file_delete_delay = std::chrono::minutes(1);               // file.delete.delay.ms
  bool log_append_time = false;                                           // message.timestamp.type=LogAppendTime
  bool allow_offset_gaps = false;  // a follower takes what a leader sends whose batches were compacted away in part
  // Reserve and zero-fill files this far ahead, so that a sync writes no file size (Raft's log). 0: not at all.
  uint64_t preallocate_bytes = 0;
  // A flush waits for the epoch file too. False: that may be behind, and want for room, as every start reads the whole
  // log, without a recovery point (Raft's log).
  bool sync_needs_epochs = true;
  uint64_t writeback_bytes = 4u << 20;  // ask the kernel to start writing every so many bytes; 0: never
  bool keep_producer_state = true;      // false: no idempotence, no snapshots (Raft's log)
  uint64_t snapshot_bytes = 64u << 20;  // so far apart are the snapshots within a segment, at least
};

// How the previous run ended, from LogDirectory.
enum class PreviousEnd {
  clean,          // marker valid: what is on disk was checked and synced by us
  process_crash,  // killed, same kernel: every completed write is there, and was synced before the logs were opened
                  // (R75)
  unknown,        // anything may be missing or torn
};

// Hints, never truth (R73): each is checked against the segments.
struct OpenHints {
  PreviousEnd previous_end = PreviousEnd::unknown;
  std::optional<model::Offset> recovery_point;    // everything below was synced
  std::optional<model::Offset> high_watermark;    // everything below is committed: never cut there (R72)
  std::optional<model::Offset> log_start_offset;  // DeleteRecords
  std::optional<model::Offset> cleaned_to;        // compacted up to here
  // A sync of what lies from here on may have failed (R76): the kernel then counts it as clean though it is in memory
  // alone, and another sync would not write it. It is written anew before it counts as flushed.
  std::optional<model::Offset> doubted_from;
};

// A log was cut, or began anew: what the checkpoints may say of it at most. None: they say no more already.
struct Ceilings {
  model::Offset recovery_point;  // and what is compacted: what comes where the log was cut is not
  std::optional<model::Offset> high_watermark;
  std::optional<model::Offset> log_start;
};

}  // namespace common::log
