#include "support/scenario.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <catch2/catch.hpp>

namespace test_support {
namespace {

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Position after the token that starts at `from`: spaces inside brackets and quotes do not end it.
size_t token_end(std::string_view line, size_t from) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = from; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (quoted) continue;
    if (line[i] == '(') ++depth;
    if (line[i] == ')') --depth;
    if (line[i] == ' ' && depth <= 0) return i;
  }
  if (quoted || depth > 0) throw ScenarioError{"a quote or bracket is not closed"};
  return line.size();
}

std::string unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

int64_t to_number(std::string_view key, const std::string& text) {
  size_t used = 0;
  int64_t number = 0;
  try {
    number = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = std::string::npos;
  }
  if (used != text.size()) throw ScenarioError{fmt::format("{}={} is not a number", key, text)};
  return number;
}

std::string execute(const Command& command, const ScenarioHandler& handler) {
  std::string answer = handler(command);
  if (const auto unknown = command.unread(); !unknown.empty())
    throw ScenarioError{fmt::format("unknown argument {}", unknown.front())};
  return answer;
}

void append_transcript(std::vector<std::string>& transcript, const std::string& answer) {
  std::istringstream in(answer);
  for (std::string line; std::getline(in, line);) transcript.push_back(line.empty() ? "." : line);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  return all;
}

struct Runner {
  const std::string& path;
  const ScenarioHandler& handler;
  std::vector<std::string> in, out;

  void run() {
    in = read_lines(path);
    if (in.empty()) FAIL(path << " is missing or empty");
    std::vector<Command> commands;
    for (size_t i = 0; i < in.size();) {
      const std::string& line = in[i];
      if (line == "----") {
        out.push_back(line);
        i = check_block(commands, i + 1);
        commands.clear();
        continue;
      }
      out.push_back(line);
      if (!line.empty() && line[0] != '#') commands.push_back(parse(line, static_cast<int>(i) + 1));
      ++i;
    }
    if (!commands.empty()) FAIL(path << ":" << commands.back().line_number() << ": commands without a ---- after them");
  }

  Command parse(const std::string& line, int number) {
    try {
      return Command::parse(line, number);
    } catch (const ScenarioError& error) {
      FAIL(path << ":" << number << ": " << error.message);
      throw;
    }
  }

  // Runs the commands of a block whose transcript begins at line `i`; returns the line after it.
  size_t check_block(const std::vector<Command>& commands, size_t i) {
    std::vector<std::string> expected;
    const size_t first = i;
    while (i < in.size() && !in[i].empty()) expected.push_back(in[i++]);
    std::vector<std::string> actual;
    for (const Command& command : commands) {
      try {
        append_transcript(actual, execute(command, handler));
      } catch (const ScenarioError& error) {
        FAIL(path << ":" << command.line_number() << ": " << command.line() << "\n" << error.message);
      }
    }
    out.insert(out.end(), actual.begin(), actual.end());
    if (actual != expected && !rewriting()) {
      FAIL_CHECK(path << ":" << first << "\n--- expected\n"
                      << joined(expected) << "--- actual\n"
                      << joined(actual) << "(NARU_REWRITE=1 writes the transcripts anew)");
    }
    return i;
  }

  static bool rewriting() {
    const char* wish = std::getenv("NARU_REWRITE");
    return wish != nullptr && std::string_view(wish) == "1";
  }
};

}  // namespace

Command Command::parse(std::string_view line, int line_number) {
  Command command;
  command.line_ = line;
  command.line_number_ = line_number;
  size_t at = 0;
  while (at < line.size()) {
    if (line[at] == ' ') {
      ++at;
      continue;
    }
    const size_t end = token_end(line, at);
    const std::string_view token = line.substr(at, end - at);
    const size_t equals = token.find('=');
    if (command.name_.empty()) {
      command.name_ = token;
    } else if (equals == std::string_view::npos || token.front() == '"' || token.front() == '(') {
      command.words_.push_back(unquoted(token));
    } else {
      command.arguments_.push_back({std::string(token.substr(0, equals)), unquoted(token.substr(equals + 1))});
    }
    at = end;
  }
  return command;
}

const Command::Argument* Command::find(std::string_view key) const {
  read_.emplace(key);
  const auto found = std::find_if(arguments_.begin(), arguments_.end(), [&](const auto& a) { return a.key == key; });
  return found == arguments_.end() ? nullptr : &*found;
}

bool Command::has(std::string_view key) const {
  return find(key) != nullptr || std::find(words_.begin(), words_.end(), key) != words_.end();
}

std::string Command::text(std::string_view key) const {
  const Argument* argument = find(key);
  if (argument == nullptr) throw ScenarioError{fmt::format("argument {}= is missing", key)};
  return argument->value;
}

std::string Command::text_or(std::string_view key, std::string_view otherwise) const {
  return find(key) != nullptr ? text(key) : std::string(otherwise);
}

int64_t Command::number(std::string_view key) const {
  return to_number(key, text(key));
}

int64_t Command::number_or(std::string_view key, int64_t otherwise) const {
  return find(key) != nullptr ? number(key) : otherwise;
}

std::optional<int64_t> Command::maybe_number(std::string_view key) const {
  return find(key) != nullptr ? std::optional(number(key)) : std::nullopt;
}

std::vector<std::string> Command::list(std::string_view key) const {
  return split_list(text(key));
}

std::vector<int64_t> Command::numbers(std::string_view key) const {
  std::vector<int64_t> all;
  for (const std::string& part : list(key)) all.push_back(to_number(key, part));
  return all;
}

std::vector<int64_t> Command::numbers_or(std::string_view key, std::vector<int64_t> otherwise) const {
  return find(key) != nullptr ? numbers(key) : std::move(otherwise);
}

std::chrono::nanoseconds Command::duration(std::string_view key) const {
  const std::string all = text(key);
  const size_t unit_at = all.find_first_not_of("-0123456789");
  const int64_t count = to_number(key, all.substr(0, unit_at));
  const std::string unit = unit_at == std::string::npos ? "" : all.substr(unit_at);
  using namespace std::chrono;
  if (unit == "us") return microseconds(count);
  if (unit == "ms") return milliseconds(count);
  if (unit == "s") return seconds(count);
  if (unit == "m") return minutes(count);
  if (unit == "h") return hours(count);
  throw ScenarioError{fmt::format("{}={} needs a unit: us, ms, s, m or h", key, all)};
}

std::chrono::nanoseconds Command::duration_or(std::string_view key, std::chrono::nanoseconds otherwise) const {
  return find(key) != nullptr ? duration(key) : otherwise;
}

const std::vector<std::string>& Command::words() const {
  for (const std::string& word : words_) read_.insert(word);
  return words_;
}

std::vector<std::string> Command::unread() const {
  std::vector<std::string> unread;
  for (const Argument& argument : arguments_)
    if (!read_.contains(argument.key)) unread.push_back(argument.key + "=" + argument.value);
  for (const std::string& word : words_)
    if (!read_.contains(word)) unread.push_back(word);
  return unread;
}

std::vector<std::string> split_list(std::string_view text) {
  if (text.size() >= 2 && text.front() == '(' && text.back() == ')') text = text.substr(1, text.size() - 2);
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (const char c : text) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ',' && depth == 0) {
      parts.push_back(std::move(part));
      part.clear();
    } else if (c != ' ' || depth > 0 || !part.empty()) {
      part += c;
    }
  }
  if (!part.empty() || !parts.empty()) parts.push_back(std::move(part));
  return parts;
}

void run_scenario(const std::string& path, const ScenarioHandler& handler) {
  Runner runner{path, handler, {}, {}};
  runner.run();
  if (Runner::rewriting() && runner.out != runner.in) std::ofstream(path) << joined(runner.out);
}

void run_scenarios(const std::string& folder, const std::function<ScenarioHandler()>& make_handler) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(NARU_SOURCE_DIR) + "/" + folder))
    if (entry.path().extension() == ".txt") paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  REQUIRE_FALSE(paths.empty());
  for (const std::string& path : paths) {
    DYNAMIC_SECTION(std::filesystem::path(path).filename().string()) {
      run_scenario(path, make_handler());
    }
  }
}

}  // namespace test_support
