// Big-endian numbers in files. Pure.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace common::log {

template <class T>
void store_big_endian(std::byte* out, T value) {
  auto bits = static_cast<std::make_unsigned_t<T>>(value);
  for (size_t i = sizeof(T); i-- > 0; bits = static_cast<decltype(bits)>(bits >> 8))
    out[i] = static_cast<std::byte>(bits & 0xff);
}

template <class T>
T load_big_endian(const std::byte* in) {
  std::make_unsigned_t<T> bits = 0;
  for (size_t i = 0; i < sizeof(T); ++i)
    bits = static_cast<decltype(bits)>((bits << 8) | std::to_integer<uint8_t>(in[i]));
  return static_cast<T>(bits);
}

}  // namespace common::log
