#include "cli/kafka_tools/flags.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/kafka_tools/instead.h"
#include "cli/output.h"
#include "cli/version.h"
#include "common/config/config_load.h"

namespace cli::kafka_tools {

struct Flags::Parser {
  explicit Parser(const std::string& what, const std::string& tool) : app(what, tool) {}
  CLI::App app;
  bool version = false;
  std::vector<std::string> dropped;
};

Flags::Flags(const std::string& tool, const std::string& what) : parser_(std::make_unique<Parser>(what, tool)) {
  parser_->app.set_help_flag("--help", "Print usage information.");
  parser_->app.add_flag("--version", parser_->version, "Display the version.");
}
Flags::~Flags() = default;

void Flags::toggle(const std::string& names, bool& into, const std::string& help) {
  parser_->app.add_flag(names, into, help);
}
void Flags::text(const std::string& names, std::string& into, const std::string& help) {
  parser_->app.add_option(names, into, help)->type_name("TEXT");
}
void Flags::texts(const std::string& names, std::vector<std::string>& into, const std::string& help) {
  parser_->app.add_option(names, into, help)->type_name("TEXT")->expected(1)->take_all()->allow_extra_args(false);
}
void Flags::number(const std::string& names, std::optional<int64_t>& into, const std::string& help) {
  parser_->app.add_option_function<int64_t>(names, [&into](int64_t value) { into = value; }, help)->type_name("NUMBER");
}
void Flags::ignored(const std::string& names) {
  parser_->app.add_option(names, parser_->dropped, "Taken for compatibility; without effect.")
      ->type_name("TEXT")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
}
void Flags::word(const std::string& name, std::string& into, const std::string& help) {
  parser_->app.add_option(name, into, help);
}

std::optional<Exit> Flags::parse(int argc, const char* const* argv) {
  try {
    parser_->app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print_out(parser_->app.help());
    return Exit::done;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}\n{}{}", error.what(), parser_->app.help(), instead_of_refused());
    return Exit::refused;
  }
  if (!parser_->version) return std::nullopt;
  print_out(fmt::format("naru {}\n", version_text));
  return Exit::done;
}

std::string Flags::instead_of_refused() const {
  const std::string tool = parser_->app.get_name();
  std::string text;
  for (const std::string& word : parser_->app.remaining()) {
    if (const std::string_view what = instead_of_flag(tool, word); !what.empty())
      text += fmt::format("{}: {}\n", word, what);
  }
  if (const std::string_view own = own_words_for(tool); !own.empty())
    text += fmt::format("What naru has for this in its own words: {} --help\n", own);
  return text.empty() ? text : "\n" + text;
}

std::string Flags::usage() const {
  return parser_->app.help();
}

void Target::add_to(Flags& flags) {
  flags.text("--bootstrap-server,--broker-list", brokers, "The brokers to connect to, HOST:PORT,...");
  flags.text("--command-config", config_file, "A file of properties for the client.");
}

Outcome<client::Cluster> Target::open() const {
  if (brokers.empty()) return problem(Exit::refused, "--bootstrap-server must be specified");
  if (!config_file.empty()) {
    const auto file = common::config::read_properties_file(config_file);
    if (!file) return problem(Exit::refused, file.error());
    const auto protocol = file->find("security.protocol");
    if (protocol != file->end() && protocol->second != "PLAINTEXT") {
      return problem(Exit::refused,
                     fmt::format("security.protocol={}: this tool speaks PLAINTEXT only", protocol->second));
    }
  }
  auto bootstrap = client::parse_bootstrap(brokers);
  if (!bootstrap) return tl::unexpected(std::move(bootstrap.error()));
  constexpr std::chrono::milliseconds patience{30'000};
  return client::Cluster(std::move(*bootstrap), patience);
}

Outcome<std::vector<std::pair<std::string, std::string>>> parse_settings(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> all;
  size_t at = 0;
  while (at < text.size()) {
    const size_t equals = text.find('=', at);
    if (equals == std::string::npos || equals == at) {
      return problem(
          Exit::refused,
          fmt::format("Invalid entity config: all configs to be added must be in the format \"key=val\".  ({})",
                      text.substr(at)));
    }
    const bool grouped = equals + 1 < text.size() && text[equals + 1] == '[';
    const size_t from = equals + (grouped ? 2 : 1);
    const size_t end = std::min(text.find(grouped ? ']' : ',', from), text.size());
    all.emplace_back(text.substr(at, equals - at), text.substr(from, end - from));
    at = std::min(text.find(',', end), text.size());
    if (at < text.size()) ++at;
  }
  return all;
}

Exit fail(const std::string& message) {
  fmt::print(stderr, "{}\n", message);
  return Exit::refused;
}
Exit fail(const Problem& problem) {
  return fail(problem.message);
}
Exit fail_with_usage(const std::string& message, const std::string& usage) {
  fmt::print(stderr, "{}\n{}", message, usage);
  return Exit::refused;
}

}  // namespace cli::kafka_tools
