#include "api/broker_fixture.h"
#include "kafka/api_versions.h"

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
