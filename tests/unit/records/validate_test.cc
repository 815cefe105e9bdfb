#include <functional>

#include <catch2/catch.hpp>

#include "common/model/random.h"
#include "common/records/batch_builder.h"
#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/layout.h"
#include "common/records/max_timestamp.h"
#include "common/records/validate.h"
#include "golden.h"

using namespace common::records;
using namespace records_test;
using common::model::as_bytes;
using common::model::BytesView;
using common::model::ErrorCode;

namespace {

constexpr TimestampMs now(1700000001000);
using Bytes = std::vector<std::byte>;

Bytes golden_bytes(const std::string& name) {
  const Buffer b = golden(name);
  return {b.view().begin(), b.view().end()};
}

void fix_crc(Bytes& batch) {
  store_be<uint32_t>(batch.data() + layout::crc, crc32c(BytesView(batch).subspan(layout::attributes)));
}

// A small uncompressed batch, changed, with the checksum put right again.
Bytes forged(const std::function<void(std::byte*)>& change, const std::string& name = "java-none") {
  Bytes batch = golden_bytes(name);
  change(batch.data());
  fix_crc(batch);
  return batch;
}

ErrorCode code_of(const Validated<std::vector<BatchFacts>>& result) {
  return result ? ErrorCode::none : result.error().code;
}

struct Raw {  // one record, written field by field
  int32_t length_off_by = 0;
  int64_t timestamp_delta = 0;
  int32_t offset_delta = 0;
  int32_t key_length = 1;
  int32_t value_length = 1;
  int32_t header_count = 0;
  Bytes tail;
};

Bytes batch_with(const std::vector<Raw>& records) {
  Bytes all;
  for (const Raw& raw : records) {
    Bytes body = {std::byte{0}};
    append_varlong(body, raw.timestamp_delta);
    append_varint(body, raw.offset_delta);
    append_varint(body, raw.key_length);
    if (raw.key_length > 0) body.push_back(std::byte{'k'});
    append_varint(body, raw.value_length);
    if (raw.value_length > 0) body.push_back(std::byte{'v'});
    append_varint(body, raw.header_count);
    append_bytes(body, raw.tail);
    append_varint(all, static_cast<int32_t>(body.size()) + raw.length_off_by);
    append_bytes(all, body);
  }
  Bytes batch = golden_bytes("java-none");
  batch.resize(batch_header_size);
  append_bytes(batch, all);
  store_be<int32_t>(batch.data() + layout::batch_length, static_cast<int32_t>(batch.size() - batch_length_prefix_size));
  store_be<int32_t>(batch.data() + layout::last_offset_delta, static_cast<int32_t>(records.size()) - 1);
  store_be<int32_t>(batch.data() + layout::record_count, static_cast<int32_t>(records.size()));
  fix_crc(batch);
  return batch;
}

}  // namespace

TEST_CASE("what real clients send is accepted, with its facts") {
  for (const std::string writer : {"java-", "librdkafka-"}) {
    for (const std::string codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
      CAPTURE(writer, codec);
      const Bytes batch = golden_bytes(writer + codec);
      const auto facts = validate_produced(batch, {}, now);
      REQUIRE(facts.has_value());
      REQUIRE(facts->size() == 1);
      REQUIRE(facts->front().size_bytes == batch.size());
      REQUIRE(facts->front().record_count == 40);
      REQUIRE(facts->front().last_offset() == Offset(39));
      REQUIRE(to_string(facts->front().codec) == codec);
      REQUIRE(facts->front().max_timestamp == TimestampMs(1700000000500));
      REQUIRE_FALSE(facts->front().producer);
    }
  }
  const auto idempotent = validate_produced(golden_bytes("java-idempotent"), {}, now);
  REQUIRE(idempotent->front().producer->base_sequence == 0x7fffffff - 9);
  REQUIRE(idempotent->front().last_sequence() == 29);
}

TEST_CASE("a produced batch is refused with Kafka's code") {
  struct Row {
    std::string what;
    Bytes bytes;
    ErrorCode expected;
  };
  Bytes bad_crc = golden_bytes("java-none");
  bad_crc.back() ^= std::byte{1};
  Bytes twice = golden_bytes("java-none");
  append_bytes(twice, golden_bytes("java-none"));
  Bytes trailing = golden_bytes("java-none");
  trailing.resize(trailing.size() + 5);
  const auto put = [](size_t at, auto value) { return [at, value](std::byte* b) { store_be(b + at, value); }; };
  const std::vector<Row> rows = {
      {"nothing", {}, ErrorCode::invalid_record},
      {"format 1", forged(put(layout::magic, int8_t{1})), ErrorCode::invalid_record},
      {"format 3", forged(put(layout::magic, int8_t{3})), ErrorCode::corrupt_message},
      {"checksum", bad_crc, ErrorCode::corrupt_message},
      {"two batches", twice, ErrorCode::invalid_record},
      {"bytes after the batch", trailing, ErrorCode::corrupt_message},
      {"base offset", forged(put(layout::base_offset, int64_t{1})), ErrorCode::invalid_record},
      {"count too small", forged(put(layout::record_count, int32_t{39})), ErrorCode::invalid_record},
      {"count too large", forged(put(layout::record_count, int32_t{41})), ErrorCode::invalid_record},
      {"count zero", forged(put(layout::record_count, int32_t{0})), ErrorCode::invalid_record},
      {"count negative", forged(put(layout::record_count, int32_t{-1})), ErrorCode::invalid_record},
      {"last delta negative", forged(put(layout::last_offset_delta, int32_t{-1})), ErrorCode::invalid_record},
      {"last delta largest", forged(put(layout::last_offset_delta, INT32_MAX)), ErrorCode::invalid_record},
      {"fewer declared, consistently", forged([&](std::byte* b) {
         store_be<int32_t>(b + layout::record_count, 39);
         store_be<int32_t>(b + layout::last_offset_delta, 38);
       }),
       ErrorCode::invalid_record},
      {"more declared, consistently", forged([&](std::byte* b) {
         store_be<int32_t>(b + layout::record_count, 41);
         store_be<int32_t>(b + layout::last_offset_delta, 40);
       }),
       ErrorCode::invalid_record},
      {"unknown codec", forged(put(layout::attributes, int16_t{5})), ErrorCode::unsupported_compression_type},
      {"not of that codec", forged(put(layout::attributes, int16_t{4})), ErrorCode::invalid_record},
      {"control", forged(put(layout::attributes, int16_t{0x20})), ErrorCode::invalid_record},
      {"append time", forged(put(layout::attributes, int16_t{8})), ErrorCode::invalid_timestamp},
      {"transactional without producer", forged(put(layout::attributes, int16_t{0x10})), ErrorCode::invalid_record},
      {"negative sequence", forged(put(layout::base_sequence, int32_t{-1}), "java-idempotent"),
       ErrorCode::invalid_record},
      {"negative epoch", forged(put(layout::producer_epoch, int16_t{-1}), "java-idempotent"),
       ErrorCode::invalid_record},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    REQUIRE(code_of(validate_produced(row.bytes, {}, now)) == row.expected);
  }
}

TEST_CASE("a refusal says what Kafka counts apart") {
  const auto fault_of = [](const Bytes& bytes, KeyRule keys = KeyRule::optional) {
    ProduceLimits limits;
    limits.keys = keys;
    const auto facts = validate_produced(bytes, limits, now);
    REQUIRE_FALSE(facts.has_value());
    return facts.error().fault;
  };
  Bytes bad_crc = golden_bytes("java-none");
  bad_crc.back() ^= std::byte{1};
  CHECK(fault_of(bad_crc) == Fault::checksum);
  CHECK(fault_of(forged([](std::byte* b) { store_be(b + layout::magic, int8_t{1}); })) == Fault::format);
  CHECK(fault_of(batch_with({{.offset_delta = 1}})) == Fault::order);
  CHECK(fault_of(batch_with({{.key_length = -1}}), KeyRule::required) == Fault::key);
  CHECK(fault_of({}) == Fault::other);
}

TEST_CASE("malformed records are refused") {
  REQUIRE(validate_produced(batch_with({{}, {.offset_delta = 1}}), {}, now).has_value());
  const std::vector<std::pair<std::string, Raw>> rows = {
      {"record longer than the batch", {.length_off_by = 1}},
      {"record longer by far", {.length_off_by = 1 << 20}},
      {"record shorter than its fields", {.length_off_by = -1}},
      {"negative length", {.length_off_by = -100}},
      {"empty", {.length_off_by = -7}},
      {"key length", {.key_length = 2}},
      {"key length -2", {.key_length = -2}},
      {"huge value", {.value_length = INT32_MAX}},
      {"value length lowest", {.value_length = INT32_MIN}},
      {"headers missing", {.header_count = 1}},
      {"headers negative", {.header_count = -1}},
      {"headers huge", {.header_count = INT32_MAX}},
      {"header without a name", {.header_count = 1, .tail = {std::byte{1}, std::byte{1}}}},
      {"left over", {.tail = {std::byte{1}}}},
      {"wrong delta", {.offset_delta = 1}},
      {"negative delta", {.offset_delta = -1}},
  };
  for (const auto& [what, raw] : rows) {
    CAPTURE(what);
    const Bytes batch = batch_with({raw});
    REQUIRE(code_of(validate_produced(batch, {}, now)) == ErrorCode::invalid_record);
    // Whoever reads such a batch from elsewhere fails as well, and does not crash.
    if (raw.offset_delta == 0) REQUIRE_FALSE(records_of(*BatchView::parse(batch)).has_value());
  }
}

TEST_CASE("what validation accepts can be read, and what it calls malformed cannot, whichever byte is another") {
  const uint64_t seed = GENERATE(1, 2, 3, 4);
  CAPTURE(seed);
  common::model::SeededRandom random(seed);
  const Bytes whole =
      batch_with({{}, {.timestamp_delta = 300, .offset_delta = 1}, {.offset_delta = 2, .key_length = -1}});
  size_t accepted = 0;
  size_t malformed = 0;
  for (int round = 0; round < 2000; ++round) {
    Bytes batch = whole;
    const size_t at = batch_header_size + random.below(batch.size() - batch_header_size);
    batch[at] = static_cast<std::byte>(random.below(256));
    fix_crc(batch);
    CAPTURE(round, at, static_cast<int>(batch[at]));
    const auto facts = validate_produced(batch, {}, now);
    const bool is_readable = records_of(*BatchView::parse(batch)).has_value();
    if (facts) REQUIRE(is_readable);
    if (!facts && facts.error().message.starts_with("malformed record")) {
      REQUIRE_FALSE(is_readable);
      ++malformed;
    }
    if (facts) ++accepted;
  }
  REQUIRE(accepted > 100);
  REQUIRE(malformed > 100);
}

TEST_CASE("records of all sizes are walked, also across what is decompressed at a time") {
  const Codec codec = GENERATE(Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd);
  BatchOptions options;
  options.codec = codec;
  BatchBuilder builder(options);
  common::model::SeededRandom random(5);
  for (int i = 0; i < 80; ++i) {
    std::string value(random.below(i % 10 == 0 ? 100'000 : 5000), 'v');
    for (size_t at = 0; at < value.size(); at += 3) value[at] = static_cast<char>(random.below(256));
    builder.add(
        {.timestamp = now, .key = as_bytes("key"), .value = as_bytes(value), .headers = {{"h", as_bytes("x")}}});
  }
  const auto facts = validate_produced(builder.build().view(), {.keys = KeyRule::required}, now);
  REQUIRE(facts.has_value());
  REQUIRE(facts->at(0).record_count == 80);
}

TEST_CASE("limits of size") {
  const Bytes batch = golden_bytes("java-none");
  ProduceLimits limits;
  limits.max_batch_bytes = batch.size();
  REQUIRE(validate_produced(batch, limits, now).has_value());
  limits.max_batch_bytes = batch.size() - 1;
  REQUIRE(code_of(validate_produced(batch, limits, now)) == ErrorCode::message_too_large);

  for (const std::string codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    ProduceLimits small_records;
    small_records.decompress.max_record_bytes = 100;  // max.decompressed.message.bytes
    REQUIRE(code_of(validate_produced(golden_bytes("java-" + codec), small_records, now)) ==
            ErrorCode::message_too_large);
    ProduceLimits small_output;
    small_output.decompress.max_output_bytes = 1000;
    REQUIRE(code_of(validate_produced(golden_bytes("java-" + codec), small_output, now)) ==
            (codec == "none" ? ErrorCode::none : ErrorCode::message_too_large));
  }
}

TEST_CASE("zstd is refused to Produce below version 7 (KIP-110)") {
  ProduceLimits limits;
  limits.zstd = ZstdRule::refused;
  REQUIRE(code_of(validate_produced(golden_bytes("java-zstd"), limits, now)) ==
          ErrorCode::unsupported_compression_type);
  REQUIRE(validate_produced(golden_bytes("java-lz4"), limits, now).has_value());
}

TEST_CASE("a compacted topic needs keys, and says which records lack them") {
  ProduceLimits limits;
  limits.keys = KeyRule::required;
  for (const std::string codec : {"none", "zstd"}) {
    const auto refused = validate_produced(golden_bytes("java-" + codec), limits, now);
    REQUIRE(code_of(refused) == ErrorCode::invalid_record);
    REQUIRE(refused.error().record_errors.size() == 1);
    REQUIRE(refused.error().record_errors.front().batch_index == 3);
  }
}

TEST_CASE("timestamps must lie between before.max and after.max") {
  const Bytes batch = golden_bytes("java-gzip");  // 1700000000010 to ...390, and one ...500
  ProduceLimits limits;
  const auto at = [&](int64_t wall) { return code_of(validate_produced(batch, limits, TimestampMs(wall))); };
  limits.timestamp_after_max_ms = 100;
  REQUIRE(at(1700000000400) == ErrorCode::none);
  REQUIRE(at(1700000000399) == ErrorCode::invalid_timestamp);
  limits.timestamp_before_max_ms = 1000;
  REQUIRE(at(1700000001010) == ErrorCode::none);
  REQUIRE(at(1700000001011) == ErrorCode::invalid_timestamp);
  const auto refused = validate_produced(batch, limits, TimestampMs(1700000001011));
  REQUIRE(refused.error().record_errors.size() == 1);
  REQUIRE(refused.error().record_errors.front().batch_index == 1);

  // The broker's own time: the client's does not matter, and the facts carry the broker's.
  limits.timestamp_type = TimestampType::log_append_time;
  const auto stamped = validate_produced(batch, limits, TimestampMs(5));
  REQUIRE(stamped.has_value());
  REQUIRE(stamped->front().max_timestamp == TimestampMs(5));
  REQUIRE(stamped->front().timestamp_type == TimestampType::log_append_time);
}

TEST_CASE("absurd timestamps neither overflow nor pass; no timestamp passes") {
  const int64_t base = 1700000000500;
  const auto with = [&](int64_t timestamp) {
    return code_of(validate_produced(
        batch_with({{.timestamp_delta = static_cast<int64_t>(static_cast<uint64_t>(timestamp) - base)}}), {}, now));
  };
  REQUIRE(with(INT64_MAX) == ErrorCode::invalid_timestamp);
  REQUIRE(with(INT64_MIN) == ErrorCode::none);  // before.max is unlimited by default
  REQUIRE(with(-1) == ErrorCode::none);
  REQUIRE(with(base) == ErrorCode::none);
}

TEST_CASE("the largest timestamp is that of the records, whatever the header says, and the header is corrected") {
  const int64_t said = GENERATE(int64_t{-1}, int64_t{1700000000500}, INT64_MAX);
  const Bytes batch = forged([&](std::byte* b) { store_be<int64_t>(b + layout::max_timestamp, said); });
  const auto facts = validate_produced(batch, {}, now);
  REQUIRE(facts->front().max_timestamp == TimestampMs(1700000000500));
  const Buffer stored = Buffer::own(std::vector<std::byte>(batch.begin(), batch.end()));
  correct_max_timestamp(stored, facts->front().max_timestamp);
  const auto view = BatchView::parse(stored.view());
  REQUIRE(view->max_timestamp() == TimestampMs(1700000000500));
  REQUIRE(view->crc_ok());
}

TEST_CASE("a coordinator may append several batches and markers") {
  ProduceLimits limits;
  limits.origin = AppendOrigin::coordinator;
  Bytes bytes = golden_bytes("java-none");
  const Buffer marker =
      build_end_txn_marker(ProducerId(5), ProducerEpoch(2), {MarkerType::commit, 12}, TimestampMs(1700000000000));
  append_bytes(bytes, marker.view());
  const auto facts = validate_produced(bytes, limits, now);
  REQUIRE(facts.has_value());
  REQUIRE(facts->size() == 2);
  REQUIRE(facts->at(1).marker->type == MarkerType::commit);
  REQUIRE(facts->at(1).position == golden_bytes("java-none").size());
  // A client that sends one, as a batch of its own producer, ends nobody's transaction.
  Bytes sent;
  append_bytes(sent, marker.view());
  store_be<int32_t>(sent.data() + layout::base_sequence, 0);
  fix_crc(sent);
  REQUIRE(code_of(validate_produced(sent, {}, now)) == ErrorCode::invalid_record);
}

TEST_CASE("a follower takes batches that continue its log, in epochs it may believe (R64)") {
  struct Row {
    std::string what;
    std::vector<std::pair<int64_t, int32_t>> batches;  // base offset, epoch
    ReplicatedLimits limits;
    bool accepted;
  };
  const auto limits = [](int64_t log_end, int32_t request, std::optional<int32_t> last = {}) {
    ReplicatedLimits l;
    l.log_end_offset = Offset(log_end);
    l.request_epoch = LeaderEpoch(request);
    if (last) l.last_epoch = LeaderEpoch(*last);
    return l;
  };
  auto gaps = limits(100, 5);
  gaps.gaps = OffsetGaps::allow;
  auto inside = limits(100, 5);
  inside.first = FirstBatch::may_contain_log_end;
  const std::vector<Row> rows = {
      {"continues", {{100, 5}, {140, 5}}, limits(100, 5, 4), true},
      {"nothing", {}, limits(100, 5), true},
      {"starts later", {{101, 5}}, limits(100, 5), false},
      {"starts earlier", {{99, 5}}, limits(100, 5), false},
      {"gap between", {{100, 5}, {141, 5}}, limits(100, 5), false},
      {"overlap between", {{100, 5}, {139, 5}}, limits(100, 5), false},
      {"epoch of the request exceeded", {{100, 6}}, limits(100, 5), false},
      {"epoch falls below the log's", {{100, 3}}, limits(100, 5, 4), false},
      {"epoch falls between", {{100, 5}, {140, 4}}, limits(100, 5), false},
      {"epoch rises between", {{100, 4}, {140, 5}}, limits(100, 5, 4), true},
      {"gaps of a compacted topic", {{101, 5}, {150, 5}}, gaps, true},
      {"overlap even if gaps are allowed", {{101, 5}, {140, 5}}, gaps, false},
      {"earlier even if gaps are allowed", {{99, 5}}, gaps, false},
      {"log begins inside the first batch", {{70, 5}, {110, 5}}, inside, true},
      {"first batch ends before the log end", {{60, 5}}, inside, false},
      {"first batch starts after the log end", {{101, 5}}, inside, false},
      {"negative offset", {{-1, 5}}, limits(-1, 5), false},
      {"offsets end", {{INT64_MAX - 39, 5}}, limits(INT64_MAX - 39, 5), false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Bytes bytes;
    for (const auto& [offset, epoch] : row.batches) {
      Bytes one = golden_bytes("java-lz4");
      store_be<int64_t>(one.data() + layout::base_offset, offset);
      store_be<int32_t>(one.data() + layout::leader_epoch, epoch);
      append_bytes(bytes, one);
    }
    const auto facts = validate_replicated(bytes, row.limits);
    REQUIRE(facts.has_value() == row.accepted);
    if (facts) REQUIRE(facts->size() == row.batches.size());
    if (!facts) REQUIRE(facts.error().code == ErrorCode::corrupt_message);
  }
}

TEST_CASE("a follower refuses bad checksums, cut batches and impossible counts") {
  ReplicatedLimits limits;
  limits.request_epoch = LeaderEpoch(5);
  Bytes good = golden_bytes("java-zstd");
  REQUIRE_FALSE(validate_replicated(good, limits).has_value());  // of no epoch, as producers send it
  store_be<int32_t>(good.data() + layout::leader_epoch, 5);
  REQUIRE(validate_replicated(good, limits).has_value());
  for (size_t n = 1; n < good.size(); ++n) {
    REQUIRE_FALSE(validate_replicated(BytesView(good).first(n), limits).has_value());
  }
  for (size_t n = layout::crc; n < good.size(); n += 3) {
    Bytes bad = good;
    bad[n] ^= std::byte{0x40};
    REQUIRE_FALSE(validate_replicated(bad, limits).has_value());
  }
  const auto with_count = [&](int32_t count) {
    const Bytes batch = forged([count](std::byte* b) {
      store_be<int32_t>(b + layout::leader_epoch, 5);
      store_be<int32_t>(b + layout::record_count, count);
    });
    return validate_replicated(batch, limits).has_value();
  };
  REQUIRE_FALSE(with_count(41));
  REQUIRE(with_count(40));
  REQUIRE(with_count(3));  // compaction removes records, not offsets
}
