// In the preset `mutants` every test program does what NARU_MUTANT says: "list" prints the mutants that are linked into
// it and ends, a name makes that mutant active. Exit code 77: it is not in this program.
#include <cstdio>
#include <cstdlib>
#include <string>

#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include <catch2/catch.hpp>

#include "common/model/mutant.h"

namespace {

class MutantListener : public Catch::TestEventListenerBase {
 public:
  using TestEventListenerBase::TestEventListenerBase;

  void testRunStarting(const Catch::TestRunInfo&) override {
    const char* chosen = std::getenv("NARU_MUTANT");
    if (chosen == nullptr || *chosen == '\0') return;
    if (std::string(chosen) == "list") {
      for (const std::string& name : common::model::mutants_in_this_program()) std::printf("%s\n", name.c_str());
      std::fflush(stdout);
      std::_Exit(0);
    }
    if (common::model::activate_mutant(chosen)) return;
    std::fprintf(stderr, "no mutant %s in this program\n", chosen);
    std::_Exit(77);
  }

  void testRunEnded(const Catch::TestRunStats&) override {
    if (std::getenv("NARU_MUTANT") == nullptr) return;
    std::fprintf(stderr, "mutant asked %llu times\n",
                 static_cast<unsigned long long>(common::model::times_mutant_was_asked()));
  }
};

}  // namespace

CATCH_REGISTER_LISTENER(MutantListener)
