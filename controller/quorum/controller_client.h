// How the rest of a broker talks to the active controller, wherever it is: locally if this process is the one, over
// gRPC otherwise. Own channel, distinct from replication's, so that record traffic cannot delay it.
//
// Thread-safe: callable on any shard; the answer comes back on the caller's.
#pragma once
#include "common/shard.h"
#include "controller/metadata/requests.h"

namespace controller::quorum {

using common::model::Instant;
using metadata::ControllerAnswer;
using metadata::ControllerRequest;
using metadata::RequestOrigin;

class ControllerClient {
 public:
  virtual ~ControllerClient() = default;

  // The answer is given after the change is committed *and* this broker's own image has reached it (both bounded by
  // `deadline`), so that who asked sees what it did. For CreateTopics and CreatePartitions also after the brokers that
  // lead the new partitions have applied it.
  //
  // Tried again on NOT_CONTROLLER, on a controller that never took the request, and where its answer was lost, until
  // `deadline`; then Refused{REQUEST_TIMED_OUT}: unknown, as in Kafka. What is asked for again after it was done is
  // done (forwarding_client.h); but, as in Kafka too, a setting, an election or a reassignment that somebody else has
  // changed in between is changed back.
  virtual common::Awaitable<ControllerAnswer> call(common::Shard& here, ControllerRequest request, Instant deadline,
                                                   RequestOrigin origin = {}) = 0;
};

}  // namespace controller::quorum
