#include <catch2/catch.hpp>

#include "kafka/fetch.h"
#include "kafka/metadata.h"
#include "kafka/offset_commit.h"
#include "kafka/produce.h"

using namespace kafka;

TEST_CASE("large fields become links of the chain, small ones are copied") {
  FetchResponse response;
  FetchResponse::FetchableTopicResponse& topic = response.responses.emplace_back();
  topic.topic = "orders";
  FetchResponse::PartitionData& partition = topic.partitions.emplace_back();
  const Buffer large = Buffer::own(std::string(4096, 'x'));
  const Buffer small = Buffer::own(std::string(16, 'y'));
  BufferChain records;
  records.append(large);
  records.append(small);
  records.append(large);
  partition.records = records;
  const Result<BufferChain> chain = encode(response, 12);
  REQUIRE(chain);
  REQUIRE(chain->parts().size() == 5);
  REQUIRE(chain->parts()[1].data() == large.data());
  REQUIRE(chain->parts()[2].data() != small.data());
  REQUIRE(chain->parts()[3].data() == large.data());
  const Result<FetchResponse> again = decode<FetchResponse>(chain->flatten(), 12);
  REQUIRE(again->responses.at(0).partitions.at(0).records->size() == 4096 + 16 + 4096);
}

TEST_CASE("values are written over block ends") {
  Writer writer(1);
  std::string expected;
  for (int i = 0; i < 100'000; ++i) {
    writer.i8(static_cast<int8_t>(i));
    writer.string("abc", true);
    expected.push_back(static_cast<char>(i));
    expected +=
        "\x04"
        "abc";
  }
  REQUIRE(writer.size() == expected.size());
  REQUIRE(writer.finish()->flatten().text() == expected);
  REQUIRE(writer.size() == 0);
}

TEST_CASE("a value that a version cannot carry is an error unless it may be ignored") {
  FetchRequest request;
  request.rack_id = "r1";  // ignorable
  REQUIRE(encode(request, 4));
  request.forgotten_topics_data.emplace_back();
  const Result<BufferChain> refused = encode(request, 4);
  REQUIRE(!refused);
  REQUIRE(refused.error().code == ErrorCode::unsupported_version);
  REQUIRE(refused.error().message == "version 4 cannot carry forgotten_topics_data");
  REQUIRE(encode(request, 7));
}

TEST_CASE("null where a version has no null is an error") {
  MetadataRequest request;
  request.topics.reset();
  REQUIRE(!encode(request, 0));
  REQUIRE(encode(request, 1));
}

TEST_CASE("a tagged field that a version lacks must be at its default") {
  ProduceResponse response;
  response.node_endpoints.emplace_back();
  REQUIRE(!encode(response, 9));
  REQUIRE(encode(response, 10));
}

TEST_CASE("a string longer than the wire's limit is an error") {
  OffsetCommitRequest request;
  request.group_id = std::string(32768, 'g');
  REQUIRE(!encode(request, 8));
  REQUIRE(!encode(request, 2));
  request.group_id.pop_back();
  REQUIRE(encode(request, 8));
}
