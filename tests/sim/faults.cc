#include "sim/faults.h"

#include <fmt/format.h>

#include "sim/buggify.h"

namespace sim {

using namespace std::chrono_literals;

std::string_view to_string(FaultKind kind) {
  switch (kind) {
#define X(name, text)   \
  case FaultKind::name: \
    return text;
    SIM_FAULTS(X)
#undef X
    case FaultKind::count:
      break;
  }
  return "?";
}

std::string describe(const Fault& fault) {
  return fmt::format("#{} at {:.3f} s for {:.3f} s: {} ({}, {}, {})", fault.number,
                     std::chrono::duration<double>(fault.at).count(), std::chrono::duration<double>(fault.length).count(),
                     to_string(fault.kind), fault.a % 1000, fault.b % 1000, fault.c % 1000);
}

namespace {

bool is_calm(Duration at) {
  const Duration into = at % calm_interval;
  return into < 5min || into > calm_interval - 5min;
}

// From a stream of their own, behind the others: those keep their numbers.
void plan_more(std::vector<Fault>& plan, const Options& options, FaultKind kind, Duration interval) {
  Rng rng(options.seed, to_string(kind));
  for (Duration at = 5s;;) {
    at += rng.between(interval / 4, interval * 7 / 4);
    if (at >= options.safety) return;
    if (options.days > 0 && is_calm(at)) continue;
    plan.push_back({.number = static_cast<int>(plan.size()),
                    .at = at,
                    .kind = kind,
                    .length = rng.between(50ms, 4s),
                    .a = rng.next(),
                    .b = rng.next(),
                    .c = rng.next()});
  }
}

// Those of the run but the last, which are planned apart.
std::vector<FaultKind> drawn_kinds(const Options& options) {
  std::vector<FaultKind> kinds;
  for (int i = 0; i < static_cast<int>(FaultKind::misdirected); ++i) {
    if ((options.fault_kinds >> i & 1u) != 0) kinds.push_back(static_cast<FaultKind>(i));
  }
  return kinds;
}

// A few an hour; and every few hours a storm of minutes, as dense as in a run of minutes.
std::vector<Fault> plan_days(const Options& options) {
  std::vector<Fault> plan;
  Rng rng(options.seed, "faults of days");
  const std::vector<FaultKind> kinds = drawn_kinds(options);
  Duration storm_at = rng.between(1h, 6h);
  Duration storm_end{};
  for (Duration at = 1min; !kinds.empty();) {
    if (at >= storm_at) {
      storm_end = at + rng.between(1min, 6min);
      storm_at = at + rng.between(3h, 12h);
    }
    const bool storm = at < storm_end;
    const Duration interval = storm ? Duration(6s) : options.fault_interval;
    at += rng.between(interval / 4, interval * 7 / 4);
    if (at >= options.safety) break;
    Fault fault{.at = at, .kind = kinds[rng.below(kinds.size())]};
    const Duration lengths[] = {200ms, 2s, 10s, 1min, 5min, 25min};
    fault.length = rng.between(Duration(0), lengths[rng.below(storm ? 3 : 6)]) + 50ms;
    fault.a = rng.next();
    fault.b = rng.next();
    fault.c = rng.next();
    if (is_calm(at)) continue;
    fault.number = static_cast<int>(plan.size());
    plan.push_back(fault);
  }
  return plan;
}

std::vector<Fault> plan_kinds(const Options& options) {
  std::vector<Fault> plan;
  Rng rng(options.seed, "faults");
  const std::vector<FaultKind> kinds = drawn_kinds(options);
  if (kinds.empty()) return plan;
  Duration at = 5s;  // the cluster forms first
  for (;;) {
    at += rng.between(options.fault_interval / 4, options.fault_interval * 7 / 4);
    if (at >= options.safety) return plan;
    Fault fault;
    fault.number = static_cast<int>(plan.size());
    fault.at = at;
    fault.kind = kinds[rng.below(kinds.size())];
    // Shorter and longer than sessions, elections and lag times.
    const Duration lengths[] = {200ms, 1s, 2s, 4s, 15s};
    fault.length = rng.between(Duration(0), lengths[rng.below(5)]) + 50ms;
    fault.a = rng.next();
    fault.b = rng.next();
    fault.c = rng.next();
    plan.push_back(fault);
  }
}

}  // namespace

std::vector<Fault> plan_faults(const Options& options) {
  if (!options.faults) return {};
  const bool long_lived = options.days > 0;
  std::vector<Fault> plan = long_lived ? plan_days(options) : plan_kinds(options);
  if (long_lived) plan_more(plan, options, FaultKind::rolling_restart, 10h);
  const Duration disks = long_lived ? Duration(5h) : Duration(30s);
  if (options.misdirected) plan_more(plan, options, FaultKind::misdirected, disks);
  if (is_armed(options.rare, Rare::transfers)) plan_more(plan, options, FaultKind::hand_over, 3s);
  if (options.lost_directories) plan_more(plan, options, FaultKind::lost_directory, disks);
  if (options.refusals) plan_more(plan, options, FaultKind::refusal, long_lived ? disks : Duration(20s));
  if (options.clones) plan_more(plan, options, FaultKind::foreign_disk, disks);
  if (options.clones) plan_more(plan, options, FaultKind::twin, disks);
  if (options.descriptors) plan_more(plan, options, FaultKind::descriptors, long_lived ? disks : Duration(15s));
  if (options.name_errors) plan_more(plan, options, FaultKind::name_error, disks);
  return plan;
}

}  // namespace sim
