#include "sim/buggify.h"

#include "sim/world.h"

namespace sim {

using common::config::milliseconds;

std::string_view to_string(Rare rare) {
  switch (rare) {
#define X(name, text) \
  case Rare::name:    \
    return text;
    SIM_RARE(X)
#undef X
    case Rare::count:
      break;
  }
  return "?";
}

uint32_t draw_rare(uint64_t seed) {
  Rng rng(seed, "rare");
  if (rng.chance(0.5)) return 0;
  uint32_t rare = 0;
  for (int i = 0; i < static_cast<int>(Rare::count); ++i) {
    if (rng.chance(0.25)) rare |= 1u << i;
  }
  return rare;
}

void configure_rarely(common::config::BrokerConfig& c, uint32_t rare) {
  const auto armed = [rare](Rare which) { return is_armed(rare, which); };
  if (armed(Rare::early_rolls)) {
    c.given["log.roll.ms"] = "3000";
    c.given["log.index.interval.bytes"] = "1";
    c.given["log.index.size.max.bytes"] = "120";
  }
  if (armed(Rare::short_lags)) c.replica_lag_time_max = milliseconds(1000);
  if (armed(Rare::little_memory)) c.response_memory_bytes = 4 << 20;
  if (armed(Rare::small_cleaner)) {
    c.cleaner_map_bytes = 1024;
    c.cleaner_io_buffer_bytes = 1;
  }
  if (armed(Rare::snapshots_often)) c.metadata_snapshot_interval = milliseconds(2000);
  if (armed(Rare::no_rebalance)) c.auto_leader_rebalance = false;
  if (armed(Rare::impatient_groups)) c.offsets_commit_timeout = milliseconds(200);
}

}  // namespace sim
