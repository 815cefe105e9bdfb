// How answers look: tables for people, JSON of a fixed shape for programs. Data goes to standard output, all else to
// standard error.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "cli/problem.h"

namespace cli {

enum class Align { left, right };

struct Column {
  std::string head;
  Align align = Align::left;
  bool optional = false;  // left out when no row fills it
};

// Upper-case heads, two spaces between columns, numbers to the right, "-" for nothing. Thread-compatible.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// 1.2 GiB, 512 B
std::string bytes_text(int64_t bytes);
// 3 s, 2 min, 5 h
std::string duration_text(std::chrono::milliseconds time);
// "1,2,3"; "-" if empty
std::string ids_text(const std::vector<int32_t>& ids);

bool is_terminal(int descriptor);
// In red on a terminal, unless NO_COLOR is set (to anything) or without_color() was called.
std::string red(std::string_view text);
void without_color();

// Writes all of it; false when it could not: the reader has gone away (a closed pipe), which is no error, or something
// else, which after_output makes one.
bool print_out(std::string_view text);
// Whether all that was printed so far was written, or its reader wanted no more.
bool output_is_good();
// The exit code of the process: that of the command, unless what it printed was not written.
Exit after_output(Exit exit);
// "naru: message" and the next step, to standard error.
Exit report(const Problem& problem);

}  // namespace cli
