#include "broker/group/consumer_subscription.h"

#include <catch2/catch.hpp>

using broker::group::subscribed_topics_in;
using common::model::as_bytes;
using Topics = std::vector<std::string>;

TEST_CASE("topics of a consumer's subscription") {
  using namespace std::string_literals;
  const std::string two = "\0\1\0\0\0\2\0\1a\0\2bc\xff\xff\xff\xff more"s;
  CHECK(subscribed_topics_in(as_bytes(two)) == Topics{"a", "bc"});
  CHECK(subscribed_topics_in(as_bytes("\0\0\0\0\0\0"s)) == Topics{});
}

TEST_CASE("bytes that are no subscription are not guessed at") {
  using namespace std::string_literals;
  const auto bad =
      GENERATE(as<std::string>{}, ""s, "\0"s, "\0\0\0\0"s, "\0\0\0\0\0\1"s, "\0\0\0\0\0\1\0\5abc"s, "\xff\xff\0\0\0\0"s,
               "\0\0\xff\xff\xff\xff"s, "\0\0\x7f\xff\xff\xff\0\1a"s, "\0\0\0\0\0\1\xff\xff"s);
  CHECK_FALSE(subscribed_topics_in(as_bytes(bad)).has_value());
}

TEST_CASE("who names more topics than a request may have elements is not listened to (R109)") {
  const auto of_empty_names = [](int32_t count) {
    std::string metadata(2, '\0');
    for (int shift = 24; shift >= 0; shift -= 8) metadata.push_back(static_cast<char>(count >> shift & 255));
    return metadata + std::string(2 * static_cast<size_t>(count), '\0');
  };
  REQUIRE(subscribed_topics_in(as_bytes(of_empty_names(200'000))).has_value());
  REQUIRE_FALSE(subscribed_topics_in(as_bytes(of_empty_names(200'001))).has_value());
}
