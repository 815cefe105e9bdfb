#include "common/records/crc32c.h"

#include <algorithm>

#include <isa-l/crc.h>

namespace common::records {

uint32_t crc32c_extend(uint32_t crc, model::BytesView more) {
  // crc32_iscsi takes an int length and wants the running value uncomplemented.
  constexpr size_t piece_max = 1u << 30;
  uint32_t running = ~crc;
  while (!more.empty()) {
    const size_t n = std::min(more.size(), piece_max);
    auto* bytes =
        reinterpret_cast<unsigned char*>(const_cast<std::byte*>(more.data()));  // not written: old C signature
    running = crc32_iscsi(bytes, static_cast<int>(n), running);
    more = more.subspan(n);
  }
  return ~running;
}

uint32_t crc32c(model::BytesView bytes) {
  return crc32c_extend(0, bytes);
}

}  // namespace common::records
