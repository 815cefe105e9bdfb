// What compaction keeps and what it takes, one rule at a time (R80, R84, R107; KIP-534). Histories with crashes are in
// compaction_history_test.cc.
#include <random>

#include "log/compaction_fixture.h"

using namespace log_test;

TEST_CASE("of each key the newest record stays, where it was") {
  CompactionFixture f;
  f.open();
  f.put({{"a", "1"}, {"b", "1"}});
  f.put({{"a", "2"}});
  f.put({{"c", "1"}});
  f.put({{"b", "2"}, {"a", "3"}});
  f.roll();
  f.put({{"a", "4"}});  // in the active segment: neither goes nor counts
  const int64_t end = f.log->log_end_offset().value;
  const auto report = f.compact();
  CHECK(f.records_text() == "[0-1] 3:c=1 4:b=2 5:a=3 7:a=4");
  CHECK(f.log->log_end_offset().value == end);
  CHECK(f.log->cleaned_offset() == report.cleaned_to);
  CHECK(report.records_before == 6);
  CHECK(report.records_after == 3);
  CHECK(f.failures.empty());
  // Nothing is dirty now but the active segment.
  CHECK(f.compact(f.request()).error().code == ErrorCode::operation_not_attempted);
}

TEST_CASE("several small segments become one, and their files go") {
  CompactionFixture f;
  f.open();
  for (int i = 0; i < 40; ++i) f.put({{fmt::format("key {}", i % 3), std::string(40, 'v')}});
  f.roll();
  const size_t before = f.log->segment_count();
  REQUIRE(before > 5);
  f.config.segment_bytes = 4000;
  f.log->set_config(f.config);
  f.compact();
  f.log->tick({common::model::Instant(std::chrono::seconds(10)), TimestampMs(f.now)});
  f.disk->run_until_idle();
  f.log->tick({common::model::Instant(std::chrono::seconds(20)), TimestampMs(f.now)});
  f.disk->run_until_idle();
  CHECK(f.log->segment_count() < before);
  size_t logs = 0;
  for (const std::string& name : f.names()) {
    INFO(name);
    CHECK_FALSE(name.ends_with(".cleaned"));
    CHECK_FALSE(name.ends_with(".swap"));
    CHECK_FALSE(name.ends_with(".deleted"));
    logs += name.ends_with(".log") ? 1 : 0;
  }
  CHECK(logs == f.log->segment_count());
  // A second run joins what the first one made small.
  for (int i = 0; i < 10; ++i) f.put({{fmt::format("key {}", i % 3), std::string(40, 'w')}});
  f.roll();
  f.compact();
  CHECK(f.log->segment_count() <= 3);
}

TEST_CASE("a read from within a gap finds what comes after it") {
  CompactionFixture f;
  f.config.segment_bytes = 1000;
  f.open();
  f.put({{"a", "1"}});
  for (int i = 0; i < 5; ++i) f.put({{"b", std::to_string(i)}});
  f.put({{"c", "1"}});
  f.roll();
  f.compact();
  for (int64_t from = 2; from <= 5; ++from) {
    const auto read = f.log->read({Offset(from), f.log->log_end_offset(), 1, AtLeastOneBatch::yes});
    REQUIRE(read);
    const auto batch = BatchView::parse(read->records.flatten().view());
    REQUIRE(batch);
    CHECK(batch->base_offset().value == 5);
  }
}

TEST_CASE("a damaged batch is no gap, though its last offset says so (R72)") {
  Fixture leader;
  leader.open();
  std::vector<Buffer> batches;
  for (int i = 0; i < 5; ++i) {
    const Offset from(leader.append({.records = 3}));
    batches.push_back(leader.log->read_blocking({from, from + 3, 1})->records.flatten());
  }
  CompactionFixture f;
  const bool is_last_of_segment = GENERATE(false, true);
  f.config.segment_bytes = is_last_of_segment ? 2 * batches[0].size() : 1 << 20;
  f.config.allow_offset_gaps = true;
  f.open();
  for (const size_t i : {0, 1, 3, 4}) {  // as if the leader had compacted 6 to 8 away
    BufferChain chain;
    chain.append(batches[i]);
    REQUIRE(f.log->append_as_follower(chain, LeaderEpoch(0), TimestampMs(f.now)));
  }
  REQUIRE(f.log->segment_count() == (is_last_of_segment ? 2 : 1));
  const bool is_cold = GENERATE(false, true);
  if (is_cold) f.disk->set_cold(".log");
  const auto read_at = [&](int64_t from) {
    std::optional<common::log::Result<ReadResult>> read;
    f.log->read_any({Offset(from), f.log->log_end_offset(), 1}, [&](auto result) { read = std::move(result); });
    f.disk->run_until_idle();
    REQUIRE(read);
    return std::move(*read);
  };
  for (const int64_t from : {6, 8}) REQUIRE(read_at(from)->next_offset == Offset(12));
  f.disk->flip_bit(f.path("00000000000000000000.log"), (batches[0].size() + 26) * 8 + 1);  // last offset: 5 -> 3
  for (const int64_t from : {4, 5}) {
    const auto read = read_at(from);
    REQUIRE_FALSE(read);
    REQUIRE(read.error().code == ErrorCode::corrupt_message);
  }
}

TEST_CASE("a batch that calls itself by an offset beyond the end is damage, also where batches may be missing (R72)") {
  CompactionFixture f;
  f.config.segment_bytes = 1000;
  f.open();
  f.put({{"a", "1"}});
  for (int i = 0; i < 5; ++i) f.put({{"b", std::to_string(i)}});
  f.roll();
  f.compact();
  const bool is_followed = GENERATE(true, false);  // by another segment
  REQUIRE(f.log->segment_count() == 2);
  if (!is_followed) REQUIRE(f.log->truncate_to(f.log->segments()[1].base_offset));
  f.disk->flip_bit(f.path("00000000000000000000.log"), 8 * 5);  // base offset: 0 -> 2^16 + ...
  const auto read = f.log->read_blocking({Offset(0), f.log->log_end_offset(), 1 << 20});
  REQUIRE_FALSE(read);
  REQUIRE(read.error().code == ErrorCode::corrupt_message);
}

TEST_CASE("offsets by time skip what was compacted away") {
  CompactionFixture f;
  f.open();
  f.now = 10000;
  f.put({{"a", "1"}});
  f.now = 20000;
  f.put({{"b", "1"}});
  f.now = 30000;
  f.put({{"a", "2"}});
  f.roll();
  f.compact();
  const auto find = [&](int64_t at) {
    std::optional<int64_t> offset;
    f.log->find_timestamp(TimestampMs(at), f.log->log_end_offset(),
                          [&](const common::log::Result<std::optional<FoundRecord>>& found) {
                            REQUIRE(found);
                            if (*found) offset = (*found)->offset.value;
                          });
    f.disk->run_until_idle();
    return offset;
  };
  CHECK(find(5000) == 1);
  CHECK(find(20000) == 1);
  CHECK(find(20001) == 2);
  std::optional<int64_t> largest;
  f.log->find_largest_timestamp(f.log->log_end_offset(),
                                [&](const common::log::Result<std::optional<FoundRecord>>& found) {
                                  REQUIRE(found);
                                  if (*found) largest = (*found)->offset.value;
                                });
  f.disk->run_until_idle();
  CHECK(largest == 2);
}

TEST_CASE("a tombstone goes delete.retention.ms after the first run that met it, not before") {
  CompactionFixture f;
  f.open();
  f.put({{"a", "1"}, {"b", "1"}});
  f.put({{"a", {}}});
  f.roll();
  f.now = 100000;
  f.compact();
  CHECK(f.records_text() == "1:b=1 2:a=null");
  f.now = 100999;
  f.put({{"c", "1"}});
  f.roll();
  f.compact();
  CHECK(f.records_text().starts_with("1:b=1 2:a=null"));
  f.now = 101000;
  f.put({{"d", "1"}});
  f.roll();
  f.compact();
  CHECK(f.records_text().find("a=null") == std::string::npos);
  CHECK(f.records_text().starts_with("1:b=1 "));
}

TEST_CASE("a tombstone does not go early because the clock was behind when it was met") {
  CompactionFixture f;
  f.open();
  f.put({{"a", "1"}, {"b", "1"}});
  f.put({{"a", {}}});
  f.roll();
  auto r = f.request();
  r.now = TimestampMs(100000);
  r.recorded_now = TimestampMs(200000);
  REQUIRE(f.compact(r));
  f.now = 200999;
  f.put({{"c", "1"}});
  f.roll();
  f.compact();
  CHECK(f.records_text().starts_with("1:b=1 2:a=null"));
  f.now = 201000;
  f.put({{"d", "1"}});
  f.roll();
  f.compact();
  CHECK(f.records_text().find("a=null") == std::string::npos);
}

TEST_CASE("a tombstone hides what an older value said also after it has gone") {
  CompactionFixture f;
  f.open();
  f.put({{"a", "1"}});
  f.roll();
  f.compact();
  f.put({{"a", {}}});
  f.roll();
  auto r = f.request();
  r.delete_retention = std::chrono::milliseconds(0);
  REQUIRE(f.compact(r));
  CHECK(f.records_text().find("a=1") == std::string::npos);
  CHECK(f.records_text().find("a=null") != std::string::npos);
  f.put({{"z", "1"}});
  f.roll();
  r = f.request();
  REQUIRE(f.compact(r));
  CHECK(f.records_text().find("a=") == std::string::npos);
}

TEST_CASE("records without a key go, as in Kafka") {
  CompactionFixture f;
  f.open();
  f.put({{{}, "1"}, {"a", "1"}});
  f.roll();
  f.compact();
  CHECK(f.records_text() == "1:a=1");
}

TEST_CASE("nothing at or past the given end is touched") {
  CompactionFixture f;
  f.open();
  for (int i = 0; i < 12; ++i) f.put({{"a", std::to_string(i) + std::string(80, 'x')}});
  f.roll();
  const auto segments = f.log->segments();
  REQUIRE(segments.size() >= 4);
  const int64_t second = segments[1].base_offset.value;
  const int64_t third = segments[2].base_offset.value;
  const std::string before = f.dump(second);
  // Within the second segment: it does not end below, so only the first is looked at.
  REQUIRE(f.compact(f.request(third - 1)));
  CHECK(f.dump(second) == before);
  CHECK(f.log->cleaned_offset().value == second);
}

TEST_CASE("what is not synced is not compacted") {
  CompactionFixture f;
  f.open();
  for (int i = 0; i < 12; ++i) f.put({{"a", std::string(80, 'x')}});
  REQUIRE(f.log->segment_count() > 2);
  REQUIRE(f.log->flushed_offset() == Offset(0));
  CHECK(f.log->compact(f.request()).error().code == ErrorCode::operation_not_attempted);
}

TEST_CASE("a table that is too small cleans as far as it goes") {
  CompactionFixture f;
  f.open();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i) f.put({{fmt::format("key {}", i), fmt::format("{}", round)}});
  }
  f.roll();
  std::vector<int64_t> points;
  for (int runs = 0; runs < 20; ++runs) {
    auto r = f.request();
    r.map = {.bytes = 24 * 10, .load_factor = 0.9};
    if (!f.compact(r)) break;
    points.push_back(f.log->cleaned_offset().value);
  }
  REQUIRE(points.size() >= 4);
  CHECK(std::is_sorted(points.begin(), points.end()));
  const std::string left = f.records_text();
  for (int i = 0; i < 20; ++i) {
    CHECK(left.find(fmt::format(":key {}=1", i)) != std::string::npos);
    CHECK(left.find(fmt::format(":key {}=0", i)) == std::string::npos);
  }

  f.put({{"x", "1"}, {"y", "1"}, {"z", "1"}});
  f.roll();
  auto r = f.request();
  r.map = {.bytes = 48, .load_factor = 0.9};
  common::log::Result<CompactionReport> last = f.compact(r);
  for (int runs = 0; runs < 10 && last; ++runs) {
    r.first_dirty = f.log->cleaned_offset();
    last = f.compact(r);
  }
  REQUIRE_FALSE(last);
  CHECK(last.error().code == ErrorCode::invalid_config);
  CHECK(f.failures.empty());
}

TEST_CASE("the first batch of each leader epoch stays, so that epochs begin where they began") {
  CompactionFixture f;
  f.open();
  f.put({{"a", "1"}}, 1);
  f.put({{"a", "2"}}, 1);
  f.put({{"a", "3"}}, 4);
  f.put({{"a", "4"}}, 4);
  f.put({{"a", "5"}}, 6);
  f.roll();
  const auto epochs = f.log->epochs().entries();
  f.compact();
  CHECK(f.records_text() == "[0-0] [2-2] 4:a=5");
  CHECK(f.log->epochs().entries() == epochs);
  // From the batches alone.
  f.close();
  f.disk->erase(f.path("leader-epoch-checkpoint"));
  f.open({PreviousEnd::unknown, {}, {}, {}, {}});
  CHECK(f.log->epochs().entries() == epochs);
}

TEST_CASE("the batches that a producer's sequence hangs on stay (R84, R85)") {
  CompactionFixture f;
  f.open();
  const auto by = [](int64_t id, int32_t sequence) {
    BatchOptions o;
    o.producer = ProducerStamp{common::model::ProducerId(id), common::model::ProducerEpoch(0), sequence};
    return o;
  };
  for (int i = 0; i < 8; ++i) f.put({{"a", std::to_string(i)}}, 0, by(1, i));
  f.put({{"a", "last"}});
  f.roll();
  f.compact();
  // The last five are remembered.
  CHECK(f.records_text() == "[0-0] [3-3] [4-4] [5-5] [6-6] [7-7] 8:a=last");
  f.close();
  for (const std::string& name : f.names()) {
    if (name.ends_with(".snapshot")) f.disk->erase(f.path(name));
  }
  f.open({PreviousEnd::unknown, {}, {}, {}, {}});
  REQUIRE(f.log->producers().describe().size() == 1);
  CHECK(f.log->producers().describe()[0].last_sequence == 7);
  // A retry of any of them is known for what it is.
  for (int i = 3; i < 8; ++i) {
    const Buffer again = keyed_batch({{"a", std::to_string(i)}}, f.now, by(1, i));
    const auto known = f.log->producers().check(*common::records::facts_of(*BatchView::parse(again.view()), 0));
    REQUIRE(known);
    REQUIRE(*known);
    CHECK((*known)->first_offset == Offset(i));
  }
}

TEST_CASE("what an aborted transaction wrote supersedes nothing and goes; markers stay") {
  CompactionFixture f;
  f.open();
  const common::model::ProducerId good(1);
  const common::model::ProducerId bad(2);
  const auto in_transaction = [](common::model::ProducerId id, int32_t sequence) {
    BatchOptions o;
    o.kind = BatchKind::transactional;
    o.producer = ProducerStamp{id, common::model::ProducerEpoch(0), sequence};
    return o;
  };
  const auto end_with = [&](common::model::ProducerId id, common::records::MarkerType type) {
    const Buffer marker = common::records::build_end_txn_marker(
        id, common::model::ProducerEpoch(0), {.type = type, .coordinator_epoch = 1}, TimestampMs(f.now));
    REQUIRE(f.log->append_own(marker, LeaderEpoch(0), TimestampMs(f.now)));
  };
  f.put({{"a", "committed"}}, 0, in_transaction(good, 0));
  end_with(good, common::records::MarkerType::commit);
  f.put({{"a", "aborted"}}, 0, in_transaction(bad, 0));
  f.put({{"b", "plain"}});
  end_with(bad, common::records::MarkerType::abort);
  f.roll();
  f.compact();
  CHECK(f.records_text() == "0:a=committed 1:marker [2-2] 3:b=plain 4:marker");
}

TEST_CASE("a run is void once the log was cut below its end") {
  CompactionFixture f;
  f.open();
  for (int i = 0; i < 12; ++i) f.put({{"a", std::to_string(i) + std::string(80, 'x')}});
  f.roll();
  auto run = f.log->compact(f.request());
  REQUIRE(run);
  std::optional<common::log::Result<CompactionStep>> step;
  (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
  f.disk->run_until_idle();
  REQUIRE((step && *step));
  REQUIRE(f.log->truncate_to(Offset(3)));
  (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
  f.disk->run_until_idle();
  CHECK(step->error().code == ErrorCode::operation_not_attempted);
  run->reset();
  f.put({{"a", "again"}}, 1);
  CHECK(f.records_text().ends_with("3:a=again"));
}

TEST_CASE("nothing is written to what is being replaced, also after a truncation to its end (R80)") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  bool was_refused = false;
  bool came_to_it = true;
  for (int at = 0; came_to_it; ++at) {
    CAPTURE(at);
    CompactionFixture f;
    f.open();
    for (int i = 0; i < 12; ++i) f.put({{"a", std::to_string(i) + std::string(80, 'x')}});
    f.roll();
    const Offset boundary = f.log->segments().back().base_offset;
    came_to_it = false;
    const auto truncate = [&] {
      came_to_it = true;
      const auto end = f.log->truncate_to(boundary);
      if (!end) REQUIRE(end.error().code == ErrorCode::kafka_storage_error);
      was_refused = was_refused || !end;
    };
    auto run = f.log->compact(f.request());
    REQUIRE(run);
    int events = 0;
    for (bool is_over = false; !is_over;) {
      std::optional<common::log::Result<CompactionStep>> step;
      (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
      do {
        if (events++ == at) truncate();
      } while (!step && f.disk->run_one());
      REQUIRE(step);
      is_over = !*step || (*step)->report;
    }
    run->reset();
    f.disk->run_until_idle();
    REQUIRE_FALSE(f.log->failure());
    REQUIRE(f.log->truncate_to(boundary) == boundary);
    REQUIRE(f.put({{"a", "again"}}) == boundary.value);
    CHECK(f.records_text().ends_with(fmt::format("{}:a=again", boundary)));
  }
  REQUIRE(was_refused);
}

TEST_CASE("a log that begins within a batch is not emptied while what lies below is replaced (R80)") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  bool was_refused = false;
  bool came_to_it = true;
  for (int at = 0; came_to_it; ++at) {
    CAPTURE(at);
    CompactionFixture f;
    f.open();
    for (int i = 0; i < 12; ++i) f.put({{"a", std::to_string(i) + std::string(80, 'x')}});
    f.roll();
    const Offset batch(f.put({{"b", "1"}, {"b", "2"}, {"b", "3"}}));
    came_to_it = false;
    const auto truncate = [&] {
      came_to_it = true;
      f.log->advance_log_start(batch + 1);
      const auto end = f.log->truncate_to(batch + 2);
      if (!end) REQUIRE(end.error().code == ErrorCode::kafka_storage_error);
      was_refused = was_refused || !end;
    };
    auto run = f.log->compact(f.request());
    REQUIRE(run);
    int events = 0;
    for (bool is_over = false; !is_over;) {
      std::optional<common::log::Result<CompactionStep>> step;
      (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
      do {
        if (events++ == at) truncate();
      } while (!step && f.disk->run_one());
      REQUIRE(step);
      is_over = !*step || (*step)->report;
    }
    run->reset();
    f.disk->run_until_idle();
    if (!came_to_it) break;
    REQUIRE_FALSE(f.log->failure());
    REQUIRE(f.log->truncate_to(batch + 2) == batch + 1);
    REQUIRE(f.put({{"a", "again"}}) == batch.value + 1);
  }
  REQUIRE(was_refused);
}

TEST_CASE("a log that was to be started over while its files were replaced, and found no room, knows them (R80, R81)") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  bool came_to_it = true;
  for (int at = 0; came_to_it; ++at) {
    CAPTURE(at);
    CompactionFixture f;
    f.open();
    for (int i = 0; i < 12; ++i) f.put({{"a", std::to_string(i) + std::string(80, 'x')}});
    f.roll();
    f.config.segment_bytes = 4000;  // several become one
    f.log->set_config(f.config);
    f.disk->add_fault(
        {.operation = SimulatedDisk::Operation::write, .path_contains = "restart-at", .fault = IoFault::no_space});
    came_to_it = false;
    std::optional<bool> restarted;
    auto run = f.log->compact(f.request());
    REQUIRE(run);
    int events = 0;
    for (bool is_over = false; !is_over;) {
      std::optional<common::log::Result<CompactionStep>> step;
      (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
      do {
        if (events++ != at) continue;
        came_to_it = true;
        f.log->truncate_fully_and_start_at(Offset(100), [&](const auto& done) { restarted = done.has_value(); });
      } while (!step && f.disk->run_one());
      REQUIRE(step);
      is_over = !*step || (*step)->report;
    }
    run->reset();
    f.disk->run_until_idle();
    if (!came_to_it) break;
    REQUIRE(restarted == false);
    f.roll();
    f.compact();
    REQUIRE_FALSE(f.log->failure());
    CHECK(f.records_text().find("11:a=11x") != std::string::npos);
  }
}

TEST_CASE("a run may outlive its log") {
  CompactionFixture f;
  f.open();
  for (int i = 0; i < 12; ++i) f.put({{"a", std::string(80, 'x')}});
  f.roll();
  auto run = f.log->compact(f.request());
  REQUIRE(run);
  std::optional<common::log::Result<CompactionStep>> step;
  (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
  f.log.reset();
  f.disk->run_until_idle();
  step.reset();
  (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
  f.disk->run_until_idle();
  REQUIRE(step);
  CHECK(step->error().code == ErrorCode::operation_not_attempted);
}

TEST_CASE("a run ends whenever its log goes, also while its files are replaced") {
  bool came_to_it = true;
  for (int at = 0; came_to_it; ++at) {
    CAPTURE(at);
    CompactionFixture f;
    f.open();
    for (int i = 0; i < 12; ++i) f.put({{"a", std::to_string(i) + std::string(80, 'x')}});
    f.roll();
    came_to_it = false;
    auto run = f.log->compact(f.request());
    REQUIRE(run);
    int events = 0;
    std::optional<common::log::Result<CompactionStep>> step;
    for (bool is_over = false; !is_over;) {
      step.reset();
      (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
      do {
        if (events++ != at) continue;
        came_to_it = true;
        f.log.reset();
      } while (!step && f.disk->run_one());
      REQUIRE(step);
      is_over = !*step || (*step)->report;
    }
    if (!*step) CHECK(step->error().code == ErrorCode::operation_not_attempted);
    run->reset();
    f.disk->run_until_idle();
  }
}

TEST_CASE("a full disk ends the run and nothing else") {
  CompactionFixture f;
  f.open();
  for (int i = 0; i < 12; ++i) f.put({{fmt::format("key {}", i), std::string(80, 'x')}});
  f.roll();
  const std::string before = f.records_text();
  f.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = ".cleaned",
                     .skip = 0,
                     .times = 1,
                     .fault = IoFault::no_space});
  CHECK(f.compact(f.request()).error().code == ErrorCode::kafka_storage_error);
  CHECK_FALSE(f.log->failure());
  f.disk->run_until_idle();
  for (const std::string& name : f.names()) CHECK_FALSE(name.ends_with(".cleaned"));
  CHECK(f.records_text() == before);
  f.disk->clear_faults();
  f.compact();
  CHECK(f.records_text() == before);
}

TEST_CASE("a record as large as produce takes is compacted, and is no damage") {
  CompactionFixture f;
  f.config.segment_bytes = 400 << 10;
  f.open();
  // 65 MiB of which a little does not compress: below the ratio that produce allows.
  std::string large(65u << 20, 'v');
  std::mt19937 random(1);
  for (size_t at = 0; at < large.size(); at += 1u << 20) {
    for (size_t i = 0; i < 2048; ++i) large[at + i] = static_cast<char>(random());
  }
  BatchOptions zstd;
  zstd.codec = Codec::zstd;
  f.put({{"a", "1"}, {"b", large}}, 0, zstd);
  f.put({{"a", "2"}});
  f.roll();
  const auto report = f.compact();
  CHECK(report.records_after < report.records_before);
  const std::string text = f.records_text();
  CHECK(text.starts_with("1:b="));
  CHECK(text.size() > large.size());
  CHECK((text.find(" 2:a=2", large.size()) != std::string::npos));
}

TEST_CASE("a log says of no gaps that it may have before the file does that the next start believes") {
  CompactionFixture f;
  f.config.allow_offset_gaps = true;
  f.open();
  f.put({{"a", "1"}});
  f.put({{"a", "2"}});
  f.roll();
  f.disk->add_fault(
      {.operation = SimulatedDisk::Operation::create, .path_contains = "offset-gaps", .fault = IoFault::no_space});
  REQUIRE_FALSE(f.compact(f.request()));
  REQUIRE_FALSE(f.log->failure());
  // As a follower it gets what another one has compacted.
  const Offset next = f.log->log_end_offset() + 5;
  Buffer batch = keyed_batch({{"b", "1"}}, f.now);
  common::records::assign_offsets(batch, {next, LeaderEpoch(0), {}});
  REQUIRE(f.log->append_as_follower(BufferChain(batch), LeaderEpoch(0), TimestampMs(f.now)));
  REQUIRE(f.disk->exists(f.path("offset-gaps")));
  f.log.reset();
  f.disk->kill();
  f.open({PreviousEnd::process_crash, {}, {}, {}});
  REQUIRE(f.log->log_end_offset() == next + 1);
}

TEST_CASE("a damaged batch is not compacted over") {
  CompactionFixture f;
  f.open();
  f.put({{"a", "1"}});
  f.put({{"a", "2"}});
  f.roll();
  f.disk->flip_bit(f.path("00000000000000000000.log"), 8 * 65);
  CHECK(f.compact(f.request()).error().code == ErrorCode::corrupt_message);
  CHECK_FALSE(f.log->failure());
}

TEST_CASE("an index that is full of large offsets still finds a segment's place after compaction") {
  CompactionFixture f;
  f.config.segment_bytes = 2000;
  f.config.index_interval_bytes = 0;
  f.open();
  for (int i = 0; i < 60; ++i) f.put({{fmt::format("key {}", i % 50), std::to_string(i)}});
  f.roll();
  f.compact();
  f.close();
  const auto dump = [&] {
    std::string all;
    for (int64_t from = 0; from < f.log->log_end_offset().value; ++from) {
      const auto read = f.log->read({Offset(from), f.log->log_end_offset(), 1, AtLeastOneBatch::yes});
      REQUIRE(read);
      all += fmt::format(" {}", BatchView::parse(read->records.flatten().view())->base_offset());
    }
    return all;
  };
  f.open({PreviousEnd::process_crash, {}, {}, {}, {}});
  const std::string scanned = dump();
  const OpenHints clean = f.clean_hints();
  f.close();
  f.open(clean);
  CHECK(f.log->recovery_report().rebuilt_indexes == 0);
  CHECK(dump() == scanned);
}

TEST_CASE("a follower takes over a compacted log, gaps and all, and survives its own crashes") {
  CompactionFixture leader;
  leader.open();
  for (int i = 0; i < 30; ++i) leader.put({{fmt::format("key {}", i % 4), std::string(30, 'v')}}, i / 10);
  leader.roll();
  leader.compact();
  for (int i = 0; i < 5; ++i) leader.put({{"a", std::to_string(i)}}, 3);

  CompactionFixture follower;
  follower.config.segment_bytes = 300;
  follower.config.allow_offset_gaps = true;
  follower.open();
  for (int round = 0; follower.log->log_end_offset() < leader.log->log_end_offset(); ++round) {
    const Offset from = follower.log->log_end_offset();
    const auto read = leader.log->read_blocking({from, leader.log->log_end_offset(), 200});
    REQUIRE(read);
    const auto info = follower.log->append_as_follower(read->records, LeaderEpoch(3), TimestampMs(follower.now));
    INFO((info ? std::string() : info.error().message));
    REQUIRE(info);
    CHECK(follower.log->log_end_offset() == read->next_offset);
    if (round % 3 == 0) {
      const Offset end = follower.log->log_end_offset();
      follower.flush();
      follower.log.reset();
      follower.disk->crash(SimulatedDisk::Unsynced::lost);
      follower.open();
      CHECK(follower.log->log_end_offset() == end);
    }
  }
  CHECK(follower.records_text() == leader.records_text());
  CHECK(follower.log->epochs().entries() == leader.log->epochs().entries());
}

TEST_CASE("the lost end of a segment is found out, also in a log with gaps") {
  CompactionFixture f;
  f.open();
  for (int i = 0; i < 30; ++i) f.put({{fmt::format("key {}", i % 2), std::string(40, 'v')}});
  f.roll();
  f.compact();
  f.roll();
  f.close();
  // The last batch of the first segment, which is the only one that tells where the segment ends.
  const std::string first = f.path("00000000000000000000.log");
  const Buffer whole = f.disk->content(first);
  BatchCursor cursor(whole.view());
  size_t last = 0;
  while (!cursor.at_end()) {
    last = cursor.position();
    REQUIRE(cursor.next());
  }
  f.disk->overwrite(first, whole.view().first(last));
  const auto opened = f.try_open({PreviousEnd::unknown, {}, Offset(1000), {}, {}});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::corrupt_message);
}

TEST_CASE("a batch that calls itself by another offset is damage, unless batches may be missing before it") {
  CompactionFixture f;
  f.open();
  for (int i = 0; i < 3; ++i) f.put({{"a", std::to_string(i)}});
  f.flush();
  const Buffer file = f.disk->content(f.path("00000000000000000000.log"));
  const size_t third = 2 * BatchView::parse(file.view())->size_bytes();
  f.disk->flip_bit(f.path("00000000000000000000.log"), (third + 7) * 8 + 6);
  const auto read = f.log->read_blocking({Offset(0), f.log->log_end_offset(), 1 << 20});
  REQUIRE_FALSE(read);
  CHECK(read.error().code == ErrorCode::corrupt_message);
}

TEST_CASE("a follower notes that batches may be missing before the first one is") {
  CompactionFixture leader;
  leader.config.segment_bytes = 1000;
  leader.open();
  leader.put({{"a", "1"}});
  for (int i = 0; i < 6; ++i) leader.put({{"b", "1"}});
  leader.roll();
  leader.compact();
  const auto all = leader.log->read_blocking({Offset(0), leader.log->log_end_offset(), 1 << 20});
  REQUIRE(all);
  CompactionFixture strict;
  strict.open();
  CHECK(strict.log->append_as_follower(all->records, LeaderEpoch(0), TimestampMs(1)).error().code ==
        ErrorCode::corrupt_message);

  CompactionFixture follower;
  follower.config.allow_offset_gaps = true;
  follower.open();
  REQUIRE(follower.log->append_as_follower(all->records, LeaderEpoch(0), TimestampMs(1)));
  follower.disk->run_until_idle();
  follower.log.reset();
  follower.disk->crash(SimulatedDisk::Unsynced::lost);
  follower.open();
  CHECK(follower.log->log_end_offset() == all->next_offset);
  CHECK(follower.records_text() == leader.records_text());
}
