#include "controller/metadata/producer_ids.h"

#include <limits>

namespace controller::metadata {

AllocateProducerIdsAnswer allocate_producer_ids(Draft& draft, const AllocateProducerIds& request,
                                                const ControllerOptions& options) {
  AllocateProducerIdsAnswer answer;
  const BrokerImage* broker = draft.image().broker(request.broker_id);
  if (broker == nullptr || broker->epoch != request.broker_epoch) {  // R30
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
      ProducerIdsRecord{request.broker_id, request.broker_epoch, ProducerId{first.value + options.producer_id_block}});
  return answer;
}

}  // namespace controller::metadata
