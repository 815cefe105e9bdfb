// Shell completion from the tree of commands: words of commands and options, the values that an option or an operand
// knows, profiles, and topics, groups and brokers as the cluster lists them (quietly nothing when no broker answers).
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command_tree.h"

namespace cli {
namespace {

using Visit = std::function<void(const std::string& path, const CommandNode& node)>;

void walk(const std::string& path, const CommandNode& node, const Visit& visit) {
  visit(path, node);
  for (const CommandNode& sub : node.commands) walk(path + " " + sub.name, sub, visit);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

// What follows the words typed so far, where no option's value is due.
enum class Kind { nothing, topics, groups, brokers, profiles, files };
Kind operand_kind(const CommandNode& node) {
  if (node.operands.empty()) return Kind::nothing;
  const std::string& name = node.operands.front().name;
  if (name == "topic") return Kind::topics;
  if (name == "group") return Kind::groups;
  if (name == "broker") return Kind::brokers;
  if (name == "profile") return Kind::profiles;
  if (name == "file") return Kind::files;
  return Kind::nothing;
}
// The words that the first operand may be, if it knows them all.
const std::vector<std::string>& first_choices(const CommandNode& node) {
  static const std::vector<std::string> none;
  return node.operands.empty() ? none : node.operands.front().choices;
}
Kind value_kind(const CommandOption& option) {
  if (option.value == "FILE" || option.value == "DIR") return Kind::files;
  for (const std::string& name : option.names) {
    if (name == "--dir") return Kind::files;
    if (name == "--group") return Kind::groups;
  }
  return Kind::nothing;
}

constexpr std::string_view list_topics = "naru topic list -o name -q --timeout 1s 2>/dev/null";
constexpr std::string_view list_groups = "naru group list -o name -q --timeout 1s 2>/dev/null";
constexpr std::string_view list_brokers = "naru broker list -o name -q --timeout 1s 2>/dev/null";
constexpr std::string_view list_profiles = "naru profile list -o name -q 2>/dev/null";

// The command whose lines are the names; none for files, and where nothing is known.
std::string_view lister(Kind kind) {
  switch (kind) {
    case Kind::topics:
      return list_topics;
    case Kind::groups:
      return list_groups;
    case Kind::brokers:
      return list_brokers;
    case Kind::profiles:
      return list_profiles;
    case Kind::files:
    case Kind::nothing:
      break;
  }
  return {};
}

// bash --------------------------------------------------------------------------------------------------------------

std::string bash_reply(Kind kind) {
  if (const std::string_view list = lister(kind); !list.empty())
    return fmt::format("COMPREPLY=($(compgen -W \"$({})\" -- \"$current\"))", list);
  if (kind == Kind::files) return "COMPREPLY=($(compgen -f -- \"$current\")); compopt -o filenames 2>/dev/null";
  return "COMPREPLY=()";
}

std::vector<std::string> option_names(const CommandNode& node) {
  std::vector<std::string> names;
  for (const CommandOption& option : node.options) names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

std::vector<std::string> command_names(const CommandNode& node) {
  std::vector<std::string> names;
  for (const CommandNode& sub : node.commands) names.push_back(sub.name);
  return names;
}

}  // namespace

std::string bash_completion(const CommandNode& root) {
  std::string paths;
  std::string values;
  std::string words;
  walk(root.name, root, [&](const std::string& path, const CommandNode& node) {
    if (path != root.name) paths += fmt::format("{}\"{}\"", paths.empty() ? "" : " | ", path);
    for (const CommandOption& option : node.options) {
      if (option.value.empty()) continue;
      for (const std::string& name : option.names) {
        values += fmt::format("    \"{} {}\") {}; return ;;\n", path, name,
                              option.choices.empty() ? bash_reply(value_kind(option))
                                                     : fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$current\"))",
                                                                   fmt::join(option.choices, " ")));
      }
    }
    words += fmt::format("    \"{}\") options=\"{}\" commands=\"{}\" ;;\n", path, fmt::join(option_names(node), " "),
                         fmt::join(command_names(node), " "));
  });
  std::string operands;
  walk(root.name, root, [&](const std::string& path, const CommandNode& node) {
    if (const auto& choices = first_choices(node); !choices.empty()) {
      operands +=
          fmt::format("    \"{}\") if [ $typed = 0 ]; then COMPREPLY=($(compgen -W \"{}\" -- \"$current\")); fi ;;\n",
                      path, fmt::join(choices, " "));
    } else if (operand_kind(node) != Kind::nothing) {
      operands += fmt::format("    \"{}\") {} ;;\n", path, bash_reply(operand_kind(node)));
    }
  });
  return fmt::format(R"sh(# bash completion for naru, printed by `naru completion bash`
# shellcheck shell=bash disable=SC2207
_naru() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} path=naru typed=0 i options commands
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$path ${{COMP_WORDS[i]}}" in
      {}) path+=" ${{COMP_WORDS[i]}}"; typed=0 ;;
      *) typed=$((typed + 1)) ;;
    esac
  done
  COMPREPLY=()
  case "$path $previous" in
{}  esac
  case "$path" in
{}  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")); return ;;
  esac
  if [ -n "$commands" ]; then COMPREPLY=($(compgen -W "$commands" -- "$current")); return; fi
  case "$path" in
{}  esac
}}
complete -F _naru naru
)sh",
                     paths, values, words, operands);
}

// zsh ---------------------------------------------------------------------------------------------------------------

namespace {

// Within single quotes, and within the brackets or fields of _arguments and _describe.
std::string zsh_text(const std::string& text) {
  std::string out = replaced(text, "'", "'\\''");
  for (const std::string_view special : {"[", "]", ":"}) out = replaced(out, special, fmt::format("\\{}", special));
  return out;
}

std::string zsh_function(const std::string& path) {
  return "_" + replaced(replaced(path, " ", "_"), "-", "_");
}

std::string_view zsh_action(Kind kind) {
  switch (kind) {
    case Kind::topics:
      return " _naru_list topic";  // the space: with these words only
    case Kind::groups:
      return " _naru_list group";
    case Kind::brokers:
      return " _naru_list broker";
    case Kind::profiles:
      return " _naru_list profile";
    case Kind::files:
      return "_files";
    case Kind::nothing:
      break;
  }
  return " ";
}

std::string zsh_options(const CommandNode& node) {
  std::string out;
  for (const CommandOption& option : node.options) {
    std::string value;
    if (!option.value.empty()) {
      const std::string action = option.choices.empty() ? std::string(zsh_action(value_kind(option)))
                                                        : fmt::format("({})", fmt::join(option.choices, " "));
      value = fmt::format(":{}:{}", zsh_text(option.value), action);
    }
    for (const std::string& name : option.names)
      out += fmt::format(" \\\n    '*{}[{}]{}'", name, zsh_text(option.what), value);
  }
  return out;
}

std::string zsh_node(const std::string& path, const CommandNode& node) {
  std::string out = fmt::format("{}() {{\n", zsh_function(path));
  if (node.commands.empty()) {
    out += "  _arguments" + zsh_options(node);
    for (const CommandOperand& operand : node.operands) {
      const std::string action = operand.choices.empty() ? std::string(zsh_action(operand_kind(node)))
                                                         : fmt::format("({})", fmt::join(operand.choices, " "));
      out += fmt::format(" \\\n    '{}{}:{}'", operand.repeats ? "*:" : ":", zsh_text(operand.name), action);
    }
    return out + "\n}\n";
  }
  out += "  local context state line\n  typeset -A opt_args\n  _arguments -C" + zsh_options(node) +
         " \\\n    '1: :->command' '*:: :->rest'\n  case $state in\n    command)\n      local -a commands\n      "
         "commands=(";
  for (const CommandNode& sub : node.commands)
    out += fmt::format("\n        '{}:{}'", zsh_text(sub.name), zsh_text(sub.what));
  out += "\n      )\n      _describe command commands ;;\n    rest)\n      case $line[1] in\n";
  for (const CommandNode& sub : node.commands)
    out += fmt::format("        {}) {} ;;\n", sub.name, zsh_function(path + " " + sub.name));
  return out + "      esac ;;\n  esac\n}\n";
}

}  // namespace

std::string zsh_completion(const CommandNode& root) {
  std::string out = fmt::format(R"sh(#compdef naru
# zsh completion for naru, printed by `naru completion zsh`
_naru_list() {{
  local -a names
  case $1 in
    topic) names=(${{(f)"$({})"}}) ;;
    group) names=(${{(f)"$({})"}}) ;;
    broker) names=(${{(f)"$({})"}}) ;;
    profile) names=(${{(f)"$({})"}}) ;;
  esac
  compadd -a names
}}
)sh",
                                list_topics, list_groups, list_brokers, list_profiles);
  walk(root.name, root, [&](const std::string& path, const CommandNode& node) { out += zsh_node(path, node); });
  return out + R"sh(if [ "$funcstack[1]" = _naru ]; then
  _naru "$@"
else
  compdef _naru naru
fi
)sh";
}

// fish --------------------------------------------------------------------------------------------------------------

namespace {

std::string fish_text(const std::string& text) {
  return replaced(replaced(text, "\\", "\\\\"), "'", "\\'");
}

std::string fish_action(Kind kind) {
  if (const std::string_view list = lister(kind); !list.empty()) return fmt::format(" -a '({})'", list);
  return kind == Kind::files ? " -F" : "";
}

std::string fish_option(const std::string& at, const CommandOption& option) {
  std::string out = fmt::format("complete -c naru -n '{}'", at);
  for (const std::string& name : option.names)
    out += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2)) : fmt::format(" -s {}", name.substr(1));
  if (!option.value.empty()) {
    out += " -r" + (option.choices.empty() ? fish_action(value_kind(option))
                                           : fmt::format(" -a '{}'", fmt::join(option.choices, " ")));
  }
  return out + fmt::format(" -d '{}'\n", fish_text(option.what));
}

}  // namespace

std::string fish_completion(const CommandNode& root) {
  std::string paths;
  std::string rules;
  walk(root.name, root, [&](const std::string& path, const CommandNode& node) {
    paths += fmt::format(" '{}'", path);
    const std::string at = "__naru_at " + path;
    for (const CommandNode& sub : node.commands)
      rules += fmt::format("complete -c naru -n '{}' -a {} -d '{}'\n", at, sub.name, fish_text(sub.what));
    for (const CommandOption& option : node.options) rules += fish_option(at, option);
    if (const auto& choices = first_choices(node); !choices.empty())
      rules += fmt::format("complete -c naru -n '__naru_first {}' -a '{}'\n", path, fmt::join(choices, " "));
    if (const Kind kind = operand_kind(node); kind != Kind::nothing)
      rules += fmt::format("complete -c naru -n '{}'{}\n", at, fish_action(kind));
  });
  return fmt::format(R"sh(# fish completion for naru, printed by `naru completion fish`
set -g __naru_paths{}
function __naru_at
    set -l path naru
    for word in (commandline -opc)[2..-1]
        if contains -- "$path $word" $__naru_paths
            set path "$path $word"
        end
    end
    test "$path" = "$argv"
end
function __naru_first
    __naru_at $argv; and test (commandline -opc)[-1] = $argv[-1]
end
complete -c naru -f
{})sh",
                     paths, rules);
}

}  // namespace cli
