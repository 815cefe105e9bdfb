#include "common/records/validate.h"

#include <algorithm>

#include "common/model/mutant.h"
#include "common/records/record_reader.h"

namespace common::records {

using common::model::mutant;

namespace {

using model::ErrorCode;
using model::fail;

// Enough to find the mistake; the message says how many there were in all.
constexpr size_t record_errors_max = 32;

tl::unexpected<Rejection> reject(ErrorCode code, std::string message, Fault fault = Fault::other) {
  Rejection rejection;
  rejection.fault = fault;
  rejection.code = code;
  rejection.message = std::move(message);
  return tl::unexpected(std::move(rejection));
}

int64_t add_wrapping(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

BatchFacts header_facts(const BatchView& batch, size_t position, Codec codec) {
  BatchFacts facts;
  facts.position = position;
  facts.size_bytes = batch.size_bytes();
  facts.base_offset = batch.base_offset();
  facts.leader_epoch = batch.leader_epoch();
  facts.last_offset_delta = batch.last_offset_delta();
  facts.record_count = batch.record_count();
  facts.codec = codec;
  facts.timestamp_type = batch.timestamp_type();
  facts.base_timestamp = batch.base_timestamp();
  facts.max_timestamp = batch.largest_timestamp();
  facts.is_transactional = batch.is_transactional();
  facts.is_control = batch.is_control();
  facts.producer = batch.producer();
  return facts;
}

// Mistakes of single records, gathered so that a client learns of all of them at once.
class RecordErrors {
 public:
  void add(ErrorCode code, int32_t index, std::string message, Fault fault = Fault::other) {
    if (count_++ == 0) first_ = code;
    if (fault_ == Fault::other) fault_ = fault;
    has_bad_timestamp_ |= code == ErrorCode::invalid_timestamp;
    if (kept_.size() < record_errors_max) kept_.push_back({index, std::move(message)});
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] Rejection rejection() && {
    Rejection rejection;
    rejection.code = has_bad_timestamp_ ? ErrorCode::invalid_timestamp : first_;
    rejection.message =
        has_bad_timestamp_
            ? "One or more records have been rejected due to invalid timestamp"
            : fmt::format("One or more records have been rejected due to {} record errors in total", count_);
    rejection.record_errors = std::move(kept_);
    rejection.fault = fault_;
    return rejection;
  }

 private:
  ErrorCode first_ = ErrorCode::none;
  Fault fault_ = Fault::other;
  bool has_bad_timestamp_ = false;
  size_t count_ = 0;
  std::vector<RecordError> kept_;
};

// What Kafka refuses by looking at the header alone.
Validated<void> check_produced_header(const BatchView& batch, const ProduceLimits& limits) {
  if (batch.base_offset() != Offset(0) && !mutant<"R110-takes-any-base-offset">()) {
    return reject(ErrorCode::invalid_record,
                  fmt::format("The baseOffset of the record batch should be 0, but it is {}", batch.base_offset()));
  }
  if (batch.size_bytes() > limits.max_batch_bytes) {
    return reject(ErrorCode::message_too_large, fmt::format("The record batch size is {} bytes, allowed are {}",
                                                            batch.size_bytes(), limits.max_batch_bytes));
  }
  if (!batch.crc_ok() && !mutant<"R110-takes-a-wrong-checksum">())
    return reject(ErrorCode::corrupt_message, "Record batch checksum does not match", Fault::checksum);
  if (batch.last_offset_delta() < 0) {
    return reject(ErrorCode::invalid_record, fmt::format("last offset delta {}", batch.last_offset_delta()));
  }
  if (batch.record_count() <= 0) {
    return reject(ErrorCode::invalid_record,
                  fmt::format("Invalid reported count for record batch: {}", batch.record_count()));
  }
  if (batch.record_count() != int64_t{batch.last_offset_delta()} + 1 && !mutant<"R110-takes-a-wrong-count">()) {
    return reject(ErrorCode::invalid_record,
                  fmt::format("Inconsistent batch offset range [0, {}] and count of records {}",
                              batch.last_offset_delta(), batch.record_count()));
  }
  if (limits.origin == AppendOrigin::client) {
    if (batch.is_control() && !mutant<"R110-takes-control-records">())
      return reject(ErrorCode::invalid_record, "Clients are not allowed to write control records");
    if (batch.timestamp_type() == TimestampType::log_append_time) {
      return reject(ErrorCode::invalid_timestamp, "Producer should not set timestamp type to LogAppendTime");
    }
    const std::optional<ProducerStamp> producer = batch.producer();
    if (producer && (producer->base_sequence < 0 || producer->epoch.value < 0)) {
      return reject(ErrorCode::invalid_record,
                    fmt::format("Invalid sequence number {} or epoch {} in record batch with producerId {}",
                                producer->base_sequence, producer->epoch, producer->id));
    }
    if (!producer && batch.is_transactional()) {
      return reject(ErrorCode::invalid_record, "Transactional record batch without a producerId");
    }
  }
  return {};
}

void check_timestamp(int64_t timestamp, int32_t index, const ProduceLimits& limits, TimestampMs now,
                     RecordErrors& errors) {
  constexpr int64_t no_timestamp = -1;
  if (limits.timestamp_type != TimestampType::create_time || timestamp == no_timestamp) return;
  int64_t age = 0;
  if (__builtin_sub_overflow(now.value, timestamp, &age)) {
    age = timestamp < 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min() + 1;
  }
  if (age > limits.timestamp_before_max_ms || -age > limits.timestamp_after_max_ms) {
    errors.add(ErrorCode::invalid_timestamp, index,
               fmt::format("Timestamp {} of message with offset {} is out of range", timestamp, index));
  }
}

// Reads every record, in bounded memory; updates the facts' largest timestamp.
Validated<void> check_records(const BatchView& batch, const ProduceLimits& limits, TimestampMs now, BatchFacts& facts) {
  RecordErrors errors;
  RecordReader reader(batch, facts.codec, limits.decompress);
  const auto refused = [](const model::Error& error) {
    // The checksum was right, so these are the bytes that the producer meant: sending them again will not help.
    return reject(error.code == ErrorCode::corrupt_message ? ErrorCode::invalid_record : error.code, error.message);
  };
  std::optional<int64_t> largest;
  for (int32_t i = 0; i < facts.record_count; ++i) {
    const Result<RecordShape> shape = reader.next_shape();
    if (!shape) return refused(shape.error());
    if (shape->offset_delta != i && !mutant<"R110-takes-wrong-deltas">()) {
      errors.add(ErrorCode::invalid_record, i,
                 fmt::format("record has offset delta {}, expected {}", shape->offset_delta, i), Fault::order);
    }
    if (limits.keys == KeyRule::required && !shape->has_key && !facts.is_control) {
      errors.add(ErrorCode::invalid_record, i, "Compacted topic cannot accept message without key", Fault::key);
    }
    const int64_t timestamp = add_wrapping(facts.base_timestamp.value, shape->timestamp_delta);
    check_timestamp(timestamp, i, limits, now, errors);
    largest = std::max(largest.value_or(timestamp), timestamp);
  }
  const Result<bool> at_end = reader.at_end();
  if (!at_end) return refused(at_end.error());
  if (!*at_end && !mutant<"R110-takes-trailing-records">()) {
    return reject(ErrorCode::invalid_record, fmt::format("more than the declared {} records", facts.record_count));
  }
  if (!errors.empty()) return tl::unexpected(std::move(errors).rejection());
  // As Kafka's broker, which believes the records: a header that says more would keep segments, and mislead searches.
  facts.max_timestamp = std::max(TimestampMs(-1), TimestampMs(*largest));
  return {};
}

Validated<BatchFacts> check_produced(const BatchView& batch, size_t position, const ProduceLimits& limits,
                                     TimestampMs now) {
  if (Validated<void> r = check_produced_header(batch, limits); !r) return tl::unexpected(std::move(r.error()));
  const std::optional<Codec> codec = batch.codec();
  if (!codec) {
    return reject(ErrorCode::unsupported_compression_type, fmt::format("codec {}", batch.attributes() & 7));
  }
  if (*codec == Codec::zstd && limits.zstd == ZstdRule::refused) {
    return reject(ErrorCode::unsupported_compression_type,
                  "Produce requests below version 7 are not allowed to use ZStandard compression");
  }
  BatchFacts facts = header_facts(batch, position, *codec);
  if (Validated<void> r = check_records(batch, limits, now, facts); !r) return tl::unexpected(std::move(r.error()));
  if (facts.is_control) {
    const Result<std::optional<EndTxnMarker>> marker = end_txn_marker_in(batch);
    if (!marker) return reject(marker.error().code, marker.error().message);
    facts.marker = *marker;
  }
  if (limits.timestamp_type == TimestampType::log_append_time) {
    facts.timestamp_type = TimestampType::log_append_time;
    facts.max_timestamp = now;
  }
  return facts;
}

Result<void> check_replicated(const BatchView& batch, const ReplicatedLimits& limits, std::optional<Offset> expected,
                              LeaderEpoch least_epoch) {
  const auto corrupt = [&](std::string why) {
    return fail(ErrorCode::corrupt_message, fmt::format("batch at offset {}: {}", batch.base_offset(), why));
  };
  if (!batch.crc_ok() && !mutant<"R64-takes-a-wrong-checksum">()) return corrupt("checksum does not match");
  if (batch.last_offset_delta() < 0 || batch.record_count() < 0) {
    return corrupt(fmt::format("last offset delta {}, {} records", batch.last_offset_delta(), batch.record_count()));
  }
  if (batch.record_count() > int64_t{batch.last_offset_delta()} + 1) {
    return corrupt(fmt::format("{} records in {} offsets", batch.record_count(), batch.last_offset_delta() + 1));
  }
  const Offset base = batch.base_offset();
  if (base < Offset(0) || base.value > std::numeric_limits<int64_t>::max() - batch.last_offset_delta() - 1) {
    return corrupt("offset out of range");
  }
  if (expected) {
    const bool follows = limits.gaps == OffsetGaps::allow ? base >= *expected : base == *expected;
    if (!follows && !mutant<"R64-takes-any-offset">()) return corrupt(fmt::format("expected offset {}", *expected));
  } else if (batch.next_offset() <= limits.log_end_offset ||
             (limits.gaps == OffsetGaps::refuse && base > limits.log_end_offset)) {
    return corrupt(fmt::format("does not contain the log end {}", limits.log_end_offset));
  }
  if (batch.leader_epoch() < least_epoch && !mutant<"R64-takes-falling-epochs">()) {
    return corrupt(fmt::format("epoch {} after {}", batch.leader_epoch(), least_epoch));
  }
  if (batch.leader_epoch() > limits.request_epoch && !mutant<"R64-takes-epochs-above-its-own">()) {
    return corrupt(fmt::format("epoch {}, but asked in {}", batch.leader_epoch(), limits.request_epoch));
  }
  return {};
}

}  // namespace

Result<BatchFacts> facts_of(const BatchView& batch, size_t position) {
  const std::optional<Codec> codec = batch.codec();
  if (!codec) return fail(ErrorCode::corrupt_message, fmt::format("codec {}", batch.attributes() & 7));
  BatchFacts facts = header_facts(batch, position, *codec);
  if (facts.is_control) {
    Result<std::optional<EndTxnMarker>> marker = end_txn_marker_in(batch);
    if (!marker) return tl::unexpected(std::move(marker.error()));
    facts.marker = *marker;
  }
  return facts;
}

Validated<std::vector<BatchFacts>> validate_produced(BytesView batches, const ProduceLimits& limits, TimestampMs now) {
  std::vector<BatchFacts> all;
  BatchCursor cursor(batches);
  while (!cursor.at_end()) {
    const size_t position = cursor.position();
    const Result<BatchView> batch = cursor.next();
    if (!batch) {
      // Kafka: Produce v3+ takes format 2 only, and says so with INVALID_RECORD.
      const bool is_old = batch.error().code == ErrorCode::unsupported_for_message_format;
      return reject(is_old ? ErrorCode::invalid_record : batch.error().code, batch.error().message,
                    is_old ? Fault::format : Fault::other);
    }
    if (limits.origin == AppendOrigin::client && !all.empty() && !mutant<"R110-takes-several-batches">()) {
      return reject(ErrorCode::invalid_record, "Produce requests must contain exactly one record batch per partition");
    }
    Validated<BatchFacts> facts = check_produced(*batch, position, limits, now);
    if (!facts) return tl::unexpected(std::move(facts.error()));
    all.push_back(std::move(*facts));
  }
  if (all.empty()) {
    return reject(ErrorCode::invalid_record, "Produce requests must have at least one record batch per partition");
  }
  return all;
}

Result<std::vector<BatchFacts>> validate_replicated(BytesView batches, const ReplicatedLimits& limits) {
  std::vector<BatchFacts> all;
  std::optional<Offset> expected;
  if (limits.first == FirstBatch::starts_at_log_end) expected = limits.log_end_offset;
  LeaderEpoch least_epoch = limits.last_epoch.value_or(LeaderEpoch(0));
  BatchCursor cursor(batches);
  while (!cursor.at_end()) {
    const size_t position = cursor.position();
    const Result<BatchView> batch = cursor.next();
    if (!batch) return fail(ErrorCode::corrupt_message, batch.error().message);
    if (Result<void> r = check_replicated(*batch, limits, expected, least_epoch); !r) {
      return tl::unexpected(std::move(r.error()));
    }
    Result<BatchFacts> facts = facts_of(*batch, position);
    if (!facts) return fail(ErrorCode::corrupt_message, facts.error().message);
    expected = batch->next_offset();
    least_epoch = batch->leader_epoch();
    all.push_back(std::move(*facts));
  }
  return all;
}

}  // namespace common::records
