// Moving replicas (R40): what a reassignment is made of. It begins by making old and new replicas one set; the election
// rules end it (plan_change), in the same record in which the last of the new ones enters the ISR.
//
// A replica that is in both `adding` and `removing` is one that a later reassignment, or turning back, does without,
// but that may not go yet because it counts: it is in the ISR, or may be elected.
//
// Functions over a Draft; pure.
#pragma once
#include "controller/metadata/draft.h"
#include "controller/metadata/election.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

// The set of replicas while the partition moves to `targets`.
[[nodiscard]] ReplicaSet reassigned(const PartitionState& state, const std::vector<BrokerId>& targets);

[[nodiscard]] AlterPartitionReassignmentsAnswer alter_reassignments(Draft& draft,
                                                                    const AlterPartitionReassignments& request,
                                                                    const ControllerOptions& options);

// Topics of our own that were made when there were fewer brokers than replicas are wished for: once there are enough,
// their partitions get the replicas that they lack, those with the fewest of them first.
void grow_internal_topics(Draft& draft, const ControllerOptions& options);

}  // namespace controller::metadata
