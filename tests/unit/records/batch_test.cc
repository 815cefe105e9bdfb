#include <catch2/catch.hpp>

#include "common/records/batch_builder.h"
#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/layout.h"
#include "golden.h"

using namespace common::records;
using namespace records_test;
using common::model::as_bytes;
using common::model::BytesView;
using common::model::ErrorCode;

namespace {

constexpr auto all_codecs = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

Buffer build_forty(BatchOptions options) {
  BatchBuilder builder(options);
  for (const OwnedRecord& record : forty_records()) {
    NewRecord one;
    one.timestamp = TimestampMs(record.timestamp);
    if (record.key) one.key = as_bytes(*record.key);
    if (record.value) one.value = as_bytes(*record.value);
    for (const auto& [name, value] : record.headers) {
      one.headers.push_back({name, value ? std::optional<BytesView>(as_bytes(*value)) : std::nullopt});
    }
    builder.add(one);
  }
  return builder.build();
}

std::vector<std::byte> bytes_of(const Buffer& buffer) {
  return {buffer.view().begin(), buffer.view().end()};
}

}  // namespace

TEST_CASE("batches of Java and librdkafka read as what they wrote, in every codec") {
  for (const std::string writer : {"java-", "librdkafka-"}) {
    for (const Codec codec : all_codecs) {
      CAPTURE(writer, to_string(codec));
      const Buffer bytes = golden(writer + std::string(to_string(codec)));
      const auto batch = BatchView::parse(bytes.view());
      REQUIRE(batch.has_value());
      REQUIRE(batch->crc_ok());
      REQUIRE(batch->codec() == codec);
      REQUIRE(batch->record_count() == 40);
      REQUIRE(batch->last_offset() == Offset(39));
      REQUIRE(batch->size_bytes() == bytes.size());
      REQUIRE_FALSE(batch->producer());
      REQUIRE(batch->max_timestamp() == TimestampMs(1700000000500));
      const auto records = records_of(*batch);
      REQUIRE(records.has_value());
      REQUIRE(*records == forty_records());
    }
  }
}

TEST_CASE("the header fields of transactional, idempotent, control and append-time batches") {
  const Buffer transactional = golden("java-transactional");
  const auto txn = BatchView::parse(transactional.view());
  REQUIRE(txn->is_transactional());
  REQUIRE_FALSE(txn->is_control());
  REQUIRE(txn->producer() == ProducerStamp{ProducerId(4711), ProducerEpoch(3), 5});
  REQUIRE(txn->leader_epoch() == LeaderEpoch(7));
  REQUIRE(txn->base_offset() == Offset(100));
  REQUIRE(*records_of(*txn) == forty_records(100));

  const Buffer stamped = golden("java-log-append-time");
  const auto append_time = BatchView::parse(stamped.view());
  REQUIRE(append_time->timestamp_type() == TimestampType::log_append_time);
  const auto records = records_of(*append_time);
  REQUIRE(records->at(17).timestamp == 1700000009000);  // every record shows the time of the append
  REQUIRE(records->at(17).offset == 1017);

  const Buffer commit = golden("java-commit-marker");
  const auto marker = BatchView::parse(commit.view());
  REQUIRE(marker->is_control());
  const auto end = end_txn_marker_in(*marker);
  REQUIRE((*end)->type == MarkerType::commit);
  REQUIRE((*end)->coordinator_epoch == 12);
  REQUIRE((*end_txn_marker_in(*BatchView::parse(golden("java-abort-marker").view())))->type == MarkerType::abort);
}

TEST_CASE("the builder writes what Kafka writes, to the byte where the codec allows it") {
  REQUIRE(bytes_of(build_forty({})) == bytes_of(golden("java-none")));

  BatchOptions idempotent;
  idempotent.producer = ProducerStamp{ProducerId(4711), ProducerEpoch(3), 0x7fffffff - 9};
  REQUIRE(bytes_of(build_forty(idempotent)) == bytes_of(golden("java-idempotent")));

  const Buffer marker =
      build_end_txn_marker(ProducerId(4711), ProducerEpoch(3), {MarkerType::commit, 12}, TimestampMs(1700000000000));
  assign_offsets(marker, {Offset(140), LeaderEpoch(7), std::nullopt});
  REQUIRE(bytes_of(marker) == bytes_of(golden("java-commit-marker")));
}

TEST_CASE("what the builder compresses comes back") {
  for (const Codec codec : all_codecs) {
    for (const SnappyFraming framing : {SnappyFraming::xerial, SnappyFraming::raw}) {
      BatchOptions options;
      options.codec = codec;
      options.compression.snappy = framing;
      const Buffer bytes = build_forty(options);
      const auto batch = BatchView::parse(bytes.view());
      CAPTURE(to_string(codec));
      REQUIRE(batch->crc_ok());
      REQUIRE(*records_of(*batch) == forty_records());
    }
  }
}

TEST_CASE("a builder can be used again after build") {
  BatchBuilder builder;
  NewRecord record;
  record.timestamp = TimestampMs(50);
  record.value = as_bytes("a");
  builder.add(record);
  builder.add(record);
  const Buffer first = builder.build();
  REQUIRE(builder.empty());
  record.timestamp = TimestampMs(7);
  builder.add(record);
  const Buffer second = builder.build();
  const auto batch = BatchView::parse(second.view());
  REQUIRE(batch->record_count() == 1);
  REQUIRE(batch->base_timestamp() == TimestampMs(7));
  REQUIRE(batch->max_timestamp() == TimestampMs(7));
}

TEST_CASE("offsets and epoch are stamped in place, without touching the checksum") {
  std::vector<std::byte> two = bytes_of(build_forty({}));
  append_bytes(two, golden("librdkafka-zstd").view());
  const Buffer bytes = Buffer::own(two);
  const auto* const before = bytes.data();
  const Offset next = assign_offsets(bytes, {Offset(1000), LeaderEpoch(5), std::nullopt});
  REQUIRE(next == Offset(1080));
  REQUIRE(bytes.data() == before);
  const auto batches = batches_in(bytes.view());
  REQUIRE(batches->size() == 2);
  REQUIRE(batches->at(1).base_offset() == Offset(1040));
  for (const BatchView& batch : *batches) {
    REQUIRE(batch.crc_ok());
    REQUIRE(batch.leader_epoch() == LeaderEpoch(5));
    REQUIRE(*records_of(batch) == forty_records(batch.base_offset().value));
  }
}

TEST_CASE("append time replaces timestamps and renews the checksum") {
  const Buffer bytes = Buffer::copy_of(golden("java-lz4").view());
  assign_offsets(bytes, {Offset(1000), LeaderEpoch(9), TimestampMs(1700000009000)});
  const auto batch = BatchView::parse(bytes.view());
  REQUIRE(batch->crc_ok());
  REQUIRE(batch->timestamp_type() == TimestampType::log_append_time);
  REQUIRE(records_of(*batch)->at(39).timestamp == 1700000009000);
  // Kafka's own append-time batch says the same.
  const Buffer theirs = golden("java-log-append-time");
  REQUIRE(*records_of(*batch) == *records_of(*BatchView::parse(theirs.view())));
}

TEST_CASE("a batch cut at any byte is refused, whatever the codec") {
  for (const Codec codec : all_codecs) {
    const Buffer whole = golden("java-" + std::string(to_string(codec)));
    for (size_t n = 0; n < whole.size(); ++n) {
      const auto batch = BatchView::parse(whole.view().first(n));
      REQUIRE_FALSE(batch.has_value());
      REQUIRE(batch.error().code == ErrorCode::corrupt_message);
    }
  }
}

TEST_CASE("records cut at any byte are refused, even when length and checksum were made to fit") {
  for (const Codec codec : all_codecs) {
    const Buffer whole = golden("librdkafka-" + std::string(to_string(codec)));
    for (size_t n = batch_header_size; n < whole.size(); ++n) {
      std::vector<std::byte> cut(whole.view().begin(), whole.view().begin() + static_cast<ptrdiff_t>(n));
      store_be<int32_t>(cut.data() + layout::batch_length, static_cast<int32_t>(n - batch_length_prefix_size));
      store_be<uint32_t>(cut.data() + layout::crc, crc32c(BytesView(cut).subspan(layout::attributes)));
      const auto batch = BatchView::parse(cut);
      REQUIRE(batch.has_value());
      REQUIRE(batch->crc_ok());
      CAPTURE(to_string(codec), n);
      REQUIRE_FALSE(records_of(*batch).has_value());
    }
  }
}

TEST_CASE("any flipped bit behind the epoch breaks the checksum") {
  const Buffer whole = golden("java-gzip");
  for (size_t n = layout::crc; n < whole.size(); ++n) {
    std::vector<std::byte> bad = bytes_of(whole);
    bad[n] ^= std::byte{0x10};
    const auto batch = BatchView::parse(bad);
    REQUIRE((!batch || !batch->crc_ok()));
  }
}

TEST_CASE("magic and length are checked before anything is believed") {
  struct Row {
    size_t at;
    uint8_t byte;
    ErrorCode expected;
  };
  const auto row =
      GENERATE(Row{layout::magic, 0, ErrorCode::unsupported_for_message_format},
               Row{layout::magic, 1, ErrorCode::unsupported_for_message_format},
               Row{layout::magic, 3, ErrorCode::corrupt_message}, Row{layout::magic, 0xff, ErrorCode::corrupt_message},
               Row{layout::batch_length, 0x80, ErrorCode::corrupt_message},   // negative
               Row{layout::batch_length, 0x7f, ErrorCode::corrupt_message});  // beyond the buffer
  std::vector<std::byte> bytes = bytes_of(golden("java-none"));
  bytes[row.at] = std::byte{row.byte};
  const auto batch = BatchView::parse(bytes);
  REQUIRE_FALSE(batch.has_value());
  REQUIRE(batch.error().code == row.expected);
}

TEST_CASE("the cursor stops at the first bad batch and knows how much was good") {
  std::vector<std::byte> bytes = bytes_of(golden("java-none"));
  const size_t one = bytes.size();
  append_bytes(bytes, golden("java-none").view().first(100));
  BatchCursor cursor(bytes);
  REQUIRE(cursor.next().has_value());
  REQUIRE_FALSE(cursor.at_end());
  REQUIRE_FALSE(cursor.next().has_value());
  REQUIRE(cursor.position() == one);
  REQUIRE_FALSE(batches_in(bytes).has_value());
}

TEST_CASE("a header alone tells size and offsets") {
  const Buffer whole = golden("java-zstd");
  const auto header = BatchView::parse_header(whole.view().first(batch_header_size));
  REQUIRE(header.has_value());
  REQUIRE(header->size_bytes() == whole.size());
  REQUIRE(header->last_offset() == Offset(39));
  REQUIRE(header->records().empty());
}

TEST_CASE("a visit can end early") {
  int seen = 0;
  const Buffer bytes = golden("java-zstd");
  const auto done = for_each_record(*BatchView::parse(bytes.view()), {},
                                    [&](const Record&) { return ++seen == 3 ? Visit::stop : Visit::go_on; });
  REQUIRE(done.has_value());
  REQUIRE(seen == 3);
}

TEST_CASE("varints: limits, and nothing longer than ten bytes") {
  for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{1}, int64_t{63}, int64_t{64}, int64_t{-64}, int64_t{-65},
                              int64_t{INT32_MAX}, int64_t{INT32_MIN}, INT64_MAX, INT64_MIN}) {
    std::vector<std::byte> bytes;
    append_varlong(bytes, value);
    BytesView view(bytes);
    REQUIRE(take_varlong(view) == value);
    REQUIRE(view.empty());
    BytesView narrow(bytes);
    REQUIRE(take_varint(narrow).has_value() == (value >= INT32_MIN && value <= INT32_MAX));
    for (size_t n = 0; n < bytes.size(); ++n) {
      BytesView cut = BytesView(bytes).first(n);
      REQUIRE_FALSE(take_varlong(cut).has_value());
    }
  }
  const std::vector<std::byte> endless(11, std::byte{0x80});
  BytesView view(endless);
  REQUIRE_FALSE(take_varlong(view).has_value());
}

TEST_CASE("sequences wrap to zero") {
  REQUIRE(sequence_after(0x7fffffff, 1) == 0);
  REQUIRE(sequence_after(0x7fffffff - 9, 39) == 29);
  REQUIRE(sequence_before(29, 39) == 0x7fffffff - 9);
  REQUIRE(sequence_after(5, 0) == 5);
}

TEST_CASE("crc32c: the check value, and in pieces") {
  REQUIRE(crc32c(as_bytes("123456789")) == 0xe3069283u);
  REQUIRE(crc32c_extend(crc32c(as_bytes("1234")), as_bytes("56789")) == 0xe3069283u);
  REQUIRE(crc32c({}) == 0);
}
