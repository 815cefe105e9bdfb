#include <catch2/catch.hpp>

#include "common/model/random.h"
#include "common/records/batch_builder.h"
#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/producer_state.h"
#include "golden.h"

using namespace common::records;
using namespace records_test;
using common::model::BytesView;
using common::model::ErrorCode;

namespace {

struct Data {
  int64_t id = 1;
  int16_t epoch = 0;
  int32_t first = 0;
  int32_t count = 1;
  bool is_transactional = false;
};

BatchFacts data(const Data& d) {
  BatchFacts facts;
  facts.producer = ProducerStamp{ProducerId(d.id), ProducerEpoch(d.epoch), d.first};
  facts.record_count = d.count;
  facts.last_offset_delta = d.count - 1;
  facts.is_transactional = d.is_transactional;
  facts.max_timestamp = TimestampMs(77);
  return facts;
}

BatchFacts marker(int64_t id, int16_t epoch, MarkerType type, int32_t coordinator_epoch = 1) {
  BatchFacts facts = data({.id = id, .epoch = epoch, .first = -1, .is_transactional = true});
  facts.is_control = true;
  facts.marker = EndTxnMarker{type, coordinator_epoch};
  return facts;
}

// Appends at the next offset, as a leader does after check() said so.
struct Log {
  ProducerStateTable table;
  Offset end;
  std::optional<CompletedTxn> append(const BatchFacts& batch, int64_t at = 1000) {
    auto completed = table.on_append(batch, end, TimestampMs(at));
    end = end + batch.last_offset_delta + 1;
    return completed;
  }
  ErrorCode code(const BatchFacts& batch) const {
    const auto verdict = table.check(batch);
    return verdict ? ErrorCode::none : verdict.error().code;
  }
  std::optional<KnownBatch> known(const BatchFacts& batch) const { return *table.check(batch); }
};

}  // namespace

TEST_CASE("sequences follow each other; gaps and repeats of unknown batches are refused (R86)") {
  Log log;
  log.append(data({.first = 0, .count = 10}));
  REQUIRE(log.code(data({.first = 10})) == ErrorCode::none);
  REQUIRE(log.code(data({.first = 11})) == ErrorCode::out_of_order_sequence_number);
  REQUIRE(log.code(data({.first = 9})) == ErrorCode::out_of_order_sequence_number);
  REQUIRE(log.code(data({.first = 0, .count = 9})) == ErrorCode::out_of_order_sequence_number);
}

TEST_CASE("an unknown producer may begin anywhere (R86)") {
  Log log;
  REQUIRE(log.code(data({.first = 12345})) == ErrorCode::none);
  log.append(data({.first = 12345}));
  REQUIRE(log.code(data({.first = 12346})) == ErrorCode::none);
}

TEST_CASE("a higher epoch begins at 0, a lower one is fenced") {
  Log log;
  log.append(data({.epoch = 3, .first = 0, .count = 5}));
  REQUIRE(log.code(data({.epoch = 4, .first = 0})) == ErrorCode::none);
  REQUIRE(log.code(data({.epoch = 4, .first = 5})) == ErrorCode::out_of_order_sequence_number);
  REQUIRE(log.code(data({.epoch = 2, .first = 5})) == ErrorCode::invalid_producer_epoch);
  log.append(data({.epoch = 4, .first = 0}));
  REQUIRE(log.code(data({.epoch = 3, .first = 5})) == ErrorCode::invalid_producer_epoch);
  // Same sequence numbers in another epoch are not a duplicate.
  log.append(data({.epoch = 4, .first = 1, .count = 4}));
  REQUIRE_FALSE(log.known(data({.epoch = 5, .first = 0})).has_value());
}

TEST_CASE("sequences wrap after 2^31-1") {
  Log log;
  log.append(data({.first = INT32_MAX - 1, .count = 2}));
  REQUIRE(log.code(data({.first = 0})) == ErrorCode::none);
  REQUIRE(log.code(data({.first = 1})) == ErrorCode::out_of_order_sequence_number);

  Log across;
  across.append(data({.first = INT32_MAX - 1, .count = 5}));  // ..., 2^31-1, 0, 1, 2
  REQUIRE(across.code(data({.first = 3})) == ErrorCode::none);
  REQUIRE(across.known(data({.first = INT32_MAX - 1, .count = 5}))->first_offset == Offset(0));
}

TEST_CASE("each of the last five batches is known again, with its offsets (R85)") {
  Log log;
  for (int i = 0; i < 7; ++i) log.append(data({.first = i * 3, .count = 3}));
  for (int i = 0; i < 7; ++i) {
    const BatchFacts again = data({.first = i * 3, .count = 3});
    CAPTURE(i);
    if (i < 2) {
      REQUIRE(log.code(again) == ErrorCode::out_of_order_sequence_number);
    } else {
      REQUIRE(log.known(again)->first_offset == Offset(i * 3));
      REQUIRE(log.known(again)->last_offset == Offset(i * 3 + 2));
      REQUIRE(log.known(again)->timestamp == TimestampMs(77));
    }
  }
  REQUIRE(log.code(data({.first = 15, .count = 2})) == ErrorCode::out_of_order_sequence_number);  // half of a batch
}

TEST_CASE("batches without a producer leave no trace") {
  Log log;
  BatchFacts plain;
  plain.record_count = 3;
  plain.last_offset_delta = 2;
  log.append(plain);
  REQUIRE(log.table.size() == 0);
}

TEST_CASE("transactions: the first unstable offset follows the oldest undecided one (R94)") {
  Log log;
  REQUIRE_FALSE(log.table.first_unstable_offset());
  log.append(data({.id = 1, .count = 10, .is_transactional = true}));  // 0-9
  log.append(data({.id = 2, .count = 10, .is_transactional = true}));  // 10-19
  log.append(data({.id = 1, .first = 10, .is_transactional = true}));  // 20
  REQUIRE(log.table.first_unstable_offset() == Offset(0));

  const auto done = log.append(marker(1, 0, MarkerType::abort));  // 21
  REQUIRE(done->first_offset == Offset(0));
  REQUIRE(done->marker_offset == Offset(21));
  REQUIRE(done->outcome == MarkerType::abort);
  // The marker decides only once it lies below the high watermark.
  REQUIRE(log.table.first_unstable_offset() == Offset(0));
  log.table.on_high_watermark(Offset(21));
  REQUIRE(log.table.first_unstable_offset() == Offset(0));
  log.table.on_high_watermark(Offset(22));
  REQUIRE(log.table.first_unstable_offset() == Offset(10));
  log.append(marker(2, 0, MarkerType::commit));
  log.table.on_high_watermark(Offset(23));
  REQUIRE_FALSE(log.table.first_unstable_offset());
}

TEST_CASE("markers are fenced by producer and coordinator epoch (R92) and may come without records") {
  Log log;
  REQUIRE(log.table.check_marker(marker(1, 3, MarkerType::abort, 5)).has_value());
  REQUIRE_FALSE(log.append(marker(1, 3, MarkerType::abort, 5)).has_value());
  REQUIRE_FALSE(log.table.first_unstable_offset());
  REQUIRE(log.table.check_marker(marker(1, 2, MarkerType::abort, 5)).error().code == ErrorCode::invalid_producer_epoch);
  REQUIRE(log.table.check_marker(marker(1, 3, MarkerType::abort, 4)).error().code ==
          ErrorCode::transaction_coordinator_fenced);
  REQUIRE(log.table.check_marker(marker(1, 3, MarkerType::abort, 5)).has_value());
  // A marker that raised the epoch: its first batch is number 0.
  REQUIRE(log.code(data({.epoch = 3, .first = 0})) == ErrorCode::none);
  REQUIRE(log.code(data({.epoch = 3, .first = 1})) == ErrorCode::out_of_order_sequence_number);
  REQUIRE(log.code(data({.epoch = 2, .first = 0})) == ErrorCode::invalid_producer_epoch);
}

TEST_CASE("sequences go on after a marker of the same epoch") {
  Log log;
  log.append(data({.count = 10, .is_transactional = true}));
  log.append(marker(1, 0, MarkerType::commit));
  REQUIRE(log.code(data({.first = 10, .is_transactional = true})) == ErrorCode::none);
  REQUIRE(log.code(data({.first = 0, .count = 1, .is_transactional = true})) ==
          ErrorCode::out_of_order_sequence_number);
}

TEST_CASE("a plain batch may not break into an open transaction") {
  Log log;
  log.append(data({.is_transactional = true}));
  REQUIRE(log.code(data({.first = 1})) == ErrorCode::invalid_txn_state);
}

TEST_CASE("expiry runs on append time, markers count, open transactions stay (R88)") {
  Log log;
  log.append(data({.id = 1}), 1000);
  log.append(data({.id = 2, .is_transactional = true}), 1000);
  log.append(data({.id = 3}), 1000);
  log.append(marker(3, 0, MarkerType::abort), 1500);
  REQUIRE(log.table.expire(TimestampMs(1999), 1000) == 0);
  REQUIRE(log.table.expire(TimestampMs(2000), 1000) == 1);
  REQUIRE(log.table.size() == 2);
  REQUIRE(log.table.expire(TimestampMs(2500), 1000) == 1);
  REQUIRE(log.table.describe().front().id == ProducerId(2));
  REQUIRE(log.table.first_unstable_offset() == Offset(1));
}

TEST_CASE("after many producers have expired their memory is given back, and the others are known (R88)") {
  Log log;
  for (int id = 1; id <= 10'000; ++id) log.append(data({.id = id}), id <= 9'990 ? 1000 : 2000);
  REQUIRE(log.table.places() >= 10'000);
  REQUIRE(log.table.expire(TimestampMs(2000), 1000) == 9'990);
  REQUIRE(log.table.places() < 100);
  REQUIRE(log.code(data({.id = 10'000, .first = 1})) == ErrorCode::none);
  REQUIRE(log.code(data({.id = 10'000, .first = 2})) == ErrorCode::out_of_order_sequence_number);
  REQUIRE(log.table.expire(TimestampMs(9000), 1000) == 10);
  REQUIRE(log.table.size() == 0);
}

TEST_CASE("a snapshot of Kafka's loads, and ours of the same log begins with the same bytes") {
  const Buffer theirs = golden("snapshot");
  const auto loaded = ProducerStateTable::decode_snapshot(theirs.view());
  REQUIRE(loaded.has_value());

  Log replayed;
  for (int i = 0; i < 5; ++i) {
    const Buffer bytes = golden("snapshot-log-" + std::to_string(i));
    const auto batch = BatchView::parse(bytes.view());
    const auto facts = facts_of(*batch, 0);
    replayed.end = batch->base_offset();
    replayed.append(*facts, batch->largest_timestamp().value);
  }
  REQUIRE(loaded->size() == 3);
  const auto ours = replayed.table.describe();
  const auto kafkas = loaded->describe();
  for (size_t i = 0; i < ours.size(); ++i) {
    REQUIRE(ours[i].id == kafkas[i].id);
    REQUIRE(ours[i].epoch == kafkas[i].epoch);
    REQUIRE(ours[i].last_sequence == kafkas[i].last_sequence);
    REQUIRE(ours[i].coordinator_epoch == kafkas[i].coordinator_epoch);
    REQUIRE(ours[i].txn_first_offset == kafkas[i].txn_first_offset);
  }
  REQUIRE(loaded->first_unstable_offset() == Offset(81));

  // Kafka writes its producers in hash order: compare them one by one.
  const std::vector<std::byte> encoded = replayed.table.encode_snapshot();
  constexpr size_t head = 10;
  constexpr size_t entry = 46;
  const auto entries = [&](BytesView file) {
    std::vector<std::vector<std::byte>> all;
    for (size_t i = 0; i < 3; ++i) {
      const BytesView one = file.subspan(head + i * entry, entry);
      all.emplace_back(one.begin(), one.end());
    }
    std::ranges::sort(all);
    return all;
  };
  REQUIRE(theirs.size() == head + 3 * entry);
  REQUIRE(entries(encoded) == entries(theirs.view()));
}

TEST_CASE("a snapshot loses nothing (R84)") {
  Log log;
  for (int i = 0; i < 4; ++i) log.append(data({.id = 1, .first = i * 2, .count = 2}), 500 + i);
  log.append(data({.id = 2, .epoch = 7, .is_transactional = true}), 600);
  log.append(marker(3, 1, MarkerType::abort, 9), 700);
  log.append(data({.id = 4, .is_transactional = true}), 800);
  log.append(marker(4, 0, MarkerType::commit, 9), 900);
  const auto file = log.table.encode_snapshot();
  auto back = ProducerStateTable::decode_snapshot(file);
  REQUIRE(back.has_value());
  REQUIRE(back->encode_snapshot() == file);
  for (int i = 0; i < 4; ++i) {
    REQUIRE((*back->check(data({.id = 1, .first = i * 2, .count = 2})))->first_offset == Offset(i * 2));
  }
  REQUIRE(back->first_unstable_offset() == Offset(8));
  back->on_high_watermark(Offset(100));
  REQUIRE(back->first_unstable_offset() == Offset(8));  // producer 2 is still open
  REQUIRE(back->check(data({.id = 3, .epoch = 1, .first = 5})).error().code == ErrorCode::out_of_order_sequence_number);
  REQUIRE(back->expire(TimestampMs(1700), 1000) == 2);  // 1 and 3, by append time; not 4 at 900
}

TEST_CASE("a snapshot that was cut, changed or is of another version is refused") {
  Log log;
  for (int i = 0; i < 3; ++i) log.append(data({.id = i, .count = 2}));
  log.append(data({.id = 1, .first = 2}));
  const auto file = log.table.encode_snapshot();
  REQUIRE(ProducerStateTable::decode_snapshot(file).has_value());
  for (size_t n = 0; n < file.size(); ++n) {
    REQUIRE_FALSE(ProducerStateTable::decode_snapshot(BytesView(file).first(n)).has_value());
    auto bad = file;
    bad[n] ^= std::byte{1};
    REQUIRE_FALSE(ProducerStateTable::decode_snapshot(bad).has_value());
  }
  // With a right checksum over wrong content: no crash, no invented producers.
  common::model::SeededRandom random(11);
  for (int i = 0; i < 20000; ++i) {
    auto bad = file;
    bad[6 + random.below(bad.size() - 6)] = static_cast<std::byte>(random.next());
    bad.resize(bad.size() - random.below(3) * random.below(20));
    store_be<uint32_t>(bad.data() + 2, crc32c(BytesView(bad).subspan(6)));
    const auto loaded = ProducerStateTable::decode_snapshot(bad);
    if (loaded) REQUIRE(loaded->size() <= 4);
  }
}

TEST_CASE("an empty table has a snapshot too") {
  REQUIRE(ProducerStateTable::decode_snapshot(ProducerStateTable().encode_snapshot())->size() == 0);
}
