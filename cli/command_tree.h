// The tree of commands as data. Completion scripts and the man page are made of it, so they cannot miss a command or an
// option that the parser knows: command_line.cc reads it from the parser itself.
#pragma once
#include <string>
#include <vector>

namespace cli {

struct CommandOption {
  std::vector<std::string> names;  // -b, --brokers, --bootstrap-server
  std::string value;               // how the help calls its value: HOST:PORT; empty: it takes none
  std::string what;
  std::vector<std::string> choices;  // all values there are; empty: any
};
struct CommandOperand {
  std::string name;  // topic
  std::string what;
  bool required = false;
  bool repeats = false;
  std::vector<std::string> choices = {};  // all values there are; empty: any
};
struct CommandNode {
  std::string name;
  std::string what;
  std::string footer;  // examples and remarks
  std::vector<CommandOption> options;
  std::vector<CommandOperand> operands;
  std::vector<CommandNode> commands;
};

// What the command line of this very program offers (command_line.cc).
[[nodiscard]] CommandNode command_tree();

// Pure: the same tree gives the same text.
[[nodiscard]] std::string bash_completion(const CommandNode& root);
[[nodiscard]] std::string zsh_completion(const CommandNode& root);
[[nodiscard]] std::string fish_completion(const CommandNode& root);
// naru(1) in roff, for `man -l -`.
[[nodiscard]] std::string man_page(const CommandNode& root, const std::string& version);

}  // namespace cli
