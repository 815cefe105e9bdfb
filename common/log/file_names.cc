#include "common/log/file_names.h"

#include <charconv>

#include <fmt/format.h>

namespace common::log {

std::string file_path(std::string_view directory, model::Offset base, std::string_view suffix) {
  return fmt::format("{}/{:020}{}", directory, base.value, suffix);
}

std::optional<model::Offset> offset_in_name(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  if (name.size() != 20) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (error != std::errc() || end != name.data() + name.size() || value < 0) return std::nullopt;
  return model::Offset(value);
}

}  // namespace common::log
