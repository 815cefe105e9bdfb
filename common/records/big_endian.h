// Numbers as Kafka writes them: big-endian, and zigzag varints. Pure; any thread.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "common/model/bytes.h"

namespace common::records {

template <class T>
[[nodiscard]] T load_be(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (sizeof(T) == 2) value = static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(value)));
  if constexpr (sizeof(T) == 4) value = static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)));
  if constexpr (sizeof(T) == 8) value = static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(value)));
  return value;
}
static_assert(std::endian::native == std::endian::little, "load_be swaps always");

template <class T>
void store_be(std::byte* to, T value) {
  const T swapped = load_be<T>(reinterpret_cast<const std::byte*>(&value));
  std::memcpy(to, &swapped, sizeof swapped);
}

template <class T>
void append_be(std::vector<std::byte>& out, T value) {
  const size_t at = out.size();
  out.resize(at + sizeof value);
  store_be(out.data() + at, value);
}

inline void append_bytes(std::vector<std::byte>& out, model::BytesView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

inline void append_varlong(std::vector<std::byte>& out, int64_t value) {
  uint64_t zigzag = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  while (zigzag >= 0x80) {
    out.push_back(static_cast<std::byte>(zigzag | 0x80));
    zigzag >>= 7;
  }
  out.push_back(static_cast<std::byte>(zigzag));
}
inline void append_varint(std::vector<std::byte>& out, int32_t value) {
  append_varlong(out, value);
}

// Takes a zigzag varint of at most 10 bytes off the front of `bytes`. None, with `bytes` unchanged, if it is cut short
// or too long.
[[nodiscard]] inline std::optional<int64_t> take_varlong(model::BytesView& bytes) {
  uint64_t zigzag = 0;
  for (size_t i = 0; i < bytes.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (i == 9 && byte > 1) return std::nullopt;  // past 64 bits
    zigzag |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes = bytes.subspan(i + 1);
      return static_cast<int64_t>(zigzag >> 1) ^ -static_cast<int64_t>(zigzag & 1);
    }
  }
  return std::nullopt;
}
[[nodiscard]] inline std::optional<int32_t> take_varint(model::BytesView& bytes) {
  model::BytesView rest = bytes;
  const std::optional<int64_t> value = take_varlong(rest);
  if (!value || *value < INT32_MIN || *value > INT32_MAX) return std::nullopt;
  bytes = rest;
  return static_cast<int32_t>(*value);
}

}  // namespace common::records
