#include "broker/api/producer_id_source.h"

#include "common/model/mutant.h"

namespace broker::api {

using common::model::ErrorCode;
using common::model::mutant;
using common::model::ProducerId;
using common::model::Result;
namespace metadata = controller::metadata;

ProducerIdSource::ProducerIdSource(common::Shard& shard, controller::quorum::ControllerClient& controller,
                                   common::model::BrokerId node,
                                   std::function<std::optional<common::model::BrokerEpoch>()> epoch)
    : shard_(shard), controller_(controller), node_(node), epoch_(std::move(epoch)), answered_(shard) {}

common::Awaitable<Result<ProducerId>> ProducerIdSource::next(common::Instant deadline) {
  while (next_ == end_) {
    if (shard_.now() >= deadline) {
      co_return common::model::fail(ErrorCode::coordinator_load_in_progress, "the controller gave no producer ids in time");
    }
    if (asking_) {
      co_await common::until(answered_, deadline);
    } else {
      co_await take_block(deadline);
    }
  }
  co_return ProducerId(mutant<"R96-gives-an-id-to-two">() ? next_ : next_++);
}

common::Awaitable<void> ProducerIdSource::take_block(common::Instant deadline) {
  const auto epoch = epoch_();
  if (!epoch) {  // not registered yet: wait for the next image, at most a moment
    co_await common::sleep_until(shard_, std::min(deadline, shard_.now() + std::chrono::milliseconds(20)));
    co_return;
  }
  asking_ = true;
  metadata::ControllerRequest request = metadata::AllocateProducerIds{.broker_id = node_, .broker_epoch = *epoch};
  const metadata::ControllerAnswer answer = co_await controller_.call(shard_, std::move(request), deadline);
  asking_ = false;
  const auto* block = std::get_if<metadata::AllocateProducerIdsAnswer>(&answer);
  if (block != nullptr && block->error == ErrorCode::none) {
    next_ = block->first.value;
    end_ = next_ + block->count;
  } else {
    // A stale epoch heals by registering anew, and a controller that has too much to do says so at once: asking again
    // at once would only spin.
    co_await common::sleep_until(shard_, std::min(deadline, shard_.now() + std::chrono::milliseconds(20)));
  }
  answered_.pulse();
}

}  // namespace broker::api
