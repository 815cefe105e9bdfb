#include "api/broker_fixture.h"
#include "broker/api/producer_id_source.h"
#include "kafka/init_producer_id.h"

using namespace broker::api;
using namespace broker::api::test;

TEST_CASE("InitProducerId refuses transactional ids in words of its own") {
  BrokerFixture broker;
  kafka::InitProducerIdRequest request;
  request.transactional_id = "t";
  REQUIRE(broker.ask<kafka::InitProducerIdResponse>(request, 0).error_code == ErrorCode::invalid_request);
  request.transactional_id.reset();
  request.producer_id = 5;
  REQUIRE(broker.ask<kafka::InitProducerIdResponse>(request, 3).error_code == ErrorCode::invalid_request);
}

TEST_CASE("InitProducerId gives each producer an id of its own, from one block after the other (R96)") {
  BrokerFixture broker;
  int64_t first = 1000;
  broker.controller.answer = [&](const meta::ControllerRequest&) -> meta::ControllerAnswer {
    first += 1000;
    return meta::AllocateProducerIdsAnswer{
        .error = ErrorCode::none, .first = common::model::ProducerId(first), .count = 3};
  };
  ProducerIdSource source(*broker.context.shard, broker.controller, BrokerId(1),
                          [] { return std::optional(BrokerEpoch(7)); });
  broker.context.producer_ids = &source;
  kafka::InitProducerIdRequest request;
  request.transactional_id.reset();
  std::vector<int64_t> ids;
  for (int i = 0; i < 5; ++i) {
    const auto response = broker.ask<kafka::InitProducerIdResponse>(request, 4);
    REQUIRE(response.error_code == ErrorCode::none);
    REQUIRE(response.producer_epoch == 0);
    ids.push_back(response.producer_id);
  }
  REQUIRE(ids == std::vector<int64_t>{2000, 2001, 2002, 3000, 3001});
  REQUIRE(broker.controller.requests.size() == 2);
  for (const meta::ControllerRequest& asked : broker.controller.requests) {
    const auto* block = std::get_if<meta::AllocateProducerIds>(&asked);
    REQUIRE(block != nullptr);
    REQUIRE(block->broker_epoch == BrokerEpoch(7));
  }
}

TEST_CASE("a controller that has too much to do is not asked for producer ids without a pause (R96)") {
  BrokerFixture broker;
  broker.controller.answer = [&](const meta::ControllerRequest&) -> meta::ControllerAnswer {
    if (broker.controller.requests.size() < 4) return meta::Refused{{ErrorCode::throttling_quota_exceeded, "busy"}};
    return meta::AllocateProducerIdsAnswer{
        .error = ErrorCode::none, .first = common::model::ProducerId(1000), .count = 3};
  };
  ProducerIdSource source(*broker.context.shard, broker.controller, BrokerId(1),
                          [] { return std::optional(BrokerEpoch(7)); });
  broker.context.producer_ids = &source;
  kafka::InitProducerIdRequest request;
  request.transactional_id.reset();
  const common::Instant begun = broker.context.shard->now();
  const auto response = broker.ask<kafka::InitProducerIdResponse>(request, 4);
  REQUIRE(response.error_code == ErrorCode::none);
  REQUIRE(response.producer_id == 1000);
  REQUIRE(broker.context.shard->now() - begun >= std::chrono::milliseconds(60));
}

// librdkafka asks whom it is connected to, and a producer without an id writes nothing: five seconds of waiting each
// time, with its questions for leaders behind them, held one for thirty seconds at the broker that could not tell.
TEST_CASE("R33: who may have been replaced gives the ids that it has, and sends further producers elsewhere at once") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest&) -> meta::ControllerAnswer {
    return meta::AllocateProducerIdsAnswer{
        .error = ErrorCode::none, .first = common::model::ProducerId(1000), .count = 2};
  };
  ProducerIdSource source(*broker.context.shard, broker.controller, BrokerId(1),
                          [] { return std::optional(BrokerEpoch(7)); });
  broker.context.producer_ids = &source;
  kafka::InitProducerIdRequest request;
  request.transactional_id.reset();
  REQUIRE(broker.ask<kafka::InitProducerIdResponse>(request, 4).producer_id == 1000);

  bool may_be_replaced = true;
  broker.context.may_be_replaced = [&] { return may_be_replaced; };
  const server::Outcome left = broker.send(request, 4);
  REQUIRE_FALSE(left.is_last);
  REQUIRE(broker.read<kafka::InitProducerIdResponse>(left, 4).producer_id == 1001);

  const common::Instant begun = broker.context.shard->now();
  const server::Outcome none = broker.send(request, 4);
  REQUIRE(none.is_last);
  REQUIRE(broker.read<kafka::InitProducerIdResponse>(none, 4).error_code == ErrorCode::coordinator_load_in_progress);
  REQUIRE(broker.context.shard->now() - begun < std::chrono::seconds(1));
  REQUIRE(broker.controller.requests.size() == 1);  // nobody was asked who cannot be reached

  may_be_replaced = false;
  const server::Outcome again = broker.send(request, 4);
  REQUIRE_FALSE(again.is_last);
  REQUIRE(broker.read<kafka::InitProducerIdResponse>(again, 4).producer_id == 1000);
}
