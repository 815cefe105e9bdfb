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
  std::optional<std::chrono::seconds> cpu_limit;  // a run that does not end has a loop, or waits for itself
};

// One under way. Several may be, and whoever begins them must have no threads: a process that is forked from one with
// threads counts every reference and takes every piece of memory as if it had some too, which is slower.
struct Child {
  int process = -1;
  int result = -1;  // pipes: what came of it,
  int words = -1;   // and what it says on standard error
};
[[nodiscard]] Child begin_in_child(const ChildSettings& settings);
[[nodiscard]] Outcome end_of(const Child& child);  // waits for it; once
[[nodiscard]] inline Outcome run_in_child(const ChildSettings& settings) {
  return end_of(begin_in_child(settings));
}

// What a failure is about, without the particulars: two runs that agree in it failed alike.
[[nodiscard]] std::string kind_of_failure(const std::string& failure);

}  // namespace sim
