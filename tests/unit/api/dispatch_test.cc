#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "api/broker_fixture.h"
#include "broker/api/request_metrics.h"
#include "kafka/api_versions.h"
#include "kafka/create_topics.h"
#include "kafka/metadata.h"
#include "support/temporary_directory.h"

using namespace broker::api;
using namespace broker::api::test;
using kafka::ApiVersionsRequest;
using kafka::ApiVersionsResponse;

namespace {

ApiVersionsRequest good_request() {
  ApiVersionsRequest request;
  request.client_software_name = "apache-kafka-java";
  request.client_software_version = "4.4.0";
  return request;
}

}  // namespace

TEST_CASE("ApiVersions tells the table of handlers, and every version it tells can be decoded and encoded") {
  BrokerFixture broker;
  for (int16_t version = 0; version <= 5; ++version) {
    const auto response = broker.ask<ApiVersionsResponse>(good_request(), version);
    REQUIRE(response.error_code == ErrorCode::none);
    REQUIRE(response.api_keys.size() == api_table().size());
    REQUIRE(response.finalized_features.empty());
  }
  int previous = -1;
  for (const ApiHandler* api : api_table()) {
    INFO(api->name);
    REQUIRE(api->key > previous);
    previous = api->key;
    const kafka::ApiFacts* facts = kafka::find_api(api->key);
    REQUIRE(facts != nullptr);
    REQUIRE(std::string(api->name) == facts->name);
    REQUIRE(api->versions.min >= facts->min_version);
    REQUIRE(api->versions.max <= facts->stable_version);
    REQUIRE(api->first_flexible == facts->first_flexible);
  }
}

// Clients that look for one exact version inside the announced range, or ask for it without looking: librdkafka before
// 2.11.1 turns features and codecs off without a word, kafka-go and kafka-python 2.0 send what they always send.
TEST_CASE("versions that real clients insist on are announced") {
  struct Need {
    const char* api;
    std::vector<int16_t> versions;
  };
  const std::vector<Need> needs = {
      {"Produce", {0, 2, 3, 7, 8}},         // librdkafka (0: any codec but zstd; 7: zstd), kafkajs, kafka-python
      {"Fetch", {4, 5, 10, 11}},            // librdkafka, sarama, kafka-go, kafkajs
      {"ListOffsets", {0, 1, 3}},           // monitoring tools, kafka-python, kafka-go, kafkajs
      {"Metadata", {0, 1, 4, 6}},           // kafka-python, kafka-go, librdkafka 1.x, kafkajs
      {"OffsetCommit", {1, 2, 5}},          // sarama, librdkafka, kafkajs
      {"OffsetFetch", {1, 4}},              // kafka-go, kafkajs
      {"FindCoordinator", {0, 1, 2}},       // kafka-python, kafkajs, librdkafka
      {"JoinGroup", {0, 1, 2, 5}},          // librdkafka, kafka-go, kafka-python, kafkajs
      {"SyncGroup", {0, 1, 3}},             // kafka-go, kafka-python, kafkajs
      {"Heartbeat", {0, 1, 3}},             // as SyncGroup
      {"LeaveGroup", {0, 1, 3}},            // as SyncGroup
      {"ApiVersions", {0, 1, 2, 3, 4}},     // kafka-python, kafkajs (2, then 1, then 0), Java, franz-go
      {"InitProducerId", {0, 1, 4}},        // librdkafka, kafkajs, Java
      {"OffsetForLeaderEpoch", {2, 3}},     // librdkafka, Java
      {"CreateTopics", {0, 3, 4, 7}},       // sarama, kafkajs, librdkafka, franz-go
      {"DeleteTopics", {0, 1, 6}},          // sarama, librdkafka, by id
      {"CreatePartitions", {0, 1, 3}},      // sarama, librdkafka, Java
      {"DescribeConfigs", {0, 1, 4}},       // sarama, librdkafka, Java
      {"AlterConfigs", {0, 1, 2}},          // kafkajs knows no other way
      {"IncrementalAlterConfigs", {0, 1}},  // librdkafka, Java
      {"DescribeGroups", {0, 2, 5}},        // sarama, kafkajs, Java
      {"ListGroups", {0, 2, 4}},            // sarama, kafkajs, Java
      {"DeleteGroups", {0, 1, 2}},          // sarama, kafkajs, Java
      {"OffsetDelete", {0}},                // Java
      {"DeleteRecords", {0, 1, 2}},         // Kafka Streams
      {"DescribeCluster", {0, 1, 2}},       // Java, sarama
      {"DescribeAcls", {2}},                // kafka-python reads the broker's release from it
      {"DescribeLogDirs", {0, 1, 4}},       // kafka-python, Java, sarama
      {"ElectLeaders", {0, 1, 2}},          // kafka-go, kafka-python, Java
      {"AlterPartitionReassignments", {0, 1}},  // sarama, Java
      {"ListPartitionReassignments", {0}},      // kafka-topics.sh with each description
      {"DescribeQuorum", {0, 1, 2}},            // Java 2.8, 3.4, 3.9
      {"DescribeTopicPartitions", {0}},         // Java's describeTopics since 3.8
  };
  for (const Need& need : needs) {
    INFO(need.api);
    const auto found = std::ranges::find_if(
        api_table(), [&](const ApiHandler* api) { return std::string_view(api->name) == need.api; });
    REQUIRE(found != api_table().end());
    for (const int16_t version : need.versions) {
      INFO(version);
      REQUIRE((*found)->versions.min <= version);
      REQUIRE((*found)->versions.max >= version);
    }
  }
}

TEST_CASE("docs/kafka.md and the README name every API that is served, with its versions") {
  std::ifstream file(NARU_SOURCE_DIR "/docs/kafka.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::ifstream readme_file(NARU_SOURCE_DIR "/README.md");
  const std::string readme{std::istreambuf_iterator<char>(readme_file), {}};
  for (const ApiHandler* api : api_table()) {
    const auto [low, high] = api->versions;
    const std::string words = low == high ? fmt::format("| {} | {} | {} |", api->name, api->key, low)
                                          : fmt::format("| {} | {} | {}-{} |", api->name, api->key, low, high);
    INFO(words);
    REQUIRE(text.find(words) != std::string::npos);
    const std::string short_words =
        low == high ? fmt::format(" {} {}", api->name, low) : fmt::format(" {} {}-{}", api->name, low, high);
    const size_t at = readme.find(short_words);
    REQUIRE(at != std::string::npos);
    REQUIRE(std::string(", (|\n").find(readme[at + short_words.size()]) != std::string::npos);
  }
}

TEST_CASE("an ApiVersions version from the future is answered in version 0 with our range") {
  BrokerFixture broker;
  kafka::Writer frame;
  frame.i16(18);
  frame.i16(77);
  frame.i32(5);
  frame.i32(-1);  // whatever else may follow
  const server::Outcome outcome = broker.send_frame(frame.finish()->flatten());
  REQUIRE(outcome.kind == server::Outcome::Kind::answer);
  kafka::Reader reader(outcome.response.flatten());
  REQUIRE(reader.i32() == 5);
  const auto response = kafka::decode<ApiVersionsResponse>(reader, 0);
  REQUIRE(response);
  REQUIRE(response->error_code == ErrorCode::unsupported_version);
  REQUIRE(response->api_keys.size() == 1);
  REQUIRE(response->api_keys[0].api_key == 18);
  REQUIRE(response->api_keys[0].min_version == 0);
  REQUIRE(response->api_keys[0].max_version == 5);
}

TEST_CASE("ApiVersions refuses odd software names, and other clusters and nodes") {
  BrokerFixture broker;
  ApiVersionsRequest odd = good_request();
  odd.client_software_name = "-x";
  REQUIRE(broker.ask<ApiVersionsResponse>(odd, 3).error_code == ErrorCode::invalid_request);
  ApiVersionsRequest here = good_request();
  here.cluster_id = broker.cluster_id.to_string();
  here.node_id = 1;
  REQUIRE(broker.ask<ApiVersionsResponse>(here, 5).error_code == ErrorCode::none);
  here.node_id = 2;
  REQUIRE(broker.ask<ApiVersionsResponse>(here, 5).error_code == ErrorCode::rebootstrap_required);
  here.node_id = -1;
  here.cluster_id = "another";
  REQUIRE(broker.ask<ApiVersionsResponse>(here, 5).error_code == ErrorCode::rebootstrap_required);
}

TEST_CASE("frames that are not requests close the connection") {
  BrokerFixture broker;
  for (const std::string_view bytes :
       {std::string_view("", 0), std::string_view("\0\x12\0", 3), std::string_view("\0\x12\0\3\0\0\0\1", 8),
        std::string_view("\x7f\x7f\0\0\0\0\0\1\xff\xff", 10), std::string_view("\0\3\0\x63\0\0\0\1\xff\xff", 10),
        std::string_view("\0\3\0\1\0\0\0\1\xff\xff\x7f\xff\xff\xff", 14)}) {
    REQUIRE(broker.send_frame(Buffer::copy_of(bytes)).kind == server::Outcome::Kind::close);
  }
}

TEST_CASE("an answer that cannot be encoded closes the connection, and does not fill the log") {
  const test_support::TemporaryDirectory directory("dispatch");
  const std::string file = directory.file("log");
  common::configure_logging(common::LogLevel::error, common::LogFormat::text, file);
  BrokerFixture broker;
  broker.controller.answer = [](const meta::ControllerRequest&) {
    meta::CreateTopicsAnswer made;
    made.topics.emplace_back();
    made.topics.front().name = std::string(40'000, 'n');  // longer than a string of this version may be
    return meta::ControllerAnswer(made);
  };
  kafka::CreateTopicsRequest request;
  request.topics.emplace_back();
  request.topics.front().name = "t";
  for (int i = 0; i < 3; ++i) REQUIRE(broker.send(request, 4).kind == server::Outcome::Kind::close);
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  std::ifstream in(file);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  REQUIRE(std::ranges::count(text, '\n') == 1);
  REQUIRE(text.find("a response of CreateTopics") != std::string::npos);
}

TEST_CASE("a request of more elements than any client has is not read (R109)") {
  BrokerFixture broker;
  const auto kind_of = [&](size_t names) {
    kafka::MetadataRequest request;
    request.topics->resize(names);
    for (auto& topic : *request.topics) topic.name = "t";
    return broker.send(request, 1).kind;
  };
  REQUIRE(kind_of(200'000) == server::Outcome::Kind::answer);
  REQUIRE(kind_of(200'001) == server::Outcome::Kind::close);
}

TEST_CASE("errors are counted by API and code, wherever an answer has them") {
  BrokerFixture broker;
  RequestMetrics metrics;
  broker.context.metrics = &metrics;
  broker.create_topic("orders", 1);
  kafka::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  request.topics->resize(3);
  (*request.topics)[0].name = "orders";
  (*request.topics)[1].name = "absent";
  (*request.topics)[2].name = "also-absent";
  (void)broker.ask<kafka::MetadataResponse>(request, 4);
  request.topics->resize(1);
  (void)broker.ask<kafka::MetadataResponse>(request, 4);
  ApiVersionsRequest odd = good_request();
  odd.client_software_name = "-x";
  (void)broker.ask<ApiVersionsResponse>(odd, 3);

  REQUIRE(metrics.by_key().size() == ApiVersionsRequest::api_key + 1);  // no memory for what nobody asked for
  const ApiMetrics& metadata = metrics.by_key()[kafka::MetadataRequest::api_key];
  using Errors = std::map<ErrorCode, uint64_t>;
  REQUIRE(metadata.errors == Errors{{ErrorCode::unknown_topic_or_partition, 2}});
  REQUIRE(metadata.faulty == 1);
  REQUIRE(metadata.time.count() == 2);
  const ApiMetrics& versions = metrics.by_key()[ApiVersionsRequest::api_key];
  REQUIRE(versions.errors == Errors{{ErrorCode::invalid_request, 1}});
  ApiMetrics both = metadata;
  both.merge(versions);
  REQUIRE(both.errors.size() == 2);
  REQUIRE(both.faulty == 2);
}

TEST_CASE("a connection counts under the library that its client names (KIP-511), and no longer than it lives") {
  const auto table = std::make_shared<server::SoftwareTable>();
  using Counts = std::map<server::SoftwareTable::Key, uint64_t>;
  {
    BrokerFixture broker;
    broker.info.software = std::make_shared<server::ClientSoftware>(table, "PLAINTEXT");
    (void)broker.ask<ApiVersionsResponse>(good_request(), 2);
    REQUIRE(table->counts() == Counts{{{"PLAINTEXT", "unknown", "unknown"}, 1}});
    ApiVersionsRequest odd = good_request();
    odd.client_software_name = "-x";
    (void)broker.ask<ApiVersionsResponse>(odd, 3);
    REQUIRE(table->counts() == Counts{{{"PLAINTEXT", "unknown", "unknown"}, 1}});
    (void)broker.ask<ApiVersionsResponse>(good_request(), 3);
    REQUIRE(table->counts() == Counts{{{"PLAINTEXT", "apache-kafka-java", "4.4.0"}, 1}});
  }
  REQUIRE(table->counts().empty());

  // Whatever clients call themselves, the table stays small.
  std::vector<std::unique_ptr<server::ClientSoftware>> many;
  for (size_t i = 0; i < 3 * server::SoftwareTable::keys_max; ++i) {
    many.push_back(std::make_unique<server::ClientSoftware>(table, "PLAINTEXT"));
    many.back()->set(fmt::format("client-{}", i), i == 0 ? std::string(1000, '1') : "1");
  }
  REQUIRE(table->counts().size() <= server::SoftwareTable::keys_max + 2);
  REQUIRE(table->counts().at({"PLAINTEXT", "other", "other"}) > server::SoftwareTable::keys_max);
  many.clear();
  REQUIRE(table->counts().empty());
}
