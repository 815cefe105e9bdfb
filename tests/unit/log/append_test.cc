// Appending, reading back, rolling.
#include <set>

#include "common/records/max_timestamp.h"
#include "log/log_fixture.h"

using namespace log_test;

TEST_CASE("a header that says a later time than its records is stored with theirs") {
  Fixture f;
  f.open();
  const Buffer batch = make_batch({.records = 2, .timestamp = 1000});
  common::records::correct_max_timestamp(batch, TimestampMs(99999));  // forged, with its checksum
  auto facts =
      common::records::validate_produced(batch.view(), {.timestamp_after_max_ms = INT64_MAX}, TimestampMs(f.now));
  REQUIRE(facts);
  REQUIRE(f.log->append_as_leader(batch, *facts, LeaderEpoch(0), TimestampMs(f.now)));
  REQUIRE(f.log->segments().back().largest_timestamp == TimestampMs(1001));
  const Buffer stored = f.log->read_blocking({Offset(0), Offset(2)})->records.flatten();
  const auto view = BatchView::parse(stored.view());
  REQUIRE(view->max_timestamp() == TimestampMs(1001));
  REQUIRE(view->crc_ok());
}

TEST_CASE("what was appended is read back as it was stored") {
  Fixture f;
  const bool cached = GENERATE(false, true);
  if (cached) f.cache = std::make_unique<TailCache>(1 << 20);
  f.open();
  REQUIRE(f.append({.records = 3}) == 0);
  REQUIRE(f.append({.records = 1}, 1) == 3);
  REQUIRE(f.append({.records = 2}, 1) == 4);
  REQUIRE(f.log->log_end_offset() == Offset(6));
  REQUIRE(f.dump(0) == "0-2 3-3 4-5");
  REQUIRE(f.dump(4) == "4-5");
  REQUIRE(f.dump(5) == "4-5");  // a reader gets the whole batch and skips what it knows

  auto read = f.log->read({Offset(0), Offset(6), 1 << 20});
  REQUIRE(read);
  REQUIRE_FALSE(read->is_cold);
  const Buffer all = read->records.flatten();
  REQUIRE(all.size() == f.log->size_bytes());
  REQUIRE(all.text() == f.disk->content(f.path("00000000000000000000.log")).text());
  REQUIRE(f.log->epochs().entries() ==
          std::vector<EpochStart>{{LeaderEpoch(0), Offset(0)}, {LeaderEpoch(1), Offset(3)}});
}

TEST_CASE("a read stops at its limit and its size, and gives at least one batch") {
  Fixture f;
  if (GENERATE(false, true)) f.cache = std::make_unique<TailCache>(1 << 20);
  f.open();
  for (int i = 0; i < 5; ++i) f.append({.records = 2, .value_bytes = 100});
  const auto read = [&](int64_t from, int64_t limit, size_t max, AtLeastOneBatch at_least = AtLeastOneBatch::yes) {
    auto result = f.log->read({Offset(from), Offset(limit), max, at_least});
    REQUIRE(result);
    return result->next_offset.value;
  };
  REQUIRE(read(0, 10, 1 << 20) == 10);
  REQUIRE(read(0, 4, 1 << 20) == 4);
  REQUIRE(read(0, 5, 1 << 20) == 4);  // the third batch ends past the limit
  REQUIRE(read(0, 1, 1 << 20) == 0);
  REQUIRE(read(2, 10, 1) == 4);
  REQUIRE(read(2, 10, 1, AtLeastOneBatch::no) == 2);
  REQUIRE(read(2, 10, 700) == 6);
  REQUIRE(read(10, 10, 100) == 10);
  REQUIRE(f.log->read({Offset(11), Offset(11)}).error().code == ErrorCode::offset_out_of_range);
}

TEST_CASE("segments roll by size, by record time and when the index is full") {
  Fixture f;
  SECTION("size") {
    f.config.segment_bytes = 1000;
    f.open();
    for (int i = 0; i < 20; ++i) f.append({.records = 1, .value_bytes = 200});
    REQUIRE(f.log->segment_count() > 3);
    for (const SegmentInfo& s : f.log->segments()) REQUIRE(s.size_bytes <= 1000);
    REQUIRE(f.log->append_own(make_batch({.value_bytes = 2000}), LeaderEpoch(0), TimestampMs(0)).error().code ==
            ErrorCode::record_list_too_large);
  }
  SECTION("time") {
    f.config.segment_ms = std::chrono::milliseconds(100);
    f.open();
    f.append({.timestamp = 1000});
    f.append({.timestamp = 1100});
    REQUIRE(f.log->segment_count() == 1);
    f.append({.timestamp = 1101});
    REQUIRE(f.log->segment_count() == 2);
  }
  SECTION("index") {
    f.config.index_interval_bytes = 0;
    f.config.segment_index_bytes = 24;
    f.open();
    for (int i = 0; i < 8; ++i) f.append({.timestamp = 1000});
    REQUIRE(f.log->segment_count() == 2);
  }
  const int64_t end = f.log->log_end_offset().value;
  std::string expected;
  for (int64_t i = 0; i < end; ++i) expected += fmt::format("{}{}-{}", i == 0 ? "" : " ", i, i);
  REQUIRE(f.dump(0) == expected);
}

TEST_CASE("segment.jitter.ms takes a part off segment.ms, another one for each segment") {
  Fixture f;
  f.config.segment_ms = std::chrono::milliseconds(100);
  f.config.segment_jitter = std::chrono::milliseconds(60);
  f.open();
  for (int64_t t = 0; t < 1000; ++t) f.append({.timestamp = t});  // offset and time are the same number
  std::set<int64_t> ages;
  const std::vector<SegmentInfo> segments = f.log->segments();
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    const int64_t age = segments[i + 1].base_offset.value - segments[i].base_offset.value;
    REQUIRE(age > 40);
    REQUIRE(age <= 101);
    ages.insert(age);
  }
  REQUIRE(ages.size() > 3);
}

TEST_CASE("LogAppendTime stamps records and checksums") {
  Fixture f;
  f.config.log_append_time = true;
  f.open();
  f.now = 777;
  const auto info = f.log->append_own(make_batch({.timestamp = 5}), LeaderEpoch(0), TimestampMs(777));
  REQUIRE(info->log_append_time == TimestampMs(777));
  const Buffer bytes = f.log->read_blocking({Offset(0), Offset(1)})->records.flatten();
  const auto batch = BatchView::parse(bytes.view());
  REQUIRE(batch->crc_ok());
  REQUIRE(batch->max_timestamp() == TimestampMs(777));
  REQUIRE(f.log->segments()[0].largest_timestamp == TimestampMs(777));
}

TEST_CASE("what a topic stamps is the time of its own, not what producers age from") {
  Fixture f;
  f.config.log_append_time = true;
  f.open();
  using namespace common::records;
  const ProducerStamp producer{ProducerId(7), ProducerEpoch(0), 0};
  const Buffer batch = make_batch({.timestamp = 5, .producer = producer});
  const auto facts =
      validate_produced(batch.view(), {.timestamp_type = TimestampType::log_append_time}, TimestampMs(777));
  REQUIRE(facts);
  const auto info = f.log->append_as_leader(batch, *facts, LeaderEpoch(0), TimestampMs(5000), 0, TimestampMs(777));
  REQUIRE(info->log_append_time == TimestampMs(777));
  REQUIRE(f.log->segments()[0].largest_timestamp == TimestampMs(777));
  REQUIRE(f.log->producers().describe().at(0).last_append_time == TimestampMs(5000));
}

TEST_CASE("a follower takes what the leader stores and refuses what does not fit") {
  Fixture leader;
  leader.open();
  for (int i = 0; i < 10; ++i) leader.append({.records = 2, .value_bytes = 300}, i / 5);
  auto all = leader.log->read_blocking({Offset(0), Offset(20)})->records;

  Fixture follower;
  follower.config.segment_bytes = 1500;
  follower.open();
  SECTION("in one piece, over several segments") {
    REQUIRE(follower.log->append_as_follower(all, LeaderEpoch(1), TimestampMs(1)));
    REQUIRE(follower.log->segment_count() > 1);
  }
  SECTION("in slices that cut batches") {
    const Buffer whole = all.flatten();
    BufferChain chain;
    for (size_t at = 0; at < whole.size(); at += 37)
      chain.append(whole.slice(at, std::min<size_t>(37, whole.size() - at)));
    REQUIRE(follower.log->append_as_follower(chain, LeaderEpoch(1), TimestampMs(1)));
  }
  SECTION("not with a later epoch than that of the request (KAFKA-18723)") {
    REQUIRE(follower.log->append_as_follower(all, LeaderEpoch(0), TimestampMs(1)).error().code ==
            ErrorCode::corrupt_message);
    REQUIRE(follower.log->log_end_offset() == Offset(0));
    return;
  }
  SECTION("not elsewhere") {
    auto later = leader.log->read_blocking({Offset(4), Offset(20)})->records;
    REQUIRE(follower.log->append_as_follower(later, LeaderEpoch(1), TimestampMs(1)).error().code ==
            ErrorCode::corrupt_message);
    return;
  }
  REQUIRE(follower.dump(0) == leader.dump(0));
  REQUIRE(follower.log->epochs().entries() == leader.log->epochs().entries());
}

TEST_CASE("an empty log may begin within the leader's first batch") {
  Fixture leader;
  leader.open();
  leader.append({.records = 10});
  leader.append({.records = 5});
  Fixture f;
  f.open(
      {.previous_end = PreviousEnd::clean, .recovery_point = {}, .high_watermark = {}, .log_start_offset = Offset(4)});
  REQUIRE(f.log->log_start_offset() == Offset(4));
  REQUIRE(f.log->append_as_follower(leader.log->read_blocking({Offset(4), Offset(15)})->records, LeaderEpoch(0),
                                    TimestampMs(1)));
  REQUIRE(f.log->log_end_offset() == Offset(15));
  REQUIRE(f.dump(4) == "0-9 10-14");
  REQUIRE(f.log->epochs().entries() == std::vector<EpochStart>{{LeaderEpoch(0), Offset(4)}});
  f.flush();
  f.disk->crash(SimulatedDisk::Unsynced::lost);
  f.open({.previous_end = PreviousEnd::unknown,
          .recovery_point = Offset(15),
          .high_watermark = {},
          .log_start_offset = Offset(4)});
  REQUIRE(f.dump(4) == "0-9 10-14");
}

TEST_CASE("a full disk refuses the batch, leaves no part of it, and works again when there is room") {
  Fixture f;
  f.open();
  f.append({.value_bytes = 500});
  const uint64_t size = f.log->size_bytes();
  f.disk->set_capacity(size + 200);
  const auto refused = f.log->append_own(make_batch({.value_bytes = 500}), LeaderEpoch(0), TimestampMs(1));
  REQUIRE(refused.error().code == ErrorCode::kafka_storage_error);
  REQUIRE(f.log->is_disk_full());
  REQUIRE_FALSE(f.log->failure());
  REQUIRE(f.log->log_end_offset() == Offset(1));
  REQUIRE(f.disk->content(f.path("00000000000000000000.log")).size() == size);
  f.disk->set_capacity({});
  REQUIRE(f.append() == 1);
  REQUIRE_FALSE(f.log->is_disk_full());
  REQUIRE(f.dump(0) == "0-0 1-1");
}

TEST_CASE("without descriptors nothing is appended or synced, and later both are") {
  Fixture f;
  f.open();
  f.append();
  const auto exhaust = [&](SimulatedDisk::Operation operation, uint64_t times) {
    f.disk->add_fault({.operation = operation, .path_contains = ".log", .times = times, .fault = IoFault::exhausted});
  };
  const auto append = [&] { return f.log->append_own(make_batch(), LeaderEpoch(0), TimestampMs(1)); };
  // Written in part, and not cut back yet: nothing may come after it before it is (R77).
  exhaust(SimulatedDisk::Operation::write, 1);
  exhaust(SimulatedDisk::Operation::truncate, 2);
  REQUIRE(append().error().code == ErrorCode::kafka_storage_error);
  REQUIRE(append().error().code == ErrorCode::kafka_storage_error);
  REQUIRE(f.append() == 1);
  REQUIRE(f.dump(0) == "0-0 1-1");
  f.flush();
  REQUIRE(f.append() == 2);
  exhaust(SimulatedDisk::Operation::sync, 1);
  bool refused = false;
  f.log->flush([&](const auto& flushed) { refused = !flushed; });
  f.disk->run_until_idle();
  REQUIRE(refused);
  REQUIRE(f.log->flushed_offset() == Offset(2));
  f.flush();
  REQUIRE(f.log->flushed_offset() == Offset(3));
  REQUIRE(f.failures.empty());
  f.log.reset();
  f.disk->crash(SimulatedDisk::Unsynced::lost);
  f.open({PreviousEnd::unknown, Offset(3), {}, {}});
  REQUIRE(f.dump(0) == "0-0 1-1 2-2");
}

TEST_CASE("no segment follows one whose reserved space could not be cut off (R71, R81)") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.config.preallocate_bytes = 4096;
  f.open();
  f.disk->add_fault({.operation = SimulatedDisk::Operation::truncate,
                     .path_contains = ".log",
                     .fault = GENERATE(IoFault::no_space, IoFault::exhausted)});
  int64_t appended = 0;
  for (int i = 0; i < 20; ++i) {
    if (f.log->append_own(make_batch(), LeaderEpoch(0), TimestampMs(1))) ++appended;
  }
  REQUIRE(appended == 19);
  REQUIRE(f.failures.empty());
  REQUIRE(f.log->segment_count() > 2);
  f.flush();
  f.log.reset();
  f.disk->crash(SimulatedDisk::Unsynced::lost);
  f.open();  // as the metadata log, without a recovery point
  REQUIRE(f.log->log_end_offset() == Offset(appended));
}

TEST_CASE("a reserve for which there was room in part is cut off as a whole one is (R71, R81)") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.config.preallocate_bytes = 4096;
  f.open();
  f.disk->add_fault({.operation = SimulatedDisk::Operation::allocate, .times = 1000, .fault = IoFault::no_space});
  for (int i = 0; i < 3; ++i) f.append();
  // As ext4 leaves it: longer by what it found.
  const std::string name = f.path("00000000000000000000.log");
  std::string content(f.disk->content(name).text());
  content.resize(396);
  f.disk->overwrite(name, as_bytes(content));
  for (int i = 0; i < 7; ++i) f.append();
  REQUIRE(f.log->segment_count() > 2);
  f.flush();
  f.log.reset();
  f.disk->crash(SimulatedDisk::Unsynced::lost);
  f.open();
  REQUIRE(f.log->log_end_offset() == Offset(10));
}

TEST_CASE("a medium that cannot be read ends the log; a file that retention has removed does not (R76)") {
  Fixture f;
  f.open();
  f.append();
  const auto read = [&] { return f.log->read({Offset(0), Offset(1), 1 << 20}); };
  const SimulatedDisk::Operation operation = SimulatedDisk::Operation::read;
  f.disk->add_fault({.operation = operation, .path_contains = ".log", .fault = IoFault::not_found});
  REQUIRE(read().error().code == ErrorCode::leader_not_available);
  REQUIRE(f.failures.empty());
  f.disk->clear_faults();
  REQUIRE(read());
  f.disk->add_fault({.operation = operation, .path_contains = ".log"});
  REQUIRE(read().error().code == ErrorCode::kafka_storage_error);
  REQUIRE(f.failures.size() == 1);
  REQUIRE(f.log->failure());
}

TEST_CASE("a failed write or sync ends the log, and reads go on") {
  Fixture f;
  f.open();
  f.append();
  const bool at_sync = GENERATE(false, true);
  if (at_sync) {
    f.disk->add_fault({.operation = SimulatedDisk::Operation::sync});
    f.append();
    std::optional<ErrorCode> told;
    f.log->flush([&](const common::log::Result<Offset>& r) { told = r.error().code; });
    f.disk->run_until_idle();
    REQUIRE(told == ErrorCode::kafka_storage_error);
    REQUIRE(f.log->flushed_offset() == Offset(0));
  } else {
    f.disk->add_fault({.operation = SimulatedDisk::Operation::write, .path_contains = ".log"});
    REQUIRE_FALSE(f.log->append_own(make_batch(), LeaderEpoch(0), TimestampMs(1)));
  }
  f.disk->clear_faults();
  REQUIRE(f.failures.size() == 1);
  REQUIRE(f.log->failure());
  REQUIRE_FALSE(f.log->append_own(make_batch(), LeaderEpoch(0), TimestampMs(1)));
  bool refused = false;
  f.log->flush([&](const common::log::Result<Offset>& r) { refused = !r; });
  REQUIRE(refused);  // R76: never retried
  REQUIRE(f.dump(0).starts_with("0-0"));
  REQUIRE(f.failures.size() == 1);
}

TEST_CASE("one sync serves everybody who asked meanwhile") {
  Fixture f;
  f.open();
  std::vector<int64_t> answers;
  const uint64_t before = f.disk->operations();
  for (int i = 0; i < 10; ++i) {
    f.append();
    f.log->flush([&](const common::log::Result<Offset>& r) { answers.push_back(r->value); });
  }
  const uint64_t writes = f.disk->operations() - before;
  f.disk->run_until_idle();
  REQUIRE(answers == std::vector<int64_t>{1, 10, 10, 10, 10, 10, 10, 10, 10, 10});
  REQUIRE(f.log->flushed_offset() == Offset(10));
  // Two syncs of the file; the rest is the epoch file and the directory.
  REQUIRE(f.disk->operations() - before - writes < 20);
}

TEST_CASE("flush.messages syncs by itself") {
  Fixture f;
  f.config.flush_messages = 3;
  f.open();
  f.append();
  f.append();
  f.disk->run_until_idle();
  REQUIRE(f.log->flushed_offset() == Offset(0));
  f.append();
  f.disk->run_until_idle();
  REQUIRE(f.log->flushed_offset() == Offset(3));
}

TEST_CASE("flush.ms syncs at a tick") {
  Fixture f;
  f.config.flush_ms = std::chrono::milliseconds(100);
  f.open();
  f.append();
  const auto tick = [&](int ms) {
    f.log->tick({common::model::Instant(std::chrono::milliseconds(ms)), TimestampMs(f.now)});
    f.disk->run_until_idle();
  };
  tick(1000);
  tick(1099);
  REQUIRE(f.log->flushed_offset() == Offset(0));
  tick(1100);
  REQUIRE(f.log->flushed_offset() == Offset(1));
}

TEST_CASE("cold bytes are announced and then read on the pool") {
  Fixture f;
  f.config.segment_bytes = 2000;
  f.open();
  for (int i = 0; i < 20; ++i) f.append({.value_bytes = 200});
  f.disk->run_until_idle();
  f.disk->set_cold("0.log");
  if (GENERATE(false, true)) f.disk->set_cold("orders");  // the index too
  auto read = f.log->read({Offset(3), Offset(20)});
  REQUIRE(read);
  REQUIRE(read->is_cold);
  int64_t next = -1;
  f.log->read_cold({Offset(3), Offset(20)}, [&](common::log::Result<ReadResult> r) {
    REQUIRE(r);
    REQUIRE(BatchView::parse(r->records.flatten().view())->base_offset() == Offset(3));
    next = r->next_offset.value;
  });
  REQUIRE(next == -1);
  f.disk->run_until_idle();
  REQUIRE(next > 3);
}

TEST_CASE("who has been read for on the pool goes on there, though what follows was read ahead") {
  constexpr size_t at_a_time = 50'000;
  Fixture f;
  f.open();
  for (int i = 0; i < 20; ++i) f.append({.value_bytes = 20'000});
  f.disk->run_until_idle();
  f.disk->set_cold("0.log");
  REQUIRE(f.log->read({Offset(3), Offset(20), at_a_time})->is_cold);
  Offset next(3);
  const auto read_on = [&] {
    f.log->read_cold({next, Offset(20), at_a_time}, [&](const common::log::Result<ReadResult>& r) {
      REQUIRE(r);
      next = r->next_offset;
    });
    f.disk->run_until_idle();
  };
  read_on();
  REQUIRE(next == Offset(5));
  f.disk->set_cold("nothing");
  REQUIRE(f.log->read({next, Offset(20), at_a_time})->is_cold);
  const auto other = f.log->read({Offset(0), Offset(20), at_a_time});  // somebody else finds it in memory
  REQUIRE(other);
  REQUIRE_FALSE(other->is_cold);
  while (next < Offset(17)) read_on();
  const auto rest = f.log->read({next, Offset(20), at_a_time});  // little is left
  REQUIRE(rest);
  REQUIRE_FALSE(rest->is_cold);
}

TEST_CASE("a cold read that a truncation overtakes gives nothing of what was cut (KAFKA-18723)") {
  Fixture f;
  f.open();
  for (int i = 0; i < 5; ++i) f.append({.value_bytes = 200});
  f.disk->set_cold(".log");
  std::string seen;
  f.log->read_any({Offset(0), Offset(5)}, [&](common::log::Result<ReadResult> r) {
    REQUIRE(r);
    seen = fmt::format("{} bytes, next {}", r->records.size(), r->next_offset);
  });
  REQUIRE(f.log->truncate_to(Offset(2)) == Offset(2));
  const uint64_t size = f.log->size_bytes();
  f.append({.value_bytes = 400, .fill = 'y'}, 1);
  f.disk->run_until_idle();
  REQUIRE(seen == fmt::format("{} bytes, next 2", size));
  REQUIRE(size < f.log->size_bytes());
}

TEST_CASE("rot in a segment is reported, not served") {
  Fixture f;
  f.open();
  for (int i = 0; i < 3; ++i) f.append({.value_bytes = 100});
  f.disk->flip_bit(f.path("00000000000000000000.log"), (f.log->size_bytes() / 2) * 8);
  REQUIRE(f.log->read_blocking({Offset(0), Offset(1)}));
  REQUIRE(f.log->read_blocking({Offset(0), Offset(3)}).error().code == ErrorCode::corrupt_message);
}
