// What a drill asks of the naru dev whose broker it ends: to start it again. A broker that the drill started by itself
// would be nobody's, and the Ctrl-C that stops all others would leave it behind. Asked by signals, which say who sent
// them: one before the harm, so that a naru dev whose last broker that was waits for the drill, and one after it.
// Thread-compatible.
#pragma once
#include <sys/types.h>

#include <csignal>
#include <string>

namespace cli {

constexpr int signal_of_a_drill = SIGUSR2;
constexpr int signal_to_start_again = SIGUSR1;

// The side of naru dev. To be made before its first broker is started: without it the signals end the process.
class RestartRequests {
 public:
  RestartRequests();
  ~RestartRequests();
  RestartRequests(const RestartRequests&) = delete;
  RestartRequests& operator=(const RestartRequests&) = delete;

  // True: somebody has asked since the last time that what has ended be started again.
  [[nodiscard]] bool take();
  // Whether a drill that is still running has said that it will ask.
  [[nodiscard]] bool will_come();

 private:
  void drain();
  int descriptor_ = -1;
  pid_t drill_ = -1;
  bool asked_ = false;
};

// Which of naru's commands a process is, by its command line ("dev"); empty: there is no such process any more.
[[nodiscard]] std::string command_of_process(pid_t process);

}  // namespace cli
