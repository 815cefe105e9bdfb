// 128-bit ids of topics, directories, incarnations and clusters, printed as Kafka prints them
// (22 characters of URL-safe base64). Immutable value.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace common::model {

struct Uuid {
  std::array<uint8_t, 16> bytes{};

  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
  [[nodiscard]] constexpr bool is_zero() const { return *this == Uuid{}; }

  // Big-endian halves, as Kafka writes them.
  static Uuid from_halves(uint64_t high, uint64_t low);
  [[nodiscard]] uint64_t high() const;
  [[nodiscard]] uint64_t low() const;

  // URL-safe base64 without padding; parse accepts exactly what to_string gives.
  [[nodiscard]] std::string to_string() const;
  static std::optional<Uuid> parse(std::string_view text);
};

// Stamps version 4 into 16 random bytes and avoids a leading '-' in the text, as Kafka does.
Uuid random_uuid(uint64_t random_high, uint64_t random_low);

}  // namespace common::model

template <>
struct std::hash<common::model::Uuid> {
  size_t operator()(const common::model::Uuid& u) const noexcept {
    return u.high() ^ (u.low() * 0x9e3779b97f4a7c15ull);
  }
};

template <>
struct fmt::formatter<common::model::Uuid> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const common::model::Uuid& u, Context& ctx) const {
    return fmt::formatter<std::string>::format(u.to_string(), ctx);
  }
};
