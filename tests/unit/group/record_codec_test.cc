#include "broker/group/service/record_codec.h"

#include <catch2/catch.hpp>

using namespace broker::group;
using common::model::as_bytes;
using common::model::BytesView;
using namespace std::string_literals;

namespace {

std::string hex(const Buffer& bytes) {
  std::string text;
  for (const std::byte b : bytes.view()) text += fmt::format("{:02x}", static_cast<int>(b));
  return text;
}

GroupRecord round_trip(const GroupRecord& record) {
  const auto encoded = encode_record(record);
  REQUIRE(encoded.has_value());
  const auto value = encoded->value ? std::optional(encoded->value->view()) : std::nullopt;
  const auto decoded = decode_record(encoded->key.view(), value);
  REQUIRE(decoded.has_value());
  REQUIRE(decoded->has_value());
  return **decoded;
}

StoredGroup a_group() {
  StoredGroup group;
  group.protocol_type = "consumer";
  group.generation = Generation(7);
  group.protocol = "range";
  group.leader = "m1";
  group.state_since = TimestampMs(1'700'000'000'000);
  StoredMember& member = group.members.emplace_back();
  member.member_id = "m1";
  member.instance_id = "i1";
  member.client_id = "c";
  member.client_host = "/127.0.0.1";
  member.rebalance_timeout = milliseconds(60'000);
  member.session_timeout = milliseconds(10'000);
  member.subscription = Buffer::copy_of("sub"s);
  member.assignment = Buffer::copy_of("part"s);
  return group;
}

}  // namespace

TEST_CASE("an offset in Kafka's bytes") {
  StoredOffset value;
  value.offset = Offset(258);
  value.leader_epoch = LeaderEpoch(3);
  value.metadata = "m";
  value.committed_at = TimestampMs(1);
  const auto encoded = encode_record(OffsetStored{"g", {"t", PartitionIndex(2)}, value});
  REQUIRE(encoded.has_value());
  // type 1; group; topic; partition
  CHECK(hex(encoded->key) ==
        "0001"
        "000167"
        "000174"
        "00000002");
  // version 3; offset; leader epoch; metadata; commit timestamp
  CHECK(hex(*encoded->value) ==
        "0003"
        "0000000000000102"
        "00000003"
        "00016d"
        "0000000000000001");

  value.topic_id = common::model::Uuid::from_halves(1, 2);
  const auto with_id = encode_record(OffsetStored{"g", {"t", PartitionIndex(2)}, value});
  // version 4: offset; leader epoch; metadata; commit timestamp; one tagged field of number 0 and 16 bytes
  CHECK(hex(*with_id->value) ==
        "0004"
        "0000000000000102"
        "00000003"
        "026d"
        "0000000000000001"
        "010010"
        "00000000000000010000000000000002");
  const auto read = decode_record(with_id->key.view(), with_id->value->view());
  REQUIRE((read && *read));
  CHECK(std::get<OffsetStored>(**read).value == value);

  value.expires_at = TimestampMs(9);
  const auto expiring = encode_record(OffsetStored{"g", {"t", PartitionIndex(2)}, value});
  // version 1: offset; metadata; commit timestamp; expire timestamp
  CHECK(hex(*expiring->value) ==
        "0001"
        "0000000000000102"
        "00016d"
        "0000000000000001"
        "0000000000000009");
}

TEST_CASE("a group in Kafka's bytes") {
  const auto encoded = encode_record(GroupStored{"g", a_group()});
  REQUIRE(encoded.has_value());
  CHECK(hex(encoded->key) ==
        "0002"
        "000167");
  CHECK(hex(*encoded->value) ==
        "0003"
        "0008636f6e73756d6572"
        "00000007"
        "000572616e6765"
        "00026d31"
        "0000018bcfe56800"
        "00000001"
        "00026d31"
        "00026931"
        "000163"
        "000a2f3132372e302e302e31"
        "0000ea60"
        "00002710"
        "00000003737562"
        "0000000470617274");
}

TEST_CASE("records survive the way to bytes and back") {
  StoredOffset value;
  value.offset = Offset(5);
  value.metadata = "x";
  value.committed_at = TimestampMs(10);
  const GroupRecord record = GENERATE_COPY(as<GroupRecord>{}, OffsetStored{"g", {"t", PartitionIndex(1)}, value},
                                           OffsetRemoved{"g", {"t", PartitionIndex(1)}}, GroupStored{"g", a_group()},
                                           GroupStored{"g", StoredGroup{}}, GroupRemoved{"g"});
  CHECK(round_trip(record) == record);
}

TEST_CASE("what others may have written") {
  SECTION("an offset under the oldest record type") {
    const auto decoded =
        decode_record(as_bytes("\0\0\0\1g\0\1t\0\0\0\2"s), as_bytes("\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\1"s));
    REQUIRE(decoded.has_value());
    CHECK(std::get<OffsetStored>(**decoded).value.offset == Offset(5));
  }
  SECTION("a group of version 0 has no rebalance timeout: the session's serves") {
    const auto decoded =
        decode_record(as_bytes("\0\2\0\1g"s),
                      as_bytes("\0\0\0\1t\0\0\0\1\0\1p\0\1m\0\0\0\1\0\1m\0\1c\0\1h\0\0\0\x0a\0\0\0\0\0\0\0\0"s));
    REQUIRE(decoded.has_value());
    const StoredGroup group = std::get<GroupStored>(**decoded).value;
    REQUIRE(group.members.size() == 1);
    CHECK(group.members[0].rebalance_timeout == milliseconds(10));
    CHECK_FALSE(group.state_since.has_value());
  }
  SECTION("a record type of newer group protocols is skipped") {
    const auto decoded = decode_record(as_bytes("\0\3\0\1g"s), as_bytes("\0\0\0\0\0\1"s));
    REQUIRE(decoded.has_value());
    CHECK_FALSE(decoded->has_value());
  }
  SECTION("a value version that we do not know is an error") {
    CHECK_FALSE(decode_record(as_bytes("\0\1\0\1g\0\1t\0\0\0\2"s), as_bytes("\0\x63\0\0"s)).has_value());
    CHECK_FALSE(decode_record(as_bytes("\0\2\0\1g"s), as_bytes("\0\x63"s)).has_value());
  }
  SECTION("so are truncated ones") {
    CHECK_FALSE(decode_record(as_bytes(""s), std::nullopt).has_value());
    CHECK_FALSE(decode_record(as_bytes("\0\1\0\1g"s), std::nullopt).has_value());
    CHECK_FALSE(decode_record(as_bytes("\0\2\0\1g"s), as_bytes("\0\3\0\1"s)).has_value());
  }
}

TEST_CASE("a name that does not fit the schema is refused, not written wrongly") {
  const std::string long_name(40'000, 'x');
  const auto encoded = encode_record(GroupRemoved{long_name});
  REQUIRE_FALSE(encoded.has_value());
  CHECK(encoded.error().code == common::model::ErrorCode::message_too_large);
}
