#include "proto/kafka/runtime/reader.h"

namespace kafka {
namespace {

constexpr size_t string_length_max = 0x7fff;

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. Mostly ASCII, so eight bytes at a time first.
bool is_utf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    uint64_t eight = 0;
    if (text.size() - i >= sizeof(eight)) {
      std::memcpy(&eight, text.data() + i, sizeof(eight));
      if ((eight & 0x8080808080808080ull) == 0) {
        i += sizeof(eight);
        continue;
      }
    }
    const auto lead = static_cast<uint8_t>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    size_t more = 0;
    uint32_t point = 0;
    uint32_t least = 0;
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1, point = lead & 0x1fu, least = 0x80;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2, point = lead & 0x0fu, least = 0x800;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3, point = lead & 0x07u, least = 0x10000;
    } else {
      return false;
    }
    if (text.size() - i <= more) return false;
    for (size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<uint8_t>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3fu);
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace

Result<void> Reader::status(std::string_view what) const {
  if (ok()) return {};
  return common::model::fail(ErrorCode::invalid_request, fmt::format("{}: {} ({}) at byte {} of {}", what, failure_,
                                                                     failure_value_, failure_position_, frame_.size()));
}

void Reader::fail(const char* reason, int64_t value) {
  if (failure_ == nullptr) {
    failure_ = reason;
    failure_value_ = value;
    failure_position_ = position();
  }
  at_ = end_;
}

Uuid Reader::uuid() {
  Uuid id;
  if (remaining() < id.bytes.size()) {
    fail("a UUID runs past the end");
    return id;
  }
  std::memcpy(id.bytes.data(), at_, id.bytes.size());
  at_ += id.bytes.size();
  return id;
}

uint32_t Reader::uvarint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (at_ == end_) {
      fail("a varint runs past the end");
      return 0;
    }
    const auto byte = std::to_integer<uint64_t>(*at_++);
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      if (value > UINT32_MAX) break;
      return static_cast<uint32_t>(value);
    }
  }
  fail("a varint is longer than 32 bits");
  return 0;
}

// The length in front of a string, bytes or array; nullopt is null. Not yet compared with what is left.
std::optional<size_t> Reader::length(bool flexible, bool wide) {
  if (flexible) {
    const uint32_t n = uvarint();
    if (n == 0) return std::nullopt;
    return n - 1;
  }
  const int32_t n = wide ? i32() : i16();
  if (n >= 0) return static_cast<size_t>(n);
  if (n != -1) fail("a length is negative", n);
  return std::nullopt;
}

std::optional<std::string_view> Reader::text(bool flexible) {
  const std::optional<size_t> n = length(flexible, false);
  if (!n) return std::nullopt;
  if (*n > remaining() || *n > string_length_max) {
    fail("a string is longer than what is left", static_cast<int64_t>(*n));
    return std::string_view{};
  }
  const std::string_view found(reinterpret_cast<const char*>(at_), *n);
  if (!is_utf8(found)) {
    fail("a string is not UTF-8", static_cast<int64_t>(*n));
    return std::string_view{};
  }
  at_ += *n;
  return found;
}

std::string Reader::string(bool flexible) {
  const std::optional<std::string_view> found = text(flexible);
  if (!found) fail("a string is null where null is not allowed");
  return std::string(found.value_or(std::string_view{}));
}

std::optional<std::string> Reader::nullable_string(bool flexible) {
  const std::optional<std::string_view> found = text(flexible);
  if (!found) return std::nullopt;
  return std::string(*found);
}

std::optional<Buffer> Reader::slice(bool flexible) {
  const std::optional<size_t> n = length(flexible, true);
  if (!n) return std::nullopt;
  if (*n > remaining()) {
    fail("bytes are longer than what is left", static_cast<int64_t>(*n));
    return Buffer{};
  }
  Buffer found = frame_.slice(position(), *n);
  at_ += *n;
  return found;
}

Buffer Reader::bytes(bool flexible) {
  std::optional<Buffer> found = slice(flexible);
  if (!found) fail("bytes are null where null is not allowed");
  return std::move(found).value_or(Buffer{});
}

std::optional<Buffer> Reader::nullable_bytes(bool flexible) {
  return slice(flexible);
}

BufferChain Reader::records(bool flexible) {
  return bytes(flexible);
}

std::optional<BufferChain> Reader::nullable_records(bool flexible) {
  std::optional<Buffer> found = slice(flexible);
  if (!found) return std::nullopt;
  return BufferChain(std::move(*found));
}

std::optional<size_t> Reader::nullable_array_length(bool flexible, size_t element_size_min) {
  const std::optional<size_t> n = length(flexible, true);
  if (n && *n > remaining() / element_size_min) {
    fail("an array is longer than what is left", static_cast<int64_t>(*n));
    return 0;
  }
  if (n && *n > elements_left_) {
    fail("its arrays have more elements than are taken, with one of", static_cast<int64_t>(*n));
    return 0;
  }
  elements_left_ -= n.value_or(0);
  return n;
}

size_t Reader::array_length(bool flexible, size_t element_size_min) {
  const std::optional<size_t> n = nullable_array_length(flexible, element_size_min);
  if (!n) fail("an array is null where null is not allowed");
  return n.value_or(0);
}

bool Reader::struct_follows() {
  const int8_t mark = i8();
  if (mark != -1 && mark != 1) fail("the mark before a nullable struct is neither -1 nor 1", mark);
  return ok() && mark == 1;
}

bool Reader::struct_follows_in_tag() {
  const int8_t mark = i8();
  if (mark < -1 || mark > 1) fail("the mark before a nullable struct is none of -1, 0 and 1", mark);
  return ok() && mark == 1;
}

Reader::Outer Reader::enter(uint32_t size) {
  const Outer outer{end_};
  if (size > remaining()) {
    fail("a tagged field is longer than what is left", size);
  } else {
    end_ = at_ + size;
  }
  return outer;
}

void Reader::leave(Outer outer) {
  if (ok() && at_ != end_) fail("a tagged field is longer than its content", static_cast<int64_t>(remaining()));
  end_ = outer.end;
  if (!ok()) at_ = end_;
}

void Reader::skip(size_t size) {
  if (size > remaining()) {
    fail("a tagged field is longer than what is left", static_cast<int64_t>(size));
    return;
  }
  at_ += size;
}

void Reader::skip_tags() {
  for (uint32_t left = uvarint(); left > 0 && ok(); --left) {
    uvarint();
    skip(uvarint());
  }
}

}  // namespace kafka
