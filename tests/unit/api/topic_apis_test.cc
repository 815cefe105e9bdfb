#include "api/broker_fixture.h"
#include "kafka/alter_partition_reassignments.h"
#include "kafka/create_partitions.h"
#include "kafka/create_topics.h"
#include "kafka/delete_topics.h"
#include "kafka/elect_leaders.h"

using namespace broker::api;
using namespace broker::api::test;
using kafka::CreateTopicsRequest;
using kafka::CreateTopicsResponse;
using kafka::DeleteTopicsRequest;
using kafka::DeleteTopicsResponse;

namespace {

CreateTopicsRequest::CreatableTopic topic(const std::string& name, int32_t partitions, int16_t replicas) {
  CreateTopicsRequest::CreatableTopic one;
  one.name = name;
  one.num_partitions = partitions;
  one.replication_factor = replicas;
  return one;
}

meta::ControllerAnswer create_all(const meta::ControllerRequest& request) {
  meta::CreateTopicsAnswer answer;
  for (const auto& one : std::get<meta::CreateTopics>(request).topics) {
    answer.topics.push_back(
        {.name = one.name, .topic_id = TopicId::from_halves(1, 9), .partition_count = 4, .replication_factor = 3});
  }
  return answer;
}

}  // namespace

TEST_CASE("CreateTopics translates both ways in every version") {
  BrokerFixture broker;
  broker.controller.answer = create_all;
  CreateTopicsRequest request;
  request.topics.push_back(topic("orders", -1, -1));
  request.topics[0].configs.push_back({"retention.ms", "1000"});
  for (int16_t version = 0; version <= 7; ++version) {
    INFO("version " << version);
    broker.controller.requests.clear();
    const auto response = broker.ask<CreateTopicsResponse>(request, version);
    const auto asked = broker.asked_controller<meta::CreateTopics>();
    REQUIRE_FALSE(asked.topics.at(0).partition_count.has_value());
    REQUIRE_FALSE(asked.topics.at(0).replication_factor.has_value());
    REQUIRE(response.topics.at(0).name == "orders");
    REQUIRE(response.topics[0].error_code == ErrorCode::none);
    if (version < 5) continue;
    REQUIRE(response.topics[0].num_partitions == 4);
    REQUIRE(response.topics[0].replication_factor == 3);
    const auto& configs = response.topics[0].configs.value();
    const auto retention =
        std::find_if(configs.begin(), configs.end(), [](const auto& c) { return c.name == "retention.ms"; });
    REQUIRE(retention != configs.end());
    REQUIRE(retention->value == "1000");
    REQUIRE(retention->config_source == 1);
    if (version >= 7) REQUIRE(response.topics[0].topic_id == TopicId::from_halves(1, 9));
  }
}

TEST_CASE("CreateTopics: assignments, refusals, duplicates and the metadata log") {
  BrokerFixture broker;
  CreateTopicsRequest request;
  request.topics.push_back(topic("orders", -1, -1));
  request.topics[0].assignments.push_back({0, {2, 3}});
  request.topics.push_back(topic("orders", 1, 1));
  request.topics.push_back(topic("__cluster_metadata", 1, 1));
  request.validate_only = true;
  broker.controller.answer = [](const meta::ControllerRequest& asked) -> meta::ControllerAnswer {
    meta::CreateTopicsAnswer answer;
    for (const auto& one : std::get<meta::CreateTopics>(asked).topics) {
      answer.topics.push_back({.name = one.name, .error = {ErrorCode::invalid_request, "Duplicate topic name."}});
    }
    return answer;
  };
  const auto response = broker.ask<CreateTopicsResponse>(request, 5);
  REQUIRE(response.topics.size() == 2);
  REQUIRE(response.topics[0].name == "__cluster_metadata");
  REQUIRE(response.topics[0].error_code == ErrorCode::invalid_request);
  REQUIRE(response.topics[1].name == "orders");
  REQUIRE(response.topics[1].error_message == "Duplicate topic name.");
  const auto asked = broker.asked_controller<meta::CreateTopics>();
  REQUIRE(asked.validate_only == meta::ValidateOnly::yes);
  REQUIRE(asked.topics.at(0).assignments.at(0).second == std::vector<BrokerId>{BrokerId(2), BrokerId(3)});

  broker.controller.answer = nullptr;
  REQUIRE(broker.ask<CreateTopicsResponse>(request, 1).topics.at(1).error_code == ErrorCode::broker_not_available);
}

TEST_CASE("CreateTopics: internal topics get what they need where the request does not say otherwise") {
  BrokerFixture broker;
  broker.config.offsets_partitions = 7;
  broker.config.offsets_replication_factor = 2;
  broker.controller.answer = create_all;
  CreateTopicsRequest request;
  request.topics.push_back(topic("__consumer_offsets", -1, -1));
  const auto asked = [&] {
    broker.controller.requests.clear();
    broker.ask<CreateTopicsResponse>(request, 5);
    return broker.asked_controller<meta::CreateTopics>().topics.at(0);
  };
  using Configs = std::map<std::string, std::optional<std::string>>;
  const auto configs = [](const meta::CreateTopics::Topic& one) {
    return Configs(one.configs.begin(), one.configs.end());
  };
  const meta::CreateTopics::Topic needed = asked();
  CHECK(needed.partition_count == 7);
  CHECK(needed.replication_factor == 2);
  CHECK(configs(needed).at("cleanup.policy") == "compact");

  request.topics[0] = topic("__consumer_offsets", 3, 1);
  request.topics[0].configs.push_back({"segment.bytes", "1048576"});
  const meta::CreateTopics::Topic otherwise = asked();
  CHECK(otherwise.partition_count == 3);
  CHECK(otherwise.replication_factor == 1);
  CHECK(configs(otherwise).at("cleanup.policy") == "compact");
  CHECK(configs(otherwise).at("segment.bytes") == "1048576");
  CHECK(configs(otherwise).size() == otherwise.configs.size());

  request.topics[0] = topic("__consumer_offsets", -1, -1);
  request.topics[0].assignments.push_back({0, {2, 3}});
  CHECK_FALSE(asked().partition_count.has_value());
}

TEST_CASE("a controller with too much to do is told in words that the client knows") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest&) -> meta::ControllerAnswer {
    return meta::Refused{{ErrorCode::throttling_quota_exceeded, "too many requests wait"}};
  };
  CreateTopicsRequest create;
  create.topics.push_back(topic("orders", 1, 1));
  const auto created = [&](int16_t version) {
    return broker.ask<CreateTopicsResponse>(create, version).topics.at(0).error_code;
  };
  CHECK(created(5) == ErrorCode::request_timed_out);
  CHECK(created(6) == ErrorCode::throttling_quota_exceeded);
  DeleteTopicsRequest remove;
  remove.topic_names = {"orders"};
  const auto deleted = [&](int16_t version) {
    return broker.ask<DeleteTopicsResponse>(remove, version).responses.at(0).error_code;
  };
  CHECK(deleted(4) == ErrorCode::request_timed_out);
  CHECK(deleted(5) == ErrorCode::throttling_quota_exceeded);
  kafka::CreatePartitionsRequest grow;
  grow.topics.push_back({"orders", 6, std::nullopt});
  const auto grown = [&](int16_t version) {
    return broker.ask<kafka::CreatePartitionsResponse>(grow, version).results.at(0).error_code;
  };
  CHECK(grown(2) == ErrorCode::request_timed_out);
  CHECK(grown(3) == ErrorCode::throttling_quota_exceeded);
}

TEST_CASE("DeleteTopics by name and by id") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    meta::DeleteTopicsAnswer answer;
    for (const auto& one : std::get<meta::DeleteTopics>(request).topics) {
      meta::DeleteTopicsAnswer::Topic topic;
      topic.name = one.name.value_or("named");
      topic.topic_id = one.topic_id.value_or(TopicId::from_halves(4, 4));
      if (one.name == "none") topic.error = {ErrorCode::unknown_topic_or_partition, ""};
      answer.topics.push_back(topic);
    }
    return answer;
  };
  DeleteTopicsRequest by_name;
  by_name.topic_names = {"orders", "none"};
  for (int16_t version = 0; version <= 5; ++version) {
    const auto response = broker.ask<DeleteTopicsResponse>(by_name, version);
    REQUIRE(response.responses.size() == 2);
    REQUIRE(response.responses[0].name == "orders");
    REQUIRE(response.responses[0].error_code == ErrorCode::none);
    REQUIRE(response.responses[1].error_code == ErrorCode::unknown_topic_or_partition);
  }
  DeleteTopicsRequest by_id;
  by_id.topics.emplace_back().topic_id = TopicId::from_halves(8, 8);
  by_id.topics.emplace_back();
  by_id.topics.emplace_back().name = "twice";
  by_id.topics.emplace_back().name = "twice";
  const auto response = broker.ask<DeleteTopicsResponse>(by_id, 6);
  REQUIRE(response.responses.size() == 3);
  REQUIRE(response.responses[0].error_code == ErrorCode::invalid_request);
  REQUIRE(response.responses[1].name == "twice");
  REQUIRE(response.responses[1].error_code == ErrorCode::invalid_request);
  REQUIRE(response.responses[2].name == "named");
  REQUIRE(response.responses[2].topic_id == TopicId::from_halves(8, 8));
}

TEST_CASE("DeleteTopics keeps what the asker wants kept, and says so to nobody else") {
  BrokerFixture broker;
  const TopicId orders = broker.create_topic("orders", 1);
  broker.controller.answer = [&](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    const auto& asked = std::get<meta::DeleteTopics>(request);
    if (asked.keep) {
      broker.apply(meta::ConfigRecord{{meta::ResourceType::topic, "orders"},
                                      std::string(meta::kept_key),
                                      meta::to_setting({.deleted_at = asked.asked_at, .time = *asked.keep})});
    } else {
      broker.apply(meta::RemoveTopicRecord{orders});
    }
    meta::DeleteTopicsAnswer answer;
    answer.topics.push_back({"orders", orders, {ErrorCode::none, ""}});
    return answer;
  };
  DeleteTopicsRequest request;
  request.topics.emplace_back().name = "orders";
  request.keep_ms = 3'600'000;
  CHECK(broker.ask<DeleteTopicsResponse>(request, 6).responses.at(0).kept_ms == 3'600'000);
  CHECK(std::get<meta::DeleteTopics>(broker.controller.requests.back()).keep == std::chrono::hours(1));
  request.keep_ms = -1;
  CHECK(broker.ask<DeleteTopicsResponse>(request, 6).responses.at(0).kept_ms == -1);
  CHECK_FALSE(std::get<meta::DeleteTopics>(broker.controller.requests.back()).keep);
}

TEST_CASE("DeleteTopics where deletion is disabled") {
  BrokerFixture broker;
  broker.config.delete_topics = false;
  DeleteTopicsRequest request;
  request.topic_names = {"orders"};
  REQUIRE(broker.ask<DeleteTopicsResponse>(request, 2).responses.at(0).error_code == ErrorCode::invalid_request);
  REQUIRE(broker.ask<DeleteTopicsResponse>(request, 3).responses.at(0).error_code ==
          ErrorCode::topic_deletion_disabled);
  REQUIRE(broker.controller.requests.empty());
}

TEST_CASE("CreatePartitions translates both ways") {
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
    meta::CreatePartitionsAnswer answer;
    for (const auto& one : std::get<meta::CreatePartitions>(request).topics) {
      meta::CreatePartitionsAnswer::Topic topic{.name = one.name};
      if (one.count < 3) topic.error = {ErrorCode::invalid_partitions, "not an increase"};
      answer.topics.push_back(topic);
    }
    return answer;
  };
  kafka::CreatePartitionsRequest request;
  request.topics.push_back({"orders", 6, std::nullopt});
  request.topics.push_back({"small", 2, std::nullopt});
  request.topics.push_back({"twice", 5, std::nullopt});
  request.topics.push_back({"twice", 6, std::nullopt});
  for (int16_t version = 0; version <= 3; ++version) {
    const auto response = broker.ask<kafka::CreatePartitionsResponse>(request, version);
    REQUIRE(response.results.size() == 3);
    REQUIRE(response.results[0].name == "twice");
    REQUIRE(response.results[0].error_code == ErrorCode::invalid_request);
    REQUIRE(response.results[1].error_code == ErrorCode::none);
    REQUIRE_FALSE(response.results[1].error_message.has_value());
    REQUIRE(response.results[2].error_message == "not an increase");
  }
}

TEST_CASE("who repeats a topic's name for megabytes is not carried to the controller (R109)") {
  BrokerFixture broker;
  const std::string name(249, 'n');
  kafka::ElectLeadersRequest elect;
  elect.topic_partitions->push_back({name, std::vector<int32_t>(100'000, 1)});
  const auto elected = broker.ask<kafka::ElectLeadersResponse>(elect, 2);
  CHECK(elected.error_code == ErrorCode::policy_violation);
  CHECK(elected.replica_election_results.at(0).partition_result.size() == 100'000);
  kafka::AlterPartitionReassignmentsRequest alter;
  alter.topics.push_back({name, {}});
  alter.topics[0].partitions.assign(100'000, {1, std::nullopt});
  const auto altered = broker.ask<kafka::AlterPartitionReassignmentsResponse>(alter, 1);
  CHECK(altered.error_code == ErrorCode::policy_violation);
  CHECK(altered.error_message);
  CHECK(broker.controller.requests.empty());
}

TEST_CASE("the controller is asked for as long as a client may wait, and no longer (R109)") {
  BrokerFixture broker;
  CreateTopicsRequest request;
  request.topics.push_back(topic("t", 1, 1));
  const auto is_asked_for = [&](int32_t timeout_ms, common::model::Duration expected) {
    request.timeout_ms = timeout_ms;
    const common::Instant before = broker.context.shard->now();
    (void)broker.ask<CreateTopicsResponse>(request, 5);
    const common::Instant deadline = broker.controller.deadlines.back();
    return deadline >= before + expected && deadline <= broker.context.shard->now() + expected;
  };
  CHECK(is_asked_for(-1, std::chrono::milliseconds(500)));
  CHECK(is_asked_for(30'000, std::chrono::seconds(30)));
  CHECK(is_asked_for(INT32_MAX, std::chrono::minutes(5)));
}
