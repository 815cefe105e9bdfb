// naru drill: harm to a user's own cluster while clients write and read a topic of its own, and the verdict: what was
// lost, and how long writes stood still. It says what it is about to do and asks first.
//
// A broker of this machine is harmed by signals and started again as it was; one that runs elsewhere by the commands
// that --harm-with and --heal-with name ({id}, {host} and {port} are filled in).
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/drill/local_process.h"
#include "cli/facts.h"
#include "cli/group_facts.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verify/clients.h"
#include "cli/verify/report.h"
#include "cli/verify/topic.h"
#include "cli/wait.h"
#include "common/model/address_text.h"
#include "kafka/describe_log_dirs.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using drill::LocalProcess;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view drill_prefix = "naru-drill-";  // of a drill's topic, whose name its group has too

std::string replaced(std::string text, std::string_view what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// A drill is under way as long as its group has members: seen from every machine, and gone soon after the drill.
struct DrillsSeen {
  bool own = false;
  std::string other;
};

Outcome<DrillsSeen> look_for_drills(client::Cluster& cluster, const std::string& own) {
  Outcome<std::vector<std::string>> names = fetch_group_names(cluster);
  if (!names) return tl::unexpected(std::move(names.error()));
  std::erase_if(*names, [](const std::string& name) { return !name.starts_with(drill_prefix); });
  const Outcome<std::vector<GroupFacts>> groups = fetch_groups(cluster, *names);
  if (!groups) return tl::unexpected(groups.error());
  DrillsSeen seen;
  for (const GroupFacts& group : *groups) {
    if (group.members.empty()) continue;
    if (group.name == own) {
      seen.own = true;
    } else {
      seen.other = group.name;
    }
  }
  return seen;
}

Problem another_is_under_way(const std::string& group) {
  return {.exit = Exit::refused,
          .message = fmt::format("another drill is under way: group {} has members", group),
          .next_step = "each would take the other's harm for its own, so only one at a time; one that was killed keeps "
                       "its members for up to 45 s"};
}

class Drill {
 public:
  Drill(const DrillCommand& command, client::Cluster& cluster, Interruption& interruption)
      : command_(command), cluster_(cluster), interruption_(interruption) {}

  // Whom it hits, and how; before anything happens.
  Outcome<std::string> plan(const std::string& topic) {
    Outcome<ClusterFacts> facts = fetch_cluster(cluster_, WithDisks::yes);
    if (!facts) return tl::unexpected(std::move(facts.error()));
    facts_ = std::move(*facts);
    if (const Health health = assess(facts_, 0); !health.healthy())
      return problem(Exit::unhealthy, "the cluster is not healthy: " + health.reasons.front(),
                     "a drill begins with a whole one");
    topic_ = topic;
    if (command_.harm == "rolling-restart") {
      for (const BrokerFacts& b : facts_.brokers) victims_.push_back(b);
    } else {
      const std::optional<int32_t> id = victim();
      if (!id) return problem(Exit::refused, "no broker to harm was found");
      for (const BrokerFacts& b : facts_.brokers) {
        if (b.id == *id) victims_.push_back(b);
      }
      if (victims_.empty()) return problem(Exit::refused, fmt::format("there is no broker {}", *id));
    }
    for (const BrokerFacts& b : victims_) {
      if (Outcome<void> found = find_means(b); !found) return tl::unexpected(std::move(found.error()));
    }
    return statement();
  }

  // One round of harm and healing for each victim.
  Outcome<void> run(verify::Clients& clients) {
    for (size_t i = 0; i < victims_.size(); ++i) {
      if (!pass(command_.quiet_time)) return interrupted();
      if (i == 0) {
        if (Outcome<void> alone = wait_to_be_seen_alone(); !alone) return alone;
      }
      clients.recorder().fault_began(command_.harm);
      say(fmt::format("{} of broker {}", command_.harm, victims_[i].id));
      if (Outcome<void> done = harm(i); !done) return done;
      const bool in_time = pass(command_.harm_time);
      if (Outcome<void> done = heal(i); !done) return done;
      harmed_.reset();
      if (!in_time) return interrupted();
      if (Outcome<void> whole = wait_whole(); !whole) return whole;
      clients.recorder().fault_ended();
      say(fmt::format("broker {} is back, everything is in sync", victims_[i].id));
    }
    pass(command_.quiet_time);
    return {};
  }

  // Whatever happened: what was harmed is not left so; where that cannot be helped, it is said.
  void make_good() {
    if (!harmed_) return;
    const size_t i = *std::exchange(harmed_, std::nullopt);
    if (const Outcome<void> done = heal(i); !done) {
      report({.exit = done.error().exit,
              .message = fmt::format("broker {} may still be harmed ({}): {}", victims_[i].id, command_.harm,
                                     done.error().message),
              .next_step = done.error().next_step.empty() ? "undo it by hand; `naru status` says how the broker is"
                                                          : done.error().next_step});
    }
  }

 private:
  static Outcome<void> interrupted() { return problem(Exit::interrupted, "interrupted"); }
  void say(std::string_view what) const {
    if (!command_.shared.quiet) fmt::print(stderr, "{}\n", what);
  }
  // False: interrupted.
  bool pass(milliseconds time) { return !interruption_.wait(time); }

  // Of two drills that begin at the same time, each looks for the other once its own clients are seen: so at least one
  // of them finds it, and harms nothing.
  Outcome<void> wait_to_be_seen_alone() {
    const auto until = steady_clock::now() + command_.patience;
    for (bool was_seen = false;;) {
      const Outcome<DrillsSeen> seen = look_for_drills(cluster_, topic_);
      if (!seen) return tl::unexpected(seen.error());
      if (!seen->other.empty()) return tl::unexpected(another_is_under_way(seen->other));
      if (was_seen) return {};
      was_seen = seen->own;
      if (steady_clock::now() > until)
        return problem(Exit::unreachable, "the clients of this drill have not joined their group");
      if (!was_seen && !pass(milliseconds(100))) return interrupted();
    }
  }

  std::optional<int32_t> victim() {
    if (command_.broker >= 0) return command_.broker;
    if (command_.harm == "kill-controller") return facts_.controller;
    for (const TopicFacts& t : facts_.topics) {
      if (t.name == topic_ && !t.partitions.empty()) return t.partitions.front().leader;
    }
    return std::nullopt;
  }

  bool by_command() const { return !command_.harm_with.empty(); }

  Outcome<void> find_means(const BrokerFacts& b) {
    if (by_command()) return {};
    if (command_.harm == "partition") {
      return problem(
          Exit::usage, "partition: how is a broker cut off here?",
          "for example --harm-with 'docker network disconnect net naru-{id}' --heal-with 'docker network connect net "
          "naru-{id}'");
    }
    if (command_.harm == "fill-disk") return find_directory(b);
    Outcome<LocalProcess> process = LocalProcess::listening_on(b.host, b.port);
    if (!process) {
      return problem(Exit::refused,
                     fmt::format("broker {} at {}: {}", b.id, common::model::address_text(b.host, b.port),
                                 process.error().message),
                     "run the drill on its machine, or say --harm-with and --heal-with");
    }
    processes_.push_back(std::move(*process));
    return {};
  }

  Outcome<void> find_directory(const BrokerFacts& b) {
    kafka::DescribeLogDirsRequest request;
    request.topics.reset();
    const auto answer = cluster_.call_on<kafka::DescribeLogDirsResponse>(
        client::Broker{.id = b.id, .address = {.host = b.host, .port = b.port}}, request);
    if (!answer) return tl::unexpected(answer.error());
    if (answer->results.empty() || !std::filesystem::is_directory(answer->results.front().log_dir))
      return problem(Exit::refused, fmt::format("the data directory of broker {} is not on this machine", b.id));
    ballast_ = answer->results.front().log_dir + "/naru-drill-ballast";
    ballast_bytes_ = answer->results.front().usable_bytes;
    return {};
  }

  std::string statement() const {
    const BrokerFacts& b = victims_.front();
    std::string what;
    if (command_.harm == "rolling-restart") {
      what = fmt::format("stop and start all {} brokers in good order, one after the other", victims_.size());
    } else if (by_command()) {
      what = fmt::format("run `{}` against broker {}, and {} later `{}`", filled(command_.harm_with, b), b.id,
                         duration_text(command_.harm_time), filled(command_.heal_with, b));
    } else if (command_.harm == "pause") {
      what = fmt::format("stop broker {} (process {}) with SIGSTOP for {}", b.id, processes_.front().pid(),
                         duration_text(command_.harm_time));
    } else if (command_.harm == "fill-disk") {
      what = fmt::format(
          "fill the disk of broker {} with {} in {} for {}; everything else on that disk runs out of space too", b.id,
          bytes_text(ballast_bytes_), ballast_, duration_text(command_.harm_time));
    } else {
      what = fmt::format("kill -9 broker {} (process {}) and start it again after {}", b.id, processes_.front().pid(),
                         duration_text(command_.harm_time));
    }
    return fmt::format(
        "This will {}. {}: their clients will notice.\n"
        "Meanwhile clients write {} records a second to topic {}, which is deleted afterwards unless something was "
        "broken.",
        what, victims_text(), command_.rate, topic_);
  }

  // "Broker 1 leads 4 partitions and is the controller", of each that will be harmed.
  std::string victims_text() const {
    std::vector<std::string> all;
    for (const BrokerFacts& b : victims_) {
      all.push_back(fmt::format("{} {} leads {} partitions{}", all.empty() ? "Broker" : "broker", b.id, b.leaders,
                                facts_.controller == b.id ? " and is the controller" : ""));
    }
    return fmt::format("{}", fmt::join(all, ", "));
  }

  static std::string filled(const std::string& text, const BrokerFacts& b) {
    return replaced(replaced(replaced(text, "{id}", std::to_string(b.id)), "{host}", b.host), "{port}",
                    std::to_string(b.port));
  }

  // Standard output is for the verdict: what a command says, as `docker start` does, is told beside it.
  static Outcome<void> shell(const std::string& line) {
    const int status = std::system(("exec >&2\n" + line).c_str());
    if (status == 0) return {};
    return problem(Exit::refused,
                   fmt::format("`{}` ended with {}", line, WIFEXITED(status) ? WEXITSTATUS(status) : -1));
  }

  // It is remembered as harmed as soon as it may be, also where the harm is not what it should be in the end.
  Outcome<void> harm(size_t i) {
    if (by_command()) {
      harmed_ = i;
      return shell(filled(command_.harm_with, victims_[i]));
    }
    if (command_.harm == "fill-disk") {
      Outcome<void> full = fill();
      if (full) harmed_ = i;  // else the file is somebody else's
      return full;
    }
    if (command_.harm == "pause") return hit(i, SIGSTOP);
    processes_[i].announce_end();
    if (Outcome<void> sent = hit(i, command_.harm == "rolling-restart" ? SIGTERM : SIGKILL); !sent) return sent;
    return wait_ended(i);
  }

  Outcome<void> hit(size_t i, int number) {
    Outcome<void> sent = processes_[i].signal(number);
    if (sent) harmed_ = i;
    return sent;
  }

  // Also after an interruption: what has not ended cannot be started again.
  Outcome<void> wait_ended(size_t i) const {
    const auto until = steady_clock::now() + std::chrono::seconds(60);
    while (processes_[i].is_running()) {
      if (steady_clock::now() > until)
        return problem(Exit::unreachable, fmt::format("broker {} does not end", victims_[i].id));
      std::this_thread::sleep_for(milliseconds(20));
    }
    return {};
  }

  Outcome<void> heal(size_t i) {
    if (by_command())
      return command_.heal_with.empty() ? Outcome<void>() : shell(filled(command_.heal_with, victims_[i]));
    if (command_.harm == "fill-disk") {
      std::error_code error;
      std::filesystem::remove(ballast_, error);
      if (error)
        return problem(Exit::refused, fmt::format("{} cannot be removed: {}", ballast_, error.message()),
                       "remove it: it fills the disk");
      return {};
    }
    if (command_.harm == "pause") return processes_[i].signal(SIGCONT);
    // A supervisor may have been faster.
    if (LocalProcess::listening_on(victims_[i].host, victims_[i].port)) return {};
    return processes_[i].start_again();
  }

  Outcome<void> fill() const {
    const int file = ::open(ballast_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0)
      return problem(Exit::refused, fmt::format("{} cannot be made", ballast_), "run the drill as the broker's user");
    int64_t part = std::max<int64_t>(ballast_bytes_, 4096);
    for (int64_t at = 0; part >= 4096;) {
      if (posix_fallocate(file, at, part) == 0) {
        at += part;
      } else {
        part /= 2;
      }
    }
    ::close(file);
    return {};
  }

  Outcome<void> wait_whole() {
    const auto until = steady_clock::now() + command_.patience;
    for (;;) {
      const Outcome<ClusterFacts> facts = fetch_cluster(cluster_, WithDisks::no);
      std::string why = facts ? "" : facts.error().message;
      if (facts) {
        const Health health = assess(*facts, static_cast<int>(facts_.brokers.size()));
        if (health.healthy()) return {};
        why = health.reasons.front();
      }
      if (steady_clock::now() > until)
        return problem(Exit::unhealthy, fmt::format("the cluster is not whole again after {}: {}",
                                                    duration_text(command_.patience), why));
      if (!pass(milliseconds(100))) return interrupted();
    }
  }

  const DrillCommand& command_;
  client::Cluster& cluster_;
  Interruption& interruption_;
  ClusterFacts facts_;
  std::string topic_;
  std::vector<BrokerFacts> victims_;
  std::vector<LocalProcess> processes_;  // of the victims, in their order
  std::optional<size_t> harmed_;
  std::string ballast_;
  int64_t ballast_bytes_ = 0;
};

Exit judge(const DrillCommand& command, const std::string& topic, verify::Clients& clients,
           const Outcome<void>& outcome) {
  verify::Conclusion end = clients.conclude({.acks_per_second = std::clamp(command.rate / 10, 1, 100), .faults = 1},
                                            [&](std::string_view what) {
                                              if (!command.shared.quiet) fmt::print(stderr, "{}\n", what);
                                            });
  const verify::Report report{.verdict = std::move(end.verdict),
                              .is_complete = end.is_complete,
                              .incomplete = std::move(end.incomplete),
                              .notes = std::move(end.notes),
                              .subject = fmt::format("{} with topic {}", command.harm, topic)};
  print_out(command.shared.format == Format::json ? "{" + json_members(report) + "}\n" : screen_text(report));
  if (!outcome) return cli::report(outcome.error());
  return passed(report) ? Exit::done : Exit::unhealthy;
}

// Its clients have left their group when it returns.
Exit run_with_clients(const DrillCommand& command, const std::string& topic, Drill& drill) {
  verify::Clients clients({.shared = command.shared,
                           .topic = topic,
                           .group = topic,
                           .history = {},
                           .properties = verify::library_properties(command.shared),
                           .producers = 2,
                           .consumers = 2,
                           .rate = 0,
                           .total_rate = static_cast<double>(command.rate)});
  if (Outcome<void> opened = clients.open(); !opened) return report(opened.error());
  clients.start();
  const Outcome<void> outcome = drill.run(clients);
  drill.make_good();
  return judge(command, topic, clients, outcome);
}

}  // namespace

Exit run(const DrillCommand& command) {
  if (command.shared.format == Format::help) return print_out(verify::json_shape()) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared, Properties::are_for_the_library_too);
  if (!cluster) return report(cluster.error());
  // Before anything is made there. If it cannot be learnt, the cluster is not whole, which is told later.
  if (const Outcome<DrillsSeen> seen = look_for_drills(*cluster, ""); seen && !seen->other.empty())
    return report(another_is_under_way(seen->other));
  std::random_device random;
  const std::string topic = fmt::format("{}{:08x}", drill_prefix, random());
  if (Outcome<void> made = verify::create_topic(*cluster, topic, 6, -1); !made) return report(made.error());
  const auto clean_up = [&](Exit exit) {
    if (exit == Exit::unhealthy) {
      fmt::print(stderr, "topic {} is kept, to be looked at\n", topic);
    } else {
      verify::delete_topic(*cluster, topic);
    }
    return exit;
  };
  if (Outcome<void> led = verify::wait_led(*cluster, topic); !led) return clean_up(report(led.error()));
  Interruption interruption;
  Drill drill(command, *cluster, interruption);
  const Outcome<std::string> statement = drill.plan(topic);
  if (!statement) {
    verify::delete_topic(*cluster, topic);
    return report(statement.error());
  }
  if (!command.shared.quiet) fmt::print(stderr, "{}\n", *statement);
  if (!confirmed(command.yes, "harms", "Go on?")) return clean_up(Exit::usage);
  const Exit exit = run_with_clients(command, topic, drill);
  if (exit != Exit::unhealthy) verify::delete_group(*cluster, topic);
  return clean_up(exit);
}

}  // namespace cli
