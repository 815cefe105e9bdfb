#include "controller/metadata/producer_ids.h"

#include <limits>

#include "common/model/mutant.h"

namespace controller::metadata {

using common::model::mutant;

AllocateProducerIdsAnswer allocate_producer_ids(Draft& draft, const AllocateProducerIds& request,
                                                const ControllerOptions& options) {
  AllocateProducerIdsAnswer answer;
  const BrokerImage* broker = draft.image().broker(request.broker_id);
  if (broker == nullptr ||
      (broker->epoch != request.broker_epoch && !mutant<"R30-gives-ids-to-an-older-life">())) {  // R30
    answer.error = ErrorCode::stale_broker_epoch;
    return answer;
  }
  const ProducerId first = draft.image().next_producer_id();
  if (first.value > std::numeric_limits<int64_t>::max() - options.producer_id_block) {
    answer.error = ErrorCode::unknown_server_error;  // 9 * 10^18 ids are spent
    return answer;
  }
  answer.first = first;
  answer.count = options.producer_id_block;
  draft.add(
      ProducerIdsRecord{request.broker_id, request.broker_epoch,
                        ProducerId{first.value + (mutant<"R96-gives-ids-twice">() ? 1 : options.producer_id_block)}});
  return answer;
}

}  // namespace controller::metadata
