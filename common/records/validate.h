// What may be appended to a log: pure functions over bytes that came from a producer or from a leader. They answer with
// Kafka's error codes, refuse batches whole, and hand on the facts that the log and the producer table need, so that
// nobody parses a batch twice (R64, R110). Any thread; `now` is an argument.
#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "common/records/batch.h"

namespace common::records {

// One batch of an append.
struct BatchFacts {
  size_t position = 0;  // of its first byte in the buffer
  size_t size_bytes = 0;
  Offset base_offset;  // as in the bytes: 0 from a producer, final from a leader
  LeaderEpoch leader_epoch;
  int32_t last_offset_delta = 0;
  int32_t record_count = 0;
  Codec codec = Codec::none;
  TimestampType timestamp_type = TimestampType::create_time;
  TimestampMs base_timestamp;
  TimestampMs max_timestamp;  // never below the records' own; -1 if they have none
  bool is_transactional = false;
  bool is_control = false;
  std::optional<ProducerStamp> producer;
  std::optional<EndTxnMarker> marker;  // of a control batch that ends a transaction

  [[nodiscard]] Offset last_offset() const { return base_offset + last_offset_delta; }
  [[nodiscard]] int32_t last_sequence() const { return sequence_after(producer->base_sequence, last_offset_delta); }
};

// From the batch's header; of a control batch also its marker.
[[nodiscard]] Result<BatchFacts> facts_of(const BatchView& batch, size_t position);

// A record that made its batch unacceptable (Produce v8+ tells the client which).
struct RecordError {
  int32_t batch_index = 0;  // of the record within its batch
  std::string message;
};
// What Kafka counts apart.
enum class Fault : uint8_t {
  other,
  checksum,
  format,  // of a Kafka before 0.11
  key,     // a compacted topic, and there is none
  order,   // offsets within the batch do not follow each other
};
struct Rejection {
  model::ErrorCode code = model::ErrorCode::invalid_record;
  std::string message;
  std::vector<RecordError> record_errors;
  Fault fault = Fault::other;
};
template <class T>
using Validated = tl::expected<T, Rejection>;

enum class KeyRule : uint8_t { optional, required };  // required: cleanup.policy contains compact
enum class ZstdRule : uint8_t { allowed, refused };   // refused: Produce below v7
enum class AppendOrigin : uint8_t { client, coordinator };

struct ProduceLimits {
  size_t max_batch_bytes = 1048588;  // max.message.bytes
  TimestampType timestamp_type = TimestampType::create_time;
  int64_t timestamp_before_max_ms = std::numeric_limits<int64_t>::max();
  int64_t timestamp_after_max_ms = 3600000;
  KeyRule keys = KeyRule::optional;
  ZstdRule zstd = ZstdRule::allowed;
  // A client sends exactly one data batch with base offset 0; a coordinator may append several and control batches.
  AppendOrigin origin = AppendOrigin::client;
  DecompressLimits decompress;
};

// `batches` as a producer (Produce v3+) or a coordinator handed them in. Decompresses to look at each record.
[[nodiscard]] Validated<std::vector<BatchFacts>> validate_produced(BytesView batches, const ProduceLimits& limits,
                                                                   TimestampMs now);

enum class OffsetGaps : uint8_t { refuse, allow };  // allow: where compaction removes batches
enum class FirstBatch : uint8_t {
  starts_at_log_end,
  may_contain_log_end,  // an empty log that begins within the leader's first batch (after DeleteRecords there)
};
struct ReplicatedLimits {
  Offset log_end_offset;
  LeaderEpoch request_epoch;              // the leader epoch with which the records were asked for
  std::optional<LeaderEpoch> last_epoch;  // of our last batch
  OffsetGaps gaps = OffsetGaps::refuse;
  FirstBatch first = FirstBatch::starts_at_log_end;
};

// `batches` as a leader sent them to a follower (R64): whole batches, checksums, offsets that continue our log, epochs
// that do not fall and never exceed that of the request. CORRUPT_MESSAGE otherwise.
[[nodiscard]] Result<std::vector<BatchFacts>> validate_replicated(BytesView batches, const ReplicatedLimits& limits);

}  // namespace common::records
