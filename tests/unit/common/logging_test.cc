// What clients say ends up in the log, and stays within its line; and nobody waits for who takes the log.
#include "common/logging.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include <catch2/catch.hpp>

#include "common/log_set_up.h"
#include "common/model/check.h"
#include "support/temporary_directory.h"

namespace {

std::string content(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

constexpr int lines = 1000;

void log_lines(int count) {
  for (int n = 1; n <= count; ++n)
    common::Logger("b1").info("line {} of a broker that has much to say about itself", n);
}

// How a process ended that has logged, and what it has written by then.
template <class End>
int status_of_child(const std::string& file, End end) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // it is not for the test's runner to report
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
    if (!common::set_up_logging(common::LogLevel::info, common::LogFormat::text, file)) ::_exit(3);
    log_lines(lines);
    end();
    ::_exit(4);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

// First of all: its children must not come from a process of several threads.
TEST_CASE("the lines before a crash are in the log") {
  const test_support::TemporaryDirectory directory("logging");
  const std::string last = "line 1000 of a broker that has much to say about itself\n";
  const int failed = status_of_child(directory.file("check"), [] { NARU_CHECK(lines < 0, "as this test wants it"); });
  REQUIRE(WIFSIGNALED(failed));
  REQUIRE(WTERMSIG(failed) == SIGABRT);
  REQUIRE(content(directory.file("check")).ends_with(last));
  const int aborted = status_of_child(directory.file("abort"), [] { std::abort(); });
  REQUIRE(WIFSIGNALED(aborted));
  REQUIRE(WTERMSIG(aborted) == SIGABRT);
  REQUIRE(content(directory.file("abort")).ends_with(last));
}

TEST_CASE("a line of the log is one line, whatever a client calls itself") {
  const test_support::TemporaryDirectory directory("logging");
  const std::string file = directory.file("log");
  common::configure_logging(common::LogLevel::info, common::LogFormat::text, file);
  common::Logger().info("client '{}' came", "a\x1b[31m\nforged \x7f \u00e9");
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  const std::string text = content(file);
  REQUIRE(text.ends_with("client 'a\\x1b[31m\\x0aforged \\x7f \u00e9' came\n"));
  REQUIRE(text.find('\n') == text.size() - 1);
}

TEST_CASE("what was logged is written when the log is drained, in order") {
  const test_support::TemporaryDirectory directory("logging");
  const std::string file = directory.file("log");
  REQUIRE(common::set_up_logging(common::LogLevel::info, common::LogFormat::json, file));
  log_lines(lines);
  REQUIRE(common::drain_log());
  std::ifstream in(file);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string end = R"(,"logger":"b1","msg":"line )" + std::to_string(++number) +
                            R"( of a broker that has much to say about itself"})";
    REQUIRE(line.ends_with(end));
  }
  REQUIRE(number == lines);
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
}

// Where malloc is a sanitizer's it says nothing, and this is true of whatever the queue does.
TEST_CASE("lines that are not there take no memory") {
  const auto in_use = [] {
    const struct mallinfo2 of = ::mallinfo2();
    return static_cast<int64_t>(of.uordblks + of.hblkhd);
  };
  const test_support::TemporaryDirectory directory("logging");
  const int64_t before = in_use();
  REQUIRE(common::set_up_logging(common::LogLevel::info, common::LogFormat::text, directory.file("log")));
  const int64_t taken = in_use() - before;
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  CHECK(taken < (64 << 10));
}

TEST_CASE("who logs does not wait for who takes the log, and what is lost is told") {
  constexpr int many = 30000;  // some 2 MB: neither the pipe nor the queue takes them all
  const test_support::TemporaryDirectory directory("logging");
  const std::string pipe = directory.file("pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  REQUIRE(common::set_up_logging(common::LogLevel::info, common::LogFormat::text, pipe));
  log_lines(1);
  REQUIRE(common::drain_log());
  log_lines(many);
  REQUIRE_FALSE(common::drain_log());  // and the end of a process does not wait for ever

  REQUIRE(::fcntl(reader, F_SETFL, 0) == 0);
  std::string text;
  std::array<char, 65536> some;
  while (!text.ends_with("line " + std::to_string(many) + " of a broker that has much to say about itself\n")) {
    const ssize_t size = ::read(reader, some.data(), some.size());
    REQUIRE(size > 0);
    text.append(some.data(), static_cast<size_t>(size));
  }
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  ::close(reader);

  const std::regex told("\\[log\\] ([0-9]+) lines? (is|are) lost: what takes the log stood still\n");
  int64_t lost = 0;
  int64_t notes = 0;
  for (auto at = std::sregex_iterator(text.begin(), text.end(), told); at != std::sregex_iterator(); ++at, ++notes) {
    lost += std::stoll((*at)[1].str());
  }
  CHECK(lost > 0);
  CHECK(std::ranges::count(text, '\n') - notes + lost == many + 1);
}
