// Numbers in files of the quorum, most significant byte first; a reader that runs out says so once, at the end.
// Thread-compatible.
#pragma once
#include <cstdint>
#include <vector>

#include "common/model/bytes.h"

namespace controller::quorum {

class ByteWriter {
 public:
  void number(uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  void raw(common::model::BytesView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  [[nodiscard]] common::model::BytesView view() const { return bytes_; }
  [[nodiscard]] common::model::Buffer take() { return common::model::Buffer::own(std::move(bytes_)); }

 private:
  std::vector<std::byte> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(common::model::BytesView bytes) : left_(bytes) {}
  uint64_t number(int bytes) {
    uint64_t value = 0;
    for (const std::byte b : raw(static_cast<size_t>(bytes))) value = value << 8 | std::to_integer<uint64_t>(b);
    return value;
  }
  common::model::BytesView raw(size_t length) {
    if (length > left_.size()) ok_ = false;
    if (!ok_) return {};
    const auto taken = left_.first(length);
    left_ = left_.subspan(length);
    return taken;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] common::model::BytesView rest() const { return left_; }

 private:
  common::model::BytesView left_;
  bool ok_ = true;
};

}  // namespace controller::quorum
