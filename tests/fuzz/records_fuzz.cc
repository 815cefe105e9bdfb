// Record batches, each codec and the producer snapshot against hostile bytes (R110, faults 50, 51): no crash, bounded
// memory, and whatever a producer may append must read back and be acceptable to a follower.
//
// The first byte chooses how the rest is used: as it is; as the records of a batch whose header and checksum are right,
// in one of the codecs, packed or not yet packed; as patches (position, value) to a good batch; as a producer snapshot.
#include <cstddef>
#include <cstdint>

#include "common/records/batch_builder.h"
#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/layout.h"
#include "common/records/producer_state.h"
#include "common/records/validate.h"

using namespace common::records;
using common::model::as_bytes;
using common::model::BytesView;

namespace {

DecompressLimits small_limits() {
  DecompressLimits limits;
  limits.max_output_bytes = 4u << 20;
  limits.always_allowed_bytes = 1u << 20;
  limits.max_record_bytes = 1u << 20;
  return limits;
}

void finish(std::vector<std::byte>& batch) {
  store_be<int32_t>(batch.data() + layout::batch_length, static_cast<int32_t>(batch.size() - batch_length_prefix_size));
  store_be<uint32_t>(batch.data() + layout::crc, crc32c(BytesView(batch).subspan(layout::attributes)));
}

std::vector<std::byte> good_batch(Codec codec) {
  BatchOptions options;
  options.codec = codec;
  options.producer = ProducerStamp{ProducerId(7), ProducerEpoch(1), 3};
  BatchBuilder builder(options);
  NewRecord record;
  record.timestamp = TimestampMs(1000);
  record.key = as_bytes("key");
  record.value = as_bytes("a value, a value, a value");
  record.headers = {{"header", as_bytes("x")}};
  for (int i = 0; i < 3; ++i) builder.add(record);
  const Buffer bytes = builder.build();
  return {bytes.view().begin(), bytes.view().end()};
}

void read_everything(const std::vector<std::byte>& bytes) {
  ProduceLimits limits;
  limits.decompress = small_limits();
  BatchCursor cursor(bytes);
  while (!cursor.at_end()) {
    const auto batch = cursor.next();
    if (!batch) break;
    int32_t seen = 0;
    const auto read = for_each_record(*batch, limits.decompress, [&](const Record&) { ++seen; });
    NARU_CHECK(!read || seen == batch->record_count());
    (void)facts_of(*batch, 0);
  }
  const auto facts = validate_produced(bytes, limits, TimestampMs(2000));
  if (!facts) return;
  const Buffer owned = Buffer::copy_of(BytesView(bytes));
  const Offset next = assign_offsets(owned, {Offset(10), LeaderEpoch(2), std::nullopt});
  NARU_CHECK(for_each_record(*BatchView::parse(owned.view()), limits.decompress, [](const Record&) {}).has_value());
  ReplicatedLimits follower;
  follower.log_end_offset = Offset(10);
  follower.request_epoch = LeaderEpoch(2);
  const auto replicated = validate_replicated(owned.view(), follower);
  NARU_CHECK(replicated.has_value(), "{}", replicated.error().message);
  NARU_CHECK(replicated->back().last_offset().next() == next);
}

void try_snapshot(BytesView rest) {
  std::vector<std::byte> file = {std::byte{0}, std::byte{1}, {}, {}, {}, {}};
  append_bytes(file, rest);
  store_be<uint32_t>(file.data() + 2, crc32c(BytesView(file).subspan(6)));
  const auto table = ProducerStateTable::decode_snapshot(file);
  if (!table) return;
  const auto again = ProducerStateTable::decode_snapshot(table->encode_snapshot());
  NARU_CHECK(again.has_value() && again->encode_snapshot() == table->encode_snapshot());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const unsigned how = data[0] % 20;
  const BytesView rest(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  const auto codec = static_cast<Codec>(how % 5);
  if (how < 15) {
    std::vector<std::byte> batch = good_batch(codec);
    if (how < 10) {
      batch.resize(batch_header_size);
      append_bytes(batch, how < 5 ? std::vector<std::byte>(rest.begin(), rest.end()) : compress(codec, rest));
    } else {
      for (size_t i = 0; i + 3 <= rest.size(); i += 3) {
        batch[load_be<uint16_t>(rest.data() + i) % batch.size()] = rest[i + 2];
      }
    }
    finish(batch);
    read_everything(batch);
  } else if (how < 18) {
    read_everything({rest.begin(), rest.end()});
  } else {
    try_snapshot(rest);
  }
  return 0;
}
