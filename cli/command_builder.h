// What builds the tree of commands: a subcommand whose options fill a value, and the options that all of them share.
// Only command_line*.cc include this, because CLI11 takes seconds to compile. Thread-compatible.
#pragma once
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/output.h"

namespace cli {

inline const std::map<std::string, Format> format_names = {{"table", Format::table},
                                                           {"wide", Format::wide},
                                                           {"json", Format::json},
                                                           {"name", Format::name},
                                                           {"help", Format::help}};

// A whole number within bounds; the help says NUMBER and the refusal says the bounds.
inline CLI::Validator between(int64_t least, int64_t most) {
  return CLI::Range(least, most).description("");
}

// "1.5" and "MiB" of "1.5MiB".
inline std::pair<std::string, std::string> number_and_unit(const std::string& text) {
  size_t digits = 0;
  while (digits < text.size() && (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 || text[digits] == '.'))
    ++digits;
  return {text.substr(0, digits), text.substr(digits)};
}

// 500ms, 30s, 2m, or plain seconds. What is wrong with it, else empty.
inline std::string parse_duration(const std::string& text, std::chrono::milliseconds& out) {
  const auto [digits, unit] = number_and_unit(text);
  const double factor = unit == "ms"                  ? 1
                        : unit == "s" || unit.empty() ? 1000
                        : unit == "m"                 ? 60'000
                        : unit == "h"                 ? 3'600'000
                                                      : 0;
  if (digits.empty() || factor == 0) return fmt::format("'{}' must be a time such as 500ms, 30s or 2m", text);
  out = std::chrono::milliseconds(static_cast<int64_t>(std::strtod(digits.c_str(), nullptr) * factor));
  return {};
}
inline CLI::Option* add_duration(CLI::App* app, const std::string& name, std::chrono::milliseconds& into,
                                 const std::string& what) {
  return app
      ->add_option_function<std::string>(
          name,
          [name, &into](const std::string& text) {
            const std::string wrong = parse_duration(text, into);
            if (!wrong.empty()) throw CLI::ValidationError(name, wrong);
          },
          what)
      ->type_name("TIME");
}

// 10MiB, 500KiB, 1GiB, or plain bytes; at least one. What is wrong with it, else empty.
inline std::string parse_bytes(const std::string& text, std::optional<int64_t>& out) {
  const auto [digits, unit] = number_and_unit(text);
  const double factor = unit.empty() || unit == "B"    ? 1
                        : unit == "KiB" || unit == "K" ? 1024
                        : unit == "MiB" || unit == "M" ? 1024.0 * 1024
                        : unit == "GiB" || unit == "G" ? 1024.0 * 1024 * 1024
                                                       : 0;
  const double bytes = digits.empty() ? 0 : std::strtod(digits.c_str(), nullptr) * factor;
  if (bytes < 1 || bytes > 1e15) return fmt::format("'{}' must be a number of bytes such as 10MiB or 500000", text);
  out = static_cast<int64_t>(bytes);
  return {};
}
inline CLI::Option* add_bytes(CLI::App* app, const std::string& name, std::optional<int64_t>& into,
                              const std::string& what) {
  return app
      ->add_option_function<std::string>(
          name,
          [name, &into](const std::string& text) {
            const std::string wrong = parse_bytes(text, into);
            if (!wrong.empty()) throw CLI::ValidationError(name, wrong);
          },
          what)
      ->type_name("BYTES");
}

// What a producer asks for, and how it compresses: Kafka's words for both.
inline CLI::Option* add_acks(CLI::App* app, std::string& into, const std::string& what = "0, 1 or all") {
  return app->add_option("--acks", into, what)
      ->check(CLI::IsMember({"0", "1", "all", "-1"}).description(""))
      ->type_name("ACKS")
      ->capture_default_str();
}
inline CLI::Option* add_compression(CLI::App* app, std::string& into) {
  return app->add_option("-z,--compress", into, "none, gzip, snappy, lz4 or zstd")
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}).description(""))
      ->type_name("CODEC");
}

enum class OutputOption { offered, none };  // -o

class CommandBuilder {
 public:
  // A subcommand whose options fill `command`, which lives as long as the tree.
  template <class C>
  CLI::App* add(CLI::App& parent, const std::string& name, const std::string& what, const std::string& examples,
                std::shared_ptr<C>& command) {
    command = std::make_shared<C>();
    CLI::App* app = parent.add_subcommand(name, what);
    app->footer(examples.empty() ? std::string() : "Examples:\n" + examples);  // not the parent's, which it came with
    app->callback([this, command] { chosen_ = *command; });
    return app;
  }
  // The same, with something to do once all options are read.
  template <class C, class Then>
  void on_parsed(CLI::App* app, const std::shared_ptr<C>& command, Then then) {
    app->callback([this, command, then] {
      then();
      chosen_ = *command;
    });
  }
  // What every command that talks to a cluster takes, and -o unless there is nothing to format.
  template <class C>
  void add_shared(CLI::App* app, const std::shared_ptr<C>& command, OutputOption output = OutputOption::offered);
  // A noun; the same one when it is there already.
  CLI::App* group(const std::string& name, const std::string& what) {
    for (CLI::App* known : app_.get_subcommands(std::function<bool(CLI::App*)>())) {
      if (known->get_name() == name) return known;
    }
    CLI::App* app = app_.add_subcommand(name, what);
    app->footer(std::string());  // not the root's, which it came with
    app->require_subcommand(1);
    return app;
  }
  CLI::App& root() { return app_; }

 protected:
  template <class C>
  void add_output(CLI::App* app, const std::shared_ptr<C>& command);

  CLI::App app_{"Naru: a replicated log that every Kafka client can use"};
  std::optional<Command> chosen_;
};

template <class C>
void CommandBuilder::add_shared(CLI::App* app, const std::shared_ptr<C>& command, OutputOption output) {
  app->add_option("-b,--brokers,--bootstrap-server", command->shared.brokers,
                  "Brokers to ask, host:port,... (NARU_BROKERS, the profile in use, localhost:9092)")
      ->envname("NARU_BROKERS")
      ->type_name("HOST:PORT")
      ->group("Cluster");
  app->add_option("--command-config", command->shared.command_config, "A file of Kafka client properties")
      ->type_name("FILE")
      ->group("Cluster");
  app->add_option("-X,--property", command->shared.properties, "A Kafka client property; weighs more than the file")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE")
      ->group("Cluster");
  app->add_option_function<std::string>(
         "--timeout",
         [command](const std::string& text) {
           const std::string wrong = parse_duration(text, command->shared.timeout);
           command->shared.is_timeout_given = true;
           if (!wrong.empty()) throw CLI::ValidationError("--timeout", wrong);
         },
         "How long to try: 500ms, 30s, 2m")
      ->type_name("TIME")
      ->group("Cluster");
  app->add_flag_callback(
         "-q,--quiet",
         [command] {
           command->shared.quiet = true;
           without_color();
         },
         "No progress, no remarks, no colour")
      ->group("Output");
  app->add_flag_callback("--no-color", &without_color, "No colour on a terminal either (as NO_COLOR)")->group("Output");
  if (output == OutputOption::offered) add_output(app, command);
}

template <class C>
void CommandBuilder::add_output(CLI::App* app, const std::shared_ptr<C>& command) {
  app->add_option_function<std::string>(
         "-o,--output",
         [this, command](const std::string& word) {
           const auto it = format_names.find(word);
           if (it == format_names.end()) {
             throw CLI::ValidationError("--output", fmt::format("'{}' must be table, wide, json, name or help", word));
           }
           command->shared.format = it->second;
           if (it->second != Format::help) return;
           // Whoever asks for the shape need not name what it is the shape of.
           chosen_ = *command;
           throw CLI::Success();
         },
         "table, wide, json, name; help prints the shape of the JSON")
      ->type_name("FORMAT")
      ->group("Output");
}

}  // namespace cli
