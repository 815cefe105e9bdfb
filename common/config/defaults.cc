#include "common/config/defaults.h"

#include <algorithm>

#include "common/config/values.h"

namespace common::config {

std::optional<std::string> default_value(const Property& property, int voters) {
  const std::string_view key = property.key;
  if (key == "default.replication.factor" || key == "offsets.topic.replication.factor" ||
      key == "transaction.state.log.replication.factor") {
    return std::to_string(std::clamp(voters, 1, 3));
  }
  if (key == "min.insync.replicas" || key == "transaction.state.log.min.isr") return voters >= 3 ? "2" : "1";
  if (!property.default_text) return std::nullopt;
  return std::string(*property.default_text);
}

void set_member(BrokerConfig& config, const Property& property, std::string_view value) {
  value = trimmed(value);
  const auto number = [&] { return parse_integer(value).value_or(0); };
  std::visit(
      [&](auto member) {
        using M = decltype(member);
        if constexpr (std::is_same_v<M, bool BrokerConfig::*>) {
          config.*member = parse_boolean(value).value_or(false);
        } else if constexpr (std::is_same_v<M, int16_t BrokerConfig::*>) {
          config.*member = static_cast<int16_t>(number());
        } else if constexpr (std::is_same_v<M, int32_t BrokerConfig::*>) {
          config.*member = static_cast<int32_t>(number());
        } else if constexpr (std::is_same_v<M, int64_t BrokerConfig::*>) {
          config.*member = number();
        } else if constexpr (std::is_same_v<M, double BrokerConfig::*>) {
          config.*member = parse_real(value).value_or(0);
        } else if constexpr (std::is_same_v<M, milliseconds BrokerConfig::*>) {
          config.*member = bounded_ms(number());
        } else if constexpr (std::is_same_v<M, seconds BrokerConfig::*>) {
          config.*member = seconds(std::min<int64_t>(number(), 3'000'000'000));
        } else if constexpr (std::is_same_v<M, std::optional<milliseconds> BrokerConfig::*>) {
          config.*member = optional_ms(number());
        } else if constexpr (std::is_same_v<M, std::optional<int32_t> BrokerConfig::*>) {
          config.*member = number() < 0 ? std::nullopt : std::optional(static_cast<int32_t>(number()));
        } else if constexpr (std::is_same_v<M, std::string BrokerConfig::*> ||
                             std::is_same_v<M, std::optional<std::string> BrokerConfig::*>) {
          config.*member = std::string(value);
        }
      },
      property.broker_member);
}

}  // namespace common::config
