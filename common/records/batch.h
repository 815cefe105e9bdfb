// Kafka's record batch, format 2: views of what lies in a buffer, without a copy. What a producer sent is what is
// stored, replicated and consumed; only the fields in the first line below are written by a broker.
//
//   batch   = base_offset:i64 batch_length:i32 leader_epoch:i32 magic:i8=2 crc:u32
//             attributes:i16 last_offset_delta:i32 base_timestamp:i64 max_timestamp:i64
//             producer_id:i64 producer_epoch:i16 base_sequence:i32 record_count:i32 records
//   record  = length:varint attributes:i8 timestamp_delta:varlong offset_delta:varint
//             key:bytes value:bytes header_count:varint { name:bytes value:bytes }      bytes = length:varint(-1 null)
//             ...
//
// All numbers big-endian; varints zigzag. batch_length counts from leader_epoch on; crc covers attributes to the end.
// attributes: bits 0-2 codec, 3 timestamp is append time, 4 transactional, 5 control, 6 base_timestamp is the delete
// horizon (KIP-534; timestamps are still relative to it). `records` is compressed as a whole.
//
// Views are immutable values that must not outlive the bytes. Functions are pure; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/types.h"
#include "common/records/compression.h"

namespace common::records {

using model::Buffer;
using model::BytesView;
using model::LeaderEpoch;
using model::Offset;
using model::ProducerEpoch;
using model::ProducerId;
using model::Result;
using model::TimestampMs;

inline constexpr size_t batch_header_size = 61;
// Bytes that tell how long a batch is: base_offset and batch_length.
inline constexpr size_t batch_length_prefix_size = 12;
inline constexpr int8_t batch_magic = 2;

enum class TimestampType : uint8_t { create_time, log_append_time };

// Who wrote a batch and where it stands in that producer's sequence.
struct ProducerStamp {
  ProducerId id;
  ProducerEpoch epoch;
  int32_t base_sequence = 0;
  friend bool operator==(const ProducerStamp&, const ProducerStamp&) = default;
};

// Sequences wrap from 2^31-1 to 0 (KIP-98).
[[nodiscard]] int32_t sequence_after(int32_t sequence, int32_t steps);
[[nodiscard]] int32_t sequence_before(int32_t sequence, int32_t steps);

class BatchView {
 public:
  // How many bytes the batch at the front of `bytes` takes in all. None if fewer than 12 bytes are there or the length
  // cannot be one of a batch (below a header); the batch itself may reach beyond `bytes`.
  [[nodiscard]] static std::optional<size_t> size_at(BytesView bytes);

  // The batch at the front of `bytes`, which may hold more after it. Checks length and magic, not the checksum.
  // CORRUPT_MESSAGE if it does not fit; UNSUPPORTED_FOR_MESSAGE_FORMAT for the formats 0 and 1.
  [[nodiscard]] static Result<BatchView> parse(BytesView bytes);
  // The same from the header alone (`bytes` need not reach the end of the batch): for scans that skip the records.
  // bytes(), crc_ok() and records() of such a view are bounded by what was given.
  [[nodiscard]] static Result<BatchView> parse_header(BytesView bytes);

  [[nodiscard]] BytesView bytes() const { return bytes_; }
  // Of the whole batch, as its header says.
  [[nodiscard]] size_t size_bytes() const;
  [[nodiscard]] Offset base_offset() const;
  // Of bytes that nobody validated, last and next offset may be nonsense (they wrap), never undefined.
  [[nodiscard]] Offset last_offset() const;
  [[nodiscard]] Offset next_offset() const;
  [[nodiscard]] LeaderEpoch leader_epoch() const;
  [[nodiscard]] int8_t magic() const;
  [[nodiscard]] uint32_t crc() const;
  [[nodiscard]] bool crc_ok() const;
  [[nodiscard]] int16_t attributes() const;
  // None: a codec number that does not exist.
  [[nodiscard]] std::optional<Codec> codec() const;
  [[nodiscard]] TimestampType timestamp_type() const;
  [[nodiscard]] bool is_transactional() const;
  [[nodiscard]] bool is_control() const;
  [[nodiscard]] int32_t last_offset_delta() const;
  [[nodiscard]] TimestampMs base_timestamp() const;
  // From when on compaction may drop the batch's tombstones; none until it has met them once (KIP-534).
  [[nodiscard]] std::optional<TimestampMs> delete_horizon() const;
  [[nodiscard]] TimestampMs max_timestamp() const;
  // Some clients leave max_timestamp unset (-1) in one-record batches: what time indexes and retention should use.
  [[nodiscard]] TimestampMs largest_timestamp() const;
  // None without a producer id (-1).
  [[nodiscard]] std::optional<ProducerStamp> producer() const;
  [[nodiscard]] int32_t record_count() const;
  // The records' bytes, still compressed.
  [[nodiscard]] BytesView records() const { return bytes_.subspan(batch_header_size); }

 private:
  explicit BatchView(BytesView bytes) : bytes_(bytes) {}
  BytesView bytes_;
};

// Walks the batches that lie one after the other in `bytes`.
//   BatchCursor cursor(bytes);
//   while (!cursor.at_end()) { Result<BatchView> batch = cursor.next(); ... }
// After an error the cursor stays where it is; position() is the number of good bytes before it.
class BatchCursor {
 public:
  explicit BatchCursor(BytesView bytes) : bytes_(bytes) {}
  [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }
  [[nodiscard]] size_t position() const { return position_; }
  [[nodiscard]] Result<BatchView> next();

 private:
  BytesView bytes_;
  size_t position_ = 0;
};

// All of them, or the first error.
[[nodiscard]] Result<std::vector<BatchView>> batches_in(BytesView bytes);

struct RecordHeader {
  std::string_view name;
  std::optional<BytesView> value;
};

// One record. The views die with the visit: they may point into a decompression buffer.
struct Record {
  Offset offset;
  TimestampMs timestamp;
  std::optional<BytesView> key;
  std::optional<BytesView> value;
  const std::vector<RecordHeader>* header_list = nullptr;

  [[nodiscard]] const std::vector<RecordHeader>& headers() const { return *header_list; }
};

enum class Visit { go_on, stop };

namespace detail {
using RecordVisitor = Visit (*)(void* f, const Record& record);
Result<void> visit_records(const BatchView& batch, const DecompressLimits& limits, void* f, RecordVisitor visitor);
}  // namespace detail

// Calls `f(const Record&)` for each record in order; `f` returns void, or a Visit to end early. Checks everything that
// it reads (lengths, count, increasing offsets) and decompresses within `limits`: bad bytes are CORRUPT_MESSAGE or
// INVALID_RECORD, after `f` may have seen the records before them.
template <class F>
[[nodiscard]] Result<void> for_each_record(const BatchView& batch, const DecompressLimits& limits, F&& f) {
  return detail::visit_records(batch, limits, const_cast<void*>(static_cast<const void*>(&f)),
                               [](void* raw, const Record& record) {
                                 auto& call = *static_cast<std::remove_reference_t<F>*>(raw);
                                 if constexpr (std::is_void_v<decltype(call(record))>) {
                                   call(record);
                                   return Visit::go_on;
                                 } else {
                                   return call(record);
                                 }
                               });
}

// The content of a control batch that ends a transaction (KIP-98).
enum class MarkerType : int16_t { abort = 0, commit = 1 };
struct EndTxnMarker {
  MarkerType type = MarkerType::abort;
  int32_t coordinator_epoch = 0;
};
// None for a control batch of another type (a Raft leader change, for example).
[[nodiscard]] Result<std::optional<EndTxnMarker>> end_txn_marker_in(const BatchView& batch);

struct AssignOptions {
  Offset first_offset;  // of the first batch; the following ones continue from there
  LeaderEpoch leader_epoch;
  std::optional<TimestampMs> log_append_time;  // set: stamp type and maximum timestamp, which changes the checksum
};
// Stamps `batches` (whole, validated) in place and never re-encodes. The memory must be writable and read by nobody
// else yet: it came from a socket or from a BatchBuilder. Returns the offset after the last batch.
Offset assign_offsets(const Buffer& batches, const AssignOptions& options);

}  // namespace common::records
