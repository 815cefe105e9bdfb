#include "cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "common/model/check.h"

namespace cli {
namespace {

// Characters, not bytes: names may be UTF-8.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

int output_error = 0;  // of the first write that failed and mattered
bool color_is_refused = false;

}  // namespace

void Table::add(std::vector<std::string> cells) {
  NARU_CHECK(cells.size() == columns_.size(), "{} cells in {} columns", cells.size(), columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<size_t> shown;
  std::vector<size_t> widths(columns_.size());
  for (size_t c = 0; c < columns_.size(); ++c) {
    bool filled = !columns_[c].optional;
    widths[c] = width_of(columns_[c].head);
    for (const auto& row : rows_) {
      filled = filled || !row[c].empty();
      widths[c] = std::max(widths[c], std::max<size_t>(width_of(row[c]), 1));
    }
    if (filled) shown.push_back(c);
  }
  std::string out;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (const size_t c : shown) {
      const std::string_view cell = cell_of(c);
      const std::string padding(widths[c] - width_of(cell), ' ');
      if (!line.empty() || c != shown.front()) line += "  ";
      line +=
          columns_[c].align == Align::right ? fmt::format("{}{}", padding, cell) : fmt::format("{}{}", cell, padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  add_line([&](size_t c) -> std::string_view { return columns_[c].head; });
  for (const auto& row : rows_) {
    add_line([&](size_t c) -> std::string_view {
      return row[c].empty() ? std::string_view("-") : std::string_view(row[c]);
    });
  }
  return out;
}

std::string bytes_text(int64_t bytes) {
  constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string duration_text(std::chrono::milliseconds time) {
  const int64_t ms = time.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 120'000) return fmt::format("{} s", ms / 1000);
  if (ms < 7'200'000) return fmt::format("{} min", ms / 60'000);
  if (ms < 172'800'000) return fmt::format("{} h", ms / 3'600'000);
  return fmt::format("{} d", ms / 86'400'000);
}

std::string ids_text(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += fmt::format("{}{}", text.empty() ? "" : ",", id);
  return text;
}

bool is_terminal(int descriptor) {
  return isatty(descriptor) == 1;
}

std::string red(std::string_view text) {
  const char* refused = std::getenv("NO_COLOR");
  const bool plain = color_is_refused || (refused != nullptr && *refused != '\0');
  if (plain || !is_terminal(STDOUT_FILENO)) return std::string(text);
  return fmt::format("\x1b[31m{}\x1b[0m", text);
}

void without_color() {
  color_is_refused = true;
}

bool print_out(std::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return true;
  if (errno != EPIPE && output_error == 0) output_error = errno;
  return false;
}

bool output_is_good() {
  return output_error == 0;
}

Exit after_output(Exit exit) {
  if (output_is_good()) return exit;
  report({.exit = Exit::refused,
          .message = fmt::format("cannot write to standard output: {}", std::strerror(output_error)),
          .next_step = {}});
  return exit == Exit::done || exit == Exit::interrupted ? Exit::refused : exit;
}

Exit report(const Problem& problem) {
  fmt::print(stderr, "naru: {}\n", problem.message);
  if (!problem.next_step.empty()) fmt::print(stderr, "      {}\n", problem.next_step);
  return problem.exit;
}

}  // namespace cli
