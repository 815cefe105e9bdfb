// How long an answered heartbeat lets a broker believe that it is what it was (R33).
#include "controller/quorum/confirmation.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using common::model::Instant;
using common::model::LogIndex;
using controller::quorum::Confirmation;

namespace {

const Instant start{1h};

}  // namespace

TEST_CASE("an answer counts from the sending of its heartbeat, once its offset is applied") {
  Confirmation c(start, 1500ms);
  REQUIRE(c.confirmed_at() == start);
  c.on_answer(start + 100ms, LogIndex{7}, LogIndex{7});
  REQUIRE(c.confirmed_at() == start + 100ms);
  c.on_answer(start + 200ms, LogIndex{9}, LogIndex{7});
  c.on_answer(start + 300ms, LogIndex{9}, LogIndex{8});
  REQUIRE(c.confirmed_at() == start + 100ms);
  c.on_applied(LogIndex{9});
  REQUIRE(c.confirmed_at() == start + 300ms);
}

TEST_CASE("each offset that is reached counts for what was said about it") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{7}, std::nullopt);
  c.on_answer(start + 200ms, LogIndex{8}, std::nullopt);
  c.on_answer(start + 300ms, LogIndex{9}, std::nullopt);
  c.on_applied(std::nullopt);
  REQUIRE(c.confirmed_at() == start);
  c.on_applied(LogIndex{8});
  REQUIRE(c.confirmed_at() == start + 200ms);
}

TEST_CASE("an answer that names less than an earlier one proves no less") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{9}, LogIndex{5});
  c.on_answer(start + 200ms, LogIndex{5}, LogIndex{5});
  REQUIRE(c.confirmed_at() == start);
  c.on_applied(LogIndex{9});
  REQUIRE(c.confirmed_at() == start + 200ms);
}

TEST_CASE("answers that wait for longer than they are worth are forgotten") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{7}, LogIndex{1});
  c.on_answer(start + 2s, LogIndex{8}, LogIndex{1});
  c.on_applied(LogIndex{7});
  REQUIRE(c.confirmed_at() == start);
  c.on_applied(LogIndex{8});
  REQUIRE(c.confirmed_at() == start + 2s);
}

TEST_CASE("after a doubt only what is sent and applied from then on counts") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{7}, LogIndex{1});
  c.on_doubt();
  REQUIRE_FALSE(c.confirmed_at());
  c.on_applied(LogIndex{7});
  REQUIRE_FALSE(c.confirmed_at());
  c.on_answer(start + 200ms, LogIndex{7}, LogIndex{7});
  REQUIRE(c.confirmed_at() == start + 200ms);
}
