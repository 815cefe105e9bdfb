// What the partitions of a shard take in, told to whoever minds how clients fare (the pace of replicas that catch up).
// Called on the shard, inside the event.
#pragma once
#include <cstddef>

#include "common/model/types.h"

namespace broker::partition {

class PartitionTraffic {
 public:
  virtual ~PartitionTraffic() = default;
  virtual void on_appended(size_t bytes, common::model::Instant now) = 0;
  // An acks=all write was committed `waited` after its append.
  virtual void on_committed(common::model::Duration waited, common::model::Instant now) = 0;
  // A client's write that waits for no replica was answered `took` after its request was begun.
  virtual void on_answered(common::model::Duration took, common::model::Instant now) = 0;
};

}  // namespace broker::partition
