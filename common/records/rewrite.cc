#include "common/records/rewrite.h"

#include <algorithm>
#include <vector>

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

void append_record(std::vector<std::byte>& out, std::vector<std::byte>& body, const Record& record,
                   int64_t timestamp_delta, int32_t offset_delta) {
  body.clear();
  body.push_back(std::byte{0});  // attributes: none are defined
  append_varlong(body, timestamp_delta);
  append_varint(body, offset_delta);
  append_nullable(body, record.key);
  append_nullable(body, record.value);
  append_varint(body, static_cast<int32_t>(record.headers().size()));
  for (const RecordHeader& header : record.headers()) {
    append_nullable(body, model::as_bytes(header.name));
    append_nullable(body, header.value);
  }
  append_varint(out, static_cast<int32_t>(body.size()));
  append_bytes(out, body);
}

int64_t difference(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

// What changes in the header.
struct Header {
  int16_t attributes = 0;
  TimestampMs base_timestamp;
  TimestampMs max_timestamp;
  int32_t record_count = 0;
};

Buffer with_header(const BatchView& batch, const Header& header, BytesView records) {
  std::vector<std::byte> out(batch.bytes().begin(), batch.bytes().begin() + batch_header_size);
  append_bytes(out, records);
  std::byte* const at = out.data();
  store_be<int32_t>(at + layout::batch_length, static_cast<int32_t>(out.size() - batch_length_prefix_size));
  store_be<int16_t>(at + layout::attributes, header.attributes);
  store_be<int64_t>(at + layout::base_timestamp, header.base_timestamp.value);
  store_be<int64_t>(at + layout::max_timestamp, header.max_timestamp.value);
  store_be<int32_t>(at + layout::record_count, header.record_count);
  store_be<uint32_t>(at + layout::crc, crc32c(BytesView(out).subspan(layout::attributes)));
  return Buffer::own(std::move(out));
}

}  // namespace

Result<Rewritten> rewrite(const BatchView& batch, const KeepRecord& keep, const RewriteOptions& options) {
  std::vector<bool> stays;
  Rewritten result;
  bool has_tombstones = false;
  TimestampMs newest(-1);
  Result<void> walked = for_each_record(batch, {}, [&](const Record& record) {
    const bool kept = keep(record);
    stays.push_back(kept);
    if (!kept) return;
    ++result.kept;
    has_tombstones |= !record.value;
    newest = std::max(newest, record.timestamp);
  });
  if (!walked) return tl::unexpected(walked.error());
  const bool sets_horizon = has_tombstones && options.delete_horizon && !batch.delete_horizon();
  const bool is_whole = result.kept == static_cast<int32_t>(stays.size());
  if (result.kept == 0 || (is_whole && !sets_horizon)) return result;

  const TimestampMs base = sets_horizon ? *options.delete_horizon : batch.base_timestamp();
  // Of a batch that was stamped at the append, the deltas mean nothing and stay what they were.
  const bool own_times = batch.timestamp_type() == TimestampType::create_time;
  std::vector<std::byte> records;
  std::vector<std::byte> body;
  size_t i = 0;
  walked = for_each_record(batch, {}, [&](const Record& record) {
    if (!stays[i++]) return;
    append_record(records, body, record, own_times ? difference(record.timestamp.value, base.value) : 0,
                  static_cast<int32_t>(record.offset - batch.base_offset()));
  });
  if (!walked) return tl::unexpected(walked.error());

  // The topic's codec may take much more than the producer's did; a batch must not grow beyond what fits a segment, and
  // what replication carries. With its own codec it grows as far as the producer's level was higher than ours: then
  // rather more than has to stay than what no follower could fetch.
  constexpr size_t may_grow_to = 64u << 10;
  Codec codec = options.codec.value_or(*batch.codec());
  std::vector<std::byte> stored = codec == Codec::none ? records : compress(codec, records, options.compression);
  if (codec != *batch.codec() &&
      batch_header_size + stored.size() > std::max<size_t>(batch.size_bytes(), may_grow_to)) {
    codec = *batch.codec();
    stored = codec == Codec::none ? std::move(records) : compress(codec, records, {});
  }
  if (batch_header_size + stored.size() > std::max(batch.size_bytes(), options.batch_bytes_max)) return result;
  Header header;
  header.attributes = static_cast<int16_t>((batch.attributes() & ~layout::codec_mask) | static_cast<int16_t>(codec) |
                                           (sets_horizon ? layout::delete_horizon_bit : 0));
  header.base_timestamp = base;
  header.max_timestamp = own_times ? newest : batch.max_timestamp();
  header.record_count = result.kept;
  result.batch = with_header(batch, header, stored);
  return result;
}

Result<Buffer> recompress(const BatchView& batch, Codec codec, const CompressOptions& compression,
                          size_t uncompressed_max) {
  const std::optional<Codec> from = batch.codec();
  if (!from) return model::fail(model::ErrorCode::unsupported_compression_type, "unknown codec");
  Result<std::vector<std::byte>> records = decompress(*from, batch.records(), {.max_output_bytes = uncompressed_max});
  if (!records) return tl::unexpected(std::move(records.error()));
  if (codec != Codec::none) *records = compress(codec, *records, compression);
  Header header;
  header.attributes = static_cast<int16_t>((batch.attributes() & ~layout::codec_mask) | static_cast<int16_t>(codec));
  header.base_timestamp = batch.base_timestamp();
  header.max_timestamp = batch.max_timestamp();
  header.record_count = batch.record_count();
  return with_header(batch, header, *records);
}

Buffer without_records(const BatchView& batch) {
  Header header;
  // No record, no timestamp: lookups by time must not be led here.
  header.attributes = static_cast<int16_t>(batch.attributes() & ~(layout::codec_mask | layout::delete_horizon_bit));
  header.base_timestamp = header.max_timestamp = TimestampMs(-1);
  return with_header(batch, header, {});
}

}  // namespace common::records
