#include "common/records/batch.h"

#include <algorithm>

#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/layout.h"

namespace common::records {

using model::ErrorCode;
using model::fail;

int32_t sequence_after(int32_t sequence, int32_t steps) {
  return static_cast<int32_t>((static_cast<uint32_t>(sequence) + static_cast<uint32_t>(steps)) & 0x7fffffffu);
}
int32_t sequence_before(int32_t sequence, int32_t steps) {
  return static_cast<int32_t>((static_cast<uint32_t>(sequence) - static_cast<uint32_t>(steps)) & 0x7fffffffu);
}

std::optional<size_t> BatchView::size_at(BytesView bytes) {
  if (bytes.size() < batch_length_prefix_size) return std::nullopt;
  const auto length = load_be<int32_t>(bytes.data() + layout::batch_length);
  // The smallest record of formats 0 and 1 is 14 bytes; let those through so that parse() can name the format.
  if (length < 14) return std::nullopt;
  return batch_length_prefix_size + static_cast<size_t>(length);
}

Result<BatchView> BatchView::parse_header(BytesView bytes) {
  const std::optional<size_t> size = size_at(bytes);
  if (!size) {
    return fail(ErrorCode::corrupt_message,
                bytes.size() < batch_length_prefix_size
                    ? fmt::format("{} bytes are too few for a batch", bytes.size())
                    : fmt::format("batch length {}", load_be<int32_t>(bytes.data() + layout::batch_length)));
  }
  if (bytes.size() <= layout::magic) return fail(ErrorCode::corrupt_message, "batch header cut short");
  const auto magic = static_cast<int8_t>(bytes[layout::magic]);
  if (magic == 0 || magic == 1) {
    return fail(ErrorCode::unsupported_for_message_format, fmt::format("message format {} is not supported", magic));
  }
  if (magic != batch_magic) return fail(ErrorCode::corrupt_message, fmt::format("batch magic {}", magic));
  if (*size < batch_header_size) return fail(ErrorCode::corrupt_message, fmt::format("batch of {} bytes", *size));
  if (bytes.size() < batch_header_size) return fail(ErrorCode::corrupt_message, "batch header cut short");
  return BatchView(bytes.first(std::min(*size, bytes.size())));
}

Result<BatchView> BatchView::parse(BytesView bytes) {
  Result<BatchView> batch = parse_header(bytes);
  if (batch && batch->size_bytes() > bytes.size()) {
    return fail(ErrorCode::corrupt_message,
                fmt::format("batch of {} bytes in a buffer of {}", batch->size_bytes(), bytes.size()));
  }
  return batch;
}

size_t BatchView::size_bytes() const {
  return batch_length_prefix_size + static_cast<size_t>(load_be<int32_t>(bytes_.data() + layout::batch_length));
}
Offset BatchView::base_offset() const {
  return Offset(load_be<int64_t>(bytes_.data() + layout::base_offset));
}
Offset BatchView::last_offset() const {
  return Offset(static_cast<int64_t>(static_cast<uint64_t>(base_offset().value) +
                                     static_cast<uint64_t>(int64_t{last_offset_delta()})));
}
Offset BatchView::next_offset() const {
  return Offset(static_cast<int64_t>(static_cast<uint64_t>(last_offset().value) + 1));
}
LeaderEpoch BatchView::leader_epoch() const {
  return LeaderEpoch(load_be<int32_t>(bytes_.data() + layout::leader_epoch));
}
int8_t BatchView::magic() const {
  return static_cast<int8_t>(bytes_[layout::magic]);
}
uint32_t BatchView::crc() const {
  return load_be<uint32_t>(bytes_.data() + layout::crc);
}
bool BatchView::crc_ok() const {
  return crc() == crc32c(bytes_.subspan(layout::attributes));
}
int16_t BatchView::attributes() const {
  return load_be<int16_t>(bytes_.data() + layout::attributes);
}
std::optional<Codec> BatchView::codec() const {
  return codec_from(attributes() & layout::codec_mask);
}
TimestampType BatchView::timestamp_type() const {
  return (attributes() & layout::log_append_time_bit) != 0 ? TimestampType::log_append_time
                                                           : TimestampType::create_time;
}
bool BatchView::is_transactional() const {
  return (attributes() & layout::transactional_bit) != 0;
}
bool BatchView::is_control() const {
  return (attributes() & layout::control_bit) != 0;
}
int32_t BatchView::last_offset_delta() const {
  return load_be<int32_t>(bytes_.data() + layout::last_offset_delta);
}
TimestampMs BatchView::base_timestamp() const {
  return TimestampMs(load_be<int64_t>(bytes_.data() + layout::base_timestamp));
}
TimestampMs BatchView::max_timestamp() const {
  return TimestampMs(load_be<int64_t>(bytes_.data() + layout::max_timestamp));
}
std::optional<TimestampMs> BatchView::delete_horizon() const {
  if ((attributes() & layout::delete_horizon_bit) == 0) return std::nullopt;
  return base_timestamp();
}
TimestampMs BatchView::largest_timestamp() const {
  // A delete horizon in the place of the base timestamp says nothing of the records.
  if (timestamp_type() == TimestampType::log_append_time || delete_horizon()) return max_timestamp();
  return std::max(base_timestamp(), max_timestamp());
}
std::optional<ProducerStamp> BatchView::producer() const {
  const auto id = load_be<int64_t>(bytes_.data() + layout::producer_id);
  if (id < 0) return std::nullopt;
  ProducerStamp stamp;
  stamp.id = ProducerId(id);
  stamp.epoch = ProducerEpoch(load_be<int16_t>(bytes_.data() + layout::producer_epoch));
  stamp.base_sequence = load_be<int32_t>(bytes_.data() + layout::base_sequence);
  return stamp;
}
int32_t BatchView::record_count() const {
  return load_be<int32_t>(bytes_.data() + layout::record_count);
}

Result<BatchView> BatchCursor::next() {
  Result<BatchView> batch = BatchView::parse(bytes_.subspan(position_));
  if (batch) position_ += batch->size_bytes();
  return batch;
}

Result<std::vector<BatchView>> batches_in(BytesView bytes) {
  std::vector<BatchView> all;
  BatchCursor cursor(bytes);
  while (!cursor.at_end()) {
    Result<BatchView> batch = cursor.next();
    if (!batch) return tl::unexpected(std::move(batch.error()));
    all.push_back(*batch);
  }
  return all;
}

}  // namespace common::records
