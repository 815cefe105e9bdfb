// Changes of existing partitions: ISR proposals of leaders (R35), elections by command, what a broker's coming and
// going means for the partitions it holds (R25, R37, R38, R44), and leaders returning to their preferred replica.
//
// Functions over a Draft; pure.
#pragma once
#include <functional>
#include <set>

#include "controller/metadata/draft.h"
#include "controller/metadata/election.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

// The one way in which a partition's ISR, leader or replicas change. Returns whether anything did.
bool change_partition(Draft& draft, const TopicImage& topic, PartitionIndex index, const PartitionState& state,
                      const PartitionPlan& plan, const ControllerOptions& options);

[[nodiscard]] AlterPartitionAnswer alter_partition(Draft& draft, const AlterPartition& request,
                                                   const ControllerOptions& options);
[[nodiscard]] ElectLeadersAnswer elect_leaders(Draft& draft, const ElectLeaders& request,
                                               const ControllerOptions& options);

// The broker is fenced, shutting down or going away (as the draft's image says): out of every ISR, its leaderships to
// others.
void leave_isrs(Draft& draft, BrokerId broker, const ControllerOptions& options);
// The broker lost unsynced data, or may have: out of every ISR and ELR (R44, R45).
void lose_claims(Draft& draft, BrokerId broker, const ControllerOptions& options);
// The broker has just become active: partitions without a leader may have one now.
void elect_leaderless(Draft& draft, BrokerId broker, const ControllerOptions& options);
// The topic may allow unclean elections now (R39).
void elect_leaderless(Draft& draft, const TopicImage& topic, const ControllerOptions& options);
// minISR changed: who was eligible under the old one no longer is, if the ISR now is large enough to commit (R43).
void revise_eligible(Draft& draft, const TopicImage& topic, const ControllerOptions& options);

// Who would rather not lead which partition (R81).
using Reluctance = std::function<bool(BrokerId, const TopicIdPartition&)>;

// Replicas of the broker have been found damaged that nobody counts on: they may start over with a state of the partition
// that is new to them (R41, R72), and none may come for long. This one differs in nothing else.
void renew_uncounted(Draft& draft, BrokerId broker, const std::set<TopicIdPartition>& damaged);

// Replicas of the broker are in trouble: failed ones lose their claims (R76), damaged ones too where another broker in
// service holds everything committed (R72), leaderships of reluctant ones go to members of the ISR that are not (R81).
void relieve(Draft& draft, BrokerId broker, const ReplicaTrouble& trouble, const Reluctance& is_reluctant,
             const ControllerOptions& options);

// Moves what `leader` leads where no other member of the ISR can fetch from it: nothing could be committed there.
void move_from_unreached(Draft& draft, BrokerId leader, const std::function<bool(BrokerId follower)>& is_cut,
                         const Reluctance& is_reluctant, const ControllerOptions& options);

// Moves what `leader` leads where another member of the ISR is not reluctant: it follows more slowly than others would
// lead ("gray failure").
void move_from_slow(Draft& draft, BrokerId leader, const Reluctance& is_reluctant, const ControllerOptions& options);

// Moves leaderships to preferred replicas among `settled` that are in the ISR and not reluctant; at most
// `options.rebalance_moves_max`.
void rebalance_leaders(Draft& draft, const std::set<BrokerId>& settled, const Reluctance& is_reluctant,
                       const ControllerOptions& options);

[[nodiscard]] bool leads_any(const MetadataImage& image, BrokerId broker);
// Whether some partition with several replicas is led by `broker` and nobody else could lead it (a guard of section 4).
[[nodiscard]] bool would_orphan(const MetadataImage& image, BrokerId broker);

}  // namespace controller::metadata
