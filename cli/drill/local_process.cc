#include "cli/drill/local_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "cli/restart_requests.h"
#include "common/model/address_text.h"

namespace cli::drill {
namespace {

namespace fs = std::filesystem;

// A name's addresses as far as they are this machine's: another one's process is not ours to harm, whoever listens on
// the same port here.
std::vector<sockaddr_storage> own_addresses(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  std::vector<sockaddr_storage> own;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    const int probe = socket(entry->ai_family, SOCK_DGRAM, 0);
    if (probe >= 0 && bind(probe, entry->ai_addr, entry->ai_addrlen) == 0) {
      sockaddr_storage address{};
      std::memcpy(&address, entry->ai_addr, entry->ai_addrlen);
      own.push_back(address);
    }
    if (probe >= 0) close(probe);
  }
  freeaddrinfo(found);
  return own;
}

// As /proc/net/tcp and tcp6 print it: words as the machine has them.
std::vector<std::string> in_proc_net(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return {fmt::format("{:08X}", v4.sin_addr.s_addr),
            fmt::format("{:08X}{:08X}{:08X}{:08X}", 0, 0, htonl(0xffff), v4.sin_addr.s_addr)};
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  std::array<uint32_t, 4> words{};
  std::memcpy(words.data(), &v6.sin6_addr, sizeof words);
  return {fmt::format("{:08X}{:08X}{:08X}{:08X}", words[0], words[1], words[2], words[3])};
}

// The sockets that listen there, as /proc/PID/fd names them: those on that very address, else those on every address.
std::set<std::string> listening_sockets(const std::string& host, uint16_t port) {
  constexpr std::string_view listening = "0A";
  std::set<std::string> wanted;
  for (const sockaddr_storage& address : own_addresses(host)) {
    for (std::string& text : in_proc_net(address)) wanted.insert(std::move(text));
  }
  if (wanted.empty()) return {};
  std::set<std::string> on_it;
  std::set<std::string> on_all;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream lines(table);
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string number, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
      if (state != listening || !local.ends_with(fmt::format(":{:04X}", port))) continue;
      const std::string address = local.substr(0, local.find(':'));
      if (wanted.contains(address)) on_it.insert(fmt::format("socket:[{}]", inode));
      if (address.find_first_not_of('0') == std::string::npos) on_all.insert(fmt::format("socket:[{}]", inode));
    }
  }
  return on_it.empty() ? on_all : on_it;
}

std::string link_of(const fs::path& path) {
  std::error_code ignored;
  return fs::read_symlink(path, ignored).string();
}

std::optional<pid_t> owner_of(const std::set<std::string>& sockets) {
  std::error_code ignored;
  for (const auto& process : fs::directory_iterator("/proc", ignored)) {
    const std::string name = process.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    for (const auto& descriptor : fs::directory_iterator(process.path() / "fd", ignored)) {
      if (sockets.contains(link_of(descriptor.path()))) return static_cast<pid_t>(std::stol(name));
    }
  }
  return std::nullopt;
}

std::vector<std::string> zero_separated(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> words;
  std::string word;
  while (std::getline(file, word, '\0')) words.push_back(word);
  return words;
}

// A file is written on; a pipe or terminal of somebody else is not.
void redirect(const std::string& target, int descriptor) {
  struct stat facts{};
  const bool is_file = stat(target.c_str(), &facts) == 0 && S_ISREG(facts.st_mode);
  const int opened = ::open(is_file ? target.c_str() : "/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
  if (opened >= 0) dup2(opened, descriptor);
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What follows the name in /proc/PID/stat, from field 3 on: state, parent, ... Empty: it is gone.
std::vector<std::string> state_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream words(text.substr(end + 1));
  return {std::istream_iterator<std::string>(words), {}};
}

// Whether a process holds a signal back for itself to take; else it would end by it.
bool takes_signal(pid_t pid, int signal) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(file, line)) {
    constexpr std::string_view blocked = "SigBlk:";
    if (line.starts_with(blocked))
      return (std::strtoull(line.c_str() + blocked.size(), nullptr, 16) >> (signal - 1) & 1) != 0;
  }
  return false;
}

// Whether a process is a naru dev of this program that takes a signal. One of before a drill could ask it for anything
// would end by it, and so would a stranger that has its number by now.
bool is_dev_that_takes(pid_t pid, const std::string& program, int signal) {
  return command_of_process(pid) == "dev" && link_of(fmt::format("/proc/{}/exe", pid)) == program &&
         takes_signal(pid, signal);
}

// The naru dev that runs a process of this program.
std::optional<pid_t> dev_of(pid_t pid, const std::string& program) {
  const std::vector<std::string> state = state_of(pid);
  if (state.size() < 2) return std::nullopt;
  const auto parent = static_cast<pid_t>(std::stol(state[1]));
  return is_dev_that_takes(parent, program, signal_of_a_drill) ? std::optional(parent) : std::nullopt;
}

}  // namespace

Outcome<LocalProcess> LocalProcess::listening_on(const std::string& host, uint16_t port) {
  const std::set<std::string> sockets = listening_sockets(host, port);
  if (sockets.empty())
    return problem(Exit::refused,
                   fmt::format("nothing on this machine listens on {}", common::model::address_text(host, port)));
  const std::optional<pid_t> pid = owner_of(sockets);
  if (!pid) {
    return problem(
        Exit::refused,
        fmt::format("the process that listens on {} belongs to somebody else", common::model::address_text(host, port)),
        "run the drill as its user, or as root");
  }
  LocalProcess found;
  found.pid_ = *pid;
  const fs::path about = fs::path("/proc") / std::to_string(*pid);
  found.program_ = link_of(about / "exe");
  found.arguments_ = zero_separated(about / "cmdline");
  found.environment_ = zero_separated(about / "environ");
  found.folder_ = link_of(about / "cwd");
  found.output_ = link_of(about / "fd" / "1");
  found.errors_ = link_of(about / "fd" / "2");
  found.dev_ = dev_of(found.pid_, found.program_).value_or(-1);
  return found;
}

Outcome<void> LocalProcess::signal(int number) const {
  if (kill(pid_, number) == 0) return {};
  return problem(Exit::refused, fmt::format("process {} takes no signal: {}", pid_, std::strerror(errno)));
}

bool LocalProcess::is_running() const {
  // A zombie has ended, and only its parent has not looked yet; unless other threads than its first are still dying.
  // Until the last of them is gone it holds its ports and directories, and its parent is not told.
  constexpr size_t num_threads = 17;
  const std::vector<std::string> state = state_of(pid_);
  if (state.size() <= num_threads) return false;
  const bool has_exited = state.front() == "Z" || state.front() == "X";
  return !has_exited || (state[num_threads] != "1" && state[num_threads] != "0");
}

void LocalProcess::announce_end() const {
  if (dev_ > 0 && is_dev_that_takes(dev_, program_, signal_of_a_drill)) kill(dev_, signal_of_a_drill);
}

Outcome<void> LocalProcess::start_again() const {
  if (dev_ <= 0) return start_apart();
  if (is_dev_that_takes(dev_, program_, signal_to_start_again) && kill(dev_, signal_to_start_again) == 0) return {};
  return problem(Exit::refused, fmt::format("the naru dev that ran it (process {}) has ended", dev_));
}

Outcome<void> LocalProcess::start_apart() const {
  const std::vector<char*> arguments = pointers_to(arguments_);
  const std::vector<char*> environment = pointers_to(environment_);
  const pid_t child = fork();
  if (child < 0) return problem(Exit::refused, fmt::format("cannot start {}: {}", program_, std::strerror(errno)));
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);  // not our child: it stays when the drill ends
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (chdir(folder_.c_str()) != 0) _exit(127);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    redirect(output_, STDOUT_FILENO);
    redirect(errors_, STDERR_FILENO);
    execve(program_.c_str(), arguments.data(), environment.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {};
}

}  // namespace cli::drill
