#include "proto/kafka/runtime/writer.h"

#include <algorithm>

namespace kafka {
namespace {
constexpr size_t string_length_max = 0x7fff;
}

Result<BufferChain> Writer::finish() {
  cut();
  BufferChain done = std::exchange(chain_, BufferChain{});
  if (error_) return tl::unexpected(std::move(*error_));
  return done;
}

void Writer::fail(ErrorCode code, std::string message) {
  if (!error_) error_ = Error{code, std::move(message)};
}

void Writer::unsupported(const char* field, int16_t version) {
  fail(ErrorCode::unsupported_version, fmt::format("version {} cannot carry {}", version, field));
}

void Writer::uvarint(uint32_t v) {
  std::byte encoded[5];
  size_t n = 0;
  for (; v >= 0x80; v >>= 7) encoded[n++] = static_cast<std::byte>(v | 0x80);
  encoded[n++] = static_cast<std::byte>(v);
  copy(encoded, n);
}

void Writer::length(size_t n, bool flexible) {
  if (n >= INT32_MAX) {
    fail(ErrorCode::invalid_request, fmt::format("{} bytes or elements do not fit a length field", n));
    n = 0;
  }
  if (flexible) {
    uvarint(static_cast<uint32_t>(n) + 1);
  } else {
    i32(static_cast<int32_t>(n));
  }
}

void Writer::string(std::string_view v, bool flexible) {
  if (v.size() > string_length_max) {
    fail(ErrorCode::invalid_request, fmt::format("a string of {} bytes exceeds {}", v.size(), string_length_max));
    return;
  }
  if (flexible) {
    uvarint(static_cast<uint32_t>(v.size()) + 1);
  } else {
    i16(static_cast<int16_t>(v.size()));
  }
  copy(v.data(), v.size());
}

void Writer::null_string(bool flexible) {
  if (flexible) {
    uvarint(0);
  } else {
    i16(-1);
  }
}

void Writer::nullable_string(const std::optional<std::string>& v, bool flexible) {
  if (v) {
    string(*v, flexible);
  } else {
    null_string(flexible);
  }
}

void Writer::null(bool flexible) {
  if (flexible) {
    uvarint(0);
  } else {
    i32(-1);
  }
}

void Writer::bytes(const Buffer& v, bool flexible) {
  length(v.size(), flexible);
  raw(v);
}

void Writer::nullable_bytes(const std::optional<Buffer>& v, bool flexible) {
  if (v) {
    bytes(*v, flexible);
  } else {
    null(flexible);
  }
}

void Writer::records(const BufferChain& v, bool flexible) {
  length(v.size(), flexible);
  for (const Buffer& part : v.parts()) raw(part);
}

void Writer::nullable_records(const std::optional<BufferChain>& v, bool flexible) {
  if (v) {
    records(*v, flexible);
  } else {
    null(flexible);
  }
}

void Writer::array_length(size_t n, bool flexible) {
  length(n, flexible);
}

void Writer::raw(const Buffer& v) {
  if (v.size() < splice_min) {
    copy(v.data(), v.size());
    return;
  }
  cut();
  chain_.append(v);
}

void Writer::tagged(uint32_t tag, Writer&& content) {
  uvarint(tag);
  uvarint(static_cast<uint32_t>(content.size()));
  Result<BufferChain> done = content.finish();
  if (!done) {
    fail(done.error().code, std::move(done.error().message));
    return;
  }
  for (const Buffer& part : done->parts()) raw(part);
}

void Writer::copy(const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  while (size > 0) {
    if (at_ == end_) grow(1);
    const size_t now = std::min(size, static_cast<size_t>(end_ - at_));
    std::memcpy(at_, bytes, now);
    at_ += now;
    bytes += now;
    size -= now;
  }
}

// Starts a block that has room for `needed` bytes in one piece; the rest of the old one stays unused.
void Writer::grow(size_t needed) {
  cut();
  const size_t size = std::max(next_block_, needed);
  next_block_ = std::min(size * 2, block_max);
  block_.reset(new std::byte[size]);
  from_ = at_ = block_.get();
  end_ = from_ + size;
}

void Writer::cut() {
  if (from_ == at_) return;
  chain_.append(Buffer(block_, BytesView(from_, static_cast<size_t>(at_ - from_))));
  from_ = at_;
}

}  // namespace kafka
