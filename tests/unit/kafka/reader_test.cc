#include <catch2/catch.hpp>

#include "kafka/api_versions.h"
#include "kafka/fetch.h"
#include "kafka/metadata.h"
#include "kafka/produce.h"
#include "kafka/records/group_metadata_key.h"
#include "kafka/records/offset_commit_key.h"
#include "kafka/records/offset_commit_value.h"
#include "proto/kafka/runtime/apis.h"

using namespace kafka;

namespace {

Reader over(std::string_view bytes) {
  return Reader(Buffer::copy_of(bytes));
}

bool reads_string(std::string_view text) {
  std::string frame{'\0', static_cast<char>(text.size())};
  frame += text;
  Reader reader = over(frame);
  const std::string found = reader.string(false);
  return reader.ok() && found == text;
}

}  // namespace

TEST_CASE("the first failure is kept and everything after it is empty") {
  Reader reader = over(std::string_view("\0\5ab", 4));
  REQUIRE(reader.string(false).empty());
  REQUIRE(reader.i64() == 0);
  REQUIRE(reader.array_length(false, 1) == 0);
  REQUIRE(reader.remaining() == 0);
  const Result<void> status = reader.status("Thing");
  REQUIRE(!status);
  REQUIRE(status.error().code == ErrorCode::invalid_request);
  REQUIRE(status.error().message == "Thing: a string is longer than what is left (5) at byte 2 of 4");
}

TEST_CASE("varints") {
  REQUIRE(over(std::string_view("\0", 1)).uvarint() == 0);
  REQUIRE(over("\x7f").uvarint() == 127);
  REQUIRE(over("\x80\x01").uvarint() == 128);
  REQUIRE(over("\xff\xff\xff\xff\x0f").uvarint() == UINT32_MAX);
  for (const std::string_view bad : {"", "\x80", "\xff\xff\xff\xff\x1f", "\xff\xff\xff\xff\xff\x01"}) {
    Reader reader = over(bad);
    reader.uvarint();
    REQUIRE(!reader.ok());
  }
}

TEST_CASE("strings must be UTF-8") {
  for (const std::string_view good :
       {"", "topic", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xa2", "12345678\xc3\xa9tail"}) {
    REQUIRE(reads_string(good));
  }
  for (const std::string_view bad : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                     "\xf8\x88\x80\x80\x80", "\x80", "12345678\xc3"}) {
    REQUIRE(!reads_string(bad));
  }
}

TEST_CASE("null where null is not allowed fails") {
  Reader text = over("\xff\xff");
  text.string(false);
  REQUIRE(!text.ok());
  Reader array = over(std::string_view("\0", 1));
  array.array_length(true, 1);
  REQUIRE(!array.ok());
  Reader length = over("\xff\xff\xff\xfe");
  length.nullable_bytes(false);
  REQUIRE(!length.ok());
}

TEST_CASE("an array longer than the rest of the frame can hold is refused") {
  Reader fits = over(std::string_view("\0\0\0\2........", 12));
  REQUIRE(fits.array_length(false, 4) == 2);
  Reader over_long = over(std::string_view("\0\0\0\3........", 12));
  REQUIRE(over_long.array_length(false, 4) == 0);
  REQUIRE(!over_long.ok());
}

TEST_CASE("all arrays together have no more elements than are allowed (R109)") {
  const std::string_view three_times_two("\0\0\0\2\0\0\0\2\0\0\0\2..", 14);
  Reader reader = over(three_times_two);
  reader.allow_elements(4);
  REQUIRE(reader.array_length(false, 1) == 2);
  REQUIRE(reader.array_length(false, 1) == 2);
  REQUIRE(reader.ok());
  REQUIRE(reader.array_length(false, 1) == 0);
  REQUIRE(!reader.ok());
  Reader free = over(three_times_two);
  for (int i = 0; i < 3; ++i) REQUIRE(free.array_length(false, 1) == 2);
}

TEST_CASE("unknown tagged fields are skipped, and one that lies about its size is refused") {
  // ApiVersionsRequest version 3: two compact strings, then tag 9 with two bytes.
  const Result<ApiVersionsRequest> good = decode<ApiVersionsRequest>(Buffer::copy_of("\x02"
                                                                                     "a\x02"
                                                                                     "b\x01\x09\x02xy"),
                                                                     3);
  REQUIRE(good);
  REQUIRE(good->client_software_name == "a");
  REQUIRE(!decode<ApiVersionsRequest>(Buffer::copy_of("\x02"
                                                      "a\x02"
                                                      "b\x01\x09\x03xy"),
                                      3));
  FetchRequest request;
  request.cluster_id = "c";
  std::string bytes(encode(request, 12)->flatten().text());
  REQUIRE(decode<FetchRequest>(Buffer::copy_of(bytes), 12)->cluster_id == "c");
  const size_t tag = bytes.rfind("\x01" + std::string("\0", 1) +
                                 "\x02\x02"
                                 "c");
  REQUIRE(tag != std::string::npos);
  bytes[tag + 2] = 3;
  bytes += "?";
  REQUIRE(!decode<FetchRequest>(Buffer::copy_of(bytes), 12));
}

TEST_CASE("records and bytes are slices of the frame") {
  ProduceRequest request;
  ProduceRequest::TopicProduceData& topic = request.topic_data.emplace_back();
  topic.name = "orders";
  ProduceRequest::PartitionProduceData& partition = topic.partition_data.emplace_back();
  partition.records = BufferChain(Buffer::own(std::string(2000, 'r')));
  const Buffer frame = encode(request, 9)->flatten();
  const Result<ProduceRequest> decoded = decode<ProduceRequest>(frame, 9);
  REQUIRE(decoded);
  const Buffer& records = decoded->topic_data.at(0).partition_data.at(0).records->parts().at(0);
  REQUIRE(records.size() == 2000);
  REQUIRE(records.data() >= frame.data());
  REQUIRE(records.data() + records.size() <= frame.data() + frame.size());
}

TEST_CASE("keys and values of the internal topics carry their type and version in front") {
  OffsetCommitKey key;
  key.group = "g";
  key.topic = "t";
  key.partition = 3;
  const Result<Buffer> bytes = encode_key(key);
  REQUIRE(bytes);
  REQUIRE(bytes->text() == std::string_view("\0\1\0\1g\0\1t\0\0\0\3", 12));
  REQUIRE(record_type_of(*bytes) == OffsetCommitKey::record_type);
  REQUIRE(decode_key<OffsetCommitKey>(*bytes)->partition == 3);
  REQUIRE(!decode_key<GroupMetadataKey>(*bytes));
  OffsetCommitValue value;
  value.offset = 42;
  const Result<Buffer> stored = encode_versioned(value, 3);
  REQUIRE(stored);
  REQUIRE(decode_versioned<OffsetCommitValue>(*stored)->offset == 42);
  const Result<OffsetCommitValue> newer =
      decode_versioned<OffsetCommitValue>(Buffer::copy_of(std::string_view("\0\x63", 2)));
  REQUIRE(newer.error().code == ErrorCode::unsupported_version);
}

TEST_CASE("which header goes with which version") {
  REQUIRE(request_header_version(0, 8) == 1);
  REQUIRE(request_header_version(0, 9) == 2);
  REQUIRE(response_header_version(0, 9) == 1);
  REQUIRE(request_header_version(18, 3) == 2);
  REQUIRE(response_header_version(18, 3) == 0);
  REQUIRE(request_header_version(17, 1) == 1);
  REQUIRE(request_header_version(999, 7) == 1);
  REQUIRE(find_api(4) == nullptr);
  REQUIRE(find_api(22)->stable_version == 5);
}
