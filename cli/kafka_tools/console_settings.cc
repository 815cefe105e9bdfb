#include "cli/kafka_tools/console_settings.h"

#include <fmt/format.h>

#include "common/config/config_load.h"

namespace cli::kafka_tools {
namespace {

std::string unescaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    const char meant = next == 't' ? '\t' : next == 'n' ? '\n' : next == 'r' ? '\r' : next == '\\' ? '\\' : '\0';
    out += meant == '\0' ? text[i] : meant;
    if (meant != '\0') ++i;
  }
  return out;
}

}  // namespace

Outcome<Words> parse_words(const std::vector<std::string>& words) {
  Words all;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return problem(Exit::refused, fmt::format("Invalid command line properties: {}", word));
    all[word.substr(0, equals)] = unescaped(word.substr(equals + 1));
  }
  return all;
}

Outcome<void> add_settings(KafkaSettings& settings, const std::string& file, const std::vector<std::string>& words) {
  std::vector<std::string> all;
  if (!file.empty()) {
    const auto read = common::config::read_properties_file(file);
    if (!read) return problem(Exit::refused, read.error());
    for (const auto& [name, value] : *read) all.push_back(fmt::format("{}={}", name, value));
  }
  all.insert(all.end(), words.begin(), words.end());
  settings.set_all(all);
  return {};
}

bool is_true(const Words& words, const std::string& name, bool otherwise) {
  const auto found = words.find(name);
  return found == words.end() ? otherwise : found->second == "true";
}

std::string text_or(const Words& words, const std::string& name, const std::string& otherwise) {
  const auto found = words.find(name);
  return found == words.end() ? otherwise : found->second;
}

}  // namespace cli::kafka_tools
