#include "common/records/record_reader.h"

#include <algorithm>
#include <cstring>

#include "common/records/big_endian.h"

namespace common::records {
namespace {

using model::ErrorCode;
using model::fail;

constexpr size_t window_bytes = 32 * 1024;
constexpr size_t varlong_bytes_max = 10;

// Timestamps of hostile batches may wrap; that is no reason for undefined behaviour.
int64_t add_wrapping(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

model::Unexpected not_a_record(std::string_view why) {
  return fail(ErrorCode::invalid_record, fmt::format("malformed record: {}", why));
}

// False: not a length of bytes that fits, or null where that is not allowed.
bool skip_bytes(BytesView& bytes, bool may_be_null, bool* is_null = nullptr) {
  const std::optional<int64_t> length = take_varlong(bytes);
  if (!length || *length < (may_be_null ? -1 : 0) || *length > static_cast<int64_t>(bytes.size())) return false;
  if (is_null != nullptr) *is_null = *length < 0;
  bytes = bytes.subspan(static_cast<size_t>(std::max<int64_t>(*length, 0)));
  return true;
}

// Of a record that is `bytes` from its attributes on. None: it is not one.
std::optional<RecordShape> shape_within(BytesView bytes) {
  if (bytes.empty()) return std::nullopt;
  bytes = bytes.subspan(1);  // attributes: none are defined
  RecordShape shape;
  const std::optional<int64_t> timestamp = take_varlong(bytes);
  const std::optional<int64_t> offset = take_varlong(bytes);
  if (!timestamp || !offset || *offset < INT32_MIN || *offset > INT32_MAX) return std::nullopt;
  shape.timestamp_delta = *timestamp;
  shape.offset_delta = static_cast<int32_t>(*offset);
  bool no_key = false;
  if (!skip_bytes(bytes, true, &no_key) || !skip_bytes(bytes, true)) return std::nullopt;
  shape.has_key = !no_key;
  const std::optional<int64_t> headers = take_varlong(bytes);
  if (!headers || *headers < 0 || static_cast<uint64_t>(*headers) > bytes.size() / 2) return std::nullopt;
  for (int64_t i = 0; i < *headers; ++i) {
    if (!skip_bytes(bytes, false) || !skip_bytes(bytes, true)) return std::nullopt;
  }
  if (!bytes.empty()) return std::nullopt;
  return shape;
}

}  // namespace

RecordReader::RecordReader(const BatchView& batch, Codec codec, const DecompressLimits& limits)
    : batch_(batch), max_record_bytes_(limits.max_record_bytes) {
  if (codec == Codec::none) {
    window_ = batch.records();
  } else {
    source_ = make_decompressor(codec, batch.records(), limits);
  }
}

// Makes `window_` at least `wanted` long, unless the input ends before.
Result<void> RecordReader::refill(size_t wanted) {
  if (window_.size() >= wanted || !source_) return {};
  if (capacity_ < wanted) {
    const size_t capacity = std::max(wanted, window_bytes);
    std::unique_ptr<std::byte[]> larger(new std::byte[capacity]);  // uninitialised: resident only as far as written
    if (!window_.empty()) std::memcpy(larger.get(), window_.data(), window_.size());
    room_ = std::move(larger);
    capacity_ = capacity;
  } else if (!window_.empty()) {
    std::memmove(room_.get(), window_.data(), window_.size());
  }
  size_t filled = window_.size();
  window_ = BytesView(room_.get(), filled);
  while (filled < wanted) {
    const Result<size_t> n = source_->read({room_.get() + filled, capacity_ - filled});
    if (!n) return tl::unexpected(n.error());
    if (*n == 0) break;
    filled += *n;
    window_ = BytesView(room_.get(), filled);
  }
  return {};
}

Result<bool> RecordReader::at_end() {
  if (Result<void> r = refill(1); !r) return tl::unexpected(std::move(r.error()));
  return window_.empty();
}

Result<int64_t> RecordReader::read_varlong() {
  if (Result<void> r = refill(std::min(left_, varlong_bytes_max)); !r) return tl::unexpected(std::move(r.error()));
  BytesView bytes = window_.first(std::min(left_, window_.size()));
  const size_t before = bytes.size();
  const std::optional<int64_t> value = take_varlong(bytes);
  if (!value) return not_a_record("varint cut short or too long");
  const size_t taken = before - bytes.size();
  window_ = window_.subspan(taken);
  left_ -= taken;
  return *value;
}

// A length of bytes: -1 stands for null.
Result<int32_t> RecordReader::read_length() {
  const Result<int64_t> length = read_varlong();
  if (!length) return tl::unexpected(length.error());
  if (*length < -1 || *length > static_cast<int64_t>(left_)) return not_a_record("length reaches beyond the record");
  return static_cast<int32_t>(*length);
}

Result<void> RecordReader::skip(size_t n) {
  left_ -= n;
  while (n > window_.size()) {
    n -= window_.size();
    window_ = {};
    if (Result<void> r = refill(1); !r) return r;
    if (window_.empty()) return not_a_record("cut short");
  }
  window_ = window_.subspan(n);
  return {};
}

Result<BytesView> RecordReader::take(size_t n) {
  if (Result<void> r = refill(n); !r) return tl::unexpected(std::move(r.error()));
  if (window_.size() < n) return not_a_record("cut short");
  const BytesView taken = window_.first(n);
  window_ = window_.subspan(n);
  left_ -= n;
  return taken;
}

Result<size_t> RecordReader::open_record() {
  left_ = varlong_bytes_max;
  const Result<int64_t> length = read_varlong();
  if (!length) return tl::unexpected(length.error());
  if (*length < 0 || *length > INT32_MAX) return not_a_record("negative or huge length");
  if (!source_ && static_cast<size_t>(*length) > window_.size()) return not_a_record("cut short");
  if (static_cast<size_t>(*length) > max_record_bytes_) {
    return fail(ErrorCode::message_too_large,
                fmt::format("a record of {} bytes, allowed are {}", *length, max_record_bytes_));
  }
  left_ = static_cast<size_t>(*length);
  return left_;
}

// attributes, timestamp, offset
Result<RecordShape> RecordReader::read_head() {
  if (left_ == 0) return not_a_record("empty");
  if (Result<void> r = skip(1); !r) return tl::unexpected(std::move(r.error()));
  const Result<int64_t> timestamp = read_varlong();
  if (!timestamp) return tl::unexpected(timestamp.error());
  const Result<int64_t> offset = read_varlong();
  if (!offset) return tl::unexpected(offset.error());
  if (*offset < INT32_MIN || *offset > INT32_MAX) return not_a_record("offset delta out of range");
  RecordShape shape;
  shape.timestamp_delta = *timestamp;
  shape.offset_delta = static_cast<int32_t>(*offset);
  return shape;
}

Result<int32_t> RecordReader::read_header_count() {
  const Result<int64_t> count = read_varlong();
  if (!count) return tl::unexpected(count.error());
  // A header takes two bytes at least.
  if (*count < 0 || static_cast<uint64_t>(*count) > left_ / 2) return not_a_record("header count");
  return static_cast<int32_t>(*count);
}

// The next record where it lies in the window whole, as nearly every one does, without a result for each of its
// numbers. None, and nothing is taken: it goes on behind the window, or it is malformed and next_shape() finds out what
// is wrong.
std::optional<RecordShape> RecordReader::shape_in_window() {
  BytesView rest = window_;
  const std::optional<int64_t> length = take_varlong(rest);
  if (!length || *length < 0 || static_cast<uint64_t>(*length) > std::min(rest.size(), max_record_bytes_)) return {};
  std::optional<RecordShape> shape = shape_within(rest.first(static_cast<size_t>(*length)));
  if (shape) window_ = rest.subspan(static_cast<size_t>(*length));
  return shape;
}

Result<RecordShape> RecordReader::next_shape() {
  if (const std::optional<RecordShape> shape = shape_in_window()) return *shape;
  if (Result<size_t> r = open_record(); !r) return tl::unexpected(std::move(r.error()));
  Result<RecordShape> shape = read_head();
  if (!shape) return shape;
  const auto skip_bytes = [this]() -> Result<bool> {  // whether it was not null
    const Result<int32_t> length = read_length();
    if (!length) return tl::unexpected(length.error());
    if (*length > 0) {
      if (Result<void> r = skip(static_cast<size_t>(*length)); !r) return tl::unexpected(std::move(r.error()));
    }
    return *length >= 0;
  };
  const Result<bool> key = skip_bytes();
  if (!key) return tl::unexpected(key.error());
  shape->has_key = *key;
  if (Result<bool> value = skip_bytes(); !value) return tl::unexpected(std::move(value.error()));
  const Result<int32_t> headers = read_header_count();
  if (!headers) return tl::unexpected(headers.error());
  for (int32_t i = 0; i < *headers; ++i) {
    const Result<bool> name = skip_bytes();
    if (!name) return tl::unexpected(name.error());
    if (!*name) return not_a_record("header without a name");
    if (Result<bool> value = skip_bytes(); !value) return tl::unexpected(std::move(value.error()));
  }
  if (left_ != 0) return not_a_record("bytes left over");
  return shape;
}

Result<Record> RecordReader::next_record() {
  const Result<size_t> length = open_record();
  if (!length) return tl::unexpected(length.error());
  const Result<BytesView> bytes = take(*length);
  if (!bytes) return tl::unexpected(bytes.error());
  return parse_whole(*bytes);
}

Result<Record> RecordReader::parse_whole(BytesView bytes) {
  const auto take_nullable = [&bytes]() -> Result<std::optional<BytesView>> {
    const std::optional<int32_t> length = take_varint(bytes);
    if (!length || *length < -1 || *length > static_cast<int64_t>(bytes.size())) return not_a_record("length");
    if (*length < 0) return std::optional<BytesView>();
    const BytesView taken = bytes.first(static_cast<size_t>(*length));
    bytes = bytes.subspan(taken.size());
    return std::optional<BytesView>(taken);
  };
  if (bytes.empty()) return not_a_record("empty");
  bytes = bytes.subspan(1);  // attributes: none are defined
  const std::optional<int64_t> timestamp = take_varlong(bytes);
  const std::optional<int32_t> offset = take_varint(bytes);
  if (!timestamp || !offset) return not_a_record("varint cut short or too long");
  const Result<std::optional<BytesView>> key = take_nullable();
  if (!key) return tl::unexpected(key.error());
  const Result<std::optional<BytesView>> value = take_nullable();
  if (!value) return tl::unexpected(value.error());
  const std::optional<int32_t> count = take_varint(bytes);
  if (!count || *count < 0 || static_cast<size_t>(*count) > bytes.size() / 2) return not_a_record("header count");
  headers_.clear();
  for (int32_t i = 0; i < *count; ++i) {
    const Result<std::optional<BytesView>> name = take_nullable();
    if (!name) return tl::unexpected(name.error());
    if (!*name) return not_a_record("header without a name");
    const Result<std::optional<BytesView>> header_value = take_nullable();
    if (!header_value) return tl::unexpected(header_value.error());
    headers_.push_back({model::as_text(**name), *header_value});
  }
  if (!bytes.empty()) return not_a_record("bytes left over");

  Record record;
  record.offset = Offset(add_wrapping(batch_.base_offset().value, *offset));
  record.timestamp = batch_.timestamp_type() == TimestampType::log_append_time
                         ? batch_.max_timestamp()
                         : TimestampMs(add_wrapping(batch_.base_timestamp().value, *timestamp));
  record.key = *key;
  record.value = *value;
  record.header_list = &headers_;
  return record;
}

}  // namespace common::records
