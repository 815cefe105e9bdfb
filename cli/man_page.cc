// naru(1) from the tree of commands.

#include <fmt/format.h>

#include "cli/command_tree.h"

namespace cli {
namespace {

// Text that roff must take literally.
std::string literal(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

// Examples keep their lines.
std::string footer_text(const std::string& footer) {
  return footer.empty() ? "" : fmt::format(".PP\n.nf\n{}\n.fi\n", literal(footer));
}

std::string option_text(const CommandOption& option) {
  std::string names;
  for (const std::string& name : option.names)
    names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", literal(name));
  if (!option.value.empty()) names += fmt::format(" \\fI{}\\fR", literal(option.value));
  return fmt::format(".TP\n{}\n{}\n", names, literal(option.what));
}

std::string operands_text(const CommandNode& node) {
  std::string out;
  for (const CommandOperand& operand : node.operands) {
    out += operand.required ? fmt::format(" \\fI{}\\fR", literal(operand.name))
                            : fmt::format(" [\\fI{}\\fR]", literal(operand.name));
    if (operand.repeats) out += "...";
  }
  return out;
}

void describe(const std::string& path, const CommandNode& node, std::string& out) {
  const bool runs = node.commands.empty() || node.options.size() > 1;  // more than --help
  if (runs) {
    out += fmt::format(".SS {}\n{}.\n.PP\n\\fB{}\\fR [\\fIoptions\\fR]{}\n", literal(path), literal(node.what),
                       literal(path), operands_text(node));
    for (const CommandOption& option : node.options) out += option_text(option);
    out += footer_text(node.footer);
  }
  for (const CommandNode& sub : node.commands) describe(path + " " + sub.name, sub, out);
}

}  // namespace

std::string man_page(const CommandNode& root, const std::string& version) {
  std::string commands;
  for (const CommandNode& sub : root.commands) describe(root.name + " " + sub.name, sub, commands);
  std::string options;
  for (const CommandOption& option : root.options) options += option_text(option);
  return fmt::format(R"(.TH NARU 1 "" "naru {}" "User Commands"
.SH NAME
naru \- a replicated log that every Kafka client can use
.SH SYNOPSIS
\fBnaru\fR \fIcommand\fR [\fIoptions\fR] [\fIoperands\fR]
.SH DESCRIPTION
One binary: the broker with the Raft controller inside it, and the command that creates topics, sends and prints
records, and shows the state of a cluster.
{}.SH OPTIONS
{}.SH COMMANDS
{}.SH FILES
.TP
\fI/etc/naru/server.properties\fR
What the broker of the systemd unit \fBnaru.service\fR is started with. \fBnaru config explain\fR \fIproperty\fR
says what a property means.
.TP
\fI/var/lib/naru\fR
Its data, unless \fBlog.dirs\fR names other directories.
.SH ENVIRONMENT
.TP
\fBNARU_BROKERS\fR
Brokers to ask where \fB\-\-brokers\fR is not given.
.TP
\fBXDG_CONFIG_HOME\fR
Where \fBnaru profile\fR keeps profiles, in its folder \fInaru\fR; else \fI~/.config\fR.
.TP
\fBKAFKA_\fIPROPERTY\fR
A broker property for \fBnaru start\fR, as in Kafka's container images.
)",
                     version, footer_text(root.footer), options, commands);
}

}  // namespace cli
