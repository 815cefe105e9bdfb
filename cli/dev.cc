// naru dev: a broker, or a cluster of real broker processes, with no configuration. The parent writes a
// server.properties for each, starts them, says where clients connect, and stops them all on Ctrl-C. What a drill has
// ended it starts again when the drill asks for it, so that all brokers stay its own.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/notify_socket.h"
#include "cli/output.h"
#include "cli/profile_files.h"
#include "cli/restart_requests.h"
#include "cli/version.h"
#include "cli/wait.h"
#include "common/config/config_load.h"

namespace cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds ready_timeout{60'000};
constexpr milliseconds stop_timeout{35'000};

struct Child {
  int id = 0;
  int port = 0;
  std::filesystem::path dir;
  pid_t pid = -1;
  std::unique_ptr<NotifySocket> says;  // of this process
  uintmax_t log_begin = 0;             // of this start: the log holds those before it too
  [[nodiscard]] bool running() const { return pid > 0; }
};

class DevCluster {
 public:
  explicit DevCluster(const DevCommand& command) : command_(command) {}
  Exit run();

 private:
  Outcome<void> prepare();
  [[nodiscard]] Outcome<void> check_sets(const std::string& properties) const;
  Outcome<void> write_properties(const Child& child);
  Outcome<void> start(Child& child);
  Outcome<void> wait_until_ready(Interruption& interruption);
  [[nodiscard]] const Child* not_ready();
  void say_where();
  enum class Stage { starting, serving, stopping };
  // Notices children that ended; true when none is left. Says so, but for those whose start has failed.
  bool reap(Stage stage);
  [[nodiscard]] std::string what_next(Stage stage, const Child& ended);
  [[nodiscard]] bool any_running() const;
  bool start_ended();
  void serve(Interruption& interruption);
  void stop_all(Interruption& interruption);
  [[nodiscard]] std::string bootstrap() const;
  [[nodiscard]] static std::string last_error(const Child& child);
  [[nodiscard]] static Problem why_not_started(const Child& child);

  const DevCommand& command_;
  RestartRequests restarts_;
  std::vector<Child> children_;
  bool all_in_order_ = true;  // no child has ended in another way than by itself and with code 0
  steady_clock::time_point began_ = steady_clock::now();
};

std::string DevCluster::bootstrap() const {
  std::string text;
  for (const Child& child : children_) text += fmt::format("{}localhost:{}", text.empty() ? "" : ",", child.port);
  return text;
}

Outcome<void> DevCluster::write_properties(const Child& child) {
  std::string voters;
  for (const Child& other : children_) {
    voters += fmt::format("{}{}@127.0.0.1:{}", voters.empty() ? "" : ",", other.id, other.port + 10000);
  }
  std::string properties = fmt::format(
      "# Written by naru dev at each start.\n"
      "node.id={}\n"
      "listeners=PLAINTEXT://:{},CONTROLLER://127.0.0.1:{}\n"
      "controller.listener.names=CONTROLLER\n"
      "controller.quorum.voters={}\n"
      "log.dirs={}\n"
      "naru.shards=1\n"
      "group.initial.rebalance.delay.ms=0\n",
      child.id, child.port, child.port + 10000, voters, (child.dir / "data").string());
  if (Outcome<void> good = check_sets(properties); !good) return good;
  for (const std::string& set : command_.sets) properties += set + "\n";
  std::ofstream file(child.dir / "server.properties");
  file << properties;
  file.close();
  if (!file) return problem(Exit::refused, fmt::format("cannot write {}", (child.dir / "server.properties").string()));
  return {};
}

// What a broker would refuse is refused here, before one is started and its log must be read.
Outcome<void> DevCluster::check_sets(const std::string& properties) const {
  const common::config::ConfigMap own = common::config::parse_properties(properties);
  for (const std::string& set : command_.sets) {
    const std::string key = set.substr(0, set.find('='));
    // Those that make the brokers one cluster.
    if ((own.contains(key) && key != "naru.shards" && key != "group.initial.rebalance.delay.ms") ||
        key == "broker.id" || key == "log.dir" || key == "controller.quorum.bootstrap.servers") {
      return problem(Exit::usage, fmt::format("--set {}: naru dev chooses {} itself", set, key),
                     "--brokers, --dir and --port are what can be chosen; `naru start` takes any property");
    }
  }
  const auto loaded = common::config::load_config({.file = own, .environment = {}, .sets = command_.sets});
  if (!loaded) return problem(Exit::usage, fmt::format("{}", fmt::join(loaded.error(), "\n      ")));
  return {};
}

// With how many brokers the cluster in `top` was made; 0: there is none yet.
int made_with(const std::filesystem::path& top) {
  for (int id = 1; id <= 9; ++id) {
    const std::filesystem::path dir = top / std::to_string(id);
    if (!std::filesystem::exists(dir / "data" / "meta.properties")) continue;
    const auto written = common::config::read_properties_file((dir / "server.properties").string());
    if (!written) continue;
    const auto voters = written->find("controller.quorum.voters");
    if (voters != written->end()) return static_cast<int>(std::ranges::count(voters->second, ',')) + 1;
  }
  return 0;
}

Outcome<void> DevCluster::prepare() {
  std::error_code error;
  const std::filesystem::path top = std::filesystem::absolute(command_.dir, error);
  if (const int made = made_with(top); made != 0 && made != command_.brokers) {
    return problem(Exit::usage,
                   fmt::format("{} holds a cluster of {} {}", command_.dir, made, made == 1 ? "broker" : "brokers"),
                   fmt::format("--brokers {} starts it; another --dir holds another cluster", made));
  }
  for (int i = 0; i < command_.brokers; ++i) {
    Child child{.id = i + 1, .port = command_.port + i, .dir = top / std::to_string(i + 1), .pid = -1};
    std::filesystem::create_directories(child.dir, error);
    if (error)
      return problem(Exit::usage, fmt::format("--dir {}: cannot be made ({})", child.dir.string(), error.message()));
    children_.push_back(std::move(child));
  }
  for (const Child& child : children_) {
    if (Outcome<void> written = write_properties(child); !written) return written;
  }
  return {};
}

Outcome<void> DevCluster::start(Child& child) {
  const std::string log = (child.dir / "naru.log").string();
  const std::string properties = (child.dir / "server.properties").string();
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out < 0) return problem(Exit::refused, fmt::format("cannot write {}: {}", log, std::strerror(errno)));
  child.says = std::make_unique<NotifySocket>();
  if (child.says->address().empty())
    return problem(Exit::refused, fmt::format("cannot listen to a process: {}", std::strerror(errno)));
  std::error_code unknown;
  child.log_begin = std::filesystem::file_size(log, unknown);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    // A process group of its own: Ctrl-C reaches the parent alone, which stops the brokers in order. If the parent dies
    // without having done so, they stop as well.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    // Nothing but what was written above: a KAFKA_ variable meant for one broker would be given to all.
    for (const auto& [name, value] : common::config::process_environment()) {
      if (!common::config::property_of_variable(name).empty()) unsetenv(name.c_str());
    }
    setenv("NOTIFY_SOCKET", child.says->address().c_str(), 1);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    execl("/proc/self/exe", "naru", "start", "-c", properties.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  close(out);
  if (pid < 0) return problem(Exit::refused, fmt::format("cannot start a process: {}", std::strerror(errno)));
  child.pid = pid;
  return {};
}

// What its log says of its end: its last error, without time and level. A broker that logs an error goes on to stop in
// order and says that too, so the last line is only the second best.
std::string DevCluster::last_error(const Child& child) {
  std::ifstream file(child.dir / "naru.log");
  file.seekg(static_cast<std::streamoff>(child.log_begin));
  std::string last, error;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    last = line;
    if (line.find(" error [") != std::string::npos) error = line.substr(line.find("] ") + 2);
  }
  if (error.empty()) error = last.starts_with("naru: ") ? last.substr(std::strlen("naru: ")) : last;
  return error;
}

Problem DevCluster::why_not_started(const Child& child) {
  const std::string error = last_error(child);
  std::string next = fmt::format("its log: {}", (child.dir / "naru.log").string());
  if (error.find(std::strerror(EADDRINUSE)) != std::string::npos) {
    next = fmt::format(
        "stop what listens there, or choose others with --port (each broker takes a port, and that + 10000);\n      {}",
        next);
  }
  return {
      .exit = Exit::refused, .message = fmt::format("broker {} did not start: {}", child.id, error), .next_step = next};
}

bool DevCluster::reap(Stage stage) {
  struct Ended {
    const Child* child;
    pid_t pid;
    int status;
  };
  std::vector<Ended> all;  // before anything is said: what can be done about one depends on who is left
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    const auto child = std::ranges::find(children_, pid, &Child::pid);
    if (child == children_.end()) continue;
    child->pid = -1;
    all.push_back({.child = &*child, .pid = pid, .status = status});
  }
  for (const Ended& ended : all) {
    const bool exited = WIFEXITED(ended.status);
    if (stage == Stage::stopping && exited && WEXITSTATUS(ended.status) == 0) continue;
    all_in_order_ = false;
    if (stage == Stage::starting && exited) continue;  // is told with its cause
    const int number = WTERMSIG(ended.status);
    const std::string how =
        exited ? fmt::format("ended with code {}: {}", WEXITSTATUS(ended.status), last_error(*ended.child))
               : fmt::format("was killed by signal {} ({})", number, strsignal(number));
    fmt::print(stderr, "broker {} (process {}) {}{}\n", ended.child->id, ended.pid, how,
               what_next(stage, *ended.child));
  }
  return !any_running();
}

std::string DevCluster::what_next(Stage stage, const Child& ended) {
  if (stage != Stage::serving) return fmt::format("; its log: {}", (ended.dir / "naru.log").string());
  const auto now = steady_clock::now();
  if (restarts_.is_open(now)) return "";  // it is started again at once
  if (any_running() || restarts_.will_come(now)) return fmt::format("; to bring it back: kill -USR1 {}", getpid());
  return fmt::format("; to bring it back: naru start -c {}", (ended.dir / "server.properties").string());
}

bool DevCluster::any_running() const {
  return std::ranges::any_of(children_, &Child::running);
}

// The first that has not said yet that it serves clients; null: all have.
const Child* DevCluster::not_ready() {
  for (const Child& child : children_) {
    child.says->take();
    if (!child.says->ready()) return &child;
  }
  return nullptr;
}

Outcome<void> DevCluster::wait_until_ready(Interruption& interruption) {
  const auto until = began_ + ready_timeout;
  std::vector<common::config::HostPort> addresses;
  for (const Child& child : children_)
    addresses.push_back({.host = "localhost", .port = static_cast<uint16_t>(child.port)});
  Health health;
  auto told = began_;
  while (steady_clock::now() < until) {
    reap(Stage::starting);
    for (const Child& child : children_) {
      if (!child.running()) return tl::unexpected(why_not_started(child));
    }
    if (const Child* silent = not_ready()) {
      health.reasons = {fmt::format("broker {} does not serve clients yet", silent->id)};
    } else {
      client::Cluster cluster(addresses, milliseconds(1000));
      if (const Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::no)) {
        health = assess(*facts, static_cast<int>(children_.size()));
      } else {
        health.reasons = {facts.error().message};
      }
      if (health.healthy()) return {};
    }
    if (interruption.wait(milliseconds(20))) return problem(Exit::interrupted, "interrupted");
    if (steady_clock::now() - told > std::chrono::seconds(5)) {
      told = steady_clock::now();
      fmt::print(stderr, "waiting: {}\n", health.reasons.empty() ? "not yet ready" : health.reasons.front());
    }
  }
  return problem(Exit::unreachable,
                 fmt::format("not ready after {}: {}", duration_text(ready_timeout),
                             health.reasons.empty() ? "" : health.reasons.front()),
                 fmt::format("logs: {}/*/naru.log", command_.dir));
}

void DevCluster::say_where() {
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - began_);
  const bool several = children_.size() > 1;
  // Where commands look by themselves, unless a profile sends them elsewhere.
  const bool is_found = command_.port == 9092 && !current_profile_file();
  const std::string option = is_found ? "" : fmt::format(" -b localhost:{}", command_.port);
  // Whoever is about to be killed is not to be asked.
  const std::string other = fmt::format(" -b localhost:{}", children_.back().port);
  fmt::print("naru {}   {} {}   data in {}\n", version_text, children_.size(), several ? "brokers" : "broker",
             command_.dir);
  fmt::print("clients connect to   {}\n", bootstrap());
  for (const Child& child : children_) {
    const uint16_t page = child.says->page_port();
    fmt::print("broker {}   port {}   {}process {}   log {}\n", child.id, child.port,
               page == 0 ? "" : fmt::format("page http://localhost:{}/   ", page), child.pid,
               (child.dir / "naru.log").string());
  }
  fmt::print("ready in {}\n\n", duration_text(took));
  const std::string naru = program_invocation_name;  // as it was called: the hints work from where the caller is
  fmt::print("try:  echo hello | {0} produce{1} first && {0} consume{1} first -e\n", naru, option);
  fmt::print("      {} status{}\n", naru, option);
  if (several)
    fmt::print("      kill -9 {} ; {} status{}      and see who leads now\n", children_.front().pid, naru, other);
  fmt::print("Ctrl-C stops {}.\n", several ? "all of them" : "it");
  std::fflush(stdout);
}

void DevCluster::stop_all(Interruption& interruption) {
  for (const Child& child : children_) {
    if (child.running()) kill(child.pid, SIGTERM);
  }
  const int asked = interruption.count();
  const auto until = steady_clock::now() + stop_timeout;
  bool forced = false;
  while (!reap(Stage::stopping)) {
    const bool again = interruption.count() > asked;
    if ((again || steady_clock::now() > until) && !forced) {
      for (const Child& child : children_) {
        if (child.running()) kill(child.pid, SIGKILL);
      }
      forced = true;
    }
    // A child that ends wakes nobody here; the pause is short and bounds how late that is seen.
    usleep(10'000);
  }
}

// False: none has ended.
bool DevCluster::start_ended() {
  bool found = false;
  for (Child& child : children_) {
    if (child.running()) continue;
    found = true;
    if (Outcome<void> started = start(child); !started) {
      (void)report(started.error());
    } else {
      fmt::print(stderr, "broker {} is started again, process {}\n", child.id, child.pid);
    }
  }
  return found;
}

// Until an interruption, or until no broker is left and nobody will ask for one.
void DevCluster::serve(Interruption& interruption) {
  while (!interruption.wait(milliseconds(100))) {
    const auto now = steady_clock::now();
    // Before looking: whoever asks has seen the end of what it asks for. What is still dying is found in a later round.
    const bool asked = restarts_.is_open(now);
    const bool none_left = reap(Stage::serving);
    if (asked) {
      if (start_ended()) restarts_.served();
    } else if (none_left && !restarts_.will_come(now)) {
      return;
    }
  }
}

Exit DevCluster::run() {
  if (Outcome<void> prepared = prepare(); !prepared) return report(prepared.error());
  Interruption interruption;
  for (Child& child : children_) {
    if (Outcome<void> started = start(child); !started) {
      stop_all(interruption);
      return report(started.error());
    }
  }
  if (Outcome<void> ready = wait_until_ready(interruption); !ready) {
    stop_all(interruption);
    return ready.error().exit == Exit::interrupted ? Exit::interrupted : report(ready.error());
  }
  say_where();
  if (!command_.ready_file.empty()) std::ofstream(command_.ready_file) << bootstrap() << "\n";
  serve(interruption);
  if (interruption.count() == 0)
    return report({.exit = Exit::refused, .message = "no broker is left", .next_step = {}});
  fmt::print(stderr, "stopping\n");
  all_in_order_ = true;
  stop_all(interruption);
  return all_in_order_ ? Exit::done : Exit::partly;
}

}  // namespace

Exit run(const DevCommand& command) {
  return DevCluster(command).run();
}

}  // namespace cli
