#include "broker/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

namespace broker {
namespace {

sigset_t end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

void wait_for_signal() {
  const sigset_t set = end_signals();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
}

}  // namespace

void prepare_process(const common::Logger& log) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log.warn("cannot read the descriptor limit: {}", std::strerror(errno));
    return;
  }
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) log.warn("cannot raise the descriptor limit: {}", std::strerror(errno));
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
  wait_for_signal();
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

bool Lifeline::should_end() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

std::optional<std::string> Lifeline::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void end_now(const common::Logger& log, const std::string& why) {
  log.error("this broker cannot go on: {}", why);
  ::_exit(1);
}

}  // namespace broker
