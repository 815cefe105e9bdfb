// What compaction leaves of a batch: who kept what, byte for byte where nothing changes (KIP-534 for tombstones).
#include "common/records/rewrite.h"

#include <catch2/catch.hpp>

#include "common/records/batch_builder.h"
#include "common/records/validate.h"

using namespace common::records;
using common::model::as_bytes;
using common::model::as_text;

namespace {

struct In {
  std::optional<std::string> key;
  std::optional<std::string> value;
  int64_t timestamp = 1000;
};

Buffer batch_of(const std::vector<In>& records, BatchOptions options = {}) {
  BatchBuilder builder(options);
  for (const In& in : records) {
    NewRecord record;
    record.timestamp = TimestampMs(in.timestamp);
    if (in.key) record.key = as_bytes(*in.key);
    if (in.value) record.value = as_bytes(*in.value);
    record.headers.push_back({"h", as_bytes("1")});
    builder.add(record);
  }
  Buffer bytes = builder.build();
  assign_offsets(bytes, {Offset(100), LeaderEpoch(7), {}});
  return bytes;
}

std::string text_of(BytesView bytes) {
  const auto batch = BatchView::parse(bytes);
  REQUIRE(batch);
  REQUIRE(batch->crc_ok());
  std::string text = fmt::format("{}-{} e{}:", batch->base_offset(), batch->last_offset(), batch->leader_epoch());
  REQUIRE(for_each_record(*batch, {}, [&](const Record& r) {
    REQUIRE(r.headers().size() == 1);
    text += fmt::format(" {}@{} {}={}", r.offset, r.timestamp, r.key ? as_text(*r.key) : "null",
                        r.value ? as_text(*r.value) : "null");
  }));
  return text;
}

}  // namespace

TEST_CASE("a batch of which everything stays is not touched") {
  const Buffer bytes = batch_of({{"a", "1"}, {"b", "2"}});
  const auto left = rewrite(*BatchView::parse(bytes.view()), [](const Record&) { return true; },
                            {.codec = Codec::zstd, .compression = {}, .delete_horizon = TimestampMs(5)});
  REQUIRE(left);
  CHECK(left->kept == 2);
  CHECK_FALSE(left->batch);
}

TEST_CASE("records that stay keep offset, time, headers; the batch keeps its range, epoch and sequence") {
  const auto codec = GENERATE(Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd);
  BatchOptions options;
  options.codec = codec;
  options.producer = ProducerStamp{ProducerId(9), ProducerEpoch(2), 40};
  const Buffer bytes = batch_of({{"a", "1", 500}, {"b", "2", 900}, {"a", "3", 700}}, options);
  const auto left =
      rewrite(*BatchView::parse(bytes.view()), [](const Record& r) { return r.offset != Offset(101); }, {});
  REQUIRE(left);
  REQUIRE(left->batch);
  CHECK(text_of(left->batch->view()) == "100-102 e7: 100@500 a=1 102@700 a=3");
  const auto batch = BatchView::parse(left->batch->view());
  CHECK(batch->codec() == codec);
  CHECK(batch->producer() == options.producer);
  CHECK(batch->record_count() == 2);
  CHECK(batch->largest_timestamp() == TimestampMs(700));
  CHECK(facts_of(*batch, 0)->last_sequence() == 42);
}

TEST_CASE("another codec is used where the topic wants one") {
  const Buffer bytes = batch_of({{"a", "1"}, {"b", "2"}});
  const auto left = rewrite(*BatchView::parse(bytes.view()), [](const Record& r) { return r.offset == Offset(101); },
                            {.codec = Codec::lz4, .compression = {}, .delete_horizon = {}});
  REQUIRE(left->batch);
  CHECK(BatchView::parse(left->batch->view())->codec() == Codec::lz4);
  CHECK(text_of(left->batch->view()) == "100-101 e7: 101@1000 b=2");
}

TEST_CASE("a batch does not grow beyond what it was for the sake of the topic's codec") {
  BatchOptions options;
  options.codec = Codec::gzip;
  const Buffer bytes = batch_of({{"a", "1"}, {"b", std::string(1 << 20, 'b')}}, options);
  const auto left = rewrite(*BatchView::parse(bytes.view()), [](const Record& r) { return r.offset == Offset(101); },
                            {.codec = Codec::none, .compression = {}, .delete_horizon = {}});
  REQUIRE(left->batch);
  const auto batch = BatchView::parse(left->batch->view());
  CHECK(batch->codec() == Codec::gzip);
  CHECK(batch->record_count() == 1);
  CHECK(batch->crc_ok());
  CHECK(left->batch->size() <= bytes.size());
}

TEST_CASE(
    "a batch that was compressed harder than compaction does stays whole rather than grow beyond what is fetched") {
  BatchOptions options;
  options.codec = Codec::lz4;
  options.compression.level = 12;
  std::string text;
  for (int i = 0; i < 40000; ++i) text += fmt::format("{} ", i * 7919 % 100003);
  const Buffer bytes = batch_of({{"a", "1"}, {"b", text}}, options);
  const auto half = [&](size_t batch_bytes_max) {
    return rewrite(*BatchView::parse(bytes.view()), [](const Record& r) { return r.offset == Offset(101); },
                   {.codec = {}, .compression = {}, .delete_horizon = {}, .batch_bytes_max = batch_bytes_max});
  };
  const auto grown = half(bytes.size() * 4);
  REQUIRE(grown);
  REQUIRE(grown->batch);
  REQUIRE(grown->batch->size() > bytes.size());
  CHECK(BatchView::parse(grown->batch->view())->record_count() == 1);
  const auto left = half(bytes.size());
  REQUIRE(left);
  CHECK(left->kept == 1);
  CHECK_FALSE(left->batch);
}

TEST_CASE("a tombstone's batch learns its delete horizon once, and timestamps do not change") {
  const Buffer bytes = batch_of({{"a", "1", 500}, {"b", {}, 900}});
  const RewriteOptions first{.codec = {}, .compression = {}, .delete_horizon = TimestampMs(90000)};
  const auto stamped = rewrite(*BatchView::parse(bytes.view()), [](const Record&) { return true; }, first);
  REQUIRE(stamped->batch);
  const auto batch = BatchView::parse(stamped->batch->view());
  CHECK(batch->delete_horizon() == TimestampMs(90000));
  CHECK(batch->largest_timestamp() == TimestampMs(900));
  CHECK(text_of(stamped->batch->view()) == "100-101 e7: 100@500 a=1 101@900 b=null");

  const RewriteOptions later{.codec = {}, .compression = {}, .delete_horizon = TimestampMs(99999)};
  CHECK_FALSE(rewrite(*batch, [](const Record&) { return true; }, later)->batch);
  const auto half = rewrite(*batch, [](const Record& r) { return !r.value; }, later);
  REQUIRE(half->batch);
  CHECK(BatchView::parse(half->batch->view())->delete_horizon() == TimestampMs(90000));
  CHECK(text_of(half->batch->view()) == "100-101 e7: 101@900 b=null");
}

TEST_CASE("append time of the log stays") {
  Buffer bytes = batch_of({{"a", "1", 500}, {"b", "2", 900}});
  assign_offsets(bytes, {Offset(100), LeaderEpoch(7), TimestampMs(4000)});
  const auto left =
      rewrite(*BatchView::parse(bytes.view()), [](const Record& r) { return r.offset == Offset(100); }, {});
  CHECK(text_of(left->batch->view()) == "100-101 e7: 100@4000 a=1");
}

TEST_CASE("a batch without records still tells offsets, epoch and sequence, and no time") {
  BatchOptions options;
  options.codec = Codec::zstd;
  options.producer = ProducerStamp{ProducerId(9), ProducerEpoch(2), 40};
  const Buffer bytes = batch_of({{"a", "1"}, {"b", {}}}, options);
  const auto nothing = rewrite(*BatchView::parse(bytes.view()), [](const Record&) { return false; }, {});
  CHECK(nothing->kept == 0);
  CHECK_FALSE(nothing->batch);
  const Buffer empty = without_records(*BatchView::parse(bytes.view()));
  CHECK(empty.size() == batch_header_size);
  CHECK(text_of(empty.view()) == "100-101 e7:");
  const auto batch = BatchView::parse(empty.view());
  CHECK(batch->largest_timestamp() == TimestampMs(-1));
  CHECK(batch->producer() == options.producer);
  CHECK(facts_of(*batch, 0)->last_sequence() == 41);
  CHECK(validate_replicated(empty.view(), {.log_end_offset = Offset(100), .request_epoch = LeaderEpoch(7)}));
}
