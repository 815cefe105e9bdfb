// Property text to typed values and back. Only common/config uses it.
#pragma once
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"

namespace common::config {

inline std::string_view trimmed(std::string_view s) {
  constexpr std::string_view blanks = " \t\r\n\f";
  const size_t from = s.find_first_not_of(blanks);
  if (from == std::string_view::npos) return {};
  return s.substr(from, s.find_last_not_of(blanks) - from + 1);
}

// "a, b,,c" -> a b c
inline std::vector<std::string> split_list(std::string_view s) {
  std::vector<std::string> parts;
  while (!s.empty()) {
    const size_t comma = s.find(',');
    const std::string_view part = trimmed(s.substr(0, comma));
    if (!part.empty()) parts.emplace_back(part);
    if (comma == std::string_view::npos) break;
    s.remove_prefix(comma + 1);
  }
  return parts;
}

inline std::optional<int64_t> parse_integer(std::string_view s) {
  s = trimmed(s);
  if (!s.empty() && s.front() == '+') s.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc{} || end != s.data() + s.size()) return std::nullopt;
  return value;
}

inline std::optional<double> parse_real(std::string_view s) {
  const std::string text(trimmed(s));
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

inline std::optional<bool> parse_boolean(std::string_view s) {
  std::string text(trimmed(s));
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

// Longer than any process lives, and still countable in nanoseconds: what "Long.MAX_VALUE ms" becomes.
constexpr milliseconds longest_duration{std::chrono::hours(24 * 365 * 100)};

inline milliseconds bounded_ms(int64_t ms) {
  return ms > longest_duration.count() ? longest_duration : milliseconds(ms);
}
inline std::optional<milliseconds> optional_ms(int64_t ms) {
  if (ms < 0 || ms > longest_duration.count()) return std::nullopt;
  return milliseconds(ms);
}
inline std::optional<int64_t> optional_count(int64_t n) {
  if (n < 0 || n == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return n;
}

}  // namespace common::config
