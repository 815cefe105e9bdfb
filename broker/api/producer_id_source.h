// Producer ids for InitProducerId, from blocks that the controller hands out through Raft: a crash wastes the rest of a
// block and never repeats an id (R96).
//
// Lives on one shard; each shard has its own block.
#pragma once
#include <functional>
#include <optional>

#include "common/model/result.h"
#include "common/model/types.h"
#include "common/shard.h"
#include "controller/quorum/controller_client.h"

namespace broker::api {

class ProducerIdSource {
 public:
  // `epoch` is this broker's epoch once it is registered. References outlive the source.
  ProducerIdSource(common::Shard& shard, controller::quorum::ControllerClient& controller, common::model::BrokerId node,
                   std::function<std::optional<common::model::BrokerEpoch>()> epoch);

  // COORDINATOR_LOAD_IN_PROGRESS when the controller gave no block in time: clients try again.
  common::Awaitable<common::model::Result<common::model::ProducerId>> next(common::Instant deadline);

 private:
  common::Awaitable<void> take_block(common::Instant deadline);

  common::Shard& shard_;
  controller::quorum::ControllerClient& controller_;
  const common::model::BrokerId node_;
  const std::function<std::optional<common::model::BrokerEpoch>()> epoch_;
  int64_t next_ = 0;
  int64_t end_ = 0;      // exclusive
  bool asking_ = false;  // one request to the controller at a time
  common::Event answered_;
};

}  // namespace broker::api
