// Which build this is.
#pragma once
#include <string_view>

namespace cli {
constexpr std::string_view version_text = NARU_VERSION;
}  // namespace cli
