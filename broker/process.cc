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
  sigaddset(&set, SIGUSR2);  // our own: give_up()
  return set;
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

void block_signals() {
  const sigset_t set = end_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

WaitResult wait_for_end() {
  const sigset_t set = end_signals();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
  return signal == SIGUSR2 ? WaitResult::given_up : WaitResult::signalled;
}

void give_up() {
  ::kill(::getpid(), SIGUSR2);
}

void end_on_next_signal() {
  std::thread([] {
    wait_for_end();
    ::_exit(130);
  }).detach();
}

}  // namespace broker
