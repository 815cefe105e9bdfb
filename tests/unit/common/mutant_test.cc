// The switch itself. Outside the preset `mutants` there is none, and the compiler knows it.
#include "common/model/mutant.h"

#include <catch2/catch.hpp>

using common::model::mutant;
using common::model::mutants_enabled;

namespace {

static_assert(mutants_enabled || !mutant<"R0-for-the-test-of-mutants">());

}  // namespace

TEST_CASE("one mutant at most is active, and only where there are mutants") {
  const auto names = common::model::mutants_in_this_program();
  REQUIRE(names.empty() == !mutants_enabled);
  if (!mutants_enabled) {
    REQUIRE_FALSE(common::model::activate_mutant("R0-for-the-test-of-mutants"));
    return;
  }
  REQUIRE_FALSE(mutant<"R0-for-the-test-of-mutants">());
  REQUIRE_FALSE(common::model::activate_mutant("R0-unknown"));
  REQUIRE(common::model::activate_mutant("R0-for-the-test-of-mutants"));
  REQUIRE(mutant<"R0-for-the-test-of-mutants">());
  REQUIRE(common::model::times_mutant_was_asked() == 1);
  REQUIRE(common::model::activate_mutant(""));
  REQUIRE_FALSE(mutant<"R0-for-the-test-of-mutants">());
}
