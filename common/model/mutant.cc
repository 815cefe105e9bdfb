#include "common/model/mutant.h"

#include <algorithm>

namespace common::model {
namespace {

// Switches register during the initialization of other files: constant-initialized, so it is there before them.
constinit MutantSwitch* first_switch = nullptr;

}  // namespace

MutantSwitch::MutantSwitch(std::string_view name) : name_(name), next_(first_switch) { first_switch = this; }

bool activate_mutant(std::string_view name) {
  bool found = name.empty();
  for (MutantSwitch* one = first_switch; one != nullptr; one = one->next_) {
    one->active_ = one->name_ == name;
    found |= one->active_;
  }
  return found;
}

std::vector<std::string> mutants_in_this_program() {
  std::vector<std::string> names;
  for (const MutantSwitch* one = first_switch; one != nullptr; one = one->next_) names.emplace_back(one->name_);
  std::sort(names.begin(), names.end());
  return names;
}

uint64_t times_mutant_was_asked() {
  uint64_t times = 0;
  for (const MutantSwitch* one = first_switch; one != nullptr; one = one->next_) times += one->times_asked_;
  return times;
}

}  // namespace common::model
