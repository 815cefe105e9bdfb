#include "common/records/batch_builder.h"

#include <algorithm>

#include "common/model/check.h"
#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/layout.h"

namespace common::records {
namespace {

void append_nullable(std::vector<std::byte>& out, const std::optional<BytesView>& bytes) {
  if (!bytes) {
    append_varint(out, -1);
    return;
  }
  append_varint(out, static_cast<int32_t>(bytes->size()));
  append_bytes(out, *bytes);
}

int16_t attributes_of(const BatchOptions& options) {
  auto attributes = static_cast<int16_t>(options.codec);
  if (options.timestamp_type == TimestampType::log_append_time) attributes |= layout::log_append_time_bit;
  if (options.kind == BatchKind::transactional || options.kind == BatchKind::transactional_control) {
    attributes |= layout::transactional_bit;
  }
  if (options.kind == BatchKind::control || options.kind == BatchKind::transactional_control) {
    attributes |= layout::control_bit;
  }
  return attributes;
}

}  // namespace

void BatchBuilder::add(const NewRecord& record) {
  if (record_count_ == 0) {
    base_timestamp_ = record.timestamp;
    max_timestamp_ = record.timestamp;
  }
  max_timestamp_ = std::max(max_timestamp_, record.timestamp);

  std::vector<std::byte> body;
  body.reserve(32 + (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0));
  body.push_back(std::byte{0});  // attributes: none are defined
  append_varlong(body, record.timestamp.value - base_timestamp_.value);
  append_varint(body, record_count_);
  append_nullable(body, record.key);
  append_nullable(body, record.value);
  append_varint(body, static_cast<int32_t>(record.headers.size()));
  for (const RecordHeader& header : record.headers) {
    append_nullable(body, model::as_bytes(header.name));
    append_nullable(body, header.value);
  }
  append_varint(records_, static_cast<int32_t>(body.size()));
  append_bytes(records_, body);
  ++record_count_;
}

Buffer BatchBuilder::build() {
  NARU_CHECK(record_count_ > 0, "a batch without records");
  std::vector<std::byte> compressed;
  if (options_.codec != Codec::none) compressed = compress(options_.codec, records_, options_.compression);
  const std::vector<std::byte>& records = options_.codec == Codec::none ? records_ : compressed;

  std::vector<std::byte> out(layout::records);
  std::byte* const at = out.data();
  store_be<int64_t>(at + layout::base_offset, options_.base_offset.value);
  store_be<int32_t>(at + layout::batch_length,
                    static_cast<int32_t>(layout::records + records.size() - batch_length_prefix_size));
  store_be<int32_t>(at + layout::leader_epoch, options_.leader_epoch ? options_.leader_epoch->value : -1);
  store_be<int8_t>(at + layout::magic, batch_magic);
  store_be<int16_t>(at + layout::attributes, attributes_of(options_));
  store_be<int32_t>(at + layout::last_offset_delta, record_count_ - 1);
  store_be<int64_t>(at + layout::base_timestamp, base_timestamp_.value);
  store_be<int64_t>(at + layout::max_timestamp, max_timestamp_.value);
  store_be<int64_t>(at + layout::producer_id, options_.producer ? options_.producer->id.value : -1);
  store_be<int16_t>(at + layout::producer_epoch, options_.producer ? options_.producer->epoch.value : int16_t{-1});
  store_be<int32_t>(at + layout::base_sequence, options_.producer ? options_.producer->base_sequence : -1);
  store_be<int32_t>(at + layout::record_count, record_count_);
  append_bytes(out, records);
  store_be<uint32_t>(out.data() + layout::crc, crc32c(BytesView(out).subspan(layout::attributes)));

  records_.clear();
  record_count_ = 0;
  return Buffer::own(std::move(out));
}

Buffer build_end_txn_marker(ProducerId id, ProducerEpoch epoch, const EndTxnMarker& marker, TimestampMs timestamp) {
  BatchOptions options;
  options.kind = BatchKind::transactional_control;
  options.producer = ProducerStamp{id, epoch, -1};
  std::vector<std::byte> key;
  append_be<int16_t>(key, 0);  // version of the control record
  append_be<int16_t>(key, static_cast<int16_t>(marker.type));
  std::vector<std::byte> value;
  append_be<int16_t>(value, 0);
  append_be<int32_t>(value, marker.coordinator_epoch);
  NewRecord record;
  record.timestamp = timestamp;
  record.key = key;
  record.value = value;
  BatchBuilder builder(options);
  builder.add(record);
  return builder.build();
}

}  // namespace common::records
