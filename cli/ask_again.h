// Asking again while the answer says that what is asked for is on its way: a coordinator right after a start or a
// failover. Loops within each other share one deadline, so that all of it takes no longer than --timeout.
#pragma once
#include <chrono>
#include <thread>
#include <utility>

#include "cli/client/connection.h"

namespace cli {

struct SteadyTime {
  static client::Deadline now() { return std::chrono::steady_clock::now(); }
  static void pause(std::chrono::milliseconds how_long) { std::this_thread::sleep_for(how_long); }
};

// `ask` returns an Outcome; `is_coming` says of its value whether to ask again. The last answer counts, also where the
// deadline passed within one more question, which then failed for want of time.
template <class Ask, class IsComing, class Time = SteadyTime>
auto ask_again_until(client::Deadline until, Ask ask, IsComing is_coming, Time&& time = {}) -> decltype(ask()) {
  constexpr std::chrono::milliseconds pause{50};
  auto answer = ask();
  while (answer && is_coming(*answer) && time.now() + pause < until) {
    time.pause(pause);
    auto next = ask();
    if (!next && time.now() >= until) break;
    answer = std::move(next);
  }
  return answer;
}

}  // namespace cli
