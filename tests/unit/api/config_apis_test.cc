#include "api/broker_fixture.h"
#include "kafka/alter_configs.h"
#include "kafka/describe_configs.h"
#include "kafka/incremental_alter_configs.h"

using namespace broker::api;
using namespace broker::api::test;
using kafka::DescribeConfigsRequest;
using kafka::DescribeConfigsResponse;

namespace {

constexpr int8_t topic_resource = 2;
constexpr int8_t broker_resource = 4;

DescribeConfigsRequest describe(int8_t type, const std::string& name,
                                std::optional<std::vector<std::string>> keys = {}) {
  DescribeConfigsRequest request;
  request.resources.push_back({type, name, std::move(keys)});
  return request;
}

}  // namespace

TEST_CASE("DescribeConfigs of a topic tells each value's layer") {
  BrokerFixture broker;
  broker.create_topic("orders", 1);
  broker.apply(meta::ConfigRecord{{meta::ResourceType::topic, "orders"}, "retention.ms", "1000"});
  broker.apply(meta::ConfigRecord{{meta::ResourceType::broker, ""}, "log.segment.bytes", "2097152"});
  for (int16_t version = 0; version <= 4; ++version) {
    INFO("version " << version);
    DescribeConfigsRequest request =
        describe(topic_resource, "orders", {{"retention.ms", "segment.bytes", "nonsense"}});
    request.include_synonyms = version >= 1;
    request.include_documentation = version >= 3;
    const auto response = broker.ask<DescribeConfigsResponse>(request, version);
    const auto& result = response.results.at(0);
    REQUIRE(result.error_code == ErrorCode::none);
    REQUIRE_FALSE(result.error_message.has_value());
    REQUIRE(result.configs.size() == 2);
    REQUIRE(result.configs[0].name == "retention.ms");
    REQUIRE(result.configs[0].value == "1000");
    REQUIRE(result.configs[1].value == "2097152");
    if (version == 0) REQUIRE_FALSE(result.configs[0].is_default);
    if (version >= 1) {
      REQUIRE(result.configs[0].config_source == 1);
      REQUIRE(result.configs[1].config_source == 3);
      REQUIRE(result.configs[0].synonyms.size() == 2);
      REQUIRE(result.configs[0].synonyms[1].source == 5);
    }
    if (version >= 3) {
      REQUIRE(result.configs[0].config_type == 5);
      REQUIRE_FALSE(result.configs[0].documentation.value().empty());
    }
  }
  const auto all = broker.ask<DescribeConfigsResponse>(describe(topic_resource, "orders"), 4);
  REQUIRE(all.results.at(0).configs.size() > 25);
  REQUIRE_FALSE(all.results[0].configs[0].documentation.has_value());
}

namespace {

struct SharedShard : BrokerFixture {
  // Whether something else of the shard is run before the request is answered.
  bool lets_others_in(const DescribeConfigsRequest& request) {
    server::InFlight in_flight(shard(), info, request_frame(request, 4));
    std::optional<server::Outcome> outcome;
    bool was_first = false;
    shard().spawn("request", run(in_flight, outcome));
    shard().post([&] { was_first = !outcome.has_value(); });
    poll();
    REQUIRE(outcome.has_value());
    return was_first;
  }
};

}  // namespace

TEST_CASE("DescribeConfigs of many topics does not keep the shard to itself") {
  SharedShard broker;
  DescribeConfigsRequest request;
  for (int i = 0; i < 200; ++i) request.resources.push_back({topic_resource, "t" + std::to_string(i), std::nullopt});
  REQUIRE(broker.lets_others_in(request));
}

TEST_CASE("DescribeConfigs answers once who is named often (R109)") {
  BrokerFixture broker;
  DescribeConfigsRequest request = describe(broker_resource, "1");
  request.resources.push_back({topic_resource, "1", std::nullopt});
  request.resources.push_back({broker_resource, "1", std::nullopt});
  const auto response = broker.ask<DescribeConfigsResponse>(request, 4);
  REQUIRE(response.results.size() == 2);
  REQUIRE(response.results[0].resource_type == broker_resource);
  REQUIRE(response.results[1].resource_type == topic_resource);
}

TEST_CASE("a message that repeats what the client sent is cut to what a string can be") {
  BrokerFixture broker;
  const auto response = broker.ask<DescribeConfigsResponse>(describe(topic_resource, std::string(32'700, 'a')), 1);
  REQUIRE(response.results.at(0).error_code == ErrorCode::invalid_topic_exception);
  REQUIRE(response.results[0].error_message.value().starts_with("Topic name is invalid"));
  REQUIRE(response.results[0].error_message->size() < 1100);
}

TEST_CASE("DescribeConfigs of brokers: this one, the defaults, others") {
  BrokerFixture broker;
  broker.apply(meta::ConfigRecord{{meta::ResourceType::broker, ""}, "log.segment.bytes", "2097152"});
  const auto own = broker.ask<DescribeConfigsResponse>(describe(broker_resource, "1"), 4);
  REQUIRE(own.results.at(0).configs.size() > 100);
  const auto defaults = broker.ask<DescribeConfigsResponse>(describe(broker_resource, ""), 4);
  REQUIRE(defaults.results.at(0).configs.size() == 1);
  REQUIRE(defaults.results[0].configs[0].name == "log.segment.bytes");
  for (const auto& refused : {describe(broker_resource, "2"), describe(broker_resource, "x"), describe(99, "")}) {
    const auto response = broker.ask<DescribeConfigsResponse>(refused, 4);
    REQUIRE(response.results.at(0).error_code == ErrorCode::invalid_request);
  }
  REQUIRE(broker.ask<DescribeConfigsResponse>(describe(topic_resource, "none"), 0).results.at(0).error_code ==
          ErrorCode::unknown_topic_or_partition);
  REQUIRE(broker.ask<DescribeConfigsResponse>(describe(topic_resource, "a b"), 0).results.at(0).error_code ==
          ErrorCode::invalid_topic_exception);
}

TEST_CASE("AlterConfigs and IncrementalAlterConfigs become one call to the controller") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    meta::AlterConfigsAnswer answer;
    for (const auto& one : std::get<meta::AlterConfigs>(request).resources) {
      meta::AlterConfigsAnswer::Resource resource{.resource = one.resource};
      if (one.resource.name == "bad") resource.error = {ErrorCode::invalid_config, "no"};
      answer.resources.push_back(resource);
    }
    return answer;
  };
  kafka::AlterConfigsRequest full;
  full.resources.push_back({topic_resource, "orders", {{"retention.ms", "5"}}});
  full.resources.push_back({topic_resource, "bad", {}});
  for (int16_t version = 0; version <= 2; ++version) {
    const auto response = broker.ask<kafka::AlterConfigsResponse>(full, version);
    REQUIRE(response.responses.at(0).error_code == ErrorCode::none);
    REQUIRE_FALSE(response.responses[0].error_message.has_value());
    REQUIRE(response.responses.at(1).error_message == "no");
  }
  broker.controller.requests.clear();
  kafka::IncrementalAlterConfigsRequest incremental;
  incremental.resources.push_back({topic_resource, "odd", {{"retention.ms", 9, "5"}}});
  incremental.resources.push_back(
      {topic_resource, "orders", {{"cleanup.policy", 2, "compact"}, {"retention.ms", 1, {}}}});
  incremental.validate_only = true;
  const auto response = broker.ask<kafka::IncrementalAlterConfigsResponse>(incremental, 1);
  REQUIRE(response.responses.at(0).resource_name == "odd");
  REQUIRE(response.responses[0].error_code == ErrorCode::invalid_request);
  REQUIRE(response.responses.at(1).error_code == ErrorCode::none);
  const auto asked = broker.asked_controller<meta::AlterConfigs>();
  REQUIRE(asked.alteration == meta::ConfigAlteration::incremental);
  REQUIRE(asked.validate_only == meta::ValidateOnly::yes);
  REQUIRE(asked.resources.size() == 1);
  REQUIRE(asked.resources[0].changes.at(0).operation == meta::ConfigOperation::append);
  REQUIRE_FALSE(asked.resources[0].changes.at(1).value.has_value());

  broker.controller.answer = nullptr;
  REQUIRE(broker.ask<kafka::AlterConfigsResponse>(full, 0).responses.at(1).error_code ==
          ErrorCode::broker_not_available);
}
