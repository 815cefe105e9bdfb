// Many runs, one after the other or a few at a time: progress while they go, totals and never-hit probes at the end.
#pragma once
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/child.h"

namespace sim {

struct CampaignSettings {
  uint64_t first_seed = 1;
  uint64_t last_seed = 1;                       // ignored where `hours` is set
  double hours = 0;                             // simulated: seeds are taken until so much has been run
  double wall_seconds_max = 0;                  // no new run begins after this
  double twice_share = 0;                       // of the seeds that are run twice, to compare the traces
  int jobs = 1;
  int failures_max = 1;                         // then it stops
  std::set<uint64_t> known;                     // seeds whose failure is no news
  std::string results;                          // a file for a line "ok", "not ok" or "skip" of each seed; or none
  std::string repeat_command;                   // what repeats a run: the program and its other options
  std::function<RunSettings(uint64_t seed)> settings_of;
};

struct Totals {
  uint64_t runs = 0;
  uint64_t invalid = 0;
  uint64_t failures = 0;
  uint64_t known_failures = 0;  // not among them
  double simulated_seconds = 0;
  double wall_seconds = 0;
  double cpu_seconds = 0;  // of the runs
  uint64_t events = 0;
  uint64_t faults = 0;
  uint64_t partition_leader_changes = 0;
  uint64_t raft_leader_changes = 0;
  uint64_t acknowledged = 0;
  uint64_t run_twice = 0;
  Probes probes;
  std::array<uint64_t, fault_kinds> faults_by_kind{};
  std::vector<uint64_t> failed_seeds;

  void add(const Outcome& outcome);
  [[nodiscard]] std::string line() const;
};

// What one run was, for scripts/lib/summarize.py: a failing one with the command that repeats it.
void append_result(const std::string& file, std::string_view verdict, const std::string& run, const Outcome& outcome);

// Returns the totals; prints as it goes.
Totals run_campaign(const CampaignSettings& settings);
void print_report(const Totals& totals);

}  // namespace sim
