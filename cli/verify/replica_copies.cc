#include "cli/verify/replica_copies.h"

#include <limits>

#include <fmt/format.h>

namespace cli::verify {

void ReplicaCopies::copied(int32_t replica, int64_t offset, uint64_t hash, int32_t leader_epoch) {
  const auto [it, first] = replicas_.try_emplace(replica);
  Replica& state = it->second;
  if (!first && offset < state.next) {
    state.other_bytes.push_back(offset);  // one replica, one offset, twice
    return;
  }
  if (offset > state.next) state.gaps.push_back({state.next, offset});
  state.next = offset + 1;
  if (leader_epoch < state.leader_epoch) state.epoch_fell.push_back(offset);
  state.leader_epoch = leader_epoch;
  // The epoch belongs to what a replica holds: who was elected with another one would truncate elsewhere.
  hash ^= static_cast<uint64_t>(leader_epoch) * 0x9e3779b97f4a7c15ULL;
  hash |= 1;  // never the absent one
  uint64_t& known = hashes_.at(offset);
  if (known == 0) known = hash;
  if (known != hash) state.other_bytes.push_back(offset);
}

void ReplicaCopies::ended(int32_t replica, int64_t log_start, int64_t high_watermark) {
  Replica& state = replicas_[replica];
  state.log_start = log_start;
  state.high_watermark = high_watermark;
}

void ReplicaCopies::judge(const Tell& tell) const {
  int64_t common = std::numeric_limits<int64_t>::max();
  for (const auto& [id, replica] : replicas_) {
    if (replica.high_watermark >= 0) common = std::min(common, replica.high_watermark);
  }
  for (const auto& [id, replica] : replicas_) {
    if (replica.high_watermark < 0) continue;
    for (const int64_t offset : replica.epoch_fell) {
      tell(Anomaly::leader_epoch, fmt::format("replica {}: the epoch falls at offset {}", id, offset));
    }
    for (const int64_t offset : replica.other_bytes) {
      if (offset < common && offset >= replica.log_start)
        tell(Anomaly::replica_divergent, fmt::format("offset {} differs on replica {}", offset, id));
    }
    const auto missing = [&](int64_t from, int64_t to) {
      from = std::max(from, replica.log_start);
      to = std::min(to, common);
      if (from < to && hashes_.any_in(from, to))
        tell(Anomaly::replica_divergent, fmt::format("replica {} lacks offsets in {}..{}", id, from, to - 1));
    };
    for (const Range& gap : replica.gaps) missing(gap.from, gap.to);
    missing(replica.next, common);
  }
}

}  // namespace cli::verify
