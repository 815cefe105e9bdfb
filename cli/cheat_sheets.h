// Cheat sheets: a subject in five lines that can be typed, for `naru help topics-in-five-lines`.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cli {

struct CheatLine {
  std::string_view command;
  std::string_view what;
};
struct CheatSheet {
  std::string_view name;  // topics-in-five-lines
  std::string_view what;
  std::vector<CheatLine> lines;
};

[[nodiscard]] std::span<const CheatSheet> cheat_sheets();
// Null: there is none of that name.
[[nodiscard]] const CheatSheet* find_cheat_sheet(std::string_view name);
// Commands, and beside each what it does.
[[nodiscard]] std::string text_of(const CheatSheet& sheet);

}  // namespace cli
