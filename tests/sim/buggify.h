// Places where a run makes choices that are legal and seldom made (FoundationDB calls it buggify): a quarter of them is
// armed in half of the runs. Production code does not know: it is configured oddly, or its disk, its clock and its
// network behave as they may and hardly ever do.
#pragma once
#include <cstdint>
#include <string_view>

#include "common/config/config.h"

namespace sim {

// name, what is done
#define SIM_RARE(X)                                                            \
  X(early_rolls, "segments end after seconds, indexes are full after entries") \
  X(short_lags, "a replica lags after a second")                               \
  X(little_memory, "answers wait for room")                                    \
  X(small_cleaner, "a cleaner that knows few keys and goes in small steps")    \
  X(snapshots_often, "metadata snapshots every few seconds")                   \
  X(no_rebalance, "leaders stay where they are")                               \
  X(impatient_groups, "offsets are given up after a moment")                   \
  X(cold_reads, "nothing is in the page cache")                                \
  X(late_timers, "timers fire late")                                           \
  X(failed_connects, "connections that get no answer at once")                 \
  X(transfers, "the quorum's leader hands over all the time")

enum class Rare : uint8_t {
#define X(name, text) name,
  SIM_RARE(X)
#undef X
      count
};

[[nodiscard]] constexpr bool is_armed(uint32_t rare, Rare which) {
  return (rare >> static_cast<int>(which) & 1u) != 0;
}
[[nodiscard]] uint32_t draw_rare(uint64_t seed);
[[nodiscard]] std::string_view to_string(Rare rare);

// What is done by settings alone.
void configure_rarely(common::config::BrokerConfig& config, uint32_t rare);

}  // namespace sim
