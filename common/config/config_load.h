// From text to BrokerConfig: server.properties, KAFKA_* and KAFKA_CFG_* variables, --set, in that order of growing
// weight; then defaults that follow from other values; then the rules between values.
// Pure but for read_properties_file; thread-safe.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "common/config/config.h"
#include "common/config/config_table.h"

namespace common::config {

struct ConfigSources {
  ConfigMap file;  // parse_properties
  std::vector<std::pair<std::string, std::string>>
      environment;                // all variables of the process; others than ours are skipped
  std::vector<std::string> sets;  // "name=value", as given to --set
};

struct LoadedConfig {
  BrokerConfig config;
  std::vector<std::string>
      warnings;  // sentences for the log; at most one about unknown names, one about names without effect, one
                 // about variables of the JVM
  size_t warnings_about_names = 0;  // so many of the first are those two
};

// Each message names a property, its value and what is allowed. Never empty when returned as an error.
using ConfigProblems = std::vector<std::string>;

tl::expected<LoadedConfig, ConfigProblems> load_config(const ConfigSources& sources);

// Java's properties format: # and ! comments, = : or blank between key and value, backslash escapes, continued lines.
ConfigMap parse_properties(std::string_view text);
tl::expected<ConfigMap, std::string> read_properties_file(const std::string& path);
// The variables of this process.
std::vector<std::pair<std::string, std::string>> process_environment();
// KAFKA_A_B -> a.b, "__" -> "_", "___" -> "-"; KAFKA_CFG_A_B -> a.b. Empty: not a property (KAFKA_HEAP_OPTS, PATH,
// ...).
std::string property_of_variable(std::string_view variable);
// KAFKA_HEAP_OPTS and others, which files for Kafka's image set, and which say nothing to a program without a JVM.
bool is_of_the_jvm(std::string_view variable);

// What differs from the defaults, "key=value", for the one line at start (secrets hidden).
std::vector<std::string> given_lines(const BrokerConfig& config);
// All that was given, a line each: used, or ignored and why (secrets hidden).
std::vector<std::string> checked_lines(const ConfigMap& given);
// docs/configuration.md; a test compares.
std::string configuration_reference();

}  // namespace common::config
