#include "cli/wait.h"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/model/check.h"

namespace cli {
namespace {

sigset_t interruptions() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  // Of a terminal that is closed. Under nohup it is ignored, and would come nevertheless if it were held back.
  struct sigaction hang_up{};
  if (sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler != SIG_IGN) sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

Interruption::Interruption() {
  const sigset_t set = interruptions();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  descriptor_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  NARU_CHECK(descriptor_ >= 0, "signalfd: {}", std::strerror(errno));
}

Interruption::~Interruption() {
  close(descriptor_);
  const sigset_t set = interruptions();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void Interruption::drain() {
  signalfd_siginfo info{};
  while (read(descriptor_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (count_ == 0 || info.ssi_signo == SIGINT) ++count_;
  }
}

int Interruption::count() {
  drain();
  return count_;
}

bool Interruption::wait(std::chrono::milliseconds time) {
  drain();
  if (count_ > 0) return true;
  pollfd entry{.fd = descriptor_, .events = POLLIN, .revents = 0};
  poll(&entry, 1, static_cast<int>(time.count()));
  drain();
  return count_ > 0;
}

}  // namespace cli
