// Strong types: an offset must not be passed where an epoch is meant.
// Immutable values; no thread rules.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

#include <fmt/format.h>

namespace common::model {

// A number with a meaning and no arithmetic: ids, epochs.
template <class Tag, class Rep>
struct Id {
  using rep = Rep;
  Rep value{};

  constexpr Id() = default;
  explicit constexpr Id(Rep v) : value(v) {}
  friend constexpr auto operator<=>(Id, Id) = default;
  // The one step that ids and epochs allow: the following one.
  [[nodiscard]] constexpr Id next() const { return Id(static_cast<Rep>(value + 1)); }
};

// A position: positions differ by a count, and a count moves a position.
template <class Tag>
struct Position {
  using rep = int64_t;
  int64_t value{};

  constexpr Position() = default;
  explicit constexpr Position(int64_t v) : value(v) {}
  friend constexpr auto operator<=>(Position, Position) = default;
  friend constexpr Position operator+(Position p, int64_t n) { return Position(p.value + n); }
  friend constexpr Position operator-(Position p, int64_t n) { return Position(p.value - n); }
  friend constexpr int64_t operator-(Position a, Position b) { return a.value - b.value; }
  constexpr Position& operator+=(int64_t n) {
    value += n;
    return *this;
  }
  [[nodiscard]] constexpr Position next() const { return Position(value + 1); }
};

template <class T>
concept StrongType = requires(T t) {
  typename T::rep;
  { t.value } -> std::convertible_to<typename T::rep>;
} && std::is_trivially_copyable_v<T>;

}  // namespace common::model

template <common::model::StrongType T>
struct std::hash<T> {
  size_t operator()(T t) const noexcept { return std::hash<typename T::rep>{}(t.value); }
};

template <common::model::StrongType T>
struct fmt::formatter<T> : fmt::formatter<typename T::rep> {
  template <class Context>
  auto format(T t, Context& ctx) const {
    return fmt::formatter<typename T::rep>::format(t.value, ctx);
  }
};
