// Where property text comes from: Java's properties format and environment variables.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "common/config/config_load.h"
#include "common/config/values.h"

extern char** environ;

namespace common::config {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\f';
}

std::string_view without_leading_blanks(std::string_view line) {
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  return line;
}

bool continues(std::string_view line) {
  size_t backslashes = 0;
  while (backslashes < line.size() && line[line.size() - 1 - backslashes] == '\\') ++backslashes;
  return backslashes % 2 == 1;
}

// Next line of `text` without its end (\n, \r or \r\n).
std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end);
  if (text.starts_with("\r\n")) {
    text.remove_prefix(2);
  } else if (!text.empty()) {
    text.remove_prefix(1);
  }
  return line;
}

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

// Four hex digits after \u; absent if they are not there.
std::optional<uint32_t> hex4(std::string_view s) {
  if (s.size() < 4) return std::nullopt;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + 4, value, 16);
  if (error != std::errc{} || end != s.data() + 4) return std::nullopt;
  return value;
}

std::string unescaped(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '\\' || i + 1 == s.size()) {
      if (s[i] != '\\') out += s[i];
      continue;
    }
    const char c = s[++i];
    if (c == 'u') {
      std::optional<uint32_t> unit = hex4(s.substr(i + 1));
      if (!unit) {
        out += c;
        continue;
      }
      i += 4;
      // A pair of UTF-16 surrogates is one character.
      if (*unit >= 0xd800 && *unit < 0xdc00 && s.substr(i + 1).starts_with("\\u")) {
        const std::optional<uint32_t> low = hex4(s.substr(i + 3));
        if (low && *low >= 0xdc00 && *low < 0xe000) {
          unit = 0x10000 + ((*unit - 0xd800) << 10) + (*low - 0xdc00);
          i += 6;
        }
      }
      append_utf8(out, *unit);
      continue;
    }
    switch (c) {
      case 't':
        out += '\t';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 'f':
        out += '\f';
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Splits a logical line at the first unescaped '=', ':' or blank.
std::pair<std::string_view, std::string_view> split_entry(std::string_view line) {
  size_t i = 0;
  while (i < line.size() && !is_blank(line[i]) && line[i] != '=' && line[i] != ':') i += line[i] == '\\' ? 2 : 1;
  i = std::min(i, line.size());
  std::string_view value = without_leading_blanks(line.substr(i));
  if (!value.empty() && (value.front() == '=' || value.front() == ':')) value = without_leading_blanks(value.substr(1));
  return {line.substr(0, i), value};
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

std::string lower(std::string_view s) {
  std::string text(s);
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

// Variables of Kafka's images and scripts that are no properties.
constexpr std::array not_properties = {"KAFKA_HOME", "KAFKA_VERSION", "KAFKA_ENABLE_KRAFT"};
// Nor are those of the JVM that Kafka runs in.
constexpr std::array of_the_jvm = {
    "KAFKA_HEAP_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_DEBUG",
    "KAFKA_LOG_DIR_OPTS",
};

}  // namespace

ConfigMap parse_properties(std::string_view text) {
  ConfigMap map;
  while (!text.empty()) {
    const std::string_view first = without_leading_blanks(take_line(text));
    if (first.empty() || first.front() == '#' || first.front() == '!') continue;
    std::string line(first);
    while (continues(line) && !text.empty()) {
      line.pop_back();
      line += without_leading_blanks(take_line(text));
    }
    if (continues(line)) line.pop_back();
    const auto [key, value] = split_entry(line);
    map.insert_or_assign(unescaped(key), unescaped(value));
  }
  return map;
}

tl::expected<ConfigMap, std::string> read_properties_file(const std::string& path) {
  const auto cannot = [&](std::string_view why) {
    return tl::unexpected(fmt::format("cannot read the configuration file {}: {}", path, why));
  };
  // A directory can be opened, and reads as if it were empty. What is not there, opening says.
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  using std::filesystem::file_type;
  if (type == file_type::directory) return cannot("it is a directory");
  if ((type == file_type::character && path != "/dev/null" && path != "/dev/stdin") || type == file_type::block ||
      type == file_type::socket)
    return cannot("it is neither a file nor a pipe");
  std::ifstream file(path, std::ios::binary);
  if (!file) return cannot(std::strerror(errno));
  std::string text;
  std::array<char, 65536> part;
  while (file.read(part.data(), part.size()) || file.gcount() > 0)
    text.append(part.data(), static_cast<size_t>(file.gcount()));
  if (file.bad()) return cannot(std::strerror(errno));
  return parse_properties(text);
}

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) all.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(all.begin(), all.end());
  return all;
}

bool is_of_the_jvm(std::string_view variable) {
  return std::ranges::find(of_the_jvm, variable) != of_the_jvm.end();
}

std::string property_of_variable(std::string_view variable) {
  if (variable == "CLUSTER_ID" || variable == "KAFKA_CLUSTER_ID" || variable == "KAFKA_KRAFT_CLUSTER_ID") {
    return "naru.cluster.id";
  }
  if (std::ranges::find(not_properties, variable) != not_properties.end() || is_of_the_jvm(variable)) return {};
  std::string name;
  if (variable.starts_with("KAFKA_CFG_")) {
    name = lower(variable.substr(10));
    replace_all(name, "_", ".");
  } else if (variable.starts_with("KAFKA_")) {
    name = lower(variable.substr(6));
    replace_all(name, "_", ".");
    replace_all(name, "...", "-");
    replace_all(name, "..", "_");
  }
  return name;
}

}  // namespace common::config
