// A broker as a process of this machine: found by the port it listens on, harmed by signals, started again as it was.
// Thread-compatible.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/problem.h"

namespace cli::drill {

class LocalProcess {
 public:
  // Whoever listens there on this machine. Refused when nobody does, when the address is another machine's, or when the
  // process is not ours to look at.
  static Outcome<LocalProcess> listening_on(const std::string& host, uint16_t port);

  [[nodiscard]] pid_t pid() const { return pid_; }
  Outcome<void> signal(int number) const;
  [[nodiscard]] bool is_running() const;
  // Before its end, which start_again() follows: a naru dev that runs it shall wait for that.
  void announce_end() const;
  // By the naru dev that runs it; else with its own command line, environment, folder and output files, apart from this
  // process.
  Outcome<void> start_again() const;

 private:
  Outcome<void> start_apart() const;

  pid_t pid_ = -1;
  pid_t dev_ = -1;  // the naru dev whose child it is
  std::string program_;
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
  std::string folder_;
  std::string output_;  // of descriptors 1 and 2
  std::string errors_;
};

}  // namespace cli::drill
