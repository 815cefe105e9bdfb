#include <memory>

#include <catch2/catch.hpp>

#include "group/group_script.h"

TEST_CASE("group coordinator scenarios") {
  test_support::run_scenarios("tests/scenarios/group", [] {
    auto script = std::make_shared<group_test::GroupScript>();
    return [script](const test_support::Command& command) { return script->execute(command); };
  });
}
