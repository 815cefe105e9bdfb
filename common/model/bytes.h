// Bytes that travel without being copied: a Buffer is a slice of memory that it keeps alive, a BufferChain a list of
// slices. A produced batch is one Buffer from the socket to the segment, the tail cache, the followers and consumers.
// Immutable once shared; copying a Buffer copies a reference. Thread-safe as shared_ptr is.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/model/check.h"

namespace common::model {

using BytesView = std::span<const std::byte>;

inline BytesView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Buffer {
 public:
  Buffer() = default;
  // `owner` keeps `bytes` alive.
  Buffer(std::shared_ptr<const void> owner, BytesView bytes) : owner_(std::move(owner)), bytes_(bytes) {}

  static Buffer copy_of(BytesView bytes) {
    if (bytes.empty()) return {};
    std::shared_ptr<std::byte[]> memory(new std::byte[bytes.size()]);
    std::memcpy(memory.get(), bytes.data(), bytes.size());
    const BytesView view(memory.get(), bytes.size());
    return {std::move(memory), view};
  }
  static Buffer copy_of(std::string_view text) { return copy_of(as_bytes(text)); }
  static Buffer own(std::vector<std::byte> bytes) {
    auto held = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    const BytesView view(held->data(), held->size());
    return {std::move(held), view};
  }
  static Buffer own(std::string text) {
    auto held = std::make_shared<const std::string>(std::move(text));
    const BytesView view = as_bytes(*held);
    return {std::move(held), view};
  }

  [[nodiscard]] BytesView view() const { return bytes_; }
  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] std::string_view text() const { return as_text(bytes_); }
  [[nodiscard]] const std::shared_ptr<const void>& owner() const { return owner_; }

  // Shares the owner. The range must lie inside.
  [[nodiscard]] Buffer slice(size_t from, size_t length) const {
    NARU_CHECK(from <= size() && length <= size() - from, "slice {}+{} of {}", from, length, size());
    return {owner_, bytes_.subspan(from, length)};
  }
  [[nodiscard]] Buffer slice(size_t from) const { return slice(from, size() - from); }

 private:
  std::shared_ptr<const void> owner_;
  BytesView bytes_;
};

class BufferChain {
 public:
  BufferChain() = default;
  BufferChain(Buffer one) { append(std::move(one)); }  // NOLINT: a buffer is a chain of one

  void append(Buffer b) {
    if (b.empty()) return;
    size_ += b.size();
    parts_.push_back(std::move(b));
  }
  void append(BufferChain other) {
    for (Buffer& b : other.parts_) append(std::move(b));
  }

  [[nodiscard]] const std::vector<Buffer>& parts() const { return parts_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  // One contiguous buffer: copies unless the chain has a single part.
  [[nodiscard]] Buffer flatten() const {
    if (parts_.empty()) return {};
    if (parts_.size() == 1) return parts_.front();
    std::vector<std::byte> all;
    all.reserve(size_);
    for (const Buffer& b : parts_) all.insert(all.end(), b.view().begin(), b.view().end());
    return Buffer::own(std::move(all));
  }

 private:
  std::vector<Buffer> parts_;
  size_t size_ = 0;
};

}  // namespace common::model
