// How the fuzz targets take a fuzzer's bytes apart: numbers and runs of bytes from the front; zeros once nothing is
// left.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/model/bytes.h"

namespace fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(reinterpret_cast<const std::byte*>(data), size) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }
  uint8_t u8() {
    const auto one = bytes(1);
    return one.empty() ? 0 : std::to_integer<uint8_t>(one[0]);
  }
  uint16_t u16() {
    const auto high = static_cast<uint16_t>(u8() << 8);
    return high | u8();
  }
  // As many as are left, at most.
  common::model::BytesView bytes(size_t count) {
    const auto front = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(front.size());
    return front;
  }
  common::model::BytesView rest() { return bytes(left_.size()); }

 private:
  common::model::BytesView left_;
};

}  // namespace fuzz
