// Kafka's flags of one tool: which there are, and where their values go. The one place of kafka_tools that knows CLI11.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/client/cluster.h"
#include "cli/commands.h"

namespace cli::kafka_tools {

class Flags {
 public:
  Flags(const std::string& tool, const std::string& what);
  ~Flags();
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;

  // Names as on the command line, several separated by commas: "--bootstrap-server,--broker-list".
  void toggle(const std::string& names, bool& into, const std::string& help);
  void text(const std::string& names, std::string& into, const std::string& help);
  void texts(const std::string& names, std::vector<std::string>& into, const std::string& help);  // given several times
  void number(const std::string& names, std::optional<int64_t>& into, const std::string& help);
  // A flag with a value that says nothing here: taken and dropped.
  void ignored(const std::string& names);
  // A word without dashes, as `describe` of kafka-metadata-quorum.
  void word(const std::string& name, std::string& into, const std::string& help);

  // The exit code if it is all over already: help was printed, or what is wrong was said.
  std::optional<Exit> parse(int argc, const char* const* argv);
  [[nodiscard]] std::string usage() const;

 private:
  struct Parser;
  // Which commands of naru do what was asked for and is not known here.
  [[nodiscard]] std::string instead_of_refused() const;
  std::unique_ptr<Parser> parser_;
};

// How a tool finds the cluster: --bootstrap-server and the file of --command-config.
struct Target {
  std::string brokers;
  std::string config_file;
  void add_to(Flags& flags);
  // Without the address, or with a protocol that this client does not speak: the problem.
  [[nodiscard]] Outcome<client::Cluster> open() const;
};

// "a=b,c=[d,e]": Kafka's list of settings, where brackets group a value with commas.
Outcome<std::vector<std::pair<std::string, std::string>>> parse_settings(const std::string& text);

// Kafka's tools know the exit codes 0 and 1 only. Says what is wrong on standard error.
Exit fail(const std::string& message);
Exit fail(const Problem& problem);
// The same with the usage below, as Kafka's printUsageAndExit.
Exit fail_with_usage(const std::string& message, const std::string& usage);

}  // namespace cli::kafka_tools
