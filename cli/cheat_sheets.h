// Five lines for those who know what they want and not what it is called here: `naru help topics-in-five-lines`.
// Pure; thread-safe.
#pragma once
#include <span>
#include <string_view>

namespace cli {

struct CheatSheet {
  std::string_view name;
  std::string_view lines;  // commands that work as they stand there, each with a word on what it does
};
std::span<const CheatSheet> cheat_sheets();

}  // namespace cli
