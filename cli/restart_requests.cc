#include "cli/restart_requests.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "common/model/check.h"

namespace cli {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kept_for{10};

sigset_t signals_of_restarts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_of_a_drill);
  sigaddset(&set, signal_to_start_again);
  return set;
}

}  // namespace

RestartRequests::RestartRequests() {
  const sigset_t set = signals_of_restarts();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  descriptor_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  NARU_CHECK(descriptor_ >= 0, "signalfd: {}", std::strerror(errno));
}

RestartRequests::~RestartRequests() {
  close(descriptor_);
}

void RestartRequests::drain(steady_clock::time_point now) {
  signalfd_siginfo info{};
  while (read(descriptor_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo == static_cast<uint32_t>(signal_to_start_again)) asked_at_ = now;
    if (info.ssi_signo == static_cast<uint32_t>(signal_of_a_drill)) drill_ = static_cast<pid_t>(info.ssi_pid);
  }
  if (asked_at_ && now - *asked_at_ >= kept_for) asked_at_.reset();
}

bool RestartRequests::is_open(steady_clock::time_point now) {
  drain(now);
  return asked_at_.has_value();
}

bool RestartRequests::will_come(steady_clock::time_point now) {
  return is_open(now) || (drill_ > 0 && command_of_process(drill_) == "drill");
}

std::string command_of_process(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", process), std::ios::binary);
  std::string program, command;
  std::getline(file, program, '\0');
  std::getline(file, command, '\0');
  return command;
}

}  // namespace cli
