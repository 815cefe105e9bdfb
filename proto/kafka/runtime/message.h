// What every generated message offers, and the four calls with which it is used:
//
//   Result<T> decode<T>(reader, version)          the fields of T; bytes and records are slices of the reader's frame
//   Result<BufferChain> encode(message, version)
//   decode_versioned / encode_versioned           the same behind an int16 version (persisted values, member metadata)
//   decode_key / encode_key                       the same behind an int16 record type (keys of the internal topics)
//
// A version outside [min_version, max_version] is UNSUPPORTED_VERSION. Bytes after the message are left alone, as
// Kafka does. Generated per schema are only read() and write(), which do not check the version.
#pragma once
#include <algorithm>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "proto/kafka/runtime/reader.h"
#include "proto/kafka/runtime/writer.h"

namespace kafka {

// first_flexible of a message that has no flexible version.
constexpr int16_t never_flexible = std::numeric_limits<int16_t>::max();

// How much of an array of `n` elements is reserved before any of them was seen: a peer's claim buys no memory.
inline size_t first_reserve(size_t n) {
  return std::min<size_t>(n, 64);
}

template <class T>
concept Message = requires(Reader& reader, Writer& writer, T& out, const T& in, int16_t version) {
  { T::message_name } -> std::convertible_to<const char*>;
  { T::min_version } -> std::convertible_to<int16_t>;
  { T::max_version } -> std::convertible_to<int16_t>;
  { T::first_flexible } -> std::convertible_to<int16_t>;
  read(reader, out, version);
  write(writer, in, version);
};

// UNSUPPORTED_VERSION in words.
Error version_error(const char* message, int16_t version, int16_t min, int16_t max);

template <Message T>
Result<T> decode(Reader& reader, int16_t version) {
  if (version < T::min_version || version > T::max_version) {
    return tl::unexpected(version_error(T::message_name, version, T::min_version, T::max_version));
  }
  T out;
  read(reader, out, version);
  if (Result<void> status = reader.status(T::message_name); !status) return tl::unexpected(std::move(status.error()));
  return out;
}

template <Message T>
Result<T> decode(const Buffer& frame, int16_t version) {
  Reader reader(frame);
  return decode<T>(reader, version);
}

// Appends to `writer`, whose finish() answers errors in the values.
template <Message T>
void encode(Writer& writer, const T& in, int16_t version) {
  if (version < T::min_version || version > T::max_version) {
    Error error = version_error(T::message_name, version, T::min_version, T::max_version);
    writer.fail(error.code, std::move(error.message));
    return;
  }
  write(writer, in, version);
}

template <Message T>
Result<BufferChain> encode(const T& in, int16_t version) {
  Writer writer;
  encode(writer, in, version);
  return writer.finish();
}

template <Message T>
Result<Buffer> encode_versioned(const T& in, int16_t version) {
  Writer writer;
  writer.i16(version);
  encode(writer, in, version);
  return writer.finish().map([](const BufferChain& chain) { return chain.flatten(); });
}

template <Message T>
Result<T> decode_versioned(const Buffer& frame) {
  Reader reader(frame);
  const int16_t version = reader.i16();
  if (Result<void> status = reader.status(T::message_name); !status) return tl::unexpected(std::move(status.error()));
  return decode<T>(reader, version);
}

// The record type at the start of a key of __consumer_offsets or __transaction_state.
Result<int16_t> record_type_of(const Buffer& key);

template <Message T>
  requires requires { T::record_type; }
Result<Buffer> encode_key(const T& in) {
  Writer writer;
  writer.i16(T::record_type);
  encode(writer, in, T::max_version);
  return writer.finish().map([](const BufferChain& chain) { return chain.flatten(); });
}

// `key` begins with T's record type (see record_type_of).
template <Message T>
  requires requires { T::record_type; }
Result<T> decode_key(const Buffer& key) {
  Reader reader(key);
  if (reader.i16() != T::record_type) reader.fail("the record type is another one", T::record_type);
  if (Result<void> status = reader.status(T::message_name); !status) return tl::unexpected(std::move(status.error()));
  return decode<T>(reader, T::max_version);
}

}  // namespace kafka
