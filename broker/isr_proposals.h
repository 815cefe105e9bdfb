// Carries ISR proposals to the controller: those that come in one turn of the event loop travel in one AlterPartition
// request, because a broker's failure changes the ISR of very many partitions at once.
//
// Lives on one shard, with the partitions that use it.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "broker/partition/alter_partition.h"
#include "common/shard.h"
#include "controller/quorum/controller_client.h"

namespace broker {

class IsrProposals final : public partition::AlterPartitionSender {
 public:
  // `epoch` is this broker's epoch once it is registered. References outlive this.
  IsrProposals(common::Shard& shard, controller::quorum::ControllerClient& controller, common::model::BrokerId node,
               std::function<std::optional<common::model::BrokerEpoch>()> epoch, common::Duration timeout);
  ~IsrProposals() override;

  void send(partition::IsrProposal proposal, Done done) override;

 private:
  using Pending = std::vector<std::pair<partition::IsrProposal, Done>>;
  static common::Awaitable<void> deliver(IsrProposals* self, std::weak_ptr<bool> alive, Pending batch);

  common::Shard& shard_;
  controller::quorum::ControllerClient& controller_;
  const common::model::BrokerId node_;
  const std::function<std::optional<common::model::BrokerEpoch>()> epoch_;
  const common::Duration timeout_;
  Pending pending_;
  std::shared_ptr<bool> alive_;
};

}  // namespace broker
