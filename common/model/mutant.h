// A mutant is the code with one safety rule removed, to show that a test or the simulator notices:
//
//   if (reached > committed_ && (reached > leadership_->start() || mutant<"R5-commits-earlier-terms">()))
//
// The switch stands where the rule lives; its name begins with the rule. Only the preset `mutants` has switches at all:
// everywhere else mutant<...>() is the constant false and costs nothing. scripts/mutants finds them, activates one
// after the other and says which survive.
//
// Thread-safe. At most one mutant is active in a process; it is chosen by whoever has main(), never by the code itself.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/mutants_enabled.h"  // generated: constexpr bool mutants_enabled

namespace common::model {

template <size_t Size>
struct MutantName {
  // NOLINTNEXTLINE(google-explicit-constructor): mutant<"..."> is how it is written
  consteval MutantName(const char (&text)[Size]) {
    for (size_t i = 0; i < Size; ++i) chars[i] = text[i];
  }
  [[nodiscard]] constexpr std::string_view view() const { return {chars, Size - 1}; }
  char chars[Size] = {};
};

// One for each name that is linked into the program; registers itself before main().
class MutantSwitch {
 public:
  explicit MutantSwitch(std::string_view name);
  [[nodiscard]] bool is_active() {
    if (!active_.load(std::memory_order_relaxed)) return false;
    times_asked_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

 private:
  friend bool activate_mutant(std::string_view name);
  friend uint64_t times_mutant_was_asked();
  friend std::vector<std::string> mutants_in_this_program();

  std::string_view name_;
  MutantSwitch* next_;
  std::atomic<bool> active_{false};
  std::atomic<uint64_t> times_asked_{0};  // while active
};

// False: this program contains no mutant of that name. The empty name means none.
[[nodiscard]] bool activate_mutant(std::string_view name);
[[nodiscard]] std::vector<std::string> mutants_in_this_program();
// How often the code came by the active one: a mutant that was never asked was not tested.
[[nodiscard]] uint64_t times_mutant_was_asked();

namespace detail {
template <MutantName Name>
inline MutantSwitch mutant_switch{Name.view()};
}  // namespace detail

template <MutantName Name>
[[nodiscard]] constexpr bool mutant() {
  if constexpr (mutants_enabled) {
    return detail::mutant_switch<Name>.is_active();
  } else {
    return false;
  }
}

}  // namespace common::model
