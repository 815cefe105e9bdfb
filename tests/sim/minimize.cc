#include "sim/minimize.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

namespace sim {
namespace {

class Minimizer {
 public:
  Minimizer(RunSettings settings, Outcome outcome, int runs_max)
      : best_{std::move(settings), std::move(outcome), {}, 0}, runs_max_(runs_max),
        kind_(kind_of_failure(best_.outcome.failure)) {}

  Minimized go() {
    shorten();
    fewer_faults();
    simpler();
    fewer_faults();
    best_.arguments = arguments();
    return best_;
  }

 private:
  bool try_it(const RunSettings& candidate) {
    if (best_.runs >= runs_max_) return false;
    ++best_.runs;
    const std::chrono::seconds limit(120 + static_cast<int>(candidate.options.days * 120));
    Outcome outcome = run_in_child({.run = candidate, .quiet = true, .cpu_limit = limit});
    if (outcome.failure.empty() || kind_of_failure(outcome.failure) != kind_) return false;
    best_.settings = candidate;
    best_.outcome = std::move(outcome);
    std::printf("  %3d runs: %zu faults, %.1f s, %lu events\n", best_.runs, best_.settings.plan.size(),
                best_.outcome.simulated_seconds, best_.outcome.events);
    std::fflush(stdout);
    return true;
  }

  // Nothing after the failure is of use.
  void shorten() {
    const double seconds = best_.outcome.simulated_seconds;
    if (seconds <= 0) return;  // it crashed, and nobody knows when
    RunSettings candidate = best_.settings;
    const auto end = Duration(static_cast<int64_t>(seconds * 1e9));
    if (end >= candidate.options.safety) return;
    std::erase_if(candidate.plan, [end](const Fault& fault) { return fault.at > end; });
    if (try_it(candidate)) set("safety-ms", seconds * 1000 + 1000);
  }

  // Leaves out a half, a quarter, ... down to single faults.
  void fewer_faults() {
    for (size_t chunk = std::max<size_t>(1, best_.settings.plan.size() / 2); chunk >= 1; chunk /= 2) {
      for (size_t at = 0; at < best_.settings.plan.size();) {
        RunSettings candidate = best_.settings;
        const size_t end = std::min(at + chunk, candidate.plan.size());
        candidate.plan.erase(candidate.plan.begin() + static_cast<std::ptrdiff_t>(at),
                             candidate.plan.begin() + static_cast<std::ptrdiff_t>(end));
        if (!try_it(candidate)) at += chunk;
      }
      if (chunk == 1) break;
    }
  }

  bool set(const std::string& name, double value) {
    RunSettings candidate = best_.settings;
    const std::string assignment = fmt::format("{}={}", name, value);
    if (!set_option(candidate.options, assignment) || !try_it(candidate)) return false;
    std::erase_if(assignments_, [&](const std::string& a) { return a.starts_with(name + "="); });
    assignments_.push_back(assignment);
    return true;
  }

  void simpler() {
    // Not "misdirected", "lost-directories", "refusals", "clones", "descriptors", "name-errors" and "rare": faults come
    // from them, and the plan must stay what the command draws.
    for (const char* off : {"groups", "sleepers", "consumers", "loose", "onlookers", "compacted", "restores", "admin", "moves",
                            "repeat", "drift", "slow-messages"}) {
      set(off, 0);
    }
    for (const char* one : {"producers", "pipelined", "topics", "partitions", "shards", "members"}) set(one, 1);
    if (best_.settings.options.brokers > 3) set("brokers", 3);
  }

  std::string arguments() const {
    std::string text = " --only-faults ";
    std::string numbers;
    for (const Fault& fault : best_.settings.plan) numbers += (numbers.empty() ? "" : ",") + std::to_string(fault.number);
    text += numbers.empty() ? "none" : numbers;
    for (const std::string& assignment : assignments_) text += " --set " + assignment;
    return text;
  }

  Minimized best_;
  const int runs_max_;
  const std::string kind_;
  std::vector<std::string> assignments_;
};

}  // namespace

Minimized minimize(RunSettings settings, Outcome outcome, int runs_max) {
  return Minimizer(std::move(settings), std::move(outcome), runs_max).go();
}

}  // namespace sim
