// naru-sim: whole clusters of production code under simulated time, network, disks and faults. docs/simulator.md.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "common/logging.h"
#include "common/model/mutant.h"
#include "sim/campaign.h"
#include "sim/minimize.h"
#include "sim/scale.h"

namespace {

struct Arguments {
  uint64_t seed = 0;
  std::string seeds;
  double hours = 0;
  uint64_t from = 1;
  double days = 0;
  double wall_seconds = 0;
  double twice = 0;
  int jobs = 1;
  int failures = 1;
  bool trace = false;
  bool log = false;
  bool minimize = false;
  int minimize_runs = 300;
  std::string mutant;
  std::string scale;
  std::string regress;
  std::string known;
  std::string results;
  std::string only_faults;
  std::vector<std::string> set;
};

void declare(CLI::App& app, Arguments& a) {
  app.add_option("--seed", a.seed, "Run this seed alone, in this process");
  app.add_option("--seeds", a.seeds, "Run the seeds A..B");
  app.add_option("--hours", a.hours, "Run seeds until so many hours were simulated");
  app.add_option("--days", a.days, "One cluster that lives so many days, of --seed or --from; with --seeds or --hours each");
  app.add_option("--from", a.from, "With --hours: the first seed");
  app.add_option("--wall-seconds", a.wall_seconds, "Begin no further run after so long");
  app.add_option("--twice", a.twice, "Run this share of the seeds twice and compare their traces");
  app.add_option("--jobs", a.jobs, "Runs at a time");
  app.add_option("--failures", a.failures, "Stop after so many failures; 0: never");
  app.add_flag("--trace", a.trace, "With --seed: say what happens, on standard error");
  app.add_flag("--log", a.log, "With --seed: the brokers' own log lines too");
  app.add_flag("--minimize", a.minimize, "Look for a smaller run that fails alike");
  app.add_option("--minimize-runs", a.minimize_runs, "At most so many runs for that");
  app.add_option("--mutant", a.mutant, "Leave out this safety rule (a build of preset mutants)");
  app.add_option("--only-faults", a.only_faults, "Of the plan only these faults: 3,17,20 or none");
  app.add_option("--scale", a.scale, "Instead: how clusters of these sizes grow: brokers:partitions,...")
      ->expected(0, 1)
      ->default_str("10:1000,30:10000,100:100000");
  app.add_option("--regress", a.regress, "Instead: every run that this file names (tests/regress/seeds.txt)");
  app.add_option("--known", a.known, "With --seeds: a file of seeds whose failure is no failure, one a line");
  app.add_option("--results", a.results, "Append a line \"ok\", \"not ok\" or \"skip\" for each run to this file");
  app.add_option("--set", a.set, "An option of the run instead of what the seed draws: " + sim::option_names());
}

sim::RunSettings settings_of(const Arguments& a, uint64_t seed) {
  sim::RunSettings settings;
  settings.options = sim::draw_options(seed);
  sim::live_for(settings.options, a.days);
  for (const std::string& assignment : a.set) {
    if (!sim::set_option(settings.options, assignment)) {
      std::fprintf(stderr, "--set %s: not an option with a number. There are: %s\n", assignment.c_str(),
                   sim::option_names().c_str());
      std::exit(2);
    }
  }
  // The plan is the seed's, however long the run is.
  sim::Options whole = settings.options;
  whole.safety = whole.days > 0 ? sim::Duration(static_cast<int64_t>(whole.days * 24 * 3600 * 1e9)) : sim::Options{}.safety;
  settings.plan = sim::plan_faults(whole);
  std::erase_if(settings.plan, [&](const sim::Fault& f) { return f.at >= settings.options.safety; });
  if (!a.only_faults.empty()) {
    std::vector<int> numbers;
    for (size_t at = 0; a.only_faults != "none" && at < a.only_faults.size();) {
      const size_t end = std::min(a.only_faults.find(',', at), a.only_faults.size());
      numbers.push_back(std::atoi(a.only_faults.substr(at, end - at).c_str()));
      at = end + 1;
    }
    std::erase_if(settings.plan, [&](const sim::Fault& f) {
      return std::find(numbers.begin(), numbers.end(), f.number) == numbers.end();
    });
  }
  settings.trace = a.trace;
  settings.progress = a.seeds.empty() && a.hours <= 0 && settings.options.days > 0;
  return settings;
}

void print_outcome(const sim::Outcome& o, double wall, double cpu) {
  std::printf("%.1f s simulated in %.2f s of wall and %.2f s of CPU time (%.0f s per CPU s): %lu events, %lu messages, %lu faults, leader "
              "changes %lu of partitions and %lu of the controller, %lu records acknowledged, trace %016lx\n",
              o.simulated_seconds, wall, cpu, cpu > 0 ? o.simulated_seconds / cpu : 0, o.events, o.messages, o.faults,
              o.partition_leader_changes, o.raft_leader_changes, o.acknowledged, o.trace_hash);
}

// Lines of a file without their comments: what comes after a #.
std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(2);
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    line.resize(std::min(line.find('#'), line.size()));
    line.resize(line.find_last_not_of(" \t") + 1);
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

int run_one(const Arguments& a, const std::string& command) {
  const sim::RunSettings settings = settings_of(a, a.seed);
  std::printf("seed %lu: %s\n", a.seed, sim::describe(settings.options).c_str());
  std::fflush(stdout);
  const auto began = std::chrono::steady_clock::now();
  const bool quiet = !a.trace && !a.log && !settings.progress;
  const sim::Outcome outcome = sim::run_in_child({.run = settings, .quiet = quiet, .cpu_limit = {}});
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec) / 1e6;
  print_outcome(outcome, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), cpu);
  if (!outcome.invalid.empty()) std::printf("this run says nothing: %s\n", outcome.invalid.c_str());
  sim::append_result(a.results, outcome.failure.empty() ? "ok" : "not ok", command, outcome);
  if (outcome.failure.empty()) return 0;
  std::printf("FAILED: %s\nrepeat with: %s --trace\n", outcome.failure.c_str(), command.c_str());
  if (!a.minimize) return 1;
  const sim::Minimized small = sim::minimize(settings, outcome, a.minimize_runs);
  std::printf("minimal after %d runs: %s\n", small.runs, sim::describe(small.settings.options).c_str());
  for (const sim::Fault& fault : small.settings.plan) std::printf("  %s\n", sim::describe(fault).c_str());
  std::printf("first bad event: %s\nrepeat with: %s%s --trace\n", small.outcome.failure.c_str(),
              command.substr(0, command.find(" --only-faults")).c_str(), small.arguments.c_str());
  return 1;
}

int run_many(const Arguments& a, const std::string& command) {
  sim::CampaignSettings campaign;
  if (!a.seeds.empty()) {
    const size_t dots = a.seeds.find("..");
    campaign.first_seed = std::strtoull(a.seeds.c_str(), nullptr, 10);
    campaign.last_seed =
        dots == std::string::npos ? campaign.first_seed : std::strtoull(a.seeds.c_str() + dots + 2, nullptr, 10);
  } else {
    campaign.first_seed = a.from;
  }
  campaign.hours = a.hours;
  campaign.wall_seconds_max = a.wall_seconds;
  campaign.twice_share = a.twice;
  campaign.jobs = std::max(1, a.jobs);
  campaign.failures_max = a.failures;
  campaign.results = a.results;
  if (!a.known.empty()) {
    for (const std::string& seed : lines_of(a.known)) campaign.known.insert(std::strtoull(seed.c_str(), nullptr, 10));
  }
  campaign.repeat_command = command;
  campaign.settings_of = [&a](uint64_t seed) { return settings_of(a, seed); };
  const sim::Totals totals = sim::run_campaign(campaign);
  sim::print_report(totals);
  if (a.minimize && !totals.failed_seeds.empty()) {
    Arguments again = a;
    again.seed = totals.failed_seeds.front();
    again.results.clear();  // it has been told
    run_one(again, fmt::format("{} --seed {}", command, again.seed));
  }
  return totals.failures == 0 ? 0 : 1;
}

// Every line: arguments, then # and a story.
int run_file(const std::string& path, const std::string& program, const std::string& results) {
  int failures = 0;
  int runs = 0;
  for (const std::string& line : lines_of(path)) {
    Arguments a;
    CLI::App app;
    declare(app, a);
    app.parse(line);
    a.results = results;
    ++runs;
    failures += run_one(a, program + " " + line) == 0 ? 0 : 1;
  }
  std::printf("%d regression runs, %d failures\n", runs, failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs whole Naru clusters under simulated time, network, disks and faults; a seed decides everything.");
  Arguments arguments;
  declare(app, arguments);
  CLI11_PARSE(app, argc, argv);
  if (!common::model::activate_mutant(arguments.mutant)) {
    std::fprintf(stderr, "there is no mutant %s in this build (preset mutants has them)\n", arguments.mutant.c_str());
    return 77;  // as scripts/mutants expects
  }
  common::configure_logging(arguments.log ? common::LogLevel::debug : common::LogLevel::off, common::LogFormat::text);
  std::string command = argv[0];
  if (arguments.days > 0) command += fmt::format(" --days {}", arguments.days);
  for (const std::string& assignment : arguments.set) command += " --set " + assignment;
  if (!arguments.mutant.empty()) command += " --mutant " + arguments.mutant;
  if (app.count("--scale") > 0) return sim::run_scale(arguments.scale);
  if (!arguments.regress.empty()) return run_file(arguments.regress, argv[0], arguments.results);
  const bool one_life = arguments.days > 0 && arguments.seeds.empty() && arguments.hours <= 0;
  if (one_life && app.count("--seed") == 0) arguments.seed = arguments.from;
  if (app.count("--seed") > 0 || one_life) {
    command += fmt::format(" --seed {}", arguments.seed);
    if (!arguments.only_faults.empty()) command += " --only-faults " + arguments.only_faults;
    return run_one(arguments, command);
  }
  return run_many(arguments, command);
}
