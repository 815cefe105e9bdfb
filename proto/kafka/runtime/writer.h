// Puts Kafka's wire types into a chain of buffers: small fields are collected in blocks that the writer owns, large
// byte and record fields become links of the chain without being copied (a fetch answer refers to the log's bytes).
//
// Errors are sticky as in Reader: a value that the version cannot carry is noted and finish() answers it.
// Thread-compatible.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proto/kafka/runtime/reader.h"

namespace kafka {

class Writer {
 public:
  // `size_hint`: about how many bytes will be owned (not spliced).
  explicit Writer(size_t size_hint = 256) : next_block_(size_hint < block_min ? block_min : size_hint) {}

  [[nodiscard]] bool ok() const { return !error_; }
  [[nodiscard]] size_t size() const { return chain_.size() + static_cast<size_t>(at_ - from_); }
  // The chain, or the first error. The writer is empty afterwards.
  [[nodiscard]] Result<BufferChain> finish();
  // A field that this version does not have holds a value that must not be dropped.
  void unsupported(const char* field, int16_t version);
  void fail(ErrorCode code, std::string message);

  void i8(int8_t v) { fixed(v); }
  void i16(int16_t v) { fixed(v); }
  void u16(uint16_t v) { fixed(v); }
  void i32(int32_t v) { fixed(v); }
  void u32(uint32_t v) { fixed(v); }
  void i64(int64_t v) { fixed(v); }
  void f64(double v) { fixed(std::bit_cast<uint64_t>(v)); }
  void boolean(bool v) { fixed(static_cast<int8_t>(v ? 1 : 0)); }
  void error_code(ErrorCode v) { fixed(static_cast<int16_t>(v)); }
  void uuid(const Uuid& v) { copy(v.bytes.data(), v.bytes.size()); }
  void uvarint(uint32_t v);

  void string(std::string_view v, bool flexible);
  void nullable_string(const std::optional<std::string>& v, bool flexible);
  void null_string(bool flexible);
  void bytes(const Buffer& v, bool flexible);
  void nullable_bytes(const std::optional<Buffer>& v, bool flexible);
  void records(const BufferChain& v, bool flexible);
  void nullable_records(const std::optional<BufferChain>& v, bool flexible);
  void array_length(size_t n, bool flexible);
  // Null bytes, null records or a null array.
  void null(bool flexible);

  // Without a length in front: copied when small, spliced otherwise.
  void raw(const Buffer& v);
  // One tagged field: its number, its size, then what `content` holds.
  void tagged(uint32_t tag, Writer&& content);

 private:
  static constexpr size_t block_min = 128;
  static constexpr size_t block_max = 64 * 1024;
  // Below this a copy is cheaper than a link in the chain.
  static constexpr size_t splice_min = 512;

  template <class T>
  void fixed(T v) {
    auto raw = static_cast<std::make_unsigned_t<T>>(v);
    if constexpr (sizeof(T) == 2) raw = __builtin_bswap16(raw);
    if constexpr (sizeof(T) == 4) raw = __builtin_bswap32(raw);
    if constexpr (sizeof(T) == 8) raw = __builtin_bswap64(raw);
    if (static_cast<size_t>(end_ - at_) < sizeof(T)) [[unlikely]]
      grow(sizeof(T));
    std::memcpy(at_, &raw, sizeof(T));
    at_ += sizeof(T);
  }
  void copy(const void* data, size_t size);
  void grow(size_t needed);
  void cut();
  void length(size_t n, bool flexible);

  // What is written lies in chain_, then in [from_, at_) of block_; end_ is the end of block_.
  BufferChain chain_;
  std::shared_ptr<std::byte[]> block_;
  std::byte* from_ = nullptr;
  std::byte* at_ = nullptr;
  std::byte* end_ = nullptr;
  size_t next_block_;
  std::optional<Error> error_;
};

}  // namespace kafka
