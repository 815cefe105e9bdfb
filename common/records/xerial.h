// The block framing around snappy that Java's library began and most clients speak:
//   stream = magic:8 bytes version:i32=1 compatible:i32=1 { length:i32 snappy_block }      all big-endian
// Readers ignore the two numbers: some writers got their byte order wrong.
#pragma once
#include <array>
#include <cstring>

#include "common/model/bytes.h"

namespace common::records::xerial {

inline constexpr std::array<uint8_t, 8> magic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
inline constexpr size_t header_size = 16;
inline constexpr size_t block_size = 32 * 1024;  // what Java writes

inline bool starts_with_header(model::BytesView bytes) {
  return bytes.size() >= header_size && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

}  // namespace common::records::xerial
