#include "broker/isr_proposals.h"

#include <map>

namespace broker {

using common::model::ErrorCode;
using common::model::Result;
using common::model::TopicIdPartition;
using partition::IsrProposal;
using partition::IsrRecorded;
namespace metadata = controller::metadata;

namespace {

metadata::AlterPartition::Partition to_request(const IsrProposal& proposal) {
  metadata::AlterPartition::Partition asked{.topic_id = proposal.partition.topic_id,
                                            .partition = proposal.partition.partition,
                                            .leader_epoch = proposal.leader_epoch,
                                            .partition_epoch = proposal.propose.expected,
                                            .isr = {},
                                            .recovery_state = proposal.recovery == partition::Recovery::recovered
                                                                  ? metadata::RecoveryState::recovered
                                                                  : metadata::RecoveryState::recovering};
  for (const partition::IsrMember& member : proposal.propose.isr) {
    asked.isr.push_back({.broker_id = member.id, .broker_epoch = member.epoch});
  }
  return asked;
}

IsrRecorded to_recorded(const metadata::AlterPartitionAnswer::Partition& answer) {
  IsrRecorded recorded;
  recorded.leader_epoch = answer.leader_epoch;
  recorded.partition.partition_epoch = answer.partition_epoch;
  recorded.partition.isr.assign(answer.isr.begin(), answer.isr.end());
  recorded.partition.recovery = answer.recovery_state == metadata::RecoveryState::recovered
                                    ? partition::Recovery::recovered
                                    : partition::Recovery::recovering;
  return recorded;
}

}  // namespace

IsrProposals::IsrProposals(common::Shard& shard, controller::quorum::ControllerClient& controller,
                           common::model::BrokerId node,
                           std::function<std::optional<common::model::BrokerEpoch>()> epoch, common::Duration timeout)
    : shard_(shard),
      controller_(controller),
      node_(node),
      epoch_(std::move(epoch)),
      timeout_(timeout),
      alive_(std::make_shared<bool>(true)) {}

IsrProposals::~IsrProposals() = default;

void IsrProposals::send(IsrProposal proposal, Done done) {
  pending_.emplace_back(std::move(proposal), std::move(done));
  if (pending_.size() > 1) return;
  shard_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    shard_.spawn("alter partition", deliver(this, alive, std::exchange(pending_, {})));
  });
}

common::Awaitable<void> IsrProposals::deliver(IsrProposals* self, std::weak_ptr<bool> alive, Pending batch) {
  const auto fail_all = [&batch](ErrorCode code, const std::string& why) {
    for (auto& [proposal, done] : batch) done(common::model::fail(code, why));
  };
  const auto epoch = self->epoch_();
  if (!epoch) {
    fail_all(ErrorCode::not_controller, "this broker is not registered yet");
    co_return;
  }
  metadata::AlterPartition asked{.broker_id = self->node_, .broker_epoch = *epoch, .partitions = {}};
  for (const auto& [proposal, done] : batch) asked.partitions.push_back(to_request(proposal));
  metadata::ControllerRequest request = std::move(asked);
  common::Shard& shard = self->shard_;
  const metadata::ControllerAnswer answer =
      co_await self->controller_.call(shard, std::move(request), shard.now() + self->timeout_);
  if (alive.expired()) co_return;  // the shard is shutting down: partitions end their waits by themselves (R58)
  if (const auto* refused = std::get_if<metadata::Refused>(&answer)) {
    fail_all(refused->error.code, refused->error.message);
    co_return;
  }
  const auto* changed = std::get_if<metadata::AlterPartitionAnswer>(&answer);
  NARU_CHECK(changed != nullptr, "the controller answered AlterPartition with alternative {}", answer.index());
  if (changed->error != ErrorCode::none) {
    fail_all(changed->error, "the controller refused the whole request");
    co_return;
  }
  std::map<TopicIdPartition, const metadata::AlterPartitionAnswer::Partition*> by_partition;
  for (const auto& p : changed->partitions) by_partition[{p.topic_id, p.partition}] = &p;
  for (auto& [proposal, done] : batch) {
    const auto found = by_partition.find(proposal.partition);
    if (found == by_partition.end()) {
      done(common::model::fail(ErrorCode::unknown_server_error, "the controller's answer lacks this partition"));
    } else if (found->second->error != ErrorCode::none) {
      done(common::model::fail(found->second->error, "refused by the controller"));
    } else {
      done(to_recorded(*found->second));
    }
  }
}

}  // namespace broker
