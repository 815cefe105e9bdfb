#include "cli/items.h"

#include <catch2/catch.hpp>

using namespace cli;
using common::model::ErrorCode;

namespace {

const Problem lost_answer{.exit = Exit::unreachable, .message = "broker 2 does not answer", .next_step = {}};

}  // namespace

TEST_CASE("what the brokers said nothing of is not taken for done") {
  std::vector<ItemOutcome> items = {{"t-0", ErrorCode::none, ""}, {"t-1", ErrorCode::offset_out_of_range, ""}};
  add_unanswered(items, {"t-0", "t-1", "t-2", "t-2"}, ErrorCode::leader_not_available);
  REQUIRE(items.size() == 3);
  CHECK(items[0].error == ErrorCode::none);
  CHECK(items[1].error == ErrorCode::offset_out_of_range);
  CHECK(items[2].name == "t-2");
  CHECK(items[2].error == ErrorCode::leader_not_available);
}

TEST_CASE("the exit code of several: none, one kind, or only some of them") {
  const ItemOutcome done{"a", ErrorCode::none, ""};
  const ItemOutcome lost = unanswered("delete group", "b", lost_answer);
  CHECK(conclude("delete group", {done}) == Exit::done);
  CHECK(conclude("delete group", {{"a", ErrorCode::non_empty_group, ""}}) == Exit::refused);
  CHECK(conclude("delete group", {lost}) == Exit::unreachable);
  // What was done before an answer was lost is done.
  CHECK(conclude("delete group", {done, lost}) == Exit::partly);
  CHECK(conclude("delete group", {lost, done}) == Exit::partly);
}

TEST_CASE("a missing answer says of what, and why it is missing") {
  const ItemOutcome lost = unanswered("delete group", "b", lost_answer);
  CHECK(lost.name == "b");
  CHECK(lost.error == ErrorCode::request_timed_out);
  const Problem no_voter{.exit = Exit::refused, .message = "broker 9 is no voter", .next_step = {}};
  CHECK(not_done("9", no_voter).error != ErrorCode::none);
  REQUIRE(lost.problem);
  CHECK(lost.problem->message == "cannot delete group b: broker 2 does not answer");
}
