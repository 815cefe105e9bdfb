// What open() makes of damaged files (R71-R74, faults 30-33).
#include "log/log_fixture.h"

using namespace log_test;

namespace {

const std::string first_log = directory + "/00000000000000000000.log";

OpenHints after_power_loss(std::optional<Offset> recovery_point, std::optional<Offset> high_watermark = {}) {
  return {PreviousEnd::unknown, recovery_point, high_watermark, {}};
}

}  // namespace

TEST_CASE("space that was reserved behind a segment is not the end of a log that goes on in the next one (R71)") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.config.preallocate_bytes = 4096;
  f.open();
  for (int i = 0; i < 10; ++i) f.append();
  f.flush();
  f.log.reset();
  const std::string first = f.path("00000000000000000000.log");
  std::string content(f.disk->content(first).text());
  const size_t size = content.size();
  content.resize(size + 40);
  f.disk->overwrite(first, as_bytes(content));
  SECTION("the next begins where it ends") {
    f.open();
    REQUIRE(f.log->log_end_offset() == Offset(10));
    REQUIRE(f.dump(0) == "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7-7 8-8 9-9");
    REQUIRE(f.disk->content(first).size() == size);
  }
  SECTION("the next is missing") {
    f.disk->erase(f.path("00000000000000000004.log"));
    f.open();
    REQUIRE(f.log->log_end_offset() == Offset(4));
  }
}

TEST_CASE("a torn tail is cut at the last whole batch, wherever it tore (fault 30)") {
  Fixture f;
  f.open();
  f.append({.value_bytes = 50});
  const uint64_t good = f.log->size_bytes();
  f.append({.records = 2, .value_bytes = 50});
  const uint64_t all = f.log->size_bytes();
  f.flush();
  f.log.reset();
  const Buffer whole = f.disk->content(first_log);
  for (uint64_t length = good; length <= all; ++length) {
    auto disk = f.disk->clone();
    disk->overwrite(first_log, whole.view().first(length));
    Fixture g;
    g.disk = std::move(disk);
    g.open(after_power_loss({}));
    REQUIRE(g.log->log_end_offset() == Offset(length == all ? 3 : 1));
    REQUIRE(g.log->recovery_report().cut_bytes == (length == all ? 0 : length - good));
    REQUIRE(g.append() == (length == all ? 3 : 1));
  }
}

TEST_CASE("a flipped bit is a torn tail above what was synced and committed, and rot below (R72)") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  Fixture f;
  f.open();
  for (int i = 0; i < 4; ++i) f.append({.value_bytes = 10});
  const uint64_t batch = f.log->size_bytes() / 4;
  f.log.reset();
  // Any bit of the third batch but those that the checksum does not cover and that say nothing false on their own.
  for (uint64_t bit = 0; bit < batch * 8; ++bit) {
    const uint64_t byte = bit / 8;
    if (byte >= 12 && byte < 16) continue;  // leader epoch: not under the checksum (set by the broker)
    INFO("bit " << bit);
    for (const int64_t trusted : {int64_t{0}, int64_t{2}, int64_t{3}}) {
      Fixture g;
      g.disk = f.disk->clone();
      g.disk->flip_bit(first_log, 2 * batch * 8 + bit);
      const Buffer before = g.disk->content(first_log);
      const bool by_high_watermark = bit % 2 == 0;
      const auto opened = g.try_open(by_high_watermark ? after_power_loss(Offset(0), Offset(trusted))
                                                       : after_power_loss(Offset(trusted)));
      // A length that now reaches past the end looks like a batch that is there in part, and that is no sign of rot
      // where only the high watermark speaks against it.
      const bool looks_short = byte >= 8 && byte < 12 && by_high_watermark;
      if (trusted <= 2 || (looks_short && opened)) {
        REQUIRE(opened);
        REQUIRE(g.log->log_end_offset() == Offset(2));
      } else {
        REQUIRE_FALSE(opened);
        REQUIRE(opened.error().code == ErrorCode::corrupt_message);
        REQUIRE(g.disk->content(first_log).text() == before.text());  // the evidence stays
      }
    }
  }
}

TEST_CASE("the death of a process tears nothing but the last write: what else is wrong has rotted (R75)") {
  Fixture f;
  f.open();
  for (int i = 0; i < 4; ++i) f.append({.value_bytes = 30});
  const std::string name = f.path("00000000000000000000.log");
  const Buffer whole = f.disk->content(name);
  const OpenHints killed{PreviousEnd::process_crash, {}, {}, {}};
  f.log.reset();
  SECTION("any flipped bit, also in a length, and also in the last batch") {
    for (uint64_t bit = 0; bit < whole.size() * 8; ++bit) {
      Fixture g;
      g.disk = f.disk->clone();
      g.disk->flip_bit(name, bit);
      const auto opened = g.try_open(killed);
      INFO("bit " << bit << " " << (opened ? std::to_string(g.log->log_end_offset().value) : opened.error().message));
      if (opened) {
        REQUIRE(g.log->log_end_offset() == Offset(4));  // an epoch may rise
      } else {
        REQUIRE(opened.error().code == ErrorCode::corrupt_message);
      }
    }
  }
  SECTION("a write that was cut short is cut off, wherever that was") {
    for (size_t length = whole.size() * 3 / 4; length <= whole.size(); ++length) {
      Fixture g;
      g.disk = f.disk->clone();
      g.disk->overwrite(name, whole.view().first(length));
      g.open(killed);
      REQUIRE(g.log->log_end_offset() == Offset(length < whole.size() ? 3 : 4));
    }
  }
  SECTION("what is no beginning of the batch that belongs there was written elsewhere, or something else there") {
    const size_t last = whole.size() * 3 / 4;
    const std::string kind = GENERATE("nothing", "text", "an earlier batch");
    for (size_t length = 12; length <= whole.size() / 4; ++length) {
      std::string content(whole.text());
      for (size_t i = last; i < content.size(); ++i) {
        content[i] = kind == "nothing" ? '\0' : kind == "text" ? 'x' : content[i - last];
      }
      Fixture g;
      g.disk = f.disk->clone();
      g.disk->overwrite(name, common::model::as_bytes(content).first(last + length));
      INFO(kind << " of " << length << " bytes");
      const auto opened = g.try_open(killed);
      REQUIRE_FALSE(opened);
      REQUIRE(opened.error().code == ErrorCode::corrupt_message);
    }
  }
}

TEST_CASE("what a failed sync left in the page cache alone is written anew before it counts as flushed (R76)") {
  Fixture f;
  f.config.segment_bytes = 1000;
  f.open();
  for (int i = 0; i < 10; ++i) f.append({.value_bytes = 100});
  f.flush();
  for (int i = 0; i < 10; ++i) f.append({.value_bytes = 100});
  REQUIRE(f.log->segment_count() > 2);
  f.disk->add_fault({.operation = SimulatedDisk::Operation::sync, .path_contains = ".log", .times = 100});
  bool failed = false;
  f.log->flush([&](const common::log::Result<Offset>& flushed) { failed = !flushed; });
  f.disk->run_until_idle();
  REQUIRE(failed);
  f.log.reset();
  f.disk->kill();
  f.disk->clear_faults();
  // Of the first segment nothing is written again, of the second what lies at or above the recovery point.
  f.disk->add_fault({.operation = SimulatedDisk::Operation::write, .path_contains = first_log});
  OpenHints hints = after_power_loss(Offset(10));
  hints.doubted_from = Offset(10);
  f.open(hints);
  REQUIRE(f.log->flushed_offset() == Offset(20));
  const std::string all = f.dump(0);
  f.log.reset();
  f.disk->crash(SimulatedDisk::Unsynced::lost);
  f.open(after_power_loss(Offset(20)));
  REQUIRE(f.log->log_end_offset() == Offset(20));
  REQUIRE(f.dump(0) == all);
}

TEST_CASE("an epoch that falls is damage") {
  Fixture f;
  f.open();
  f.append({}, 5);
  const uint64_t batch = f.log->size_bytes();
  f.append({}, 5);
  f.log.reset();
  f.disk->flip_bit(first_log, (batch + 15) * 8);  // 5 -> 4
  f.open(after_power_loss({}));
  REQUIRE(f.log->log_end_offset() == Offset(1));
}

namespace {

// Offsets 0-2 of epoch 1, 3 of epoch 4, 4-6 of epoch 9; the epoch file knows it. Each batch has one record.
void write_three_epochs(Fixture& f) {
  f.open();
  for (const int32_t epoch : {1, 1, 1, 4, 9, 9, 9}) f.append({}, epoch);
  f.disk->run_until_idle();
}

// Each bit of the epoch of each batch, once.
template <class Try>
void with_each_epoch_bit(Fixture& f, Try attempt) {
  const uint64_t batch = f.log->size_bytes() / 7;
  f.log.reset();
  for (uint64_t i = 0; i < 7; ++i) {
    for (uint64_t bit = 12 * 8; bit < 16 * 8; ++bit) {
      INFO("batch " << i << " bit " << bit);
      Fixture g;
      g.disk = f.disk->clone();
      g.disk->flip_bit(first_log, i * batch * 8 + bit);
      attempt(g, i, bit);
    }
  }
}

}  // namespace

TEST_CASE("a leader epoch that is not the one of the epoch file has rotted (R75, R79)") {
  Fixture f;
  write_three_epochs(f);
  SECTION("after the death of the process, but for an epoch at the very end that may be new") {
    with_each_epoch_bit(f, [](Fixture& g, uint64_t batch, uint64_t bit) {
      const auto opened = g.try_open({PreviousEnd::process_crash, {}, {}, {}});
      if (opened) {
        REQUIRE((batch == 6 && bit != 12 * 8 + 7));  // not a negative one
        REQUIRE(g.log->epochs().latest() > LeaderEpoch(9));
        return;
      }
      REQUIRE(opened.error().code == ErrorCode::corrupt_message);
    });
  }
  SECTION("after a loss of power, below what was synced") {
    with_each_epoch_bit(f, [](Fixture& g, uint64_t batch, uint64_t) {
      const auto opened = g.try_open(after_power_loss(Offset(5)));
      if (batch < 5) {
        REQUIRE_FALSE(opened);
        REQUIRE(opened.error().code == ErrorCode::corrupt_message);
      } else {
        REQUIRE(opened);  // a torn tail, or an epoch that the file lacks
        REQUIRE(g.log->log_end_offset() >= Offset(5));
      }
    });
  }
}

TEST_CASE("an epoch that has rotted is found by who reads it, also after a clean end (R72)") {
  Fixture f;
  write_three_epochs(f);
  const OpenHints hints = f.clean_hints();
  const uint64_t batch = f.log->size_bytes() / 7;
  f.close();
  for (uint64_t i = 0; i < 7; ++i) {
    for (uint64_t bit = 12 * 8; bit < 16 * 8; ++bit) {
      INFO("batch " << i << " bit " << bit);
      Fixture g;
      g.disk = f.disk->clone();
      const bool is_open = bit % 2 == 0;
      if (is_open) g.open(hints);
      g.disk->flip_bit(first_log, i * batch * 8 + bit);
      const auto opened = is_open ? common::log::Result<void>() : g.try_open(hints);
      const auto at = Offset(static_cast<int64_t>(i));
      const auto code = opened ? g.log->read_blocking({at, at.next()}).error().code : opened.error().code;
      REQUIRE(code == ErrorCode::corrupt_message);
    }
  }
}

TEST_CASE("the epoch file does not speak of what was cut when other batches come there (R66, R79)") {
  Fixture f;
  f.open();
  for (const int32_t epoch : {1, 1, 4, 4, 9}) f.append({}, epoch);
  const bool file_is_behind = GENERATE(false, true);
  if (!file_is_behind) f.disk->run_until_idle();
  REQUIRE(f.log->truncate_to(Offset(1)));
  if (file_is_behind) {
    const auto refused = f.log->append_own(make_batch(), LeaderEpoch(10), TimestampMs(f.now));
    REQUIRE(refused.error().code == ErrorCode::kafka_storage_error);
    f.disk->run_until_idle();
  }
  for (const int32_t epoch : {3, 3, 6, 11}) f.append({}, epoch);
  const std::string all = f.dump(0);
  f.log.reset();
  f.disk->kill();
  f.open({PreviousEnd::process_crash, {}, {}, {}});
  REQUIRE(f.dump(0) == all);
}

TEST_CASE("a flush that has still to write the epoch file does not bring back what was cut (R66, R79)") {
  Fixture f;
  f.open();
  f.append({}, 1);
  f.flush();
  f.append({}, 4);
  f.log->flush([](const auto&) {});
  REQUIRE(f.disk->run_one());  // the epoch is in the file; the flush writes it once more, durably
  REQUIRE(f.log->truncate_to(Offset(1)));
  const auto early = f.log->append_own(make_batch(), LeaderEpoch(1), TimestampMs(f.now));
  REQUIRE_FALSE(early);
  REQUIRE(early.error().code == ErrorCode::kafka_storage_error);
  f.disk->run_until_idle();
  REQUIRE(f.append({}, 1) == 1);  // no new epoch: nobody writes the file again
  const std::string all = f.dump(0);
  f.log.reset();
  f.disk->kill();
  f.open({PreviousEnd::process_crash, {}, {}, {}});
  REQUIRE(f.dump(0) == all);
}

TEST_CASE("without the epoch file, an epoch that falls is damage below the recovery point too (R79)") {
  Fixture f;
  write_three_epochs(f);
  const OpenHints hints = f.clean_hints();
  const uint64_t batch = f.log->size_bytes() / 7;
  f.close();
  f.disk->erase(f.path("leader-epoch-checkpoint"));
  f.disk->flip_bit(first_log, (batch + 14) * 8);  // the second batch: 1 -> 257
  REQUIRE(f.try_open(hints).error().code == ErrorCode::corrupt_message);
}

TEST_CASE("a clean log that lost its end is refused") {
  Fixture f;
  f.config.segment_bytes = 300;
  f.open();
  for (int i = 0; i < 6; ++i) f.append();
  const OpenHints hints = f.clean_hints();
  const auto segments = f.log->segments();
  f.close();
  const std::string last = f.path(fmt::format("{:020}.log", segments.back().base_offset.value));
  SECTION("nothing lost") {
    f.open(hints);
  }
  SECTION("last bytes") {
    const Buffer content = f.disk->content(last);
    f.disk->overwrite(last, content.view().first(content.size() - 1));
    REQUIRE(f.try_open(hints).error().code == ErrorCode::corrupt_message);
  }
  SECTION("last segment") {
    f.disk->erase(last);
    REQUIRE(f.try_open(hints).error().code == ErrorCode::corrupt_message);
  }
  SECTION("all segments") {
    for (const auto& s : segments) f.disk->erase(f.path(fmt::format("{:020}.log", s.base_offset.value)));
    REQUIRE(f.try_open(hints).error().code == ErrorCode::corrupt_message);
  }
  SECTION("a flipped bit in the last batch") {
    f.disk->flip_bit(last, f.disk->content(last).size() * 8 - 3);
    REQUIRE(f.try_open(hints).error().code == ErrorCode::corrupt_message);
  }
}

TEST_CASE("a missing middle segment ends the log there, or is rot below what was synced") {
  Fixture f;
  f.config.segment_bytes = 200;
  f.open();
  for (int i = 0; i < 8; ++i) f.append();
  f.disk->run_until_idle();
  const auto segments = f.log->segments();
  REQUIRE(segments.size() == 4);
  f.log.reset();
  f.disk->erase(f.path(fmt::format("{:020}.log", segments[2].base_offset.value)));
  SECTION("not synced") {
    f.open(after_power_loss({}));
    REQUIRE(f.log->log_end_offset() == segments[2].base_offset);
    REQUIRE(f.dump(0) == "0-0 1-1 2-2 3-3");
  }
  SECTION("synced") {
    REQUIRE(f.try_open(after_power_loss(Offset(5))).error().code == ErrorCode::corrupt_message);
  }
}

TEST_CASE("indexes are rebuilt when missing or wrong, to the same bytes (R74)") {
  Fixture f;
  f.config.index_interval_bytes = 0;
  f.config.segment_bytes = 1000;
  f.open();
  for (int i = 0; i < 30; ++i) f.append({.timestamp = 1000 + i});
  f.disk->run_until_idle();
  const OpenHints clean = f.clean_hints();
  f.close();
  const bool is_clean = GENERATE(true, false);
  const OpenHints hints = is_clean ? clean : after_power_loss({});
  std::map<std::string, std::string> good;
  for (const std::string& path : f.disk->paths()) {
    if (path.ends_with("index")) good[path] = f.disk->content(path).text();
  }
  REQUIRE(good.size() == 6);
  const int damage = GENERATE(0, 1, 2, 3);
  for (const auto& [path, bytes] : good) {
    if (damage == 0) f.disk->erase(path);
    if (damage == 1) f.disk->overwrite(path, as_bytes(std::string_view(bytes).substr(0, bytes.size() - 3)));
    if (damage == 2) f.disk->overwrite(path, as_bytes(std::string(bytes.size(), '\0')));
    if (damage == 3) f.disk->overwrite(path, as_bytes(std::string(bytes.size(), '\x7f')));
  }
  f.open(hints);
  REQUIRE(f.log->log_end_offset() == Offset(30));
  for (int64_t from = 0; from < 30; ++from) REQUIRE(f.dump(from, from + 1) == fmt::format("{}-{}", from, from));
  for (int64_t at = 1000; at < 1030; ++at) {
    std::optional<FoundRecord> found;
    f.log->find_timestamp(TimestampMs(at), Offset(30), [&](const auto& r) { found = *r; });
    REQUIRE(found);
    REQUIRE(found->offset.value == at - 1000);
  }
  f.close();
  for (const auto& [path, bytes] : good) {
    if (path.find("00000000000000000000.") == std::string::npos && damage >= 2 && is_clean)
      continue;  // served, checked at each use
    INFO(path);
    if (damage != 2 || !is_clean) REQUIRE(f.disk->content(path).text() == bytes);
  }
}

TEST_CASE("a lying index costs time, never a wrong answer") {
  Fixture f;
  f.config.index_interval_bytes = 0;
  f.open();
  for (int i = 0; i < 20; ++i) f.append({.timestamp = 1000 + 10 * i});
  const OpenHints clean = f.clean_hints();
  f.close();
  for (const std::string& name : {f.path("00000000000000000000.index"), f.path("00000000000000000000.timeindex")}) {
    const uint64_t bits = f.disk->content(name).size() * 8;
    for (uint64_t bit = 0; bit < bits; ++bit) {
      INFO(name << " bit " << bit);
      Fixture g;
      g.config = f.config;
      g.disk = f.disk->clone();
      g.disk->flip_bit(name, bit);
      g.open(clean);
      for (int64_t from = 0; from < 20; from += 3) REQUIRE(g.dump(from, from + 1) == fmt::format("{}-{}", from, from));
      for (int64_t i = 0; i < 20; i += 3) {
        std::optional<FoundRecord> found;
        g.log->find_timestamp(TimestampMs(1000 + 10 * i), Offset(20), [&](const auto& r) { found = *r; });
        REQUIRE(found);
        REQUIRE(found->offset == Offset(i));
      }
    }
  }
}

namespace {
std::string time_entries(std::initializer_list<std::pair<int64_t, uint32_t>> entries) {
  std::string bytes;
  for (const auto& [timestamp, relative] : entries) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(timestamp >> shift);
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(relative >> shift);
  }
  return bytes;
}
}  // namespace

TEST_CASE("whatever an index says, records can be added, cut and added again (R74)") {
  Fixture f;
  f.config.index_interval_bytes = 0;
  f.config.segment_bytes = 1000;
  f.open();
  for (int i = 0; i < 20; ++i) f.append({.timestamp = 1000 + 10 * i});
  const OpenHints clean = f.clean_hints();
  f.close();
  std::vector<std::string> times;
  for (const std::string& path : f.disk->paths()) {
    if (path.ends_with(".timeindex")) times.push_back(path);
  }
  REQUIRE(times.size() >= 2);
  const auto entries =
      GENERATE(time_entries({{1000, 500}}), time_entries({{1000, 1}, {1005, 500}}),
               time_entries({{1000, 1}, {1005, 500}, {1006, 2}}), time_entries({{1000, 0xffffffff}}),
               time_entries({{1000, 7}}), time_entries({{INT64_MAX, 3}}), time_entries({{0, 0}, {1, 0}}));
  const auto end = GENERATE(PreviousEnd::clean, PreviousEnd::process_crash, PreviousEnd::unknown);
  const OpenHints hints = end == PreviousEnd::clean           ? clean
                          : end == PreviousEnd::process_crash ? OpenHints{end, Offset(20), {}, {}}
                                                              : after_power_loss({});
  for (int64_t cut = 20; cut >= 0; --cut) {
    INFO("cut to " << cut << ", previous end " << static_cast<int>(end) << ", " << entries.size() << " bytes of time index");
    Fixture g;
    g.config = f.config;
    g.disk = f.disk->clone();
    for (const std::string& path : times) g.disk->overwrite(path, as_bytes(entries));
    g.open(hints);
    REQUIRE(g.append({.timestamp = 1001}) == 20);
    REQUIRE(g.log->truncate_to(Offset(cut)) == Offset(cut));
    for (int64_t i = 0; i < 20; ++i) REQUIRE(g.append({.timestamp = 1002 + i}) == cut + i);
    REQUIRE(g.log->log_end_offset() == Offset(cut + 20));
    for (int64_t from = 0; from < cut + 20; ++from) REQUIRE(g.dump(from, from + 1) == fmt::format("{}-{}", from, from));
  }
}

TEST_CASE("headers out of order below what was synced are damage, not an index (R72, R74)") {
  Fixture f;
  f.config.index_interval_bytes = 0;
  f.config.segment_bytes = 1000;
  f.open();
  for (int i = 0; i < 20; ++i) f.append({.timestamp = 1000 + 10 * i});
  const OpenHints clean = f.clean_hints();
  f.close();
  const std::string log = f.path("00000000000000000000.log");
  f.disk->erase(f.path("00000000000000000000.timeindex"));  // to be rebuilt from the headers
  std::string bytes(f.disk->content(log).text());
  const size_t second = static_cast<size_t>(12 + static_cast<unsigned char>(bytes[11]));
  bytes[second + GENERATE(0, 3, 7)] ^= 0x11;  // its base offset, which no checksum covers
  f.disk->overwrite(log, as_bytes(bytes));
  REQUIRE(f.try_open(clean).error().code == ErrorCode::corrupt_message);
}

TEST_CASE("the epoch file is rebuilt from the batches when missing or bad (R79)") {
  const bool is_clean = GENERATE(true, false);
  Fixture f;
  f.config.segment_bytes = 300;
  f.open();
  for (int i = 0; i < 9; ++i) f.append({}, i / 2);
  f.disk->run_until_idle();
  const auto epochs = f.log->epochs().entries();
  const OpenHints clean = f.clean_hints();
  f.close();
  const std::string file = f.path("leader-epoch-checkpoint");
  SECTION("missing") {
    f.disk->erase(file);
  }
  SECTION("empty") {
    f.disk->overwrite(file, {});
  }
  SECTION("flipped") {
    f.disk->flip_bit(file, 35);
  }
  SECTION("swapped with one that knows more") {
    f.disk->overwrite(file, as_bytes(std::string("0\n1\n99 500\n")));
  }
  f.open(is_clean ? clean : after_power_loss(Offset(5)));
  REQUIRE(f.log->epochs().entries() == epochs);
}

TEST_CASE("producers are found again from any mix of snapshots (R84)") {
  const int damage = GENERATE(0, 1, 2, 3);
  Fixture f;
  f.config.segment_bytes = 400;
  f.open();
  for (int i = 0; i < 12; ++i) {
    f.append({.producer = common::records::ProducerStamp{common::model::ProducerId(7 + i % 2),
                                                         common::model::ProducerEpoch(0), i / 2}});
  }
  f.disk->run_until_idle();
  const OpenHints clean = f.clean_hints();
  f.close();
  std::vector<std::string> snapshots;
  for (const std::string& path : f.disk->paths()) {
    if (path.ends_with(".snapshot")) snapshots.push_back(path);
  }
  REQUIRE(snapshots.size() >= 3);
  if (damage == 1) f.disk->erase(snapshots.back());
  if (damage == 2) f.disk->flip_bit(snapshots.back(), 77);
  if (damage == 3) {
    for (const std::string& path : snapshots) f.disk->erase(path);
  }
  f.open(GENERATE(true, false) ? clean : after_power_loss(Offset(6)));
  const auto known = f.log->producers().describe();
  REQUIRE(known.size() == 2);
  for (const auto& p : known) REQUIRE(p.last_sequence == 5);
}

TEST_CASE("producers are read from the batches also where an index names a place that is none (R74, R84)") {
  Fixture f;
  f.config.index_interval_bytes = 0;
  f.config.segment_bytes = 2000;
  f.open();
  int32_t sequence = 0;
  const auto append = [&] {
    f.append({.producer = common::records::ProducerStamp{common::model::ProducerId(7), common::model::ProducerEpoch(0),
                                                         sequence++}});
  };
  for (int i = 0; i < 6; ++i) append();
  const OpenHints clean = f.clean_hints();
  f.close();
  const std::string in_the_middle = f.path("00000000000000000006.snapshot");
  const Buffer snapshot = f.disk->content(in_the_middle);
  f.open(clean);
  while (f.log->segment_count() < 2) append();
  f.flush();
  const Offset end = f.log->log_end_offset();
  const std::string newest = f.path(fmt::format("{:020}.snapshot", f.log->segments().back().base_offset.value));
  f.log.reset();
  f.disk->kill();
  f.disk->erase(newest);
  f.disk->overwrite(in_the_middle, snapshot.view());
  const std::string index = f.path("00000000000000000000.index");
  std::string bytes(f.disk->content(index).text());
  REQUIRE(bytes.size() > 8 * 8);
  for (size_t at = 0; at < 6 * 8; at += 8) bytes[at + 7] = static_cast<char>(bytes[at + 7] + 3);  // positions
  f.disk->overwrite(index, as_bytes(bytes));
  f.open({PreviousEnd::process_crash, end, {}, {}});
  const auto known = f.log->producers().describe();
  REQUIRE(known.size() == 1);
  REQUIRE(known.front().last_sequence == sequence - 1);
}

TEST_CASE("a log is opened on a full disk, and takes nothing before its epochs are there (R81)") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  Fixture f;
  f.open();
  for (int i = 0; i < 4; ++i) {
    f.append(
        {.producer = common::records::ProducerStamp{common::model::ProducerId(7), common::model::ProducerEpoch(0), i}},
        i / 2);
  }
  f.disk->run_until_idle();
  f.log.reset();
  f.disk->kill();
  f.disk->erase(f.path("leader-epoch-checkpoint"));
  f.disk->fill(0);
  f.open({PreviousEnd::process_crash, Offset(2), {}, {}});
  REQUIRE(f.dump(0) == "0-0 1-1 2-2 3-3");
  REQUIRE(f.log->producers().size() == 1);
  REQUIRE(f.log->epochs().latest() == LeaderEpoch(1));
  REQUIRE(f.log->flushed_offset() == Offset(2));
  REQUIRE_FALSE(f.log->append_own(make_batch(), LeaderEpoch(1), TimestampMs(f.now)));
  REQUIRE_FALSE(f.log->failure());

  f.disk->set_capacity(std::nullopt);
  f.log->tick({common::model::Instant(std::chrono::seconds(1)), TimestampMs(f.now)});
  f.disk->run_until_idle();
  REQUIRE(f.append({}, 1) == 4);
  REQUIRE(f.disk->content(f.path("leader-epoch-checkpoint")).text().starts_with("0\n2\n0 0\n1 2"));
}

TEST_CASE("a snapshot of producers beyond the end of the log tells of batches that are gone (R84)") {
  Fixture f;
  f.config.segment_bytes = 400;
  f.open();
  for (int i = 0; i < 20; ++i) {
    f.append({.producer = common::records::ProducerStamp{common::model::ProducerId(7 + i % 2),
                                                         common::model::ProducerEpoch(0), i / 2}});
  }
  f.flush();
  f.disk->run_until_idle();
  const auto segments = f.log->segments();
  REQUIRE(segments.size() >= 4);
  f.log.reset();
  // Cut, and killed before the snapshots went and the recovery point was lowered.
  const size_t left = segments.size() - 2;
  const int64_t end = segments[left].base_offset.value;
  for (size_t i = left; i < segments.size(); ++i) {
    for (const char* suffix : {"log", "index", "timeindex"}) {
      const std::string path = f.path(fmt::format("{:020}.{}", segments[i].base_offset.value, suffix));
      if (f.disk->exists(path)) f.disk->erase(path);
    }
  }
  REQUIRE(f.disk->exists(f.path(fmt::format("{:020}.snapshot", segments.back().base_offset.value))));
  const bool is_older_left = GENERATE(true, false);
  if (!is_older_left) {
    for (size_t i = 0; i <= left; ++i) {
      const std::string path = f.path(fmt::format("{:020}.snapshot", segments[i].base_offset.value));
      if (f.disk->exists(path)) f.disk->erase(path);
    }
  }
  f.open({PreviousEnd::process_crash, Offset(20), {}, {}});
  REQUIRE(f.log->log_end_offset() == Offset(end));
  for (const auto& p : f.log->producers().describe()) {
    INFO("producer " << p.id.value);
    REQUIRE(p.last_sequence == (end - 1 - (end - 1 - (p.id.value - 7)) % 2) / 2);
  }
  REQUIRE(f.log->producers().size() == 2);
}

TEST_CASE("left-overs of deletions go, a complete replacement takes its place (R80)") {
  Fixture f;
  f.open();
  f.append();
  f.append();
  const OpenHints clean = f.clean_hints();
  f.close();
  const Buffer bytes = f.disk->content(first_log);
  f.disk->overwrite(f.path("00000000000000000009.log.deleted"), bytes.view());
  f.disk->overwrite(f.path("00000000000000000000.log.cleaned"), bytes.view().first(10));
  f.disk->overwrite(f.path("leader-epoch-checkpoint.tmp"), bytes.view().first(10));
  f.disk->overwrite(f.path("00000000000000000000.log.swap"), bytes.view());
  f.disk->overwrite(first_log, bytes.view().first(20));
  f.open(clean);
  REQUIRE(f.dump(0) == "0-0 1-1");
  for (const std::string& path : f.disk->paths()) {
    INFO(path);
    REQUIRE_FALSE((path.ends_with(".deleted") || path.ends_with(".cleaned") || path.ends_with(".tmp") ||
                   path.ends_with(".swap")));
  }
}

TEST_CASE("a log is open before large files that had been deleted are gone") {
  Fixture f;
  f.open();
  f.append();
  const OpenHints clean = f.clean_hints();
  f.close();
  const std::string deleted = f.path("00000000000000000009.log.deleted");
  const auto file = f.disk->open(deleted, common::disk::OpenMode::create_if_missing);
  REQUIRE(file);
  REQUIRE((*file)->allocate(64u << 20));
  f.open(clean);
  CHECK(f.disk->exists(deleted));
  REQUIRE(f.dump(0) == "0-0");
  REQUIRE(f.append() == 1);
  f.log->tick({common::model::Instant(std::chrono::seconds(1)), TimestampMs(f.now)});
  f.disk->run_until_idle();
  CHECK_FALSE(f.disk->exists(deleted));
}

TEST_CASE("a restart at an offset happens wholly or not at all, wherever it is cut short (R67)") {
  for (uint64_t stop = 1;; ++stop) {
    Fixture f;
    f.config.segment_bytes = 300;
    f.open();
    for (int i = 0; i < 7; ++i) f.append({}, i);
    f.flush();
    bool done = false;
    f.disk->stop_after(stop);
    f.log->truncate_fully_and_start_at(Offset(50), [&](const auto& r) { done = r.has_value(); });
    f.disk->run_until_idle();
    const bool is_whole = !f.disk->has_stopped();
    REQUIRE((is_whole ? done : true));
    const int how = static_cast<int>(stop) % 4;
    f.log.reset();
    if (how == 3) {
      f.disk->kill();
    } else {
      f.disk->crash(static_cast<SimulatedDisk::Unsynced>(how));
    }
    f.open({how == 3 ? PreviousEnd::process_crash : PreviousEnd::unknown, done ? Offset(50) : Offset(7), {}, {}});
    const std::string found = fmt::format("{}-{} epochs {}", f.log->log_start_offset(), f.log->log_end_offset(),
                                          f.log->epochs().entries().size());
    INFO("stopped at " << stop << ": " << found);
    if (done) REQUIRE(found == "50-50 epochs 0");
    if (!done) REQUIRE((found == "50-50 epochs 0" || found == "0-7 epochs 7"));
    if (is_whole) {
      REQUIRE(stop > 5);
      break;
    }
  }
}

TEST_CASE("a log whose files are gone although they were synced is not begun anew (R72)") {
  Fixture f;
  f.open();
  f.append();
  f.flush();
  f.log.reset();
  for (const std::string& path : f.disk->paths()) f.disk->erase(path);
  for (const PreviousEnd end : {PreviousEnd::unknown, PreviousEnd::process_crash, PreviousEnd::clean}) {
    const auto opened = f.try_open({end, Offset(1), {}, {}});
    REQUIRE_FALSE(opened);
    REQUIRE(opened.error().code == ErrorCode::corrupt_message);
  }
  // Nothing was synced, or it was deleted since: then there is nothing to miss.
  REQUIRE(f.try_open({PreviousEnd::unknown, Offset(1), {}, Offset(1)}));
  REQUIRE(f.log->log_end_offset() == Offset(1));
}

TEST_CASE("an epoch that began and wrote nothing is forgotten by a restart (R79)") {
  Fixture f;
  f.open();
  f.append({}, 1);
  f.log->begin_epoch(LeaderEpoch(3));
  REQUIRE(f.log->epochs().latest() == LeaderEpoch(3));
  f.flush();
  const OpenHints clean = f.clean_hints();
  f.close();
  f.open(clean);
  REQUIRE(f.log->epochs().latest() == LeaderEpoch(1));
  f.close();
  f.open(after_power_loss(Offset(1)));
  REQUIRE(f.log->epochs().latest() == LeaderEpoch(1));
}
