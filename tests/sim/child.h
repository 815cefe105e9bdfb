// A run in a process of its own: a crash of the code under test ends the run, not the campaign, and leaves no memory.
#pragma once
#include <optional>
#include <string>

#include "sim/run.h"

namespace sim {

// The outcome; a crash is a failure whose text is what the process said last. `quiet` false: its standard error is ours.
struct ChildSettings {
  RunSettings run;
  bool quiet = true;
  std::optional<std::chrono::seconds> wall_limit;  // a run that does not end has a loop
};
[[nodiscard]] Outcome run_in_child(const ChildSettings& settings);

// What a failure is about, without the particulars: two runs that agree in it failed alike.
[[nodiscard]] std::string kind_of_failure(const std::string& failure);

}  // namespace sim
