// The clock of a broker is that of the world around its machine.
#include "common/clock.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string_view>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;

namespace {

constexpr int slept = 0;
constexpr int not_slept = 1;
constexpr int not_allowed = 77;

// Like unshare -U -T --boottime 1000: for the children of this process the machine has slept that long.
bool let_machine_sleep() {
  constexpr std::string_view offset = "boottime 1000 0";
  if (::unshare(CLONE_NEWTIME) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWTIME) != 0) return false;
  const int file = ::open("/proc/self/timens_offsets", O_WRONLY);
  return file >= 0 && ::write(file, offset.data(), offset.size()) == static_cast<ssize_t>(offset.size());
}

// Of a child that has made a child to whom it seems that the machine has slept.
[[noreturn]] void report() {
  const common::model::Instant before = common::SystemClock().now();
  if (!let_machine_sleep()) ::_exit(not_allowed);
  const pid_t child = ::fork();
  if (child < 0) ::_exit(not_allowed);
  if (child == 0) ::_exit(common::SystemClock().now() - before >= 1000s ? slept : not_slept);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : not_slept);
}

}  // namespace

TEST_CASE("the clock goes on while the machine sleeps, and never back") {
  const common::SystemClock clock;
  const common::model::Instant one = clock.now();
  const common::model::Instant two = clock.now();
  REQUIRE(one <= two);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) report();
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == not_allowed) WARN("SKIPPED: no time namespaces here, so the sleep was not tried");
  REQUIRE(WEXITSTATUS(status) != not_slept);
}
