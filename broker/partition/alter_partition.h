// How a leader asks the controller to record another ISR. The production form collects the proposals of a moment into
// one AlterPartition request over ControllerClient; tests answer by hand.
//
// Thread-compatible: lives on the shard of the partitions that use it.
#pragma once
#include <functional>
#include <string>

#include "broker/partition/isr_tracker.h"
#include "common/model/result.h"

namespace broker::partition {

struct IsrProposal {
  common::model::TopicIdPartition partition;
  LeaderEpoch leader_epoch;
  ProposeIsr propose;
  Recovery recovery = Recovery::recovered;
};

// What the controller recorded; `leader_epoch` may be newer than ours, the replicas are not repeated.
struct IsrRecorded {
  LeaderEpoch leader_epoch;
  RecordedPartition partition;
};

class AlterPartitionSender {
 public:
  using Done = std::function<void(common::model::Result<IsrRecorded>)>;
  virtual ~AlterPartitionSender() = default;
  // Calls `done` once, later, on the calling shard. An answer that never comes (lost controller) must end as an error:
  // NETWORK_EXCEPTION, REQUEST_TIMED_OUT and NOT_CONTROLLER make the partition send the same proposal again.
  virtual void send(IsrProposal proposal, Done done) = 0;
};

}  // namespace broker::partition
