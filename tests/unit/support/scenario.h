// Scenario files: behaviour written as text that a reviewer can read without reading C++.
//
//   # A follower that stops fetching leaves the ISR.          comment lines, kept as they are
//   tick at=40s                                              one or more commands
//   ----
//   propose isr=(1,2) expected-epoch=0                       what they answered; ends at an empty line
//
// A command is a name, then arguments: `key=value` (value without spaces, or in (round brackets), or in "quotes") or
// plain words. `NARU_REWRITE=1 path/to/test` writes the transcripts anew; review the diff. Thread-compatible.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace test_support {

// One line of a scenario. Reading an argument that is missing or malformed throws ScenarioError, which the runner
// reports with file and line; an argument that nobody has read is reported as unknown.
class Command {
 public:
  static Command parse(std::string_view line, int line_number);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& line() const { return line_; }
  [[nodiscard]] int line_number() const { return line_number_; }

  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::string text_or(std::string_view key, std::string_view otherwise) const;
  [[nodiscard]] int64_t number(std::string_view key) const;
  [[nodiscard]] int64_t number_or(std::string_view key, int64_t otherwise) const;
  [[nodiscard]] std::optional<int64_t> maybe_number(std::string_view key) const;
  // `(1,2,3)`, `1,2,3`, `()` or one value alone.
  [[nodiscard]] std::vector<std::string> list(std::string_view key) const;
  [[nodiscard]] std::vector<int64_t> numbers(std::string_view key) const;
  [[nodiscard]] std::vector<int64_t> numbers_or(std::string_view key, std::vector<int64_t> otherwise) const;
  // `10us`, `50ms`, `40s`, `2m`, `1h`.
  [[nodiscard]] std::chrono::nanoseconds duration(std::string_view key) const;
  [[nodiscard]] std::chrono::nanoseconds duration_or(std::string_view key, std::chrono::nanoseconds otherwise) const;
  // Arguments without `=`, in order. A bare word also answers has().
  [[nodiscard]] const std::vector<std::string>& words() const;

  [[nodiscard]] std::vector<std::string> unread() const;

 private:
  struct Argument {
    std::string key;
    std::string value;
  };
  [[nodiscard]] const Argument* find(std::string_view key) const;

  std::string name_;
  std::string line_;
  int line_number_ = 0;
  std::vector<Argument> arguments_;
  std::vector<std::string> words_;
  mutable std::set<std::string, std::less<>> read_;
};

struct ScenarioError {
  std::string message;
};

// "(1,2,3)" and "1,2,3" as their parts; brackets inside brackets stay together.
std::vector<std::string> split_list(std::string_view text);

// Executes one command and returns its transcript lines, joined by '\n' (may be empty).
using ScenarioHandler = std::function<std::string(const Command&)>;

// Runs one file; a differing transcript fails the current Catch2 test and shows both.
void run_scenario(const std::string& path, const ScenarioHandler& handler);
// Runs every *.txt of a folder (relative to the source root), each with a handler of its own and as a section.
void run_scenarios(const std::string& folder, const std::function<ScenarioHandler()>& make_handler);

}  // namespace test_support
