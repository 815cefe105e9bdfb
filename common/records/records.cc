#include "common/records/batch.h"
#include "common/records/big_endian.h"
#include "common/records/record_reader.h"

namespace common::records {
namespace {

using model::ErrorCode;
using model::fail;

}  // namespace

namespace detail {

Result<void> visit_records(const BatchView& batch, const DecompressLimits& limits, void* f, RecordVisitor visitor) {
  const std::optional<Codec> codec = batch.codec();
  if (!codec) return fail(ErrorCode::unsupported_compression_type, fmt::format("codec {}", batch.attributes() & 7));
  const int32_t count = batch.record_count();
  if (count < 0) return fail(ErrorCode::invalid_record, fmt::format("record count {}", count));

  if (batch.last_offset_delta() < 0 || batch.base_offset() < Offset(0) || batch.next_offset() <= batch.base_offset()) {
    return fail(ErrorCode::invalid_record,
                fmt::format("batch from offset {} to {}", batch.base_offset(), batch.last_offset()));
  }
  RecordReader reader(batch, *codec, limits);
  Offset least = batch.base_offset();
  const Offset last = batch.last_offset();
  for (int32_t i = 0; i < count; ++i) {
    const Result<Record> record = reader.next_record();
    if (!record) return tl::unexpected(record.error());
    // Compaction leaves gaps, never disorder.
    if (record->offset < least || record->offset > last) {
      return fail(ErrorCode::invalid_record,
                  fmt::format("record {} has offset {}, expected {} to {}", i, record->offset, least, last));
    }
    least = record->offset.next();
    if (visitor(f, *record) == Visit::stop) return {};
  }
  const Result<bool> at_end = reader.at_end();
  if (!at_end) return tl::unexpected(at_end.error());
  if (!*at_end) return fail(ErrorCode::invalid_record, fmt::format("more than the declared {} records", count));
  return {};
}

}  // namespace detail

Result<std::optional<EndTxnMarker>> end_txn_marker_in(const BatchView& batch) {
  if (!batch.is_control()) return fail(ErrorCode::invalid_record, "not a control batch");
  std::optional<EndTxnMarker> marker;
  bool is_malformed = false;
  const auto look = [&](const Record& record) {
    constexpr size_t key_size = 4;
    constexpr size_t value_size = 6;
    if (!record.key || record.key->size() < key_size) {
      is_malformed = true;
      return Visit::stop;
    }
    const auto type = load_be<int16_t>(record.key->data() + 2);
    if (type != static_cast<int16_t>(MarkerType::abort) && type != static_cast<int16_t>(MarkerType::commit)) {
      return Visit::stop;
    }
    if (!record.value || record.value->size() < value_size) {
      is_malformed = true;
      return Visit::stop;
    }
    marker = EndTxnMarker{static_cast<MarkerType>(type), load_be<int32_t>(record.value->data() + 2)};
    return Visit::stop;
  };
  if (Result<void> r = for_each_record(batch, {}, look); !r) return tl::unexpected(std::move(r.error()));
  if (is_malformed) return fail(ErrorCode::invalid_record, "malformed control record");
  return marker;
}

}  // namespace common::records
