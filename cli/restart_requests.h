// What a drill asks of the naru dev whose broker it ends: to start it again. A broker that the drill started by itself
// would be nobody's, and the Ctrl-C that stops all others would leave it behind. Asked by signals, which say who sent
// them: one before the harm, so that a naru dev whose last broker that was waits for the drill, and one after it.
// Thread-compatible.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>

namespace cli {

constexpr int signal_of_a_drill = SIGUSR2;
constexpr int signal_to_start_again = SIGUSR1;

// The side of naru dev. To be made before its first broker is started: without it the signals end the process. They are
// held back also when it is gone: one that comes late finds a process that is about to end in order.
class RestartRequests {
 public:
  RestartRequests();
  ~RestartRequests();
  RestartRequests(const RestartRequests&) = delete;
  RestartRequests& operator=(const RestartRequests&) = delete;

  // Whether somebody has asked that what has ended be started again, and has not been served. What it is about may take
  // a moment to die; a request that nothing has come of after seconds is forgotten, or it would bring back a broker
  // that ends much later.
  [[nodiscard]] bool is_open(std::chrono::steady_clock::time_point now);
  void served() { asked_at_.reset(); }
  // Whether a drill that is still running has said that it will ask.
  [[nodiscard]] bool will_come(std::chrono::steady_clock::time_point now);

 private:
  void drain(std::chrono::steady_clock::time_point now);
  int descriptor_ = -1;
  pid_t drill_ = -1;
  std::optional<std::chrono::steady_clock::time_point> asked_at_;
};

// Which of naru's commands a process is, by its command line ("dev"); empty: there is no such process any more.
[[nodiscard]] std::string command_of_process(pid_t process);

}  // namespace cli
