// Which seeds a test of random histories runs: so many from 1 on, or those that the environment names.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <string>

namespace test_support {

struct Seeds {
  uint64_t first = 1;
  uint64_t count = 0;
  bool is_chosen = false;  // by the environment: what a whole run must have met is asked of no single seed

  [[nodiscard]] uint64_t end() const { return first + count; }
};

// `name` (NARU_SEED) names one seed, to repeat a failure; name + "S" says how many to run, from 1 or from that one on.
inline Seeds seeds_to_run(const std::string& name, uint64_t count) {
  const auto number = [](const std::string& variable, uint64_t otherwise) {
    const char* text = std::getenv(variable.c_str());
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
  };
  const bool is_chosen = std::getenv(name.c_str()) != nullptr;
  return {.first = number(name, 1), .count = number(name + "S", is_chosen ? 1 : count), .is_chosen = is_chosen};
}

}  // namespace test_support
