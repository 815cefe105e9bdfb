#include "cli/kafka_tools/shell.h"

#include <fcntl.h>
#include <netdb.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/kafka_tools/dispatch.h"
#include "cli/kafka_tools/shell_line.h"
#include "cli/output.h"

namespace cli::kafka_tools {
namespace {

constexpr int not_found = 127;  // as a shell says it
constexpr auto itself = "/proc/self/exe";

int no_shell(std::string_view why) {
  report({.exit = Exit::usage,
          .message = fmt::format("{}: this image has no shell", why),
          .next_step = "it takes lines of naru, kafka-*.sh, nc -z, echo and exit, joined by &&, || and ;; "
                       "naru:debian has a shell"});
  return not_found;
}

// NAME=VALUE, as it may stand before a command.
bool is_assignment(const std::string& word) {
  const size_t equals = word.find('=');
  return equals != std::string::npos && equals > 0 &&
         word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == equals;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> found;
  for (std::string& word : words) found.push_back(word.data());
  found.push_back(nullptr);
  return found;
}

// What follows a command in its line.
enum class Then { more, nothing };

void hide(int descriptor) {
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0) return;
  ::dup2(nowhere, descriptor);
  ::close(nowhere);
}

// This binary under another of its names, in an environment with `more`. Behind the last command there is nothing to
// do: it takes our place, as in other shells, so that a broker is the process that a container's engine tells to end.
int run_itself(std::vector<std::string> words, std::vector<std::string> more, const LineCommand& command, Then then) {
  for (char** variable = environ; *variable != nullptr; ++variable) more.emplace_back(*variable);  // the first counts
  if (then == Then::nothing) {
    if (command.hides_output) hide(STDOUT_FILENO);
    if (command.hides_errors) hide(STDERR_FILENO);
    ::execve(itself, pointers(words).data(), pointers(more).data());
    return no_shell(fmt::format("{}: {}", words.front(), std::strerror(errno)));
  }
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  if (command.hides_output) ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  if (command.hides_errors) ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, itself, &files, nullptr, pointers(words).data(), pointers(more).data());
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) return no_shell(fmt::format("{}: {}", words.front(), std::strerror(error)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return not_found;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// `seconds`: how long an address may be silent; 0: as long as the kernel tries.
bool connects(const std::string& host, const std::string& port, int seconds) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return false;
  const timeval patience{.tv_sec = seconds, .tv_usec = 0};
  bool connected = false;
  for (const addrinfo* one = found; one != nullptr && !connected; one = one->ai_next) {
    const int socket = ::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) continue;
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    connected = ::connect(socket, one->ai_addr, one->ai_addrlen) == 0;
    ::close(socket);
  }
  ::freeaddrinfo(found);
  return connected;
}

// nc -z [-w SECONDS] HOST PORT: whether somebody listens there.
int knock(const std::vector<std::string>& words) {
  std::vector<std::string> operands;
  bool only_looks = false;
  int seconds = 0;
  for (size_t i = 1; i < words.size(); ++i) {
    if (!words[i].starts_with('-')) {
      operands.push_back(words[i]);
      continue;
    }
    only_looks = only_looks || words[i].find('z') != std::string::npos;
    const size_t wait = words[i].find('w');  // -w 5, -zw5
    if (wait == std::string::npos) continue;
    const std::string joined = words[i].substr(wait + 1);
    seconds = std::atoi(!joined.empty() || i + 1 == words.size() ? joined.c_str() : words[++i].c_str());
  }
  if (!only_looks || operands.size() != 2) return no_shell("nc other than nc -z HOST PORT");
  return connects(operands[0], operands[1], seconds) ? 0 : 1;
}

int run_one(const LineCommand& command, Then then) {
  const auto begin = std::ranges::find_if_not(command.words, is_assignment);
  std::vector<std::string> words(begin, command.words.end());
  if (words.empty()) return no_shell(command.words.front());
  const bool is_exec = words.front() == "exec" && words.size() > 1;
  if (is_exec) words.erase(words.begin());
  const std::string name = words.front().substr(words.front().rfind('/') + 1);
  const std::optional<KafkaTool> tool = kafka_tool_named(name);
  if (name == "naru" || (tool && *tool != &shell)) {
    std::fflush(stdout);  // what was said before comes before
    return run_itself(words, {command.words.begin(), begin}, command, is_exec ? Then::nothing : then);
  }
  if (is_exec) return no_shell(fmt::format("exec {}", words.front()));
  if (name == "true" || name == ":") return 0;
  if (name == "false") return 1;
  if (name == "nc") return knock(words);
  if (name == "echo") {
    if (!command.hides_output) print_out(fmt::format("{}\n", fmt::join(words.begin() + 1, words.end(), " ")));
    return 0;
  }
  return command.hides_errors ? not_found : no_shell(words.front());
}

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

Exit shell(int argc, const char* const* argv) {
  bool is_line = false;
  AtFailure at_failure = AtFailure::go_on;
  int next = 1;
  for (; next < argc && *argv[next] == '-'; ++next) {
    const std::string_view options = argv[next];
    if (options.starts_with("--")) continue;  // --login
    const auto has = [&](char option) { return options.find(option) != std::string_view::npos; };
    is_line = is_line || has('c');
    if (has('e')) at_failure = AtFailure::end;
    if (has('o')) ++next;  // -o pipefail
  }
  if (!is_line || next >= argc) return static_cast<Exit>(no_shell(argv[0]));
  const auto commands = parse_shell_line(argv[next], variable);
  if (!commands) return static_cast<Exit>(no_shell(commands.error()));
  const auto run = [&](const LineCommand& command) {
    return run_one(command, &command == &commands->back() ? Then::nothing : Then::more);
  };
  return static_cast<Exit>(run_shell_line(*commands, run, at_failure));
}

}  // namespace cli::kafka_tools
