#include "broker/process.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <thread>

#include <fmt/format.h>

#include "common/config/config.h"
#include "common/log_set_up.h"
#include "common/model/check_hook.h"
#include "common/model/mutant.h"

namespace broker {
namespace {

sigset_t end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

int wait_for_signal() {
  const sigset_t set = end_signals();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
  return signal;
}

// A line needs memory, too: this is all that can be said.
[[noreturn]] void end_without_memory() {
  static constexpr std::string_view line = "naru: this broker cannot go on: the process gets no more memory\n";
  if (common::model::takes_words(STDERR_FILENO)) {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  }
  ::_exit(1);
}

}  // namespace

uint64_t prepare_process(const common::Logger& log) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  std::set_new_handler(end_without_memory);
  constexpr uint64_t usual = 1024;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log.warn("cannot read the descriptor limit: {}", std::strerror(errno));
    return usual;
  }
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log.warn("cannot raise the descriptor limit: {}", std::strerror(errno));
    return before;
  }
  return limit.rlim_cur;
}

DescriptorPlan plan_descriptors(uint64_t limit, int shards) {
  constexpr uint64_t files_most = 512;  // descriptors are opened on demand; more would not be faster
  constexpr uint64_t files_least = 8;
  constexpr uint64_t rest_most = 1024;  // other brokers, the metadata log, listeners
  const auto count = static_cast<uint64_t>(shards);
  const uint64_t files = std::clamp(limit / 4 / count, files_least, files_most);
  const uint64_t rest = std::min(limit / 4, rest_most);
  const uint64_t held = common::model::mutant<"R111-gives-clients-every-descriptor">() ? 0 : files * count + rest;
  const uint64_t clients = limit > held ? limit - held : 1;
  return {.files_per_shard = files, .clients = static_cast<uint32_t>(std::min<uint64_t>(clients, UINT32_MAX))};
}

std::optional<int> cpu_quota(std::string_view cpu_max) {
  uint64_t quota = 0;
  uint64_t period = 0;
  const char* const end = cpu_max.data() + cpu_max.size();
  const auto first = std::from_chars(cpu_max.data(), end, quota);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, period);
  if (second.ec != std::errc() || period == 0 || quota == 0) return std::nullopt;
  return static_cast<int>(std::min<uint64_t>((quota + period - 1) / period, INT_MAX));
}

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
  return std::min(cpus, cpu_quota(read_cgroup("cpu.max")).value_or(cpus));
}

int default_shards(int cpus) {
  return std::max(1, cpus - 1);
}

std::string read_cgroup(std::string_view name) {
  std::string path;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::")) path = line.substr(3);
  }
  // In a container the group is its own root, whatever the path says.
  for (const std::string& where : {path, std::string()}) {
    std::ifstream file(fmt::format("/sys/fs/cgroup{}/{}", where, name));
    std::string line;
    if (std::getline(file, line)) return line;
  }
  return {};
}

std::optional<std::string> fit_memory(common::config::BrokerConfig& config, std::string_view memory_max) {
  constexpr int64_t plenty = int64_t{512} << 20;  // from here on the usual bounds fit
  int64_t limit = 0;
  const char* const end = memory_max.data() + memory_max.size();
  const auto parsed = std::from_chars(memory_max.data(), end, limit);
  if (parsed.ec != std::errc() || parsed.ptr != end || limit <= 0 || limit >= plenty) return std::nullopt;
  const auto shrink = [&](const char* key, int64_t& bound, int64_t least) {
    if (!config.given.contains(key)) bound = std::max(least, bound * limit / plenty);
  };
  shrink("queued.max.request.bytes", config.request_memory_bytes, int64_t{2} << 20);
  shrink("naru.response.memory.bytes", config.response_memory_bytes, int64_t{4} << 20);
  shrink("naru.tail.cache.bytes", config.tail_cache_bytes, int64_t{1} << 20);
  shrink("naru.peer.memory.bytes", config.peer_memory_bytes, int64_t{8} << 20);
  return fmt::format(
      "the control group allows {} MiB: requests may hold {} MiB, answers {} MiB, the tail cache {} MiB, "
      "peers {} MiB",
      limit >> 20, config.request_memory_bytes >> 20, config.response_memory_bytes >> 20, config.tail_cache_bytes >> 20,
      config.peer_memory_bytes >> 20);
}

void tell_service_manager(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) == 0 || std::strlen(path) >= sizeof to.sun_path) return;
  std::strcpy(to.sun_path, path);
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';  // a name that is no file
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  // One who does not listen is told nothing: the broker serves clients all the same.
  [[maybe_unused]] const ssize_t sent =
      ::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), size);
  ::close(socket);
}

Lifeline& Lifeline::watch_signals() {
  static Lifeline* lifeline = [] {
    const sigset_t set = end_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    auto* made = new Lifeline;  // lives as long as the process: its thread never ends
    std::thread([made] { made->listen(); }).detach();
    return made;
  }();
  return *lifeline;
}

void Lifeline::listen() {
  wait_for_signal();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  while (wait_for_signal() != SIGINT) {
  }
  common::drain_log();
  ::_exit(130);
}

void Lifeline::give_up(std::string why) {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (!failure_) failure_ = std::move(why);
  }
  changed_.notify_all();
}

void Lifeline::wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

bool Lifeline::wait(const std::function<bool()>& condition) {
  std::unique_lock lock(mutex_);
  bool holds = false;
  changed_.wait(lock, [&] { return (holds = condition()) || ending_; });
  return holds;
}

void Lifeline::wait_for_end() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ending_; });
}

std::optional<std::string> Lifeline::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::optional<std::string> why_not_started(std::string_view message, const std::optional<std::string>& failure) {
  if (!message.empty()) return std::string(message);
  return failure;
}

void end_now(const common::Logger& log, const std::string& why) {
  log.error("this broker cannot go on: {}", why);
  common::drain_log();
  ::_exit(1);
}

}  // namespace broker
