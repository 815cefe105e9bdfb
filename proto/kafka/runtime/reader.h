// Takes Kafka's wire types out of a frame. It exists so that every length a peer claims is compared with the bytes that
// are really there, in one place, before anything is allocated or read (R109).
//
// Errors are sticky: the first one is kept, every later call answers zero or empty at once, loops over arrays end
// because their length is 0, and whoever started the decoding asks status() once at the end. Generated code therefore
// needs no check per field.
//
// Few bytes can claim many elements, and an element takes more in memory than on the wire: whoever reads what anybody
// may send bounds how many it takes with allow_elements().
//
// bytes() and records() answer slices that share the frame's memory. Thread-compatible.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/uuid.h"

namespace kafka {

using common::model::Buffer;
using common::model::BufferChain;
using common::model::BytesView;
using common::model::Error;
using common::model::ErrorCode;
using common::model::Result;
using common::model::Uuid;

class Reader {
 public:
  explicit Reader(Buffer frame) : frame_(std::move(frame)), at_(frame_.data()), end_(frame_.data() + frame_.size()) {}

  [[nodiscard]] bool ok() const { return failure_ == nullptr; }
  [[nodiscard]] size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  [[nodiscard]] size_t position() const { return static_cast<size_t>(at_ - frame_.data()); }
  // INVALID_REQUEST with a sentence that names `what`, or success.
  [[nodiscard]] Result<void> status(std::string_view what) const;
  // `reason` is a literal; the first failure wins.
  void fail(const char* reason, int64_t value = 0);
  // How many elements all arrays together may have from here on; without this as many as the frame holds.
  void allow_elements(size_t max) { elements_left_ = max; }

  int8_t i8() { return fixed<int8_t>(); }
  int16_t i16() { return fixed<int16_t>(); }
  uint16_t u16() { return fixed<uint16_t>(); }
  int32_t i32() { return fixed<int32_t>(); }
  uint32_t u32() { return fixed<uint32_t>(); }
  int64_t i64() { return fixed<int64_t>(); }
  double f64() { return std::bit_cast<double>(fixed<uint64_t>()); }
  bool boolean() { return fixed<int8_t>() != 0; }
  ErrorCode error_code() { return static_cast<ErrorCode>(fixed<int16_t>()); }
  Uuid uuid();
  uint32_t uvarint();

  // `flexible` selects the compact form. The non-nullable ones fail on null. Strings must be UTF-8: they end up in
  // Protobuf, JSON and logs.
  std::string string(bool flexible);
  std::optional<std::string> nullable_string(bool flexible);
  Buffer bytes(bool flexible);
  std::optional<Buffer> nullable_bytes(bool flexible);
  BufferChain records(bool flexible);
  std::optional<BufferChain> nullable_records(bool flexible);

  // How many elements follow; `element_size_min` is the least that one of them takes on the wire, so that a length the
  // rest of the frame cannot hold is refused. nullopt is null.
  size_t array_length(bool flexible, size_t element_size_min);
  std::optional<size_t> nullable_array_length(bool flexible, size_t element_size_min);
  // The byte before a nullable struct: true when the struct follows.
  bool struct_follows();
  // The same inside a tag section, where Kafka writes null as 0 instead of -1.
  bool struct_follows_in_tag();

  // One tagged field is read in a frame of its own: `enter` narrows the reader to `size` bytes, `leave` insists that
  // they were all used and widens it again.
  struct Outer {
    const std::byte* end;
  };
  [[nodiscard]] Outer enter(uint32_t size);
  void leave(Outer outer);
  void skip(size_t size);
  // A whole tag section of which nothing is known.
  void skip_tags();

 private:
  template <class T>
  T fixed() {
    if (remaining() < sizeof(T)) [[unlikely]] {
      fail("a number runs past the end", sizeof(T));
      return T{};
    }
    std::make_unsigned_t<T> raw = 0;
    std::memcpy(&raw, at_, sizeof(T));
    at_ += sizeof(T);
    if constexpr (sizeof(T) == 2) raw = __builtin_bswap16(raw);
    if constexpr (sizeof(T) == 4) raw = __builtin_bswap32(raw);
    if constexpr (sizeof(T) == 8) raw = __builtin_bswap64(raw);
    return static_cast<T>(raw);
  }
  std::optional<size_t> length(bool flexible, bool wide);
  std::optional<Buffer> slice(bool flexible);
  std::optional<std::string_view> text(bool flexible);

  Buffer frame_;
  const std::byte* at_;
  const std::byte* end_;
  size_t elements_left_ = std::numeric_limits<size_t>::max();
  // Null while all is well. After a failure at_ == end_.
  const char* failure_ = nullptr;
  int64_t failure_value_ = 0;
  size_t failure_position_ = 0;
};

static_assert(std::endian::native == std::endian::little,
              "the wire is big-endian; the swaps assume a little-endian CPU");

}  // namespace kafka
