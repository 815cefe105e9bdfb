// InitProducerId (key 22), versions 0-5: a producer id for an idempotent producer, from the blocks that the controller
// hands out (R96). Such a producer always gets a new id at epoch 0, also when it names the one it had (KIP-360): ids
// are plentiful, and a new one cannot be mistaken for an old.
//
// New by version: 2 flexible; 3 the id and epoch that the producer has. Left out: transactional ids (refused with a
// clear message), version 6 (not stable in the protocol).
#include "kafka/init_producer_id.h"

#include "broker/api/handler.h"
#include "broker/api/producer_id_source.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::InitProducerIdRequest;
using kafka::InitProducerIdResponse;

// Below the request timeout of clients, so that they hear "try again" instead of nothing.
constexpr std::chrono::seconds wait_max{5};

// R33: the controller cannot be asked from here, and from elsewhere it may be.
bool is_cut_off(RequestContext& ctx) {
  const auto& may_be_replaced = ctx.broker().may_be_replaced;
  return may_be_replaced && may_be_replaced();
}

Awaitable<InitProducerIdResponse> handle(RequestContext& ctx, InitProducerIdRequest request) {
  InitProducerIdResponse response;
  if (request.transactional_id || (request.producer_id == -1) != (request.producer_epoch == -1)) {
    response.error_code = ErrorCode::invalid_request;
    response.producer_epoch = -1;
    co_return response;
  }
  // What is left of a block is still nobody's. Beyond that no time is lost here: whatever the client asks next on this
  // connection waits for this answer (R87), and librdkafka asks whom it is connected to for as long as it is.
  const common::Duration patience = is_cut_off(ctx) ? common::Duration::zero() : wait_max;
  const Result<common::model::ProducerId> id = co_await ctx.broker().producer_ids->next(ctx.shard().now() + patience);
  if (!id) {
    if (is_cut_off(ctx))
      ctx.end_connection("cut off from the other brokers: who asks for a producer id is to ask one of those");
    response.error_code = id.error().code;
    response.producer_epoch = -1;
    co_return response;
  }
  response.producer_id = id->value;
  response.producer_epoch = 0;
  co_return response;
}

}  // namespace

const ApiHandler init_producer_id =
    make_handler<InitProducerIdRequest, InitProducerIdResponse, &handle>("InitProducerId", {.min = 0, .max = 5});

}  // namespace broker::api
