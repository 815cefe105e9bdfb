#include "support/scenario.h"

#include <fmt/format.h>
#include <catch2/catch.hpp>

using test_support::Command;
using test_support::ScenarioError;

TEST_CASE("a command line is a name, keys with values, and words") {
  const Command command = Command::parse("start leader=1 replicas=(1, 2,3) lag=30s \"two words\" verbose", 1);
  CHECK(command.name() == "start");
  CHECK(command.number("leader") == 1);
  CHECK(command.numbers("replicas") == std::vector<int64_t>{1, 2, 3});
  CHECK(command.duration("lag") == std::chrono::seconds(30));
  CHECK(command.unread() == std::vector<std::string>{"two words", "verbose"});
  CHECK(command.has("verbose"));
  CHECK(command.words().size() == 2);
  CHECK(command.unread().empty());
}

TEST_CASE("missing and malformed arguments are told, not guessed") {
  const Command command = Command::parse("tick at=40 n=x", 7);
  CHECK_THROWS_AS(command.number("absent"), ScenarioError);
  CHECK_THROWS_AS(command.duration("at"), ScenarioError);
  CHECK_THROWS_AS(command.number("n"), ScenarioError);
  CHECK_THROWS_AS(Command::parse("tick isr=(1,2", 1), ScenarioError);
}

TEST_CASE("lists keep inner brackets together") {
  CHECK(test_support::split_list("((1,a),(2,b))") == std::vector<std::string>{"(1,a)", "(2,b)"});
  CHECK(test_support::split_list("()").empty());
}

TEST_CASE("scenario files run") {
  test_support::run_scenarios("tests/scenarios/support", [] {
    return [sum = int64_t{0}](const Command& command) mutable -> std::string {
      if (command.name() == "add") sum += command.number("n");
      if (command.name() == "quiet") return "";
      return fmt::format("sum={}", sum);
    };
  });
}
