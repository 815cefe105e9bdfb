#include <catch2/catch.hpp>

#include "common/model/error_code.h"
#include "common/model/random.h"
#include "common/model/uuid.h"

using namespace common::model;

TEST_CASE("an id survives the way to text and back") {
  SeededRandom random(7);
  for (int i = 0; i < 1000; ++i) {
    const Uuid u = random_uuid(random.next(), random.next());
    const std::string text = u.to_string();
    REQUIRE(text.size() == 22);
    REQUIRE(text.front() != '-');
    REQUIRE(Uuid::parse(text) == u);
  }
  REQUIRE(Uuid::from_halves(0, 1).to_string() == "AAAAAAAAAAAAAAAAAAAAAQ");  // Kafka's metadata topic id
}

TEST_CASE("text that is no id is refused") {
  const char* text =
      GENERATE("", "AAAA", "AAAAAAAAAAAAAAAAAAAAA!", "AAAAAAAAAAAAAAAAAAAAAR", "AAAAAAAAAAAAAAAAAAAAAAA");
  REQUIRE_FALSE(Uuid::parse(text));
}

TEST_CASE("error codes carry Kafka's names") {
  REQUIRE(to_string(ErrorCode::not_leader_or_follower) == "NOT_LEADER_OR_FOLLOWER");
  REQUIRE(is_retriable(ErrorCode::not_enough_replicas));
  REQUIRE_FALSE(is_retriable(ErrorCode::invalid_topic_exception));
  REQUIRE(error_code_from(31000) == ErrorCode::unknown_server_error);
}
