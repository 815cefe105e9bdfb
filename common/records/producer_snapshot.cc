// The producer snapshot file, to the byte as Kafka writes it, so that either reads the other's directory:
//
//   file      = version:i16=1 crc:u32 count:i32 { producer } [ extension ]          crc covers everything after itself
//   producer  = id:i64 epoch:i16 last_sequence:i32 last_offset:i64 offset_delta:i32 timestamp:i64
//               coordinator_epoch:i32 txn_first_offset:i64                          -1 where there is none
//   extension = magic:u32="NARU" version:i16=1 count:i32 { older } count:i32 { undecided }
//   older     = id:i64 last_append_time:i64 n:i8 { last_sequence:i32 last_offset:i64 offset_delta:i32 timestamp:i64 }
//   undecided = txn_first_offset:i64 marker_offset:i64
//
// Kafka keeps a producer's newest batch only and stops reading after `count` producers; the extension holds what a
// restart must not forget: the four before it (R85), the append time (R88), and which end markers were not yet below
// the high watermark (R94).
#include <algorithm>

#include "common/model/mutant.h"
#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/producer_state.h"

namespace common::records {

using common::model::mutant;

namespace {

using model::ErrorCode;
using model::fail;

constexpr int16_t version = 1;
constexpr size_t crc_at = 2;
constexpr size_t covered_from = 6;
constexpr size_t producer_bytes = 46;
constexpr uint32_t extension_magic = 0x4e415255;  // "NARU"
constexpr int16_t extension_version = 1;
constexpr size_t older_bytes_min = 17;
constexpr size_t older_batch_bytes = 24;
constexpr size_t undecided_bytes = 16;

class Input {
 public:
  explicit Input(BytesView bytes) : bytes_(bytes) {}
  // 0 once the bytes have run out; ok() tells.
  template <class T>
  T take() {
    if (bytes_.size() < sizeof(T)) {
      ok_ = false;
      return 0;
    }
    const T value = load_be<T>(bytes_.data());
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] size_t left() const { return bytes_.size(); }

 private:
  BytesView bytes_;
  bool ok_ = true;
};

}  // namespace

std::vector<std::byte> ProducerStateTable::encode_snapshot() const {
  std::vector<const std::pair<const ProducerId, Producer>*> sorted;
  for (const auto& entry : producers_) sorted.push_back(&entry);
  std::ranges::sort(sorted, {}, [](const auto* entry) { return entry->first; });

  std::vector<std::byte> out;
  out.reserve(covered_from + 4 + sorted.size() * (producer_bytes + older_bytes_min) + 10);
  append_be<int16_t>(out, version);
  append_be<uint32_t>(out, 0);  // the checksum, below
  append_be<int32_t>(out, static_cast<int32_t>(sorted.size()));
  for (const auto* entry : sorted) {
    const Producer& producer = entry->second;
    Batch newest{-1, 0, Offset(-1), producer.last_append_time};
    if (producer.batch_count > 0) newest = producer.batches[producer.batch_count - 1];
    append_be<int64_t>(out, entry->first.value);
    append_be<int16_t>(out, producer.epoch.value);
    append_be<int32_t>(out, newest.last_sequence);
    append_be<int64_t>(out, newest.last_offset.value);
    append_be<int32_t>(out, newest.offset_delta);
    append_be<int64_t>(out, newest.timestamp.value);
    append_be<int32_t>(out, producer.coordinator_epoch.value_or(-1));
    append_be<int64_t>(out, producer.txn_first_offset.value_or(Offset(-1)).value);
  }

  append_be<uint32_t>(out, extension_magic);
  append_be<int16_t>(out, extension_version);
  append_be<int32_t>(out, static_cast<int32_t>(sorted.size()));
  for (const auto* entry : sorted) {
    const Producer& producer = entry->second;
    const size_t older = producer.batch_count > 0 ? producer.batch_count - 1 : 0;
    append_be<int64_t>(out, entry->first.value);
    append_be<int64_t>(out, producer.last_append_time.value);
    append_be<int8_t>(out, static_cast<int8_t>(older));
    for (size_t i = 0; i < older; ++i) {
      append_be<int32_t>(out, producer.batches[i].last_sequence);
      append_be<int64_t>(out, producer.batches[i].last_offset.value);
      append_be<int32_t>(out, producer.batches[i].offset_delta);
      append_be<int64_t>(out, producer.batches[i].timestamp.value);
    }
  }
  append_be<int32_t>(out, static_cast<int32_t>(unreplicated_.size()));
  for (const auto& [first, marker] : unreplicated_) {
    append_be<int64_t>(out, first.value);
    append_be<int64_t>(out, marker.value);
  }
  store_be<uint32_t>(out.data() + crc_at, crc32c(BytesView(out).subspan(covered_from)));
  return out;
}

// Reads the parts of a file into a table. Each says what is wrong with it, or nothing.
struct ProducerStateTable::SnapshotReader {
  using Wrong = std::optional<std::string_view>;

  Batch take_batch() {
    Batch batch;
    batch.last_sequence = in.take<int32_t>();
    batch.last_offset = Offset(in.take<int64_t>());
    batch.offset_delta = in.take<int32_t>();
    batch.timestamp = TimestampMs(in.take<int64_t>());
    return batch;
  }

  Wrong take_producers() {
    const auto count = in.take<int32_t>();
    if (count < 0 || static_cast<size_t>(count) > in.left() / producer_bytes) return "count";
    for (int32_t i = 0; i < count; ++i) {
      const ProducerId id(in.take<int64_t>());
      Producer producer;
      producer.epoch = ProducerEpoch(in.take<int16_t>());
      const Batch newest = take_batch();
      producer.last_append_time = newest.timestamp;
      if (newest.last_sequence >= 0) remember(producer, newest);
      const auto coordinator_epoch = in.take<int32_t>();
      if (coordinator_epoch >= 0) producer.coordinator_epoch = coordinator_epoch;
      const Offset txn_first_offset(in.take<int64_t>());
      if (txn_first_offset >= Offset(0)) {
        producer.txn_first_offset = txn_first_offset;
        if (!table.open_.emplace(txn_first_offset, id).second) return "two transactions at one offset";
      }
      if (!table.producers_.try_emplace(id, producer).second) return "a producer twice";
    }
    return std::nullopt;
  }

  Wrong take_older_batches() {
    const auto count = in.take<int32_t>();
    if (count < 0 || static_cast<size_t>(count) > in.left() / older_bytes_min) return "extension";
    for (int32_t i = 0; i < count; ++i) {
      const auto found = table.producers_.find(ProducerId(in.take<int64_t>()));
      if (found == table.producers_.end()) return "extension names an unknown producer";
      Producer& producer = found->second;
      producer.last_append_time = TimestampMs(in.take<int64_t>());
      const auto older = in.take<int8_t>();
      if (older < 0 || static_cast<size_t>(older) >= batches_kept ||
          static_cast<size_t>(older) > in.left() / older_batch_bytes) {
        return "extension";
      }
      const Producer before = producer;
      producer.batch_count = 0;
      for (int8_t n = 0; n < older; ++n) remember(producer, take_batch());
      if (before.batch_count > 0) remember(producer, before.batches[0]);
    }
    return std::nullopt;
  }

  Wrong take_undecided() {
    const auto count = in.take<int32_t>();
    if (count < 0 || static_cast<size_t>(count) > in.left() / undecided_bytes) return "extension";
    for (int32_t i = 0; i < count; ++i) {
      const Offset first(in.take<int64_t>());
      table.unreplicated_.emplace(first, Offset(in.take<int64_t>()));
    }
    return std::nullopt;
  }

  Input in;
  ProducerStateTable& table;
};

Result<ProducerStateTable> ProducerStateTable::decode_snapshot(BytesView file) {
  const auto corrupt = [](std::string_view why) {
    return fail(ErrorCode::corrupt_message, fmt::format("producer snapshot: {}", why));
  };
  if (file.size() < covered_from + 4) return corrupt("cut short");
  if (load_be<int16_t>(file.data()) != version) return corrupt("unknown version");
  if (load_be<uint32_t>(file.data() + crc_at) != crc32c(file.subspan(covered_from)) &&
      !mutant<"R84-reads-a-damaged-snapshot">()) {
    return corrupt("checksum does not match");
  }

  ProducerStateTable table;
  SnapshotReader reader{Input(file.subspan(covered_from)), table};
  Input& in = reader.in;
  if (const auto wrong = reader.take_producers()) return corrupt(*wrong);
  if (in.left() == 0) return table;
  if (in.take<uint32_t>() != extension_magic || in.take<int16_t>() != extension_version) return table;  // not ours
  if (const auto wrong = reader.take_older_batches()) return corrupt(*wrong);
  if (const auto wrong = reader.take_undecided()) return corrupt(*wrong);
  if (!in.ok() || in.left() != 0) return corrupt("length");
  return table;
}

}  // namespace common::records
