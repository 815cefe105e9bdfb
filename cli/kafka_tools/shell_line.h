// What a container's health check or first job says to a shell, in an image that has none, as in
//     kafka-topics.sh --list >/dev/null || exit 1
// Commands joined by &&, ||, ; and ends of lines, with quotes, variables, and output that goes to /dev/null. Whatever
// else a shell is asked for (pipes, loops, files) is refused, not done by half.
// Pure.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace cli::kafka_tools {

struct LineCommand {
  enum class When { always, after_success, after_failure };
  When when = When::always;  // by how the one before it ended
  std::vector<std::string> words;
  bool hides_output = false;
  bool hides_errors = false;
};

using Variables = std::function<std::optional<std::string>(const std::string& name)>;

// The error is what only a shell can do.
tl::expected<std::vector<LineCommand>, std::string> parse_shell_line(std::string_view line,
                                                                     const Variables& variables);

enum class AtFailure { go_on, end };  // sh -e: of a command that no && or || follows

// Runs them one after the other, but those that an ending before them rules out; `exit N` ends it. Returns the last
// exit code.
int run_shell_line(const std::vector<LineCommand>& commands, const std::function<int(const LineCommand&)>& run,
                   AtFailure at_failure = AtFailure::go_on);

}  // namespace cli::kafka_tools
