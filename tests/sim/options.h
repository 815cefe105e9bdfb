// What one run is made of, drawn from its seed (swarm testing: most of what could be switched on is off in any one run, so
// that the combinations differ).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "sim/world.h"

namespace sim {

struct Options {
  uint64_t seed = 1;
  Duration safety = std::chrono::minutes(8);    // anything may fail
  Duration liveness = std::chrono::minutes(2);  // at most, after everything is healed
  double days = 0;  // more than 0: a long life (live_for), and `safety` is that long

  // The cluster
  int brokers = 3;
  int voters = 3;
  int shards = 1;
  int replication_factor = 3;
  int min_isr = 2;
  bool synced = false;  // flush.messages=1 (D2)
  int topics = 1;
  int partitions = 2;
  int offsets_partitions = 2;
  int32_t segment_bytes = 1 << 20;
  int64_t tail_cache_bytes = 1 << 20;
  int64_t metadata_snapshot_bytes = 256 << 10;
  int32_t replica_fetch_response_bytes = 1 << 20;
  int32_t replica_fetch_bytes = 256 << 10;
  bool checkpoints_often = false;

  // The load
  int producers = 2;  // idempotent, one partition each in turn
  int pipelined = 3;  // batches in flight of each
  int records_per_batch = 4;
  int record_bytes = 60;
  Duration think_time = std::chrono::milliseconds(200);
  int consumers = 1;
  int groups = 1;
  int members = 2;
  int loose = 0;      // 1: a producer with acks=0, 2: acks=1, 3: acks=all without idempotence
  int onlookers = 0;  // ask where partitions end
  int sleepers = 0;   // groups that stay away for days (a long life)
  bool admin = true;  // topics come and go, settings change
  bool moves = false;  // partitions are reassigned, and reassignments turned back
  bool restores = false;   // one topic more, that is deleted, kept, and asked back
  bool compacted = false;  // one topic more, of records with keys, and cleaners that have much to do

  // The machines
  double clock_drift = 0;        // up to, either way
  double repeat_chance = 0;      // R23
  double slow_message_chance = 0;
  Duration network_delay_max = std::chrono::microseconds(500);
  Duration sync_time = std::chrono::milliseconds(1);

  // The faults
  bool faults = true;
  Duration fault_interval = std::chrono::seconds(8);  // on average
  uint32_t fault_kinds = ~0u;                         // bits of FaultKind
  bool misdirected = false;                           // writes that land elsewhere, beside those kinds
  bool lost_directories = false;                      // of partitions, likewise
  bool refusals = false;                              // of connections by machines whose broker lives, likewise
  bool core = false;                                  // when all is healed, one broker stays away for a while
  bool clones = false;                                // disks are copied, and brokers started with the copies, likewise
  bool descriptors = false;                           // calls on files find no descriptor, likewise
  bool name_errors = false;                           // EIO on what is neither a write nor a sync nor a read, likewise
  uint32_t rare = 0;                                  // bits of Rare (buggify.h): legal choices that are seldom made
};

// Everything from the seed, in two steps: what the first seeds' stories speak of, and what came later and is drawn from
// streams of its own, so that "extras=0" takes it away again.
[[nodiscard]] Options draw_options(uint64_t seed);
[[nodiscard]] std::string describe(const Options& options);
// The same cluster for days, with the settings that a broker has by itself for all that takes hours and days, light load
// and faults as seldom as they are in the world.
void live_for(Options& options, double days);
// Sets one by its name, as minimized commands do: "groups=0". False: there is none of that name, or the value is no number.
[[nodiscard]] bool set_option(Options& options, std::string_view assignment);
[[nodiscard]] std::string option_names();

}  // namespace sim
