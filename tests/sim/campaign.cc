#include "sim/campaign.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

namespace sim {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

constexpr double progress_interval = 5;

double cpu_of_children() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

}  // namespace

void Totals::add(const Outcome& o) {
  ++runs;
  simulated_seconds += o.simulated_seconds;
  events += o.events;
  faults += o.faults;
  partition_leader_changes += o.partition_leader_changes;
  raft_leader_changes += o.raft_leader_changes;
  acknowledged += o.acknowledged;
  for (size_t i = 0; i < static_cast<size_t>(Probe::count); ++i) {
    probes.add(static_cast<Probe>(i), o.probes.count(static_cast<Probe>(i)));
  }
  for (size_t i = 0; i < faults_by_kind.size(); ++i) faults_by_kind[i] += o.faults_by_kind[i];
  if (!o.failure.empty()) ++failures;
  if (!o.invalid.empty()) ++invalid;
}

std::string Totals::line() const {
  const double hours = simulated_seconds / 3600;
  return fmt::format("{} runs, {:.2f} simulated hours ({:.0f} s per wall s, {:.0f} per CPU s), {} events, {} faults, leader changes {} of "
                     "partitions and {} of the controller, {} records acknowledged, {} failures, {} invalid",
                     runs, hours, wall_seconds > 0 ? simulated_seconds / wall_seconds : 0,
                     cpu_seconds > 0 ? simulated_seconds / cpu_seconds : 0, events, faults,
                     partition_leader_changes, raft_leader_changes, acknowledged, failures, invalid);
}

void append_result(const std::string& file, std::string_view verdict, const std::string& run, const Outcome& outcome) {
  if (file.empty()) return;
  constexpr size_t text_max = 400;
  std::string text = outcome.failure.substr(0, text_max);
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::ofstream(file, std::ios::app) << verdict << ' ' << run << (text.empty() ? "" : ": ") << text << '\n';
}

namespace {

// The processes run side by side; this one only waits for them (child.h).
std::vector<Outcome> run_side_by_side(const CampaignSettings& s, const std::vector<uint64_t>& seeds) {
  std::vector<Child> children;
  for (const uint64_t seed : seeds) {
    ChildSettings child{.run = s.settings_of(seed), .quiet = true, .cpu_limit = {}};
    child.run.trace = child.run.progress = false;
    child.cpu_limit = std::chrono::seconds(300 + static_cast<int>(child.run.options.days * 120));
    children.push_back(begin_in_child(child));
  }
  std::vector<Outcome> outcomes;
  for (const Child& child : children) outcomes.push_back(end_of(child));
  return outcomes;
}

// What a seed does, it does each time. Returns how many were run once more.
size_t run_some_again(const CampaignSettings& s, const std::vector<uint64_t>& seeds, std::vector<Outcome>& outcomes) {
  std::vector<size_t> chosen;
  std::vector<uint64_t> again;
  for (size_t i = 0; i < seeds.size(); ++i) {
    if (s.twice_share <= 0 || !Rng(seeds[i], "twice").chance(s.twice_share) || !outcomes[i].failure.empty()) continue;
    chosen.push_back(i);
    again.push_back(seeds[i]);
  }
  const std::vector<Outcome> repeated = run_side_by_side(s, again);
  for (size_t i = 0; i < chosen.size(); ++i) {
    Outcome& first = outcomes[chosen[i]];
    if (repeated[i].trace_hash == first.trace_hash) continue;
    first.failure =
        fmt::format("not deterministic: trace {:016x}, then {:016x}", first.trace_hash, repeated[i].trace_hash);
  }
  return chosen.size();
}

void account_for(const CampaignSettings& s, uint64_t seed, const Outcome& outcome, Totals& totals) {
  totals.add(outcome);
  const bool is_known = !outcome.failure.empty() && s.known.contains(seed);
  if (is_known) --totals.failures, ++totals.known_failures;
  append_result(s.results,
                outcome.failure.empty() ? "ok"
                : is_known              ? "skip"
                                        : "not ok",
                fmt::format("{} --seed {}", s.repeat_command, seed), outcome);
  if (!outcome.invalid.empty()) std::printf("a run says nothing (--seed %lu): %s\n", seed, outcome.invalid.c_str());
  if (outcome.failure.empty()) return;
  if (!is_known) totals.failed_seeds.push_back(seed);
  std::printf("seed %lu %s: %s\n  %s\n  repeat with: %s --seed %lu\n", seed,
              is_known ? "fails, as is known" : "FAILED", outcome.failure.c_str(),
              describe(s.settings_of(seed).options).c_str(), s.repeat_command.c_str(), seed);
}

}  // namespace

Totals run_campaign(const CampaignSettings& s) {
  Totals totals;
  const auto began = Clock::now();
  double told_at = 0;
  uint64_t seed = s.first_seed;
  const auto is_over = [&] {
    if (s.wall_seconds_max > 0 && seconds_since(began) > s.wall_seconds_max) return true;
    if (s.failures_max > 0 && static_cast<int>(totals.failures) >= s.failures_max) return true;
    if (s.hours > 0) return totals.simulated_seconds >= s.hours * 3600;
    return seed > s.last_seed;
  };
  while (!is_over()) {
    std::vector<uint64_t> seeds;
    for (int j = 0; j < s.jobs && (s.hours > 0 || seed <= s.last_seed); ++j) seeds.push_back(seed++);
    std::vector<Outcome> outcomes = run_side_by_side(s, seeds);
    totals.run_twice += run_some_again(s, seeds, outcomes);
    for (size_t i = 0; i < seeds.size(); ++i) account_for(s, seeds[i], outcomes[i], totals);
    totals.wall_seconds = seconds_since(began);
    totals.cpu_seconds = cpu_of_children();
    if (totals.wall_seconds - told_at >= progress_interval) {
      told_at = totals.wall_seconds;
      std::printf("%6.0f s: %s\n", totals.wall_seconds, totals.line().c_str());
      std::fflush(stdout);
    }
  }
  totals.wall_seconds = seconds_since(began);
  return totals;
}

void print_report(const Totals& totals) {
  std::printf("total: %s\n", totals.line().c_str());
  if (totals.known_failures > 0) std::printf("%lu seeds failed that are known to\n", totals.known_failures);
  if (totals.run_twice > 0) std::printf("%lu seeds were run twice with the same trace\n", totals.run_twice);
  std::printf("faults:");
  for (int i = 0; i < fault_kinds; ++i) {
    std::printf(" %s %lu,", std::string(to_string(static_cast<FaultKind>(i))).c_str(),
                totals.faults_by_kind[static_cast<size_t>(i)]);
  }
  std::printf("\nsometimes, and how often:\n");
  std::string never;
  for (size_t i = 0; i < static_cast<size_t>(Probe::count); ++i) {
    const auto probe = static_cast<Probe>(i);
    const std::string name(to_string(probe));
    if (totals.probes.count(probe) == 0) {
      never += "\n  " + name;
    } else {
      std::printf("  %10lu  %s\n", totals.probes.count(probe), name.c_str());
    }
  }
  if (!never.empty()) std::printf("never met:%s\n", never.c_str());
}

}  // namespace sim
