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
  c.on_answer(start + 100ms, LogIndex{7}, LogIndex{7}, start + 100ms + 1ms);
  REQUIRE(c.confirmed_at() == start + 100ms);
  c.on_answer(start + 200ms, LogIndex{9}, LogIndex{7}, start + 200ms + 1ms);
  c.on_answer(start + 300ms, LogIndex{9}, LogIndex{8}, start + 300ms + 1ms);
  REQUIRE(c.confirmed_at() == start + 100ms);
  c.on_applied(LogIndex{9}, start + 5s);
  REQUIRE(c.confirmed_at() == start + 300ms);
}

TEST_CASE("each offset that is reached counts for what was said about it") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{7}, std::nullopt, start + 100ms + 1ms);
  c.on_answer(start + 200ms, LogIndex{8}, std::nullopt, start + 200ms + 1ms);
  c.on_answer(start + 300ms, LogIndex{9}, std::nullopt, start + 300ms + 1ms);
  c.on_applied(std::nullopt, start + 5s);
  REQUIRE(c.confirmed_at() == start);
  c.on_applied(LogIndex{8}, start + 5s);
  REQUIRE(c.confirmed_at() == start + 200ms);
}

TEST_CASE("an answer that names less than an earlier one proves no less") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{9}, LogIndex{5}, start + 100ms + 1ms);
  c.on_answer(start + 200ms, LogIndex{5}, LogIndex{5}, start + 200ms + 1ms);
  REQUIRE(c.confirmed_at() == start);
  c.on_applied(LogIndex{9}, start + 5s);
  REQUIRE(c.confirmed_at() == start + 200ms);
}

TEST_CASE("answers that wait for longer than they are worth are forgotten") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{7}, LogIndex{1}, start + 100ms + 1ms);
  c.on_answer(start + 2s, LogIndex{8}, LogIndex{1}, start + 2s + 1ms);
  c.on_applied(LogIndex{7}, start + 5s);
  REQUIRE(c.confirmed_at() == start);
  c.on_applied(LogIndex{8}, start + 5s);
  REQUIRE(c.confirmed_at() == start + 2s);
}

TEST_CASE("after a doubt only what is sent and applied from then on counts") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{7}, LogIndex{1}, start + 100ms + 1ms);
  c.on_doubt();
  REQUIRE_FALSE(c.confirmed_at());
  c.on_applied(LogIndex{7}, start + 5s);
  REQUIRE_FALSE(c.confirmed_at());
  c.on_answer(start + 200ms, LogIndex{7}, LogIndex{7}, start + 200ms + 1ms);
  REQUIRE(c.confirmed_at() == start + 200ms);
}

TEST_CASE("metadata stands still while an offset that was named is not reached and nothing else moves") {
  Confirmation c(start, 1500ms);
  c.on_answer(start + 100ms, LogIndex{7}, LogIndex{7}, start + 101ms);
  REQUIRE_FALSE(c.stalled_since());
  c.on_answer(start + 200ms, LogIndex{9}, LogIndex{7}, start + 201ms);
  c.on_answer(start + 300ms, LogIndex{12}, LogIndex{7}, start + 301ms);
  REQUIRE(c.stalled_since() == start + 201ms);
  c.on_doubt();
  REQUIRE(c.stalled_since() == start + 201ms);
  c.on_applied(LogIndex{11}, start + 400ms);  // slow, but it comes on
  REQUIRE(c.stalled_since() == start + 400ms);
  c.on_applied(LogIndex{12}, start + 500ms);
  REQUIRE_FALSE(c.stalled_since());
}
