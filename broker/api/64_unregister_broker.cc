// UnregisterBroker (key 64), version 0: the cluster forgets a broker that is gone for good (KIP-500).
//
// It leaves the metadata, and with it Metadata, DescribeCluster and what is said of the cluster's health. Its places in
// replica lists stay: they are moved by AlterPartitionReassignments. One that still lives registers anew.
#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "common/config/config.h"
#include "kafka/unregister_broker.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using kafka::UnregisterBrokerRequest;
using kafka::UnregisterBrokerResponse;

Awaitable<UnregisterBrokerResponse> handle(RequestContext& ctx, UnregisterBrokerRequest request) {
  meta::ControllerRequest call = meta::UnregisterBroker{BrokerId(request.broker_id)};
  const Result<meta::UnregisterBrokerAnswer> answer = co_await ask_controller<meta::UnregisterBrokerAnswer>(
      ctx, std::move(call), ctx.shard().now() + ctx.config().request_timeout);
  const common::model::Error& error = answer ? answer->error : answer.error();
  UnregisterBrokerResponse response;
  response.error_code = error.code;
  response.error_message = wire_message(error);
  co_return response;
}

}  // namespace

const ApiHandler unregister_broker =
    make_handler<UnregisterBrokerRequest, UnregisterBrokerResponse, &handle>("UnregisterBroker", {.min = 0, .max = 0});

}  // namespace broker::api
