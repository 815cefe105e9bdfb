// `naru verify`: clients at work on a cluster for a while, whatever happens to it meanwhile, and the verdict on one
// screen. `naru verify check FILE`: the verdict on what was recorded.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "cli/facts.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verify/clients.h"
#include "cli/verify/history_file.h"
#include "cli/verify/report.h"
#include "cli/verify/topic.h"
#include "cli/wait.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using verify::Clients;

// One live line on a terminal, a line every ten seconds in a pipe, all to standard error.
class Screen {
 public:
  explicit Screen(bool is_quiet) : is_quiet_(is_quiet), is_live_(is_terminal(STDERR_FILENO)) {}

  void progress(const verify::Recorder::Progress& p, std::string_view note) {
    if (is_quiet_ || (!is_live_ && steady_clock::now() - told_ < std::chrono::seconds(10))) return;
    told_ = steady_clock::now();
    const double seconds = std::chrono::duration<double>(told_ - began_).count();
    const std::string silent = p.silent_ns > 500'000'000 ? fmt::format("  no acknowledgement for {:.1f} s",
                                                                       static_cast<double>(p.silent_ns) / 1e9)
                                                         : std::string();
    fmt::print(stderr, "{}{:6.1f} s  {}sent {}  acknowledged {}  consumed {}{}{}", is_live_ ? "\r\x1b[K" : "", seconds,
               note, p.sent, p.acknowledged, p.polled, silent, is_live_ ? "" : "\n");
    std::fflush(stderr);
  }
  void step(std::string_view what) {
    if (is_quiet_) return;
    const double seconds = std::chrono::duration<double>(steady_clock::now() - began_).count();
    fmt::print(stderr, "{}{:6.1f} s  {}\n", is_live_ ? "\r\x1b[K" : "", seconds, what);
  }

 private:
  const bool is_quiet_;
  const bool is_live_;
  const steady_clock::time_point began_ = steady_clock::now();
  steady_clock::time_point told_ = began_;
};

Outcome<bool> has_topic(client::Cluster& cluster, const std::string& name) {
  const auto topics = fetch_topics(cluster, std::vector<std::string>{name});
  if (!topics) return tl::unexpected(topics.error());
  return std::ranges::any_of(*topics, [](const TopicFacts& t) { return t.error == ErrorCode::none; });
}

verify::Requirements requirements_of(const VerifyCommand& command) {
  return {.acks_per_second = command.acks_min >= 0 ? command.acks_min : std::clamp(command.rate / 10, 1, 100),
          .faults = command.faults_min,
          .leader_changes = command.leader_changes_min};
}

Exit conclude(const verify::Report& report, Format format) {
  print_out(format == Format::json ? "{" + json_members(report) + "}\n" : screen_text(report));
  return passed(report) ? Exit::done : Exit::unhealthy;
}

// Until the time is over, or somebody interrupts: then what there is gets judged.
void work(Clients& clients, const VerifyCommand& command, Interruption& interruption, Screen& screen) {
  const auto until = steady_clock::now() + command.duration;
  while (steady_clock::now() < until) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    if (interruption.wait(std::clamp(left, milliseconds(1), milliseconds(100)))) return;
    screen.progress(clients.recorder().progress(),
                    fmt::format("{:.0f} s left  ", std::chrono::duration<double>(until - steady_clock::now()).count()));
  }
}

Exit verify_topic(const VerifyCommand& command, const std::string& topic, const std::string& group, Screen& screen) {
  Interruption interruption;
  Clients clients({.shared = command.shared,
                   .topic = topic,
                   .group = group,
                   .history = command.history,
                   .properties = verify::library_properties(command.shared),
                   .acks = verify::acks_from(command.acks),
                   .producers = command.producers,
                   .consumers = command.consumers,
                   .rate = 0,
                   .total_rate = static_cast<double>(command.rate),
                   .size = command.size,
                   .settle = command.settle});
  if (Outcome<void> opened = clients.open(); !opened) return report(opened.error());
  clients.start();
  work(clients, command, interruption, screen);
  verify::Conclusion end =
      clients.conclude(requirements_of(command), [&](std::string_view what) { screen.step(what); });
  return conclude(
      {.verdict = std::move(end.verdict),
       .is_complete = end.is_complete,
       .incomplete = std::move(end.incomplete),
       .notes = std::move(end.notes),
       .subject = fmt::format("topic {} at {}, acks={}", topic, bootstrap_text(command.shared), command.acks)},
      command.shared.format);
}

}  // namespace

Exit run(const VerifyCommand& command) {
  if (command.shared.format == Format::help) {
    print_out(verify::json_shape());
    return Exit::done;
  }
  auto cluster = open_cluster(command.shared, Properties::are_for_the_library_too);
  if (!cluster) return report(cluster.error());
  std::random_device random;
  const std::string name = fmt::format("naru-verify-{:08x}", random());
  const std::string& topic = command.topic.empty() ? name : command.topic;
  Screen screen(command.shared.quiet);
  const auto exists = command.topic.empty() ? Outcome<bool>(false) : has_topic(*cluster, topic);
  if (!exists) return report(exists.error());
  if (!*exists) {
    if (auto created = verify::create_topic(*cluster, topic, command.partitions, command.replicas); !created)
      return report(created.error());
  }
  if (auto led = verify::wait_led(*cluster, topic); !led) return report(led.error());
  screen.step(fmt::format("topic {}: {} producers at {} records a second, {} consumers", topic, command.producers,
                          command.rate, command.consumers));
  const Exit exit = verify_topic(command, topic, command.group.empty() ? name : command.group, screen);
  // What failed is kept, to be looked at.
  if (command.topic.empty() && !command.keep) {
    if (exit == Exit::unhealthy) {
      screen.step(fmt::format("topic {} is kept, to be looked at", topic));
    } else {
      verify::delete_topic(*cluster, topic);
      if (command.group.empty()) verify::delete_group(*cluster, name);
    }
  }
  return exit;
}

Exit run(const VerifyCheckCommand& command) {
  if (command.shared.format == Format::help) {
    print_out(verify::json_shape());
    return Exit::done;
  }
  const bool is_input = command.file == "-";
  const auto close = [is_input](std::FILE* file) { return is_input ? 0 : std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(is_input ? stdin : std::fopen(command.file.c_str(), "re"),
                                                         close);
  if (!file) return report({Exit::usage, fmt::format("{}: {}", command.file, std::strerror(errno)), {}});
  auto told = steady_clock::now();
  const auto tell = [&](int64_t lines) {
    if (command.shared.quiet || !is_terminal(STDERR_FILENO) || steady_clock::now() - told < std::chrono::seconds(1))
      return;
    told = steady_clock::now();
    fmt::print(stderr, "\r\x1b[K{} lines", lines);
  };
  auto verdict = verify::check_history(
      file.get(),
      {.acks_per_second = command.acks_min, .faults = command.faults_min, .leader_changes = command.leader_changes_min},
      tell);
  if (!verdict) {
    return report({Exit::usage,
                   fmt::format("{} line {}: {}", command.file, verdict.error().line, verdict.error().message),
                   "docs/testing.md says what a history looks like"});
  }
  return conclude(
      {.verdict = std::move(*verdict), .is_complete = true, .incomplete = {}, .notes = {}, .subject = command.file},
      command.shared.format);
}

}  // namespace cli
