// Lines that compose files give to a shell, in an image that has none.
#include <map>

#include <catch2/catch.hpp>

#include "cli/kafka_tools/dispatch.h"
#include "cli/kafka_tools/shell_line.h"

namespace {

using cli::kafka_tools::AtFailure;
using cli::kafka_tools::LineCommand;
using cli::kafka_tools::parse_shell_line;
using cli::kafka_tools::run_shell_line;
using Words = std::vector<std::string>;

std::optional<std::string> variable(const std::string& name) {
  const std::map<std::string, std::string> set = {
      {"HOSTNAME", "kafka-1"}, {"PORT", "9092"}, {"TWO", "a b"}, {"EMPTY", ""}};
  const auto found = set.find(name);
  return found == set.end() ? std::nullopt : std::optional(found->second);
}

// What is run of a line, by commands that end with the number that they are named by; and how it ends.
std::pair<Words, int> run(const std::string& line, AtFailure at_failure = AtFailure::go_on) {
  const auto commands = parse_shell_line(line, variable);
  REQUIRE(commands);
  Words ran;
  const auto end_of = [&](const LineCommand& command) {
    ran.push_back(command.words.front());
    return std::stoi(command.words.front());
  };
  const int code = run_shell_line(*commands, end_of, at_failure);
  return {ran, code};
}

}  // namespace

TEST_CASE("Words of a line are those that a shell makes of it") {
  const auto words = [](const std::string& line) {
    const auto commands = parse_shell_line(line, variable);
    CAPTURE(line);
    REQUIRE(commands);
    REQUIRE(commands->size() == 1);
    return commands->front().words;
  };
  CHECK(words("kafka-topics.sh  --list ") == Words{"kafka-topics.sh", "--list"});
  CHECK(words("a 'b c' \"d e\"f g\\ h \"\" ''") == Words{"a", "b c", "d ef", "g h", "", ""});
  CHECK(words("a $HOSTNAME:$PORT ${HOSTNAME}x \"$TWO\" '$TWO' $NONE \\$PORT \"\\$PORT\"") ==
        Words{"a", "kafka-1:9092", "kafka-1x", "a b", "$TWO", "$PORT", "$PORT"});
  CHECK(words("a --topic '.*' \\\n b;") == Words{"a", "--topic", ".*", "b"});
  CHECK(words("\n a 2\n\n") == Words{"a", "2"});
  // Without quotes what a variable holds is words.
  CHECK(words("a $TWO x$TWO\"$TWO\" $EMPTY ${EMPTY}b \"$EMPTY\"") == Words{"a", "a", "b", "xa", "ba b", "b", ""});
}

TEST_CASE("A command is run by how the one before it ended") {
  CHECK(run("0 && 0 || 1") == std::pair(Words{"0", "0"}, 0));
  CHECK(run("3 || exit 1") == std::pair(Words{"3"}, 1));
  CHECK(run("0 || exit 1") == std::pair(Words{"0"}, 0));
  CHECK(run("3 || exit -1") == std::pair(Words{"3"}, 255));
  CHECK(run("3 || exit") == std::pair(Words{"3"}, 3));
  CHECK(run("3 && 0") == std::pair(Words{"3"}, 3));
  CHECK(run("3 && 0 || 5 && 6") == std::pair(Words{"3", "5"}, 5));
  CHECK(run("3; 0\n4") == std::pair(Words{"3", "0", "4"}, 4));
  CHECK(run("0 &&\n 4") == std::pair(Words{"0", "4"}, 4));
  CHECK(run("exit 7; 0") == std::pair(Words{}, 7));
  CHECK(run("") == std::pair(Words{}, 0));
}

TEST_CASE("A shell that is to end at a failure does, where the line does not ask about it") {
  const auto run_to_failure = [](const std::string& line) { return run(line, AtFailure::end); };
  CHECK(run_to_failure("0; 3; 0") == std::pair(Words{"0", "3"}, 3));
  CHECK(run_to_failure("3 || 0; 4\n 0") == std::pair(Words{"3", "0", "4"}, 4));
  CHECK(run_to_failure("3 && 0; 5") == std::pair(Words{"3", "5"}, 5));
  CHECK(run_to_failure("0 && 3; 0") == std::pair(Words{"0", "3"}, 3));
}

TEST_CASE("What a command says goes to /dev/null and nowhere else") {
  const auto hidden = [](const std::string& line) {
    const auto commands = parse_shell_line(line, variable);
    CAPTURE(line);
    REQUIRE(commands);
    CHECK(commands->front().words == Words{"a", "2x"});
    return std::pair(commands->front().hides_output, commands->front().hides_errors);
  };
  CHECK(hidden("a 2x") == std::pair(false, false));
  CHECK(hidden("a 2x >/dev/null") == std::pair(true, false));
  CHECK(hidden("a >/dev/null 2x") == std::pair(true, false));
  CHECK(hidden("a 2x 1> /dev/null 2>&1") == std::pair(true, true));
  CHECK(hidden("a 2x 2>&1 >/dev/null") == std::pair(true, false));
  CHECK(hidden("a 2x 2>/dev/null||exit 1") == std::pair(false, true));
  CHECK(hidden("a 2x &>/dev/null") == std::pair(true, true));
  CHECK(hidden("a 2x >>/dev/null 2>>/dev/null") == std::pair(true, true));
}

TEST_CASE("What only a shell can do is refused") {
  for (const char* line :
       {"a | grep b", "a &", "a > file", "a >/dev/nullx", "a < file", "(a)", "$(a)", "a `b`", "a \"`b`\"", "a \"$(b)\"",
        "a '", "a \"", "a &&", "a || ", "&& a", "a && && b", "${a:-b}", "a $1$"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_shell_line(line, variable));
  }
}

TEST_CASE("The binary is a shell by that name, for commands that health checks have") {
  const auto end_of = [](std::vector<const char*> words) {
    const auto tool = cli::kafka_tool_named(words.front());
    REQUIRE(tool);
    return static_cast<int>((*tool)(static_cast<int>(words.size()), words.data()));
  };
  CHECK(end_of({"/bin/sh", "-c", "true && exit 7"}) == 7);
  CHECK(end_of({"bash", "-ec", "false || :"}) == 0);
  CHECK(end_of({"sh", "-c", "false; true"}) == 0);
  CHECK(end_of({"bash", "--login", "-euo", "pipefail", "-c", "false; true"}) == 1);
  CHECK(end_of({"sh", "-c", "-e", "false; true"}) == 1);
  CHECK(end_of({"sh", "-c", "nc -z localhost 1 2>/dev/null || exit 4"}) == 4);
  CHECK(end_of({"sh", "-c", "ls"}) == 127);
  CHECK(end_of({"sh", "-c", "sh -c true"}) == 127);
  CHECK(end_of({"sh", "-c", "A=1"}) == 127);
  CHECK(end_of({"sh", "-c", "true | true"}) == 127);
  CHECK(end_of({"sh"}) == 127);
  CHECK(end_of({"sh", "script"}) == 127);
  CHECK(end_of({"sh", "script", "-c", "true"}) == 127);
  CHECK(end_of({"sh", "-c", "exec true"}) == 127);
}
