// The consensus core's times and bounds. Defaults are the table in docs/architecture.md ("Fast failure detection").
// Immutable values.
#pragma once
#include <chrono>
#include <cstddef>
#include <vector>

#include "controller/raft/types.h"

namespace controller::raft {

struct Config {
  NodeKey self;
  // Whom an observer without a voter set asks for one.
  std::vector<BrokerId> bootstrap_peers;

  Duration heartbeat = std::chrono::milliseconds(100);
  Duration leader_silence = std::chrono::milliseconds(500);         // then pre-vote; also the lease of R7
  Duration leader_silence_jitter = std::chrono::milliseconds(250);  // drawn anew for each attempt (R22)
  Duration election = std::chrono::milliseconds(250);               // an attempt; doubles on failure
  Duration election_max = std::chrono::seconds(2);
  Duration evidence_jitter = std::chrono::milliseconds(50);  // before pre-vote when the leader's process is gone
  Duration check_quorum = std::chrono::milliseconds(750);    // R8
  Duration transfer = std::chrono::milliseconds(500);        // R10: then give up
  Duration own_disk = std::chrono::seconds(1);        // a leader's stands still while others commit: it hands over
  Duration own_disk_again = std::chrono::minutes(1);  // but not sooner again: all may be as slow
  Duration clock_gap = std::chrono::milliseconds(200);       // own pause longer than this: distrust own timers
  Duration floor_interval = std::chrono::seconds(1);         // how often the committed floor is noted (R20, R21)
  Duration observer_hello = std::chrono::milliseconds(50);  // while it knows no leader
  Duration observer_silence = std::chrono::seconds(30);  // then the leader forgets an observer
  Duration caught_up_age_max = std::chrono::seconds(1);  // how fresh a new voter's "caught up" must be (R12)

  size_t append_bytes_max = 1 << 20;        // entries in one message, at least one entry
  size_t inflight_messages_max = 64;        // unanswered appends to one peer
  size_t inflight_bytes_max = 8 << 20;      // the same, in bytes
  size_t uncommitted_bytes_max = 64 << 20;  // then proposals are refused with THROTTLING_QUOTA_EXCEEDED
  size_t entry_bytes_max = 16 << 20;        // larger ones are refused with RECORD_LIST_TOO_LARGE
  size_t snapshot_piece_bytes = 256 << 10;
  uint64_t snapshot_bytes_max = 1ull << 30;  // a larger one is refused, not received
  size_t observers_max = 128;
  size_t entries_kept_bytes = 1 << 20;  // kept behind a snapshot for peers that lag a little
};

}  // namespace controller::raft
