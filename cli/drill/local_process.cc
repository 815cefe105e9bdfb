#include "cli/drill/local_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/format.h>

namespace cli::drill {
namespace {

namespace fs = std::filesystem;

// The sockets that listen on the port, as /proc/PID/fd names them.
std::set<std::string> listening_sockets(uint16_t port) {
  constexpr std::string_view listening = "0A";
  std::set<std::string> sockets;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream lines(table);
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string number, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
      if (state != listening || !local.ends_with(fmt::format(":{:04X}", port))) continue;
      sockets.insert(fmt::format("socket:[{}]", inode));
    }
  }
  return sockets;
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

}  // namespace

Outcome<LocalProcess> LocalProcess::listening_on(uint16_t port) {
  const std::set<std::string> sockets = listening_sockets(port);
  if (sockets.empty()) return problem(Exit::refused, fmt::format("nothing on this machine listens on port {}", port));
  const std::optional<pid_t> pid = owner_of(sockets);
  if (!pid) {
    return problem(Exit::refused, fmt::format("the process that listens on port {} belongs to somebody else", port),
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
  return found;
}

Outcome<void> LocalProcess::signal(int number) const {
  if (kill(pid_, number) == 0) return {};
  return problem(Exit::refused, fmt::format("process {} takes no signal: {}", pid_, std::strerror(errno)));
}

bool LocalProcess::is_running() const {
  // A zombie has ended; only its parent has not looked yet.
  std::ifstream file(fmt::format("/proc/{}/stat", pid_));
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(')');
  return end != std::string::npos && end + 2 < text.size() && text[end + 2] != 'Z' && text[end + 2] != 'X';
}

Outcome<void> LocalProcess::start_again() const {
  const std::vector<char*> arguments = pointers_to(arguments_);
  const std::vector<char*> environment = pointers_to(environment_);
  const pid_t child = fork();
  if (child < 0) return problem(Exit::refused, fmt::format("cannot start {}: {}", program_, std::strerror(errno)));
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);  // not our child: it stays when the drill ends
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
