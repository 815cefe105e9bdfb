#include "sim/campaign.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <future>

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
  // Each job forks; the parent only waits.
  const auto one = [&s](uint64_t n) {
    ChildSettings child{.run = s.settings_of(n), .quiet = true, .wall_limit = std::chrono::seconds(300)};
    child.run.trace = false;
    Outcome outcome = run_in_child(child);
    const bool twice = s.twice_share > 0 && Rng(n, "twice").chance(s.twice_share);
    if (twice && outcome.failure.empty()) {
      const Outcome again = run_in_child(child);
      if (again.trace_hash != outcome.trace_hash) {
        outcome.failure = fmt::format("not deterministic: trace {:016x}, then {:016x}", outcome.trace_hash, again.trace_hash);
      }
    }
    return std::pair(std::move(outcome), twice);
  };
  while (!is_over()) {
    std::vector<std::pair<uint64_t, std::future<std::pair<Outcome, bool>>>> batch;
    for (int j = 0; j < s.jobs && (s.hours > 0 || seed <= s.last_seed); ++j, ++seed) {
      batch.emplace_back(seed, std::async(s.jobs == 1 ? std::launch::deferred : std::launch::async, one, seed));
    }
    for (auto& [n, future] : batch) {
      const auto [outcome, twice] = future.get();
      totals.add(outcome);
      const bool is_known = !outcome.failure.empty() && s.known.contains(n);
      if (is_known) --totals.failures, ++totals.known_failures;
      if (twice) ++totals.run_twice;
      append_result(s.results,
                    outcome.failure.empty() ? "ok"
                    : is_known              ? "skip"
                                            : "not ok",
                    fmt::format("{} --seed {}", s.repeat_command, n), outcome);
      totals.wall_seconds = seconds_since(began);
      totals.cpu_seconds = cpu_of_children();
      if (!outcome.invalid.empty()) std::printf("a run says nothing (--seed %lu): %s\n", n, outcome.invalid.c_str());
      if (!outcome.failure.empty()) {
        if (!is_known) totals.failed_seeds.push_back(n);
        std::printf("seed %lu %s: %s\n  %s\n  repeat with: %s --seed %lu\n", n,
                    is_known ? "fails, as is known" : "FAILED", outcome.failure.c_str(),
                    describe(s.settings_of(n).options).c_str(), s.repeat_command.c_str(), n);
      }
    }
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
