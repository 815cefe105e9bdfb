// A well-formed request with some of its bytes changed, and perhaps cut:
//
//   input = count:u8 { position:u16 value:u8 }...
#pragma once
#include <algorithm>
#include <vector>

#include "fuzz/input.h"

namespace fuzz {

enum class Cut : bool { no, where_the_last_position_was };

inline std::vector<std::byte> damaged_frame(const std::vector<std::byte>& good, Cut cut, Input& input) {
  constexpr size_t kept = 8;  // API key, version and correlation id: other APIs need more than the fixture has
  std::vector<std::byte> bad = good;
  size_t at = bad.size();
  for (unsigned left = input.u8() % 16; left > 0; --left) {
    at = kept + input.u16() % (bad.size() - kept);
    bad[at] = std::byte{input.u8()};
  }
  if (cut != Cut::no) bad.resize(std::min(bad.size(), at + 1));
  return bad;
}

}  // namespace fuzz
