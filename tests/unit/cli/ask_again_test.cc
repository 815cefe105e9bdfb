#include "cli/ask_again.h"

#include <catch2/catch.hpp>

using namespace cli;
using namespace std::chrono_literals;
using client::Deadline;

namespace {

// Moves only where somebody waits.
struct HandTime {
  Deadline at{};
  [[nodiscard]] Deadline now() const { return at; }
  void pause(std::chrono::milliseconds how_long) { at += how_long; }
};

Outcome<int> no_answer() {
  return problem(Exit::unreachable, "no answer in time");
}

bool is_coming(int answer) {
  return answer < 0;
}

}  // namespace

TEST_CASE("what has come, or cannot be had, is not asked for again") {
  HandTime time;
  int asked = 0;
  const Outcome<int> there = ask_again_until(time.at + 10s, [&]() -> Outcome<int> { return ++asked; }, is_coming, time);
  CHECK(there == 1);
  const auto fails = [&] {
    ++asked;
    return no_answer();
  };
  CHECK_FALSE(ask_again_until(time.at + 10s, fails, is_coming, time));
  CHECK(asked == 2);
  CHECK(time.at == Deadline{});
}

TEST_CASE("what is on its way is asked for until it is there") {
  HandTime time;
  int asked = 0;
  const auto comes_third = [&]() -> Outcome<int> { return ++asked < 3 ? -1 : asked; };
  CHECK(ask_again_until(time.at + 10s, comes_third, is_coming, time) == 3);
}

TEST_CASE("waits within a wait end at its deadline, however often they begin") {
  HandTime time;
  const Deadline until = time.at + 10s;
  int found = 0;
  const auto find = [&]() -> Outcome<int> { return time.at >= Deadline{} + 9s && found == 0 ? 1 : -7; };
  const auto find_and_ask = [&]() -> Outcome<int> {
    const Outcome<int> where = ask_again_until(until, find, is_coming, time);
    if (where == 1) ++found;  // and then it has moved, and nobody knows where to
    return -8;
  };
  CHECK(ask_again_until(until, find_and_ask, is_coming, time) == -8);
  CHECK(found == 1);
  CHECK(time.at < until);
  CHECK(time.at + 100ms >= until);
}

TEST_CASE("where the deadline passes within a question, what was heard before it counts") {
  HandTime time;
  const Deadline until = time.at + 1s;
  int asked = 0;
  const auto slow = [&]() -> Outcome<int> {
    if (++asked == 1) return -7;
    time.at = until;
    return no_answer();
  };
  CHECK(ask_again_until(until, slow, is_coming, time) == -7);
  CHECK(asked == 2);
}
