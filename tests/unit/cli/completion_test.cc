// Completion scripts and the man page: every command and every option that the parser knows is in them.
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <catch2/catch.hpp>

#include "cli/command_line.h"
#include "cli/command_tree.h"

using namespace cli;

namespace {
void each(const std::string& path, const CommandNode& node,
          const std::function<void(const std::string&, const CommandNode&)>& visit) {
  visit(path, node);
  for (const CommandNode& sub : node.commands) each(path + " " + sub.name, sub, visit);
}

const CommandNode* find(const CommandNode& node, const std::string& name) {
  for (const CommandNode& sub : node.commands)
    if (sub.name == name) return &sub;
  return nullptr;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// The lines of a help's examples, without what is said of them; those that go on are joined.
std::vector<std::string> example_lines(const CommandNode& node) {
  constexpr std::string_view head = "Examples:\n";
  const size_t begin = node.footer.find(head);
  if (begin == std::string::npos) return {};
  std::istringstream examples(replaced(node.footer.substr(begin + head.size()), "\\\n", ""));
  std::vector<std::string> lines;
  for (std::string line; std::getline(examples, line) && line.starts_with("  ");) {
    const size_t at = line.find("   ", 2);
    const size_t word = line.find_first_not_of(' ', at);
    const bool goes_on = at != std::string::npos && word != std::string::npos && line[word] == '-';
    lines.push_back(at == std::string::npos || goes_on ? line.substr(2) : line.substr(2, at - 2));
  }
  return lines;
}

// Words as a shell has them, up to a redirection; 'what is quoted' is one.
std::vector<std::string> shell_words(std::string_view text) {
  std::vector<std::string> words;
  bool is_quoted = false;
  bool is_within = false;
  for (const char c : text) {
    if (c == ' ' && !is_quoted) {
      is_within = false;
      continue;
    }
    if (!is_quoted && (c == '<' || c == '>')) break;
    if (!std::exchange(is_within, true)) words.emplace_back();
    if (c == '\'') {
      is_quoted = !is_quoted;
    } else {
      words.back() += c;
    }
  }
  return words;
}
}  // namespace

TEST_CASE("the tree is what the parser takes") {
  const CommandNode tree = command_tree();
  CHECK(tree.name == "naru");
  const CommandNode* topic = find(tree, "topic");
  REQUIRE(topic != nullptr);
  const CommandNode* create = find(*topic, "create");
  REQUIRE(create != nullptr);
  REQUIRE(create->operands.size() == 1);
  CHECK(create->operands.front().name == "topic");
  CHECK(create->operands.front().required);
  CHECK(create->operands.front().repeats);
  const auto option = [&](const std::string& name) -> const CommandOption* {
    for (const CommandOption& known : create->options)
      for (const std::string& other : known.names)
        if (other == name) return &known;
    return nullptr;
  };
  REQUIRE(option("--partitions") != nullptr);
  CHECK(option("--partitions") == option("-p"));
  CHECK(option("-p")->value == "NUMBER");
  CHECK(option("--if-absent")->value.empty());
  CHECK(option("--output")->choices == std::vector<std::string>{"table", "wide", "json", "name", "help"});
  each("naru", tree, [](const std::string& path, const CommandNode& node) {
    INFO(path);
    CHECK_FALSE(node.what.empty());
    for (const CommandOption& known : node.options) CHECK_FALSE(known.names.empty());
  });
}

TEST_CASE("the help of a command ends with its own examples, never with those of the whole") {
  const CommandNode tree = command_tree();
  CHECK(contains(tree.footer, "Exit codes: 0 done"));
  size_t nouns = 0;
  for (const CommandNode& command : tree.commands) {
    each("naru " + command.name, command, [&](const std::string& path, const CommandNode& node) {
      INFO(path);
      CHECK_FALSE(contains(node.footer, "Finding the cluster"));
      if (path != "naru dev" && path != "naru help") CHECK_FALSE(contains(node.footer, "  naru dev"));
    });
    if (command.commands.empty()) continue;
    ++nouns;
    INFO(command.name);
    CHECK(command.footer.starts_with("Examples:\n  naru " + command.name + " "));
  }
  CHECK(nouns > 8);
  const CommandNode* group = find(tree, "group");
  REQUIRE(group != nullptr);
  CHECK(group->footer ==
        "Examples:\n  naru group list\n  naru group describe billing\n  naru group seek billing --to start");
  const CommandNode* version = find(tree, "version");
  REQUIRE(version != nullptr);
  CHECK(version->footer.empty());
}

TEST_CASE("the examples of a help are commands that the parser takes") {
  size_t tried = 0;
  each("naru", command_tree(), [&](const std::string& path, const CommandNode& node) {
    for (const std::string& line : example_lines(node)) {
      std::istringstream commands(replaced(replaced(line, " | ", "\n"), " && ", "\n"));
      for (std::string command; std::getline(commands, command);) {
        if (!command.starts_with("naru ")) continue;
        const std::vector<std::string> words = shell_words(command);
        std::vector<const char*> argv;
        for (const std::string& word : words) argv.push_back(word.c_str());
        INFO(fmt::format("{}: {}", path, command));
        const auto parsed = parse_command_line(static_cast<int>(argv.size()), argv.data());
        CHECK((parsed || parsed.error() == Exit::done));
        ++tried;
      }
    }
  });
  CHECK(tried > 100);
}

TEST_CASE("every choice that completion offers is one that the parser takes") {
  // Where any word will not do.
  const std::map<std::string, std::vector<std::string>> operands_of = {{"naru config get", {"topic"}},
                                                                       {"naru config set", {"topic", "t", "a=b"}},
                                                                       {"naru config unset", {"topic", "t", "a"}},
                                                                       {"naru broker describe", {"1"}},
                                                                       {"naru quorum add", {"1"}},
                                                                       {"naru quorum remove", {"1"}},
                                                                       {"naru broker remove", {"1"}},
                                                                       {"naru broker drain", {"1"}},
                                                                       {"naru broker undrain", {"1"}},
                                                                       {"naru why", {"produce", "t"}},
                                                                       {"naru drill", {"pause"}}};
  each("naru", command_tree(), [&](const std::string& path, const CommandNode& node) {
    for (const CommandOption& option : node.options) {
      for (const std::string& choice : option.choices) {
        std::vector<std::string> words;
        for (size_t at = 0; at != std::string::npos;) {
          const size_t space = path.find(' ', at);
          words.push_back(path.substr(at, space == std::string::npos ? space : space - at));
          at = space == std::string::npos ? space : space + 1;
        }
        const auto known = operands_of.find(path);
        if (known != operands_of.end()) {
          words.insert(words.end(), known->second.begin(), known->second.end());
        } else {
          for (const CommandOperand& operand : node.operands)
            if (operand.required) words.push_back("x");
        }
        // Some have options that they cannot do without.
        if (path == "naru topic grow") words.insert(words.end(), {"-p", "3"});
        if (path == "naru group seek") words.insert(words.end(), {"--to", "start"});
        if (path == "naru topic trim") words.insert(words.end(), {"--before", "1"});
        words.push_back(option.names.front());
        words.push_back(choice);
        std::vector<const char*> argv;
        for (const std::string& word : words) argv.push_back(word.c_str());
        INFO(fmt::format("{} {} {}", path, option.names.front(), choice));
        CHECK(parse_command_line(static_cast<int>(argv.size()), argv.data()));
      }
    }
  });
}

TEST_CASE("an operand that takes a few words only offers them, and the parser takes each") {
  size_t commands = 0;
  std::set<std::string> words;
  each("naru", command_tree(), [&](const std::string& path, const CommandNode& node) {
    if (node.operands.empty() || node.operands.front().choices.empty()) return;
    ++commands;
    INFO(path);
    const std::vector<std::string>& choices = node.operands.front().choices;
    words.insert(choices.begin(), choices.end());
    const std::string joined = fmt::format("{}", fmt::join(choices, " "));
    CHECK(contains(bash_completion(command_tree()),
                   fmt::format("\"{}\") if [ $typed = 0 ]; then COMPREPLY=($(compgen -W \"{}\"", path, joined)));
    CHECK(contains(zsh_completion(command_tree()), fmt::format("':{}:({})'", node.operands.front().name, joined)));
    CHECK(contains(fish_completion(command_tree()), fmt::format("'__naru_first {}' -a '{}'", path, joined)));
    for (const std::string& choice : choices) {
      // Of what follows, nothing or a word or two are right, and the same of no other first word.
      const auto takes = [&](const std::string& first) {
        for (const std::string& rest : {"", " x", " x a=b", " x a"}) {
          std::istringstream line(path + " " + first + rest);
          const std::vector<std::string> split{std::istream_iterator<std::string>(line), {}};
          std::vector<const char*> argv;
          for (const std::string& word : split) argv.push_back(word.c_str());
          if (parse_command_line(static_cast<int>(argv.size()), argv.data())) return true;
        }
        return false;
      };
      INFO(choice);
      CHECK(takes(choice));
      CHECK_FALSE(takes(choice + "z"));
    }
  });
  CHECK(commands >= 6);
  for (const char* word : {"zsh", "kill-leader", "rolling-restart", "produce", "cluster"}) CHECK(words.contains(word));
}

TEST_CASE("no command and no option is missing from what is made of the tree") {
  const CommandNode tree = command_tree();
  const std::string bash = bash_completion(tree);
  const std::string zsh = zsh_completion(tree);
  const std::string fish = fish_completion(tree);
  const std::string man = man_page(tree, "1.2.3");
  CHECK(contains(man, "naru 1.2.3"));
  size_t commands = 0;
  each("naru", tree, [&](const std::string& path, const CommandNode& node) {
    INFO(path);
    ++commands;
    std::string function = "_" + path;
    for (char& c : function)
      if (c == ' ' || c == '-') c = '_';
    CHECK(contains(bash, fmt::format("    \"{}\") options=", path)));
    CHECK(contains(zsh, function + "() {"));
    CHECK(contains(fish, fmt::format(" '{}'", path)));
    if (node.commands.empty()) CHECK(contains(man, fmt::format(".SS {}\n", path)));
    for (const CommandOption& option : node.options) {
      for (const std::string& name : option.names) {
        INFO(name);
        std::string escaped;
        for (const char c : name) escaped += c == '-' ? std::string("\\-") : std::string(1, c);
        CHECK(contains(bash, name));
        CHECK(contains(zsh, fmt::format("'*{}[", name)));
        CHECK(contains(fish, name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1)));
        CHECK(contains(man, fmt::format("\\fB{}\\fR", escaped)));
      }
    }
  });
  CHECK(commands > 20);
}

TEST_CASE("quotes, brackets and dots in descriptions are taken literally") {
  CommandNode root{.name = "naru", .what = "it's"};
  root.commands.push_back({.name = "go",
                           .what = "it's [a]: thing",
                           .footer = "Examples:\n.hidden -x\n'quoted",
                           .options = {{.names = {"-x"}, .value = "A:B", .what = "one's [own]", .choices = {}}}});
  CHECK(contains(zsh_completion(root), R"('go:it'\''s \[a\]\: thing')"));
  CHECK(contains(zsh_completion(root), R"('*-x[one'\''s \[own\]]:A\:B: ')"));
  CHECK(contains(fish_completion(root), R"(-d 'one\'s [own]')"));
  CHECK(contains(man_page(root, "1"), "\n\\&.hidden \\-x\n\\&'quoted\n"));
}
