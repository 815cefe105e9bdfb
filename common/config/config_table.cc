#include "common/config/config_table.h"

#include <algorithm>
#include <unordered_map>

#include "common/config/edit_distance.h"
#include "common/config/table_rows.h"
#include "common/config/values.h"
#include "common/model/check.h"

namespace common::config {
namespace {

using model::ErrorCode;
using model::fail;
using model::Result;

struct Table {
  std::vector<Property> rows;
  std::unordered_map<std::string_view, const Property*> by_key;

  explicit Table(std::vector<Property> all) : rows(std::move(all)) {
    std::sort(rows.begin(), rows.end(), [](const Property& a, const Property& b) { return a.key < b.key; });
    for (const Property& row : rows) {
      NARU_CHECK(by_key.emplace(row.key, &row).second, "property {} has two rows", row.key);
    }
  }
  const Property* find(std::string_view key) const {
    const auto it = by_key.find(key);
    return it == by_key.end() ? nullptr : it->second;
  }
};

const Table& broker_table() {
  static const Table table([] {
    std::vector<Property> rows = used_broker_rows();
    for (Property& row : naru_rows()) rows.push_back(std::move(row));
    for (Property& row : accepted_broker_rows()) rows.push_back(std::move(row));
    return rows;
  }());
  return table;
}

const Table& topic_table() {
  static const Table table(topic_rows());
  return table;
}

std::optional<std::string_view> nearest(std::span<const Property> rows, std::string_view key) {
  size_t limit = std::max<size_t>(2, key.size() / 4);
  std::optional<std::string_view> found;
  for (const Property& row : rows) {
    const size_t distance = edit_distance(key, row.key, limit);
    if (distance > limit || (found && distance == limit)) continue;
    limit = distance;
    found = row.key;
  }
  return found;
}

struct NumberLimits {
  int64_t min, max;
};
NumberLimits limits_of(ValueType type) {
  switch (type) {
    case ValueType::int16:
      return {std::numeric_limits<int16_t>::min(), std::numeric_limits<int16_t>::max()};
    case ValueType::int32:
      return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    default:
      return {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  }
}

bool is_allowed_word(const Property& property, std::string_view word) {
  if (property.allowed.empty()) return true;
  const std::vector<std::string> words = split_list(property.allowed);
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool value_fits(const Property& property, std::string_view value) {
  switch (property.type) {
    case ValueType::boolean: {
      const std::optional<bool> parsed = parse_boolean(value);
      return parsed && is_allowed_word(property, *parsed ? "true" : "false");
    }
    case ValueType::int16:
    case ValueType::int32:
    case ValueType::int64: {
      const std::optional<int64_t> number = parse_integer(value);
      const NumberLimits limits = limits_of(property.type);
      return number && *number >= property.min.value_or(limits.min) && *number >= limits.min &&
             *number <= property.max.value_or(limits.max) && *number <= limits.max && number != property.except;
    }
    case ValueType::real: {
      const std::optional<double> number = parse_real(value);
      return number && (!property.min || *number >= static_cast<double>(*property.min)) &&
             (!property.max || *number <= static_cast<double>(*property.max));
    }
    case ValueType::list: {
      const std::vector<std::string> words = split_list(value);
      return std::all_of(words.begin(), words.end(),
                         [&](const std::string& w) { return is_allowed_word(property, w); });
    }
    case ValueType::string:
    case ValueType::klass:
    case ValueType::password:
      return is_allowed_word(property, trimmed(value));
  }
  return false;
}

std::string range_text(const Property& property, std::string_view what) {
  const NumberLimits limits = limits_of(property.type);
  const bool narrow = property.type == ValueType::int16 || property.type == ValueType::int32;
  const std::optional<int64_t> max = property.max ? property.max : narrow ? std::optional(limits.max) : std::nullopt;
  const std::string except = property.except ? fmt::format(", but not {}", *property.except) : "";
  if (property.min && max) return fmt::format("{} from {} to {}{}", what, *property.min, *max, except);
  if (property.min) return fmt::format("{}, at least {}{}", what, *property.min, except);
  if (max) return fmt::format("{}, at most {}{}", what, *max, except);
  return std::string(what) + except;
}

}  // namespace

std::span<const Property> broker_properties() {
  return broker_table().rows;
}
std::span<const Property> topic_properties() {
  return topic_table().rows;
}

const Property* find_broker_property(std::string_view key) {
  if (key == "broker.id") key = "node.id";
  if (const Property* found = broker_table().find(key)) return found;
  // listener.name.{name}.{property}: a property for one listener.
  constexpr std::string_view prefix = "listener.name.";
  if (key.starts_with(prefix)) {
    key.remove_prefix(prefix.size());
    for (size_t dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.')) {
      key.remove_prefix(dot + 1);
      if (const Property* found = broker_table().find(key)) return found;
    }
  }
  return nullptr;
}
const Property* find_topic_property(std::string_view key) {
  return topic_table().find(key);
}

std::optional<std::string_view> nearest_broker_property(std::string_view key) {
  return nearest(broker_properties(), key);
}
std::optional<std::string_view> nearest_topic_property(std::string_view key) {
  return nearest(topic_properties(), key);
}

std::string allowed_text(const Property& property) {
  switch (property.type) {
    case ValueType::boolean:
      return property.allowed.empty() ? "true or false" : fmt::format("only {}", property.allowed);
    case ValueType::int16:
    case ValueType::int32:
    case ValueType::int64:
      return range_text(property, "a whole number");
    case ValueType::real:
      return range_text(property, "a number");
    case ValueType::list:
      return property.allowed.empty() ? "a list, separated by commas" : fmt::format("a list of: {}", property.allowed);
    case ValueType::string:
    case ValueType::klass:
    case ValueType::password:
      return property.allowed.empty() ? "any text" : fmt::format("one of: {}", property.allowed);
  }
  return {};
}

Result<void> check_value(const Property& property, std::string_view value) {
  if (value_fits(property, value)) return {};
  const std::string_view shown = property.type == ValueType::password ? "(hidden)" : value;
  return fail(ErrorCode::invalid_config, fmt::format("{}={}: must be {}", property.key, shown, allowed_text(property)));
}

}  // namespace common::config
