// What naru dev is asked by signals: kept until it is served, forgotten when nothing comes of it, and expected of a drill
// for as long as that runs.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "cli/restart_requests.h"

using cli::RestartRequests;
using std::chrono::steady_clock;

namespace {

// A shell with the command line of a drill ("sh drill"), which has said that it will ask. It runs until it is ended.
class Drill {
 public:
  Drill() {
    std::filesystem::create_directories(directory_);
    std::ofstream(directory_ / "drill") << "kill -USR2 $PPID\necho said\nread -r end\n";
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      if (::chdir(directory_.c_str()) == 0) ::execl("/bin/sh", "sh", "drill", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    char first = 0;
    CHECK(::read(out[0], &first, 1) == 1);
    ::close(out[0]);
  }
  ~Drill() {
    end();
    std::filesystem::remove_all(directory_);
  }
  Drill(const Drill&) = delete;
  Drill& operator=(const Drill&) = delete;

  void end() {
    if (pid_ <= 0) return;
    ::close(input_);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / fmt::format("naru-restart-requests-{}", ::getpid());
  pid_t pid_ = -1;
  int input_ = -1;
};

void ask() {
  REQUIRE(::kill(::getpid(), cli::signal_to_start_again) == 0);
}

}  // namespace

TEST_CASE("a request to start again is open until it is served, however often it came") {
  RestartRequests requests;
  const auto now = steady_clock::now();
  CHECK_FALSE(requests.is_open(now));
  CHECK_FALSE(requests.will_come(now));
  ask();
  CHECK(requests.will_come(now));
  CHECK(requests.is_open(now));
  ask();
  CHECK(requests.is_open(now + std::chrono::seconds(1)));
  requests.served();
  CHECK_FALSE(requests.is_open(now + std::chrono::seconds(1)));
  CHECK_FALSE(requests.will_come(now + std::chrono::seconds(1)));
}

TEST_CASE("a request that nothing comes of is forgotten, and another one is not") {
  RestartRequests requests;
  const auto now = steady_clock::now();
  ask();
  CHECK(requests.is_open(now));
  CHECK_FALSE(requests.is_open(now + std::chrono::minutes(1)));
  CHECK_FALSE(requests.will_come(now + std::chrono::minutes(1)));
  ask();
  CHECK(requests.is_open(now + std::chrono::minutes(1)));
}

TEST_CASE("a drill that has said that it will ask is waited for, but not when it has ended without") {
  RestartRequests requests;
  const auto now = steady_clock::now();
  Drill drill;
  CHECK(requests.will_come(now));
  CHECK_FALSE(requests.is_open(now));
  drill.end();
  CHECK_FALSE(requests.will_come(now));
}

TEST_CASE("what a drill says before and after its harm may come at once") {
  RestartRequests requests;
  const auto now = steady_clock::now();
  Drill drill;
  ask();
  CHECK(requests.is_open(now));
  requests.served();
  CHECK_FALSE(requests.is_open(now));
  CHECK(requests.will_come(now));  // its next victim
}

TEST_CASE("a request that comes too late ends nobody") {
  { RestartRequests requests; }
  ask();
  RestartRequests requests;
  CHECK(requests.is_open(steady_clock::now()));
}
