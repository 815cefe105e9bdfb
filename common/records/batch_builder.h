// Makes record batches: the coordinators' records, control markers, the command line's messages, tests.
// Thread-compatible.
#pragma once
#include <optional>
#include <vector>

#include "common/records/batch.h"

namespace common::records {

enum class BatchKind : uint8_t { data, transactional, control, transactional_control };

struct BatchOptions {
  Codec codec = Codec::none;
  CompressOptions compression;
  BatchKind kind = BatchKind::data;
  TimestampType timestamp_type = TimestampType::create_time;
  std::optional<ProducerStamp> producer;
  Offset base_offset;                       // 0 as producers send it; the log assigns the real one
  std::optional<LeaderEpoch> leader_epoch;  // -1 on the wire until a leader stamps it
};

struct NewRecord {
  TimestampMs timestamp;
  std::optional<BytesView> key;
  std::optional<BytesView> value;
  std::vector<RecordHeader> headers;
};

class BatchBuilder {
 public:
  explicit BatchBuilder(BatchOptions options = {}) : options_(options) {}

  // Takes the next offset. The record's bytes are copied.
  void add(const NewRecord& record);

  [[nodiscard]] int32_t record_count() const { return record_count_; }
  [[nodiscard]] bool empty() const { return record_count_ == 0; }
  // Size of the batch if built now without compression.
  [[nodiscard]] size_t size_bytes() const { return batch_header_size + records_.size(); }

  // At least one record. The builder is empty afterwards, with the same options.
  [[nodiscard]] Buffer build();

 private:
  BatchOptions options_;
  std::vector<std::byte> records_;
  int32_t record_count_ = 0;
  TimestampMs base_timestamp_;
  TimestampMs max_timestamp_;
};

// The control batch that ends a transaction; occupies one offset.
[[nodiscard]] Buffer build_end_txn_marker(ProducerId id, ProducerEpoch epoch, const EndTxnMarker& marker,
                                          TimestampMs timestamp);

}  // namespace common::records
