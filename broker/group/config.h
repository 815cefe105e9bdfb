// What of the broker's configuration the group coordinator needs. Immutable; no thread rules.
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace broker::group {

struct GroupConfig {
  std::chrono::milliseconds session_timeout_min{6000};       // group.min.session.timeout.ms
  std::chrono::milliseconds session_timeout_max{1'800'000};  // group.max.session.timeout.ms
  std::chrono::milliseconds initial_rebalance_delay{3000};   // group.initial.rebalance.delay.ms
  int32_t size_max = INT32_MAX;                              // group.max.size
  int32_t offset_metadata_max = 4096;                        // offset.metadata.max.bytes
  std::chrono::milliseconds offsets_retention{604'800'000};  // offsets.retention.minutes
  std::chrono::milliseconds expiry_check_interval{600'000};  // offsets.retention.check.interval.ms
  std::chrono::milliseconds write_timeout{5000};             // offsets.commit.timeout.ms

  // A member that waits for its first rebalance cannot send heartbeats yet; if it is gone its request is dropped after
  // this long (Kafka's constant).
  std::chrono::milliseconds first_join_timeout{300'000};
  // How long a member id that was given out is kept for who asked; clients come back with it at once (KIP-394).
  std::chrono::milliseconds reserved_id_max{60'000};
  // Bytes that all members of one coordinator may take in memory; beyond it newcomers get GROUP_MAX_SIZE_REACHED.
  size_t members_memory_max = size_t{64} << 20;
  // And those of all coordinators of one broker, which count here together. Null: this one is alone.
  std::shared_ptr<std::atomic<size_t>> broker_memory;
  size_t broker_memory_max = size_t{256} << 20;
  // Removals of a deleted topic's offsets that could not be written are tried again after this long.
  std::chrono::milliseconds removal_retry{5000};
  // Tombstones are written in portions of this many.
  size_t records_per_write_max = 1000;
};

}  // namespace broker::group
