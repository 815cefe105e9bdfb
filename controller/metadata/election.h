// Who leads a partition, and who may (R34-R46, KIP-966): the arithmetic of ISR, ELR and leader for one change of one
// partition. Everything that alters a partition's ISR or leader goes through plan_change.
//
// Pure functions.
#pragma once
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "controller/metadata/image.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

enum class Election : uint8_t {
  if_needed,  // keep the leader if it can go on
  preferred,  // move to the first replica if it is in the ISR
  unclean,    // by command: as if_needed, but any live replica will do (R39)
};

// Where a partition's replicas are and are to be. While a reassignment goes on, old and new ones are replicas together.
struct ReplicaSet {
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> adding;    // were no replicas when it began
  std::vector<BrokerId> removing;  // will be none when it ends
  friend bool operator==(const ReplicaSet&, const ReplicaSet&) = default;
};

struct PartitionPlan {
  std::optional<ReplicaSet> assignment;      // a reassignment begins or is turned back; unset: as it is
  std::optional<std::vector<BrokerId>> isr;  // the new ISR; unset: as it is
  std::set<BrokerId> lost_claim;             // came back from an unclean restart: out of ISR and ELR (R44)
  std::set<BrokerId> reluctant;              // lead only if nobody else can (R81)
  Election election = Election::if_needed;
  LeaderReason leader_reason = LeaderReason::unknown;
  // This broker alone may be elected: the winner of a recovery by longest log (R46). And the others of those last known
  // to be complete, but for the unregistered.
  std::optional<BrokerId> recovered_leader;
  std::vector<BrokerId> recovered_among;
  std::optional<RecoveryState> recovery_state;
};

struct ElectionRules {
  size_t min_isr = 1;  // as wished for; clipped to the number of replicas that the partition had or will have
  Enabled unclean = Enabled::no;
  std::function<bool(BrokerId)> is_active;  // R29
  // Has said that it cannot use its copy. Unset: nothing is known of that.
  std::function<bool(BrokerId)> is_offline;
};

// Whom a partition had before its reassignment, and will have after it: all its replicas when there is none.
[[nodiscard]] std::vector<BrokerId> original_replicas(const PartitionState& state);
[[nodiscard]] std::vector<BrokerId> target_replicas(const PartitionState& state);
[[nodiscard]] inline bool is_reassigning(const PartitionState& state) {
  return !state.adding.empty() || !state.removing.empty();
}

// The record that carries out the plan; nothing if the partition stays as it is.
[[nodiscard]] std::optional<PartitionChangeRecord> plan_change(const TopicId& topic, PartitionIndex index,
                                                               const PartitionState& state, const PartitionPlan& plan,
                                                               const ElectionRules& rules);

// min.insync.replicas of the topic: its own, the cluster-wide default, else ours; at least 1.
[[nodiscard]] size_t min_isr(const MetadataImage& image, std::string_view topic, const ControllerOptions& options);
[[nodiscard]] ElectionRules rules_for(const MetadataImage& image, std::string_view topic,
                                      const ControllerOptions& options);

[[nodiscard]] inline bool contains(const std::vector<BrokerId>& members, BrokerId id) {
  for (const BrokerId m : members) {
    if (m == id) return true;
  }
  return false;
}

}  // namespace controller::metadata
