#include "sim/child.h"

#include <execinfo.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <fmt/format.h>

namespace sim {
namespace {

constexpr size_t words_kept = 6000;

// Says where a crash happened, in time and in code.
extern "C" void on_crash(int signal) {
  char text[200];
  const World* world = World::running;
  if (world != nullptr) {
    const double seconds = std::chrono::duration<double>(world->now().time_since_epoch()).count();
    std::snprintf(text, sizeof text, "signal %d at event %lu, %.6f s\n", signal,
                  static_cast<unsigned long>(world->events()), seconds);
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
  }
  void* frames[40];
  backtrace_symbols_fd(frames, backtrace(frames, 40), STDERR_FILENO);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::string escaped(std::string text) {
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

void write_all(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

std::string read_all(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
  return all;
}

std::string to_text(const Outcome& o) {
  std::string text = fmt::format("{}\n{}\n{} {} {} {} {} {} {} {}\n", escaped(o.failure), escaped(o.invalid),
                                 o.simulated_seconds, o.events, o.messages, o.faults, o.partition_leader_changes,
                                 o.raft_leader_changes, o.acknowledged, o.trace_hash);
  for (size_t i = 0; i < static_cast<size_t>(Probe::count); ++i) {
    text += fmt::format("{} ", o.probes.count(static_cast<Probe>(i)));
  }
  text += "\n";
  for (const uint64_t n : o.faults_by_kind) text += fmt::format("{} ", n);
  return text + "\n";
}

std::optional<Outcome> from_text(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) break;
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (lines.size() < 5) return std::nullopt;
  Outcome o;
  o.failure = lines[0];
  o.invalid = lines[1];
  std::sscanf(lines[2].c_str(), "%lf %lu %lu %lu %lu %lu %lu %lu", &o.simulated_seconds, &o.events, &o.messages,
              &o.faults, &o.partition_leader_changes, &o.raft_leader_changes, &o.acknowledged, &o.trace_hash);
  const char* at = lines[3].c_str();
  char* end = nullptr;
  for (size_t i = 0; i < static_cast<size_t>(Probe::count); ++i, at = end) {
    o.probes.add(static_cast<Probe>(i), std::strtoull(at, &end, 10));
  }
  at = lines[4].c_str();
  for (uint64_t& n : o.faults_by_kind) {
    n = std::strtoull(at, &end, 10);
    at = end;
  }
  return o;
}

[[noreturn]] void be_child(const ChildSettings& settings, int result, int words) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a campaign that is stopped leaves no run behind
  if (settings.quiet) ::dup2(words, STDERR_FILENO);
  // What a run gives back it will want again: the heap neither shrinks nor maps large pieces one by one.
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TOP_PAD, 16 << 20);
  std::signal(SIGABRT, on_crash);
  std::signal(SIGSEGV, on_crash);
  std::signal(SIGFPE, on_crash);
  std::signal(SIGPROF, on_crash);
  std::signal(SIGALRM, on_crash);
  // Of the processor's time: a loop takes it, and a run that is starved of it by other programs has not failed.
  if (settings.cpu_limit) {
    const itimerval once{.it_interval = {}, .it_value = {.tv_sec = settings.cpu_limit->count(), .tv_usec = 0}};
    NARU_CHECK(::setitimer(ITIMER_PROF, &once, nullptr) == 0);
    // One that waits for itself takes no time of the processor, and would never end.
    constexpr unsigned starved_at_most = 10;
    ::alarm(static_cast<unsigned>(settings.cpu_limit->count()) * starved_at_most);
  }
  write_all(result, to_text(run(settings.run)));
  ::_exit(0);  // nothing that a destructor does matters any more
}

}  // namespace

Child begin_in_child(const ChildSettings& settings) {
  int result[2];
  int words[2];
  NARU_CHECK(::pipe(result) == 0 && ::pipe(words) == 0);
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  NARU_CHECK(pid >= 0);
  if (pid == 0) {
    ::close(result[0]);
    ::close(words[0]);
    be_child(settings, result[1], words[1]);
  }
  // Before another one is forked, which would keep them open.
  ::close(result[1]);
  ::close(words[1]);
  return {.process = pid, .result = result[0], .words = words[0]};
}

Outcome end_of(const Child& child) {
  std::string said = read_all(child.words);
  const std::string text = read_all(child.result);
  ::close(child.result);
  ::close(child.words);
  int status = 0;
  ::waitpid(child.process, &status, 0);
  if (auto outcome = from_text(text)) return *outcome;
  if (said.size() > words_kept) said = said.substr(said.size() - words_kept);
  Outcome crashed;
  crashed.failure = fmt::format("crash: {}\n{}",
                                WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status)) : "exit", said);
  return crashed;
}

std::string kind_of_failure(const std::string& failure) {
  if (!failure.starts_with("crash")) return failure.substr(0, failure.find(':'));
  // The check that failed, or the bare signal.
  const size_t check = failure.find("NARU_CHECK(");
  if (check == std::string::npos) return failure.substr(0, failure.find('\n'));
  const size_t begin = failure.rfind('\n', check);
  return failure.substr(begin + 1, failure.find(')', check) - begin);
}

}  // namespace sim
