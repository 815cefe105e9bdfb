// Truncation, DeleteRecords, retention; lookups by timestamp.
#include <algorithm>

#include "log/log_fixture.h"

using namespace log_test;

namespace {

Now at(int64_t ms) {
  return {common::model::Instant(std::chrono::milliseconds(ms)), TimestampMs(ms)};
}

std::optional<FoundRecord> find(Fixture& f, int64_t timestamp, int64_t limit = 1000) {
  std::optional<FoundRecord> found;
  bool done = false;
  f.log->find_timestamp(TimestampMs(timestamp), Offset(limit), [&](const auto& r) {
    REQUIRE(r);
    found = *r;
    done = true;
  });
  f.disk->run_until_idle();
  REQUIRE(done);
  return found;
}

size_t snapshots_of(const Fixture& f) {
  const auto paths = f.disk->paths();
  return static_cast<size_t>(
      std::count_if(paths.begin(), paths.end(), [](const std::string& path) { return path.ends_with(".snapshot"); }));
}

// One segment, with a snapshot after each two batches.
void append_with_snapshots(Fixture& f, int from, int to) {
  for (int i = from; i < to; ++i) {
    f.append({.producer = common::records::ProducerStamp{common::model::ProducerId(7),
                                                         common::model::ProducerEpoch(0), i}});
    f.log->tick(at(i));
    f.disk->run_until_idle();
  }
  REQUIRE(f.log->segment_count() == 1);
}

}  // namespace

TEST_CASE("truncation cuts whole batches and what belongs to them") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.config.index_interval_bytes = 0;
  f.open();
  for (int i = 0; i < 12; ++i) f.append({.records = 2, .timestamp = 1000 + 10 * i}, i / 3);
  REQUIRE(f.log->segment_count() > 3);
  const int64_t to = GENERATE(24, 23, 22, 13, 12, 7, 6, 1, 0);
  const int64_t end = to / 2 * 2;
  REQUIRE(f.log->truncate_to(Offset(to)) == Offset(end));
  REQUIRE(f.log->log_end_offset() == Offset(end));
  std::string expected;
  for (int64_t i = 0; i < end; i += 2) expected += fmt::format("{}{}-{}", i == 0 ? "" : " ", i, i + 1);
  REQUIRE(f.dump(0) == expected);
  if (end > 0) REQUIRE(f.log->epochs().latest()->value == (end / 2 - 1) / 3);
  REQUIRE_FALSE(find(f, 1000 + 10 * (end / 2) + 1));
  if (end > 0) REQUIRE(find(f, 1000 + 10 * (end / 2 - 1))->offset == Offset(end - 2));
  f.disk->run_until_idle();  // the epoch file does not tell of the cut before
  REQUIRE(f.append({.timestamp = 5000}, 9) == end);
  REQUIRE(find(f, 4000)->offset == Offset(end));
}

TEST_CASE("a truncation that fails half way leaves a log that can still be asked") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.open();
  for (int i = 0; i < 12; ++i) f.append({.records = 2, .timestamp = 1000 + 10 * i});
  f.flush();
  REQUIRE(f.log->segment_count() > 3);
  f.disk->add_fault({.operation = SimulatedDisk::Operation::truncate, .path_contains = ".log", .times = 100});
  REQUIRE_FALSE(f.log->truncate_to(Offset(2)));
  REQUIRE(f.log->failure());
  REQUIRE(f.log->log_end_offset() < Offset(24));
  REQUIRE(f.log->flushed_offset() <= f.log->log_end_offset());
  f.log->advance_log_start(Offset(1));  // as DeleteRecords might, before the directory is known to be offline
  REQUIRE(f.log->log_start_offset() == Offset(1));
}

TEST_CASE("a log that begins within a batch keeps it until there is a descriptor for the file in its place (R77)") {
  Fixture f;
  f.open();
  f.append({.records = 5});
  f.log->advance_log_start(Offset(3));
  f.disk->add_fault({.operation = SimulatedDisk::Operation::create,
                     .path_contains = ".log",
                     .skip = 0,
                     .times = 1,
                     .fault = IoFault::exhausted});
  REQUIRE_FALSE(f.log->truncate_to(Offset(3)));
  REQUIRE_FALSE(f.log->failure());
  CHECK(f.log->log_end_offset() == Offset(5));
  REQUIRE(f.log->truncate_to(Offset(3)) == Offset(3));
  f.disk->run_until_idle();  // the epoch file
  REQUIRE(f.append({.fill = 'y'}, 1) == 3);
  CHECK(f.dump(3) == "3-3");
  f.flush();
  f.open({PreviousEnd::process_crash, Offset(4), Offset(4), Offset(3), {}, {}});
  CHECK(f.dump(3) == "3-3");
}

TEST_CASE("a full disk is no reason not to truncate, nor is its log offline for it (R81)") {
  Fixture f;
  SECTION("where a longer name finds no room") {
    f.config.segment_bytes = 400;
    f.open();
    for (int i = 0; i < 12; ++i) f.append({.records = 2, .timestamp = 1000 + 10 * i});
    f.flush();
    REQUIRE(f.log->segment_count() > 3);
    f.disk->add_fault({.operation = SimulatedDisk::Operation::rename,
                       .path_contains = ".log",
                       .skip = 0,
                       .times = 100,
                       .fault = IoFault::no_space});
    REQUIRE(f.log->truncate_to(Offset(2)) == Offset(2));
    CHECK(f.dump(0) == "0-1");
    CHECK(f.log->segment_count() == 1);
  }
  SECTION("where a file in the place of a batch that the log began within finds none") {
    f.open();
    f.append({.records = 5});
    f.log->advance_log_start(Offset(3));
    f.disk->add_fault({.operation = SimulatedDisk::Operation::create,
                       .path_contains = ".log",
                       .skip = 0,
                       .times = 1,
                       .fault = IoFault::no_space});
    REQUIRE_FALSE(f.log->truncate_to(Offset(3)));
    CHECK(f.log->log_end_offset() == Offset(5));
    REQUIRE(f.log->truncate_to(Offset(3)) == Offset(3));
  }
  CHECK_FALSE(f.log->failure());
}

TEST_CASE("a truncation that fails half way writes nothing more, not even epochs (R76)") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.open();
  for (int i = 0; i < 12; ++i) f.append({.records = 2}, i);
  f.disk->run_until_idle();
  const auto segments = f.log->segments();
  REQUIRE(segments.size() > 3);
  const std::string stuck = fmt::format("{:020}.log", segments[segments.size() - 2].base_offset.value);
  f.disk->add_fault({.operation = SimulatedDisk::Operation::rename, .path_contains = stuck, .times = 100});
  const std::string before(f.disk->content(f.path("leader-epoch-checkpoint")).text());
  REQUIRE_FALSE(f.log->truncate_to(Offset(2)));
  REQUIRE(f.log->failure());
  REQUIRE(f.log->log_end_offset() == segments.back().base_offset);  // so there were epochs to forget
  f.disk->run_until_idle();
  REQUIRE(f.disk->content(f.path("leader-epoch-checkpoint")).text() == before);
}

TEST_CASE("nothing is appended without the state of producers, which a truncation could not read again (R84)") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.open();
  for (int i = 0; i < 12; ++i) {
    f.append({.producer = common::records::ProducerStamp{common::model::ProducerId(7 + i % 2),
                                                         common::model::ProducerEpoch(0), i / 2}});
  }
  f.disk->run_until_idle();
  f.disk->add_fault(
      {.operation = SimulatedDisk::Operation::read, .path_contains = ".snapshot", .fault = IoFault::exhausted});
  REQUIRE(f.log->truncate_to(Offset(10)) == Offset(10));
  REQUIRE_FALSE(f.log->failure());
  f.disk->run_until_idle();
  if (GENERATE(true, false)) {
    // Whoever leads has asked the table before, and was told that nothing is known.
    const auto refused = f.log->append_own(make_batch(), LeaderEpoch(0), TimestampMs(f.now));
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().code == ErrorCode::kafka_storage_error);
  } else {
    f.log->tick(at(f.now));
  }
  const auto known = f.log->producers().describe();
  REQUIRE(known.size() == 2);
  for (const auto& p : known) REQUIRE(p.last_sequence == 4);
  REQUIRE(f.append() == 10);
}

TEST_CASE("a truncation reads producers again from a snapshot near by, not from where the segment begins (R78)") {
  Fixture f;
  f.config.snapshot_bytes = 50'000;
  f.open();
  for (int i = 0; i < 100; ++i) {
    const common::records::ProducerStamp producer{common::model::ProducerId(7), common::model::ProducerEpoch(0), i};
    f.append({.value_bytes = 5000, .timestamp = 1000 + i, .producer = producer});
    f.log->tick(at(i));
    f.disk->run_until_idle();
  }
  REQUIRE(f.log->segment_count() == 1);
  f.disk->add_fault({.operation = SimulatedDisk::Operation::read,
                     .path_contains = ".log",
                     .skip = 40,  // of 98 batches
                     .times = 1000,
                     .fault = IoFault::exhausted});
  REQUIRE(f.log->truncate_to(Offset(98)) == Offset(98));
  f.disk->clear_faults();
  const auto known = f.log->producers().describe();
  REQUIRE(known.size() == 1);
  CHECK(known.front().last_sequence == 97);
  f.disk->run_until_idle();
  CHECK(snapshots_of(f) <= 2);
}

TEST_CASE("a snapshot within a segment costs no sync, and one without room is not the segment's last (R78, R81)") {
  Fixture f;
  f.config.snapshot_bytes = 100;
  f.open();
  f.disk->add_fault(
      {.operation = SimulatedDisk::Operation::write, .path_contains = ".snapshot", .fault = IoFault::no_space});
  f.disk->add_fault({.operation = SimulatedDisk::Operation::sync, .path_contains = ".snapshot", .times = 1000});
  append_with_snapshots(f, 0, 2);
  REQUIRE(snapshots_of(f) == 0);
  append_with_snapshots(f, 2, 8);
  CHECK(snapshots_of(f) > 0);
  CHECK_FALSE(f.log->failure());
}

TEST_CASE("a snapshot of what was cut that cannot go at once goes later (R84)") {
  Fixture f;
  f.config.snapshot_bytes = 100;
  f.open();
  append_with_snapshots(f, 0, 10);
  REQUIRE(snapshots_of(f) == 2);
  f.disk->add_fault(
      {.operation = SimulatedDisk::Operation::remove, .path_contains = ".snapshot", .fault = IoFault::exhausted});
  REQUIRE(f.log->truncate_to(Offset(1)) == Offset(1));
  f.disk->run_until_idle();
  REQUIRE(snapshots_of(f) > 0);
  REQUIRE_FALSE(f.log->failure());
  f.log->tick(at(10));
  f.disk->run_until_idle();
  CHECK(snapshots_of(f) == 0);
}

TEST_CASE("truncating where the log ends forgets an epoch that never wrote (KAFKA-10706)") {
  Fixture f;
  f.open();
  f.append({}, 1);
  f.log->begin_epoch(LeaderEpoch(2));
  REQUIRE(f.log->epochs().latest() == LeaderEpoch(2));
  REQUIRE(f.log->truncate_to(Offset(1)) == Offset(1));
  REQUIRE(f.log->epochs().latest() == LeaderEpoch(1));
}

TEST_CASE("a sync that comes too late for a file that is gone fails nothing") {
  Fixture f;
  f.open();
  f.append();
  bool flushed = false;
  bool restarted = false;
  f.disk->add_fault(
      {.operation = SimulatedDisk::Operation::sync, .path_contains = "0000.log", .fault = IoFault::not_found});
  f.log->flush([&](const auto&) { flushed = true; });
  f.log->truncate_fully_and_start_at(Offset(9), [&](const auto& r) { restarted = r.has_value(); });
  f.disk->run_until_idle();
  REQUIRE((flushed && restarted));
  REQUIRE_FALSE(f.log->failure());
  REQUIRE(f.append() == 9);
}

TEST_CASE("a sync that comes too late for a file that was cut away fails nothing, though another one has its name") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.open();
  while (f.log->segment_count() < 2) f.append();
  f.append();
  const Offset base = f.log->segments().back().base_offset;
  f.log->flush([](const auto&) {});  // what goes before the first sync of a file, so that the next one begins at once
  f.disk->run_until_idle();
  f.append();
  f.disk->add_fault({.operation = SimulatedDisk::Operation::sync,
                     .path_contains = fmt::format("{:020}.log", base.value),
                     .fault = IoFault::not_found});
  bool flushed = false;
  f.log->flush([&](const auto& r) { flushed = r.has_value(); });
  REQUIRE(f.log->truncate_to(base) == base);
  f.append();  // R71: into another file of that name
  REQUIRE(f.log->segments().back().base_offset == base);
  f.disk->run_until_idle();
  REQUIRE(flushed);
  REQUIRE_FALSE(f.log->failure());
}

TEST_CASE("segments that could not be deleted for want of room or descriptors are deleted all the same (R81)") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  Fixture f;
  f.config.segment_bytes = 400;
  f.config.file_delete_delay = std::chrono::milliseconds(0);
  f.open();
  for (int i = 0; i < 12; ++i) f.append();
  f.flush();
  f.disk->add_fault({.operation = SimulatedDisk::Operation::rename,
                     .path_contains = "00000000000000000000.log",
                     .fault = GENERATE(IoFault::no_space, IoFault::exhausted)});
  f.log->advance_log_start(Offset(11));
  f.disk->run_until_idle();
  REQUIRE_FALSE(f.log->failure());
  for (int64_t ms = 0; ms < 3; ++ms) {
    f.log->tick(at(ms));
    f.disk->run_until_idle();
  }
  size_t logs = 0;
  for (const std::string& path : f.disk->paths()) {
    INFO(path);
    REQUIRE_FALSE(path.ends_with(".deleted"));
    logs += path.ends_with(".log") ? 1 : 0;
  }
  REQUIRE(logs == f.log->segment_count());
}

TEST_CASE("a log that cannot be started over on a full disk is as it was (R81)") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  Fixture f;
  f.open();
  for (int i = 0; i < 3; ++i) f.append();
  const auto start_over = [&] {
    std::optional<bool> done;
    f.log->truncate_fully_and_start_at(Offset(9), [&](const auto& r) { done = r.has_value(); });
    f.disk->run_until_idle();
    return done;
  };
  SECTION("the marker has no room") {
    f.disk->add_fault(
        {.operation = SimulatedDisk::Operation::write, .path_contains = "restart-at", .fault = IoFault::no_space});
  }
  SECTION("its name could not be synced") {
    f.disk->add_fault({.operation = SimulatedDisk::Operation::sync_directory, .fault = IoFault::exhausted});
  }
  REQUIRE(start_over() == false);
  REQUIRE_FALSE(f.log->failure());
  REQUIRE(f.append() == 3);
  f.close();
  f.open();  // nothing is begun that this would finish
  REQUIRE(f.log->log_start_offset() == Offset(0));
  REQUIRE(f.log->log_end_offset() == Offset(4));
  REQUIRE(start_over() == true);
  REQUIRE(f.append() == 9);
}

TEST_CASE("a flush that was asked for while a log was to be started over is done when that finds no room") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  Fixture f;
  f.open();
  for (int i = 0; i < 3; ++i) f.append();
  const bool may_pass = GENERATE(true, false);
  f.disk->add_fault({.operation = SimulatedDisk::Operation::write,
                     .path_contains = "restart-at",
                     .fault = may_pass ? IoFault::no_space : IoFault::failed});
  std::optional<bool> restarted;
  std::optional<bool> flushed;
  f.log->truncate_fully_and_start_at(Offset(9), [&](const auto& r) { restarted = r.has_value(); });
  f.log->flush([&](const auto& r) { flushed = r.has_value(); });
  f.disk->run_until_idle();
  REQUIRE(restarted == false);
  REQUIRE(f.log->failure().has_value() != may_pass);
  REQUIRE(flushed == may_pass);
  if (may_pass) REQUIRE(f.log->flushed_offset() == Offset(3));
}

TEST_CASE("the epoch file follows the cache") {
  Fixture f;
  f.open();
  bool persisted = false;
  f.log->begin_epoch(LeaderEpoch(3));
  f.log->when_epochs_persisted([&](const auto& r) { persisted = r.has_value(); });
  REQUIRE_FALSE(persisted);
  f.disk->run_until_idle();
  REQUIRE(persisted);
  REQUIRE(f.disk->content(f.path("leader-epoch-checkpoint")).text().starts_with("0\n1\n3 0"));
}

TEST_CASE("DeleteRecords hides what lies below and drops whole segments") {
  Fixture f;
  f.config.segment_bytes = 300;
  f.config.file_delete_delay = std::chrono::milliseconds(500);
  f.open();
  for (int i = 0; i < 10; ++i) f.append({}, i / 5);
  const size_t segments = f.log->segment_count();
  f.log->advance_log_start(Offset(7));
  f.disk->run_until_idle();
  REQUIRE(f.log->log_start_offset() == Offset(7));
  REQUIRE(f.log->segment_count() < segments);
  REQUIRE(f.log->read({Offset(6), Offset(10)}).error().code == ErrorCode::offset_out_of_range);
  REQUIRE(f.dump(7) == "7-7 8-8 9-9");
  REQUIRE(f.log->epochs().entries() == std::vector<EpochStart>{{LeaderEpoch(1), Offset(7)}});
  f.log->advance_log_start(Offset(3));
  REQUIRE(f.log->log_start_offset() == Offset(7));

  const auto deleted = [&] {
    const auto paths = f.disk->paths();
    return std::count_if(paths.begin(), paths.end(), [](const std::string& p) { return p.ends_with(".deleted"); });
  };
  REQUIRE(deleted() > 0);
  f.log->tick(at(1000));
  f.disk->run_until_idle();
  REQUIRE(deleted() > 0);
  // What cannot be removed now is later: it would lie there as long as the process lives.
  f.disk->add_fault({.operation = SimulatedDisk::Operation::remove,
                     .path_contains = ".deleted",
                     .fault = common::disk::IoFault::exhausted});
  f.log->tick(at(1500));
  f.disk->run_until_idle();
  REQUIRE(deleted() > 0);
  f.log->tick(at(2000));
  f.disk->run_until_idle();
  f.log->tick(at(2500));
  f.disk->run_until_idle();
  REQUIRE(deleted() == 0);
}

TEST_CASE("retention by size and by time stays below the high watermark (R82)") {
  Fixture f;
  f.config.segment_bytes = 200;
  f.config.retention_ms = std::chrono::milliseconds(1000);
  f.open();
  for (int i = 0; i < 10; ++i) f.append({.timestamp = 1000 * i});
  const auto base = [&](size_t i) { return f.log->segments()[i].base_offset.value; };
  const int64_t second = base(1);
  const int64_t third = base(2);
  SECTION("time") {
    REQUIRE(f.log->apply_retention(at(1000), Offset(10)) == 0);
    REQUIRE(f.log->apply_retention(at(1000 * (second - 1) + 1001), Offset(10)) == 1);
    REQUIRE(f.log->log_start_offset() == Offset(second));
  }
  SECTION("not above the high watermark") {
    REQUIRE(f.log->apply_retention(at(1000000), Offset(third)) == 2);
    REQUIRE(f.log->log_start_offset() == Offset(third));
    REQUIRE(f.log->apply_retention(at(1000000), Offset(third)) == 0);
  }
  SECTION("all of it: an empty segment remains") {
    REQUIRE(f.log->apply_retention(at(1000000), Offset(10)) == 5);
    REQUIRE(f.log->log_start_offset() == Offset(10));
    REQUIRE(f.log->segment_count() == 1);
    REQUIRE(f.append() == 10);
  }
  SECTION("size") {
    f.config.retention_ms.reset();
    f.config.retention_bytes = f.log->size_bytes() - 1;
    f.log->set_config(f.config);
    REQUIRE(f.log->apply_retention(at(0), Offset(10)) == 0);
    f.config.retention_bytes = f.log->size_bytes() - 2 * f.log->segments()[0].size_bytes;
    f.log->set_config(f.config);
    REQUIRE(f.log->apply_retention(at(0), Offset(10)) == 2);
  }
  SECTION("not if the topic is only compacted") {
    f.config.delete_old_segments = false;
    f.log->set_config(f.config);
    REQUIRE(f.log->apply_retention(at(1000000), Offset(10)) == 0);
  }
}

TEST_CASE("a time index that has rotted makes no segment old enough to go (R74, R82)") {
  Fixture f;
  f.config.segment_bytes = 200;
  f.config.retention_ms = std::chrono::milliseconds(1000);
  f.open();
  for (int i = 0; i < 10; ++i) f.append({.timestamp = 1'000'000 + i});
  f.flush();
  const size_t segments = f.log->segment_count();
  const OpenHints hints = f.clean_hints();
  f.close();
  const std::string index = f.path("00000000000000000000.timeindex");
  REQUIRE(f.disk->content(index).size() == 12);  // one entry: it is not compared with another one
  const Buffer whole = f.disk->content(index);
  const bool has_rotted = GENERATE(true, false);
  if (has_rotted) f.disk->flip_bit(index, 8 * 5 + 3);  // nine minutes older
  if (GENERATE(true, false)) f.disk->set_cold(".log");
  f.open(hints);
  // What cannot be read now is asked again.
  const uint64_t failing_reads = GENERATE(0u, 2u);
  if (failing_reads > 0)
    f.disk->add_fault({.operation = SimulatedDisk::Operation::read,
                       .path_contains = "00000000000000000000.log",
                       .times = failing_reads,
                       .fault = common::disk::IoFault::exhausted});
  for (int check = 0; check < 3; ++check) {
    REQUIRE(f.log->apply_retention(at(1'000'500), Offset(10)) == 0);
    f.disk->run_until_idle();
  }
  REQUIRE(f.log->apply_retention(at(1'000'500), Offset(10)) == 0);
  REQUIRE(f.log->segment_count() == segments);
  REQUIRE(f.disk->content(index).text() == whole.text());
  // Nor does one of them stay that is old: its turn may come some checks later.
  for (int check = 0; check < 4; ++check) {
    static_cast<void>(f.log->apply_retention(at(1'002'000), Offset(10)));
    f.disk->run_until_idle();
  }
  REQUIRE(f.log->log_start_offset() == Offset(10));
}

TEST_CASE("a record from the future ages from when it was appended (KAFKA-6482)") {
  Fixture f;
  f.config.retention_ms = std::chrono::milliseconds(1000);
  f.now = 5000;
  f.open();
  f.append({.timestamp = 999999999});
  REQUIRE(f.log->apply_retention(at(5500), Offset(1)) == 0);
  REQUIRE(f.log->apply_retention(at(6001), Offset(1)) == 1);
}

TEST_CASE("timestamps lead to the first record that is not older") {
  Fixture f;
  f.config.segment_bytes = 600;
  f.config.index_interval_bytes = GENERATE(0u, 150u, 4096u);
  f.open();
  // Three records a batch, a millisecond apart; batches ten apart.
  for (int i = 0; i < 30; ++i) f.append({.records = 3, .timestamp = 1000 + 10 * i}, i / 10);
  if (GENERATE(false, true)) f.disk->set_cold("orders");
  for (int64_t i = 0; i < 30; ++i) {
    REQUIRE(find(f, 1000 + 10 * i)->offset == Offset(3 * i));
    REQUIRE(find(f, 1000 + 10 * i + 2)->offset == Offset(3 * i + 2));
    const auto next = find(f, 1000 + 10 * i + 3);
    if (i < 29) {
      REQUIRE(next->offset == Offset(3 * i + 3));
      REQUIRE(next->timestamp == TimestampMs(1010 + 10 * i));
      REQUIRE(next->leader_epoch == LeaderEpoch(static_cast<int32_t>((i + 1) / 10)));
    } else {
      REQUIRE_FALSE(next);
    }
  }
  REQUIRE(find(f, 0)->offset == Offset(0));
  REQUIRE_FALSE(find(f, 1100, 30));  // at the limit
  REQUIRE(find(f, 1099, 33)->offset == Offset(30));
  f.log->advance_log_start(Offset(40));
  REQUIRE(find(f, 0)->offset == Offset(40));
}

TEST_CASE("a search through a long log takes turns, and comes to its end") {
  Fixture f;
  f.config.segment_bytes = 64 << 20;
  f.config.index_interval_bytes = 1 << 30;  // no index says where to begin
  f.open();
  for (int i = 0; i < 150; ++i) f.append({.value_bytes = 128 << 10, .timestamp = 1000 + i});
  if (GENERATE(false, true)) f.disk->set_cold("orders");
  std::optional<FoundRecord> found;
  f.log->find_timestamp(TimestampMs(1149), Offset(1000), [&](const auto& r) { found = *r; });
  REQUIRE_FALSE(found);  // others come before its end does
  f.disk->run_until_idle();
  REQUIRE(found);
  REQUIRE(found->offset == Offset(149));
}

TEST_CASE("the record with the largest timestamp, below a limit (KIP-734)") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.config.index_interval_bytes = GENERATE(0u, 4096u);
  f.open();
  const std::vector<int64_t> stamps{10, 50, 20, 90, 30, 90, 40, 10, 5, 60};
  for (const int64_t t : stamps) f.append({.timestamp = t});
  const int64_t start = GENERATE(0, 1, 4, 6);  // 4 and 6: the largest of its segment was deleted
  f.log->advance_log_start(Offset(start));
  for (int64_t limit = start; limit <= 10; ++limit) {
    std::optional<int64_t> expected;
    for (int64_t i = start; i < limit; ++i) {
      if (!expected || stamps[static_cast<size_t>(i)] > stamps[static_cast<size_t>(*expected)]) expected = i;
    }
    std::optional<FoundRecord> found;
    bool is_told = false;
    f.log->find_largest_timestamp(Offset(limit), [&](const auto& r) {
      REQUIRE(r);
      found = *r;
      is_told = true;
    });
    f.disk->run_until_idle();
    INFO("from " << start << " to " << limit);
    REQUIRE(is_told);
    REQUIRE(found.has_value() == expected.has_value());
    if (expected) REQUIRE(found->offset == Offset(*expected));
  }
}

TEST_CASE("a segment is not walked through on the shard for its largest timestamp (R78)") {
  Fixture f;
  f.config.index_interval_bytes = GENERATE(0u, 1u << 20);
  f.open();
  for (const int64_t t : {90, 20, 50, 40, 80}) f.append({.timestamp = t});
  f.log->advance_log_start(Offset(1));
  std::vector<int64_t> found;
  const auto ask = [&](int64_t limit) {
    f.log->find_largest_timestamp(Offset(limit), [&](const auto& r) {
      REQUIRE(r);
      found.push_back(*r ? (*r)->offset.value : -1);
    });
  };
  ask(4);
  REQUIRE(found.empty());
  f.disk->run_until_idle();
  REQUIRE(found == std::vector<int64_t>{2});

  // What happens meanwhile counts: records that are deleted, or cut and written anew.
  found.clear();
  ask(4);
  f.log->advance_log_start(Offset(3));
  f.disk->run_until_idle();
  REQUIRE(found == std::vector<int64_t>{3});
  found.clear();
  ask(4);
  REQUIRE(f.log->truncate_to(Offset(3)) == Offset(3));
  f.disk->run_until_idle();
  REQUIRE(found == std::vector<int64_t>{-1});
}

TEST_CASE("damage that a read or a truncation meets is told once, and neither is a failure of the disk (R72)") {
  Fixture f;
  f.config.index_interval_bytes = 1 << 20;  // a truncation walks over the headers
  std::vector<std::string> told;
  LogEnvironment environment;
  environment.disk = f.disk.get();
  environment.on_damage = [&](const common::model::Error& error) { told.push_back(error.message); };
  environment.on_failure = [&](const common::model::Error& error) { f.failures.push_back(error.message); };
  auto opened = Log::open(environment, directory, f.config, OpenHints{}, TimestampMs(0));
  REQUIRE(opened);
  f.log = std::move(*opened);
  for (int i = 0; i < 4; ++i) f.append();
  const bool in_length = GENERATE(true, false);
  f.disk->flip_bit(f.path("00000000000000000000.log"), in_length ? 8 * 8 : 8 * 70);
  REQUIRE(f.log->read_blocking({Offset(0), Offset(4), 1 << 20}).error().code == ErrorCode::corrupt_message);
  REQUIRE(told.empty());  // a tool's look
  REQUIRE(f.log->read({Offset(0), Offset(4), 1 << 20}).error().code == ErrorCode::corrupt_message);
  REQUIRE(f.log->read({Offset(0), Offset(4), 1 << 20}).error().code == ErrorCode::corrupt_message);
  REQUIRE(told.size() == 1);
  const auto cut = f.log->truncate_to(Offset(3));
  REQUIRE(cut.has_value() != in_length);
  if (in_length) REQUIRE(cut.error().code == ErrorCode::corrupt_message);
  REQUIRE(told.size() == 1);
  REQUIRE(f.failures.empty());
  REQUIRE_FALSE(f.log->failure());
  bool emptied = false;
  f.log->truncate_fully_and_start_at(Offset(0), [&](const auto& done) { emptied = done.has_value(); });
  f.disk->run_until_idle();
  REQUIRE(emptied);
  REQUIRE(f.append() == 0);
}

TEST_CASE("a truncation into a file that has another segment's batches finds damage, and the log lives on") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  Fixture f;
  f.config.segment_bytes = 300;
  f.open();
  for (int i = 0; i < 12; ++i) f.append({.value_bytes = 40});
  const auto segments = f.log->segments();
  REQUIRE(segments.size() >= 4);
  const Offset foreign = segments[2].base_offset;
  const OpenHints hints = f.clean_hints();
  f.close();
  // A clean end vouches for all segments but the last: nobody has looked at this one.
  f.disk->overwrite(f.path(fmt::format("{:020}.log", foreign.value)),
                    f.disk->content(f.path("00000000000000000000.log")).view());
  f.open(hints);
  const auto cut = f.log->truncate_to(foreign + 1);
  REQUIRE_FALSE(cut);
  REQUIRE(cut.error().code == ErrorCode::corrupt_message);
  REQUIRE(f.log->log_end_offset() > foreign);
  REQUIRE(f.dump(0, foreign.value).ends_with(fmt::format("-{}", foreign.value - 1)));
  REQUIRE(f.failures.empty());
}

TEST_CASE("what a log had still to do is not done to the next one that has its name (R42)") {
  Fixture f;
  f.open();
  f.append();
  f.flush();
  f.log->truncate_fully_and_start_at(Offset(9), [](const auto&) {});
  const std::shared_ptr<JobGate> gate = f.log->job_gate();
  f.log.reset();
  gate->close();
  REQUIRE(f.disk->rename(directory, "data/orders-0.00000000000000000000000000000001-delete"));
  REQUIRE(f.disk->create_directories(directory));
  const std::string segment = f.path("00000000000000000000.log");
  REQUIRE(f.disk->open(segment, common::disk::OpenMode::create_if_missing));
  f.disk->overwrite(segment, as_bytes("another topic's"));
  f.disk->run_until_idle();
  REQUIRE(f.disk->exists(segment));
  REQUIRE(f.disk->content(segment).text() == "another topic's");
  REQUIRE_FALSE(f.disk->exists(f.path("00000000000000000009.log")));
}
