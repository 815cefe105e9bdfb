#include "common/model/check.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "common/model/check_hook.h"

namespace common::model {
namespace {

std::atomic<void (*)()> hook_before = nullptr;

}  // namespace

bool takes_words(int descriptor) {
  constexpr int patience_ms = 1000;
  pollfd asked{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&asked, 1, patience_ms) != 0;
}

void before_check_fails(void (*hook)()) {
  hook_before = hook;
}

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  if (auto* const hook = hook_before.load()) hook();
  if (takes_words(STDERR_FILENO)) {
    std::fprintf(stderr, "%s:%d: NARU_CHECK(%s) failed. %s\n", file, line, condition, message.c_str());
    std::fflush(stderr);
  }
  std::abort();
}

}  // namespace common::model
