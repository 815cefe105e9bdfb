// From a failing run to a small one that fails alike: fewer faults (delta debugging over the plan), less time, fewer
// programs and machines.
#pragma once
#include <functional>
#include <string>

#include "sim/child.h"

namespace sim {

struct Minimized {
  RunSettings settings;
  Outcome outcome;
  std::string arguments;  // what to add to the command line
  int runs = 0;
};

// `settings` fails with `outcome`.
Minimized minimize(RunSettings settings, Outcome outcome, int runs_max);

}  // namespace sim
