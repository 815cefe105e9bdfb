#include <catch2/catch.hpp>

#include "raft/raft_scenario.h"

TEST_CASE("raft scenarios") {
  test_support::run_scenarios("tests/scenarios/raft", [] {
    return [world = std::make_shared<raft_test::RaftScenario>()](const test_support::Command& command) {
      return world->execute(command);
    };
  });
}
