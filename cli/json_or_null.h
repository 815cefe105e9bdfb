// What is not known is null in every JSON answer.
#pragma once
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace cli {

template <class T>
[[nodiscard]] nlohmann::ordered_json or_null(const std::optional<T>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}
// Of a text that is empty where nobody can know.
[[nodiscard]] inline nlohmann::ordered_json known_or_null(std::string_view text) {
  return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
}

}  // namespace cli
