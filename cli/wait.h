// Ctrl-C as something to wait for: while an Interruption lives, SIGINT, SIGTERM and SIGHUP (but where it is ignored)
// end a wait instead of the process. One at a time in a process; thread-compatible.
#pragma once
#include <chrono>

namespace cli {

class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // Waits at most `time`; true as soon as an interruption has come. The second and later SIGINTs are counted; another
  // signal is not, after the first, because timeout(1) and others send it to the process and then to its group.
  bool wait(std::chrono::milliseconds time);
  [[nodiscard]] int count();
  // A descriptor that becomes readable when one has come, for those who wait for other things too.
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  void drain();
  int descriptor_ = -1;
  int count_ = 0;
};

}  // namespace cli
