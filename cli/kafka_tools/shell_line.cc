#include "cli/kafka_tools/shell_line.h"

#include <charconv>

#include <fmt/format.h>

namespace cli::kafka_tools {
namespace {

using When = LineCommand::When;
using Step = tl::expected<void, std::string>;

constexpr std::string_view only_a_shell = "|&<()`";

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

class LineParser {
 public:
  LineParser(std::string_view line, const Variables& variables) : rest_(line), variables_(variables) {}

  tl::expected<std::vector<LineCommand>, std::string> parse() {
    while (!rest_.empty()) {
      if (Step done = step(); !done) return tl::unexpected(done.error());
    }
    end_word();
    if (Step done = end_command(When::always); !done) return tl::unexpected(done.error());
    return std::move(commands_);
  }

 private:
  Step step() {
    if (rest_.front() == ' ' || rest_.front() == '\t') {
      end_word();
      rest_.remove_prefix(1);
      return {};
    }
    if (take("\\\n")) return {};
    if (take("&&")) return end_command(When::after_success);
    if (take("||")) return end_command(When::after_failure);
    if (take(";")) return end_command(When::always);
    if (take("\n")) return end_line();
    if (take("&>")) return redirect(true, true);
    if (rest_.front() == '>') return redirect_descriptor();
    if (take("'")) return single_quoted();
    if (take("\"")) return double_quoted();
    if (take("$")) return variable(Quotes::none);
    if (only_a_shell.find(rest_.front()) != std::string_view::npos) return no_shell(rest_.substr(0, 1));
    if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
    add(rest_.front());
    rest_.remove_prefix(1);
    return {};
  }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  static Step no_shell(std::string_view what) { return tl::unexpected(fmt::format("'{}' is for a shell", what)); }

  void add(char c) { word_ = word_.value_or("") + c; }

  void end_word() {
    if (word_) command_.words.push_back(*std::move(word_));
    word_.reset();
  }

  Step end_command(When next) {
    end_word();
    if (command_.words.empty()) {
      // Nothing between ends of lines is nothing; between && and ||, or behind them, something is missing.
      if (next != When::always || command_.when != When::always) return no_shell("&& and || without a command");
      return {};
    }
    commands_.push_back(std::move(command_));
    command_ = {.when = next, .words = {}};
    return {};
  }

  // A line may end behind && and ||.
  Step end_line() {
    end_word();
    return command_.words.empty() ? Step{} : end_command(When::always);
  }

  Step single_quoted() {
    const size_t end = rest_.find('\'');
    if (end == std::string_view::npos) return no_shell("' that does not end");
    word_ = word_.value_or("") + std::string(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return {};
  }

  Step double_quoted() {
    word_ = word_.value_or("");
    while (!take("\"")) {
      if (rest_.empty()) return no_shell("\" that does not end");
      if (take("$")) {
        if (Step done = variable(Quotes::around); !done) return done;
        continue;
      }
      if (rest_.front() == '`') return no_shell("`");
      const bool is_escape = rest_.front() == '\\' && rest_.size() > 1;
      if (is_escape && std::string_view("\"\\$`").find(rest_[1]) != std::string_view::npos) rest_.remove_prefix(1);
      add(rest_.front());
      rest_.remove_prefix(1);
    }
    return {};
  }

  enum class Quotes { none, around };

  // Behind its $. Without quotes what it holds is words, and may be none.
  Step variable(Quotes quotes) {
    const bool braced = take("{");
    size_t length = 0;
    while (length < rest_.size() && is_name(rest_[length])) ++length;
    const std::string name(rest_.substr(0, length));
    if (name.empty()) return no_shell("$" + std::string(rest_.substr(0, 1)));
    rest_.remove_prefix(length);
    if (braced && !take("}")) return no_shell("${" + name + std::string(rest_.substr(0, 1)));
    for (const char c : variables_(name).value_or("")) {
      if (quotes == Quotes::none && (c == ' ' || c == '\t' || c == '\n')) {
        end_word();
      } else {
        add(c);
      }
    }
    return {};
  }

  Step redirect_descriptor() {
    const std::string descriptor = word_.value_or("");
    const bool is_descriptor = descriptor == "1" || descriptor == "2";
    if (is_descriptor) word_.reset();
    end_word();
    take(">");
    const bool of_errors = descriptor == "2";
    if (of_errors && take("&1")) {
      command_.hides_errors = command_.hides_output;
      return {};
    }
    if (take("&2")) return {};  // both are shown at the same place
    return redirect(!of_errors, of_errors);
  }

  // Behind its >.
  Step redirect(bool output, bool errors) {
    take(">");  // of >>
    while (take(" ")) {
    }
    if (!take("/dev/null") || (!rest_.empty() && is_name(rest_.front()))) return no_shell("> to a file");
    if (output) command_.hides_output = true;
    if (errors) command_.hides_errors = true;
    return {};
  }

  std::string_view rest_;
  const Variables& variables_;
  std::vector<LineCommand> commands_;
  LineCommand command_;
  std::optional<std::string> word_;
};

int exit_code(const LineCommand& command, int last) {
  if (command.words.size() < 2) return last;
  int code = 0;
  const std::string& word = command.words[1];
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), code);
  return parsed.ec == std::errc() ? code & 0xff : 2;  // exit -1 is 255
}

}  // namespace

tl::expected<std::vector<LineCommand>, std::string> parse_shell_line(std::string_view line,
                                                                     const Variables& variables) {
  return LineParser(line, variables).parse();
}

int run_shell_line(const std::vector<LineCommand>& commands, const std::function<int(const LineCommand&)>& run,
                   AtFailure at_failure) {
  int last = 0;
  for (size_t i = 0; i < commands.size(); ++i) {
    const LineCommand& command = commands[i];
    if (command.when == When::after_success && last != 0) continue;
    if (command.when == When::after_failure && last == 0) continue;
    if (command.words.front() == "exit") return exit_code(command, last);
    last = run(command);
    const bool is_asked_about = i + 1 < commands.size() && commands[i + 1].when != When::always;
    if (at_failure == AtFailure::end && last != 0 && !is_asked_about) break;
  }
  return last;
}

}  // namespace cli::kafka_tools
