// The metadata log's files by themselves: votes that are torn, logs that lost what was committed, snapshots that arrive
// damaged (R1, R4, R14, R15, R20, R21).
#include <stdlib.h>
#include <sys/resource.h>

#include <filesystem>

#include <catch2/catch.hpp>

#include "common/disk/kernel_disk.h"
#include "common/disk/simulated_disk.h"
#include "common/records/crc32c.h"
#include "controller/quorum/raft_disk.h"
#include "support/pool_threads.h"

using namespace controller;
using common::disk::SimulatedDisk;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::LogIndex;
using common::model::Term;
using common::model::Uuid;
using quorum::QuorumState;
using quorum::QuorumStateFile;
using quorum::RaftDisk;

namespace {

const std::string directory = "meta/log";
const std::string segment = directory + "/00000000000000000000.log";
const std::string vote_file = directory + "/quorum-state";
const raft::NodeKey self{BrokerId(1), Uuid::from_halves(1, 1)};
const raft::VoterSet voters({raft::Voter{self, {"host", 1}, {}}});

QuorumState state_of(int term) {
  QuorumState state;
  state.hard_state = {Term(term), self, LogIndex(0)};
  return state;
}

struct Fixture {
  Fixture() {
    common::configure_logging(common::LogLevel::off, common::LogFormat::text);
    REQUIRE(disk.create_directories(directory).has_value());
    REQUIRE(disk.sync_directory("meta").has_value());
  }
  quorum::Result<RaftDisk::Opened> open(bool is_member = true) {
    return open(is_member, is_member ? raft::VoterSet() : voters);
  }
  quorum::Result<RaftDisk::Opened> open(bool is_member, const raft::VoterSet& first_voters) {
    storage.reset();
    RaftDisk::Environment environment;
    environment.disk = &disk;
    environment.clock = &clock;
    environment.after = [this](common::model::Duration, std::function<void()> f) { later.push_back(std::move(f)); };
    return RaftDisk::open(environment, directory, is_member, first_voters);
  }
  void use(quorum::Result<RaftDisk::Opened> opened) {
    REQUIRE(opened.has_value());
    REQUIRE_FALSE(opened->lost);
    storage = std::move(opened->storage);
    bool finished = false;
    storage->finish_open([&](const auto& done) { finished = done.has_value(); });
    disk.run_until_idle();
    REQUIRE(finished);
    quorum::RaftStorage::Events events;
    events.on_durable = [this](raft::PersistToken token, std::optional<raft::Snapshot>) { durable = token; };
    events.on_hard_state_durable = [this](raft::PersistToken t) { hard_state_durable = t; };
    events.on_stalled = [this] { ++stalls; };
    events.on_failed = [this](const std::string& why) { failure = why; };
    storage->listen(std::move(events));
  }
  void persist(raft::PersistOperation operation) {
    std::vector<raft::Persist> one;
    one.push_back({++token, std::move(operation)});
    storage->persist(std::move(one));
    disk.run_until_idle();
  }
  void pass_time() {
    for (auto& f : std::exchange(later, {})) f();
    disk.run_until_idle();
  }
  // A log of the bootstrap entry and three more, all of them committed.
  void write_committed() {
    use(open(false));
    std::vector<raft::Entry> entries;
    for (int64_t i = 1; i <= 3; ++i)
      entries.push_back({Term(1), LogIndex(i), raft::EntryKind::data, Buffer::copy_of(std::string("records"))});
    persist(raft::AppendEntries{entries});
    persist(raft::SaveHardState{{Term(1), self, LogIndex(4)}});
    REQUIRE(durable == token);
    storage.reset();
  }
  std::optional<std::string> why_lost() {
    const auto opened = open();
    REQUIRE(opened.has_value());
    return opened->lost;
  }
  std::vector<std::byte> content(const std::string& path) {
    const Buffer bytes = disk.content(path);
    return {bytes.view().begin(), bytes.view().end()};
  }

  SimulatedDisk disk;
  common::SystemClock clock;
  std::unique_ptr<RaftDisk> storage;
  raft::PersistToken token = 0;
  raft::PersistToken durable = 0;
  raft::PersistToken hard_state_durable = 0;
  int stalls = 0;
  std::vector<std::function<void()>> later;
  std::string failure;
};

// Where each entry ends; zeros may follow, reserved ahead.
std::vector<size_t> ends_of(const std::vector<std::byte>& file) {
  std::vector<size_t> ends;
  for (size_t at = 0;;) {
    const auto batch = common::records::BatchView::parse(common::model::BytesView(file).subspan(at));
    if (!batch) return ends;
    ends.push_back(at += batch->size_bytes());
  }
}

}  // namespace

TEST_CASE("a vote is the old one or the new one, wherever its saving is cut short (R1)") {
  for (uint64_t stop = 1;; ++stop) {
    SimulatedDisk disk;
    REQUIRE(disk.create_directories(directory).has_value());
    REQUIRE(disk.sync_directory("meta").has_value());
    auto opened = QuorumStateFile::open(disk, directory);
    REQUIRE(opened->file->save_now(state_of(1)).has_value());
    REQUIRE(disk.sync_directory(directory).has_value());
    disk.stop_after(stop);
    int saved = 1;
    opened->file->save(state_of(2), [&](const auto& done) {
      if (!done) return;
      saved = 2;
      opened->file->save(state_of(3), [&](const auto& again) { saved = again ? 3 : saved; });
    });
    disk.run_until_idle();
    const bool is_whole = !disk.has_stopped();
    opened->file.reset();
    disk.crash(static_cast<SimulatedDisk::Unsynced>(stop % 3), 16);
    const auto found = QuorumStateFile::open(disk, directory);
    REQUIRE(found->state.has_value());
    CAPTURE(stop, saved, found->state->hard_state.term);
    REQUIRE(found->state->hard_state.term >= Term(saved));
    REQUIRE(found->state->hard_state.term <= Term(3));
    if (is_whole) {
      REQUIRE(stop > 4);
      break;
    }
  }
}

TEST_CASE("any flipped bit in a vote makes its slot void, and the other one counts (R1)") {
  SimulatedDisk disk;
  REQUIRE(disk.create_directories(directory).has_value());
  REQUIRE(QuorumStateFile::open(disk, directory)->file->save_now(state_of(7)).has_value());
  for (uint64_t bit = 0; bit < 59 * 8; ++bit) {
    auto copy = disk.clone();
    copy->flip_bit(vote_file, bit);
    const auto one = QuorumStateFile::open(*copy, directory);
    REQUIRE((one->state && *one->state == state_of(7)));
    copy->flip_bit(vote_file, 4096 * 8 + bit);
    REQUIRE_FALSE(QuorumStateFile::open(*copy, directory)->state);
  }
}

TEST_CASE("a member without its vote has lost it, also if its log is empty (R4)") {
  Fixture f;
  REQUIRE(f.why_lost());
  f.use(f.open(false));
}

TEST_CASE("what was committed and is damaged, or gone, is lost state, and stays as it is (R20, R21)") {
  Fixture f;
  f.write_committed();
  REQUIRE_FALSE(f.why_lost());
  const std::vector<std::byte> whole = f.content(segment);
  const std::vector<size_t> ends = ends_of(whole);
  REQUIRE(ends.size() == 4);
  SECTION("rot in the last committed entry") {
    f.disk.flip_bit(segment, (ends.back() - 4) * 8);
    const auto rotten = f.content(segment);
    REQUIRE(f.why_lost());
    REQUIRE(f.content(segment) == rotten);
  }
  SECTION("the last committed entry is gone") {
    f.disk.overwrite(segment, common::model::BytesView(whole).first(ends[2]));
    REQUIRE(f.why_lost());
  }
  SECTION("an entry that does not follow from those before it") {
    const raft::Entry other{Term(1), LogIndex(4), raft::EntryKind::data, Buffer::copy_of(std::string("x"))};
    const Buffer stranger = quorum::encode_entry(other, {LogIndex(4), Term(1), 12345}, common::model::TimestampMs(1));
    std::vector<std::byte> longer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(ends.back()));
    longer.insert(longer.end(), stranger.view().begin(), stranger.view().end());
    f.disk.overwrite(segment, longer);
    REQUIRE(f.why_lost());
  }
}

TEST_CASE("who founded a cluster and has lost its log does not begin anew without its vote (R4, R21)") {
  Fixture f;
  f.use(f.open(false));
  f.persist(raft::SaveHardState{{Term(5), self, LogIndex(0)}});
  f.storage.reset();
  {
    const auto whole = f.open(true, voters);
    REQUIRE(whole.has_value());
    REQUIRE_FALSE(whole->lost);
    REQUIRE(whole->restored.hard_state.term == Term(5));
  }
  REQUIRE(f.disk.remove_file(segment).has_value());
  const auto opened = f.open(true, voters);
  REQUIRE(opened.has_value());
  REQUIRE(opened->lost);
  REQUIRE_FALSE(opened->storage);
}

TEST_CASE("of the former lives of a directory the first and the newest are kept, in order (R4, R20, R21)") {
  SimulatedDisk disk;
  const auto lives = [&] {
    std::vector<std::string> names;
    for (int n = 1; n < 20; ++n) {
      const std::string name = "meta/log.lost-" + std::to_string(n);
      if (disk.exists(name + "/quorum-state")) names.push_back(std::to_string(n));
    }
    return names;
  };
  REQUIRE(disk.create_directories(directory).has_value());
  REQUIRE(disk.create_directories("meta/log.lost-odd").has_value());  // nobody's business
  for (int life = 1; life <= 11; ++life) {
    disk.overwrite(vote_file, common::model::as_bytes("life " + std::to_string(life)));
    const auto aside = quorum::set_lost_state_aside(disk, directory);
    REQUIRE(aside.has_value());
    REQUIRE(*aside == "meta/log.lost-" + std::to_string(life));
    const auto removed = quorum::remove_spare_former_lives(disk, directory);
    REQUIRE(removed.has_value());
    REQUIRE(removed->size() == (life <= 8 ? 0 : 1));
  }
  REQUIRE(lives() == std::vector<std::string>{"1", "5", "6", "7", "8", "9", "10", "11"});
  REQUIRE(disk.content("meta/log.lost-1/quorum-state").text() == "life 1");
}

TEST_CASE("what a failed sync left in memory is written anew by the next process, before it counts (R2, R76)") {
  Fixture f;
  f.write_committed();
  f.use(f.open());
  const auto committed = f.durable;
  f.disk.add_fault({.operation = SimulatedDisk::Operation::sync, .path_contains = segment});
  f.persist(raft::AppendEntries{{{Term(1), LogIndex(4), raft::EntryKind::data, Buffer::copy_of(std::string("more"))}}});
  REQUIRE(f.durable == committed);
  REQUIRE_FALSE(f.failure.empty());
  f.storage.reset();
  f.disk.kill();

  SECTION("it survives the loss of power from then on") {
    auto opened = f.open();
    REQUIRE(opened.has_value());
    REQUIRE(opened->restored.entries.size() == 5);
    f.use(std::move(opened));
    f.storage.reset();
    f.disk.crash(SimulatedDisk::Unsynced::lost, 16);
    const auto after = f.open();
    REQUIRE(after.has_value());
    REQUIRE(after->restored.entries.size() == 5);
    REQUIRE(after->restored.entries.back().payload.text() == "more");
  }
  SECTION("or there is no next process") {
    f.disk.add_fault({.operation = SimulatedDisk::Operation::write, .path_contains = segment});
    REQUIRE_FALSE(f.open().has_value());
  }
}

TEST_CASE("a start writes nothing anew that had been delivered") {
  Fixture f;
  f.write_committed();
  f.disk.add_fault({.operation = SimulatedDisk::Operation::write, .path_contains = segment});
  const auto opened = f.open();
  REQUIRE(opened.has_value());
  REQUIRE(opened->restored.entries.size() == 4);
}

TEST_CASE("terms pass and votes are given while entries wait for room on a full disk (R1, R81)") {
  Fixture f;
  f.write_committed();
  f.use(f.open());
  const std::string big(2u << 20, 'x');  // more than was reserved ahead
  f.disk.fill(1024);
  f.persist(raft::AppendEntries{{{Term(2), LogIndex(4), raft::EntryKind::data, Buffer::copy_of(big)}}});
  const auto append = f.token;
  REQUIRE(f.stalls == 1);
  f.persist(raft::SaveHardState{{Term(3), std::nullopt, LogIndex(4)}});
  f.persist(raft::SaveHardState{{Term(4), self, LogIndex(4)}});
  REQUIRE(f.hard_state_durable == f.token);
  REQUIRE(f.durable < append);
  f.pass_time();
  REQUIRE(f.stalls == 2);
  REQUIRE(f.durable < append);

  SECTION("what was voted is known after a crash, and what waited is not there") {
    f.storage.reset();
    f.disk.crash(SimulatedDisk::Unsynced::lost, 16);
    const auto opened = f.open();
    REQUIRE(opened.has_value());
    REQUIRE_FALSE(opened->lost);
    CHECK(opened->restored.hard_state.term == Term(4));
    CHECK(opened->restored.hard_state.voted_for == self);
  }
  SECTION("a node that ends does not wait for room, and what was voted is there at its next start") {
    bool is_closed = false;
    f.storage->close([&] { is_closed = true; });
    f.disk.run_until_idle();
    REQUIRE(is_closed);
    f.pass_time();
    REQUIRE(f.stalls == 2);
    REQUIRE(f.failure.empty());
    f.storage.reset();
    f.disk.set_capacity(std::nullopt);
    const auto opened = f.open();
    REQUIRE(opened.has_value());
    REQUIRE_FALSE(opened->lost);
    REQUIRE(opened->restored.hard_state.term == Term(4));
    REQUIRE(opened->restored.entries.size() == 4);
  }
  SECTION("with room everything goes on, in order") {
    f.persist(raft::TruncateLog{{LogIndex(4), Term(1), 0}});
    f.disk.set_capacity(std::nullopt);
    f.pass_time();
    REQUIRE(f.durable == f.token);
    REQUIRE(f.failure.empty());
  }
}

TEST_CASE("no room is waited for on a disk that has failed since it was full (R76, R81)") {
  Fixture f;
  f.write_committed();
  f.use(f.open());
  const auto fail = [&](common::disk::IoFault fault, uint64_t times) {
    f.disk.add_fault(
        {.operation = SimulatedDisk::Operation::write, .path_contains = ".log", .times = times, .fault = fault});
  };
  fail(common::disk::IoFault::no_space, 1);
  f.persist(raft::AppendEntries{{{Term(2), LogIndex(4), raft::EntryKind::data, Buffer::copy_of(std::string("x"))}}});
  REQUIRE(f.stalls == 1);
  REQUIRE(f.failure.empty());
  fail(common::disk::IoFault::failed, 100);  // in whichever segment, and not only of its reserve
  f.pass_time();
  CHECK_FALSE(f.failure.empty());
  CHECK(f.stalls == 1);
  CHECK(f.durable < f.token);
}

TEST_CASE("a vote is saved by a process that has no descriptor left (R1, fault 40)") {
  std::string root = (std::filesystem::temp_directory_path() / "naru-vote-XXXXXX").string();
  REQUIRE(::mkdtemp(root.data()) != nullptr);
  {
    common::disk::DiskPool pool{{}};
    test_support::await_threads(pool);
    const auto disk = common::disk::make_kernel_disk(
        pool, [](const std::function<void()>& f) { f(); }, {.descriptors_max = 1});
    const auto opened = QuorumStateFile::open(*disk, root);
    REQUIRE(opened.has_value());
    // Another file takes the only place.
    REQUIRE(disk->open(root + "/other", common::disk::OpenMode::create_if_missing).has_value());
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{3, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto saved = opened->file->save_now(state_of(7));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(saved.has_value());
    const auto again = QuorumStateFile::open(*disk, root);
    REQUIRE(again.has_value());
    CHECK((again->state == state_of(7)));
  }
  std::filesystem::remove_all(root);
}

TEST_CASE("a truncation for which there is no room or descriptor is made once there is (R81)") {
  const auto fault = GENERATE(common::disk::IoFault::no_space, common::disk::IoFault::exhausted);
  Fixture f;
  f.write_committed();
  f.use(f.open());
  f.persist(raft::AppendEntries{{{Term(2), LogIndex(4), raft::EntryKind::data, Buffer::copy_of(std::string("x"))}}});
  f.disk.add_fault(
      {.operation = SimulatedDisk::Operation::truncate, .path_contains = segment, .times = 1, .fault = fault});
  f.persist(raft::TruncateLog{{LogIndex(4), Term(1), 0}});
  CHECK(f.stalls == 1);
  CHECK(f.durable < f.token);
  f.pass_time();
  CHECK(f.failure.empty());
  CHECK(f.durable == f.token);
  f.storage.reset();
  const auto opened = f.open();
  REQUIRE(opened.has_value());
  CHECK(opened->restored.entries.size() == 4);
}

TEST_CASE("what was reserved is enough for the entries of new terms on a full disk, and for the next start (R1, R81)") {
  Fixture f;
  f.write_committed();
  f.use(f.open());
  f.disk.fill(0);
  f.persist(raft::SaveHardState{{Term(2), self, LogIndex(4)}});
  f.persist(raft::AppendEntries{{{Term(2), LogIndex(4), raft::EntryKind::leader_change, Buffer()}}});
  f.persist(raft::SaveHardState{{Term(3), self, LogIndex(4)}});
  f.persist(raft::AppendEntries{{{Term(3), LogIndex(5), raft::EntryKind::data, Buffer::copy_of(std::string("x"))}}});
  REQUIRE(f.stalls == 0);
  REQUIRE(f.durable == f.token);

  f.storage.reset();
  f.disk.crash(SimulatedDisk::Unsynced::lost, 16);
  const auto opened = f.open();
  REQUIRE(opened.has_value());
  REQUIRE_FALSE(opened->lost);
  CHECK(opened->restored.hard_state.term == Term(3));
  REQUIRE(opened->restored.entries.size() >= 2);
  CHECK(opened->restored.entries.back().index == LogIndex(5));
  CHECK(opened->restored.entries.back().term == Term(3));
  CHECK(opened->restored.entries[opened->restored.entries.size() - 2].term == Term(2));
}

TEST_CASE("a snapshot is there once it is said to be, and not installed if it arrives damaged (R14, R15)") {
  Fixture f;
  f.write_committed();
  auto opened = f.open();
  const raft::LogPosition position = [&] {
    raft::LogPosition p;
    for (const raft::Entry& e : opened->restored.entries)
      p = {e.index.next(), e.term, raft::chain_checksum(p.checksum, e)};
    return p;
  }();
  f.use(std::move(opened));
  const std::string state = "the state";
  SECTION("made here") {
    bool saved = false;
    f.storage->save_snapshot({{position, voters, 0, 0}, Buffer::copy_of(state)},
                             [&](const auto& done) { saved = done.has_value(); });
    f.disk.run_until_idle();
    REQUIRE(saved);
    f.storage.reset();
    f.disk.kill();
    const auto again = f.open();
    REQUIRE(again->restored.snapshot);
    REQUIRE(again->restored.snapshot->state.text() == state);
  }
  SECTION("from a leader") {
    const bool damaged = GENERATE(false, true);
    const uint32_t checksum = common::records::crc32c(common::model::as_bytes(state)) ^ (damaged ? 1 : 0);
    const raft::SnapshotMeta meta{{LogIndex(9), Term(1), 77}, voters, state.size(), checksum};
    f.persist(raft::StoreSnapshotPiece{meta, 0, Buffer::copy_of(state)});
    f.persist(raft::InstallSnapshot{meta});
    REQUIRE(f.failure.empty() != damaged);
    f.storage.reset();
    const auto again = f.open();
    REQUIRE(again->restored.snapshot.has_value() != damaged);
  }
}

TEST_CASE("a start goes on where its newest snapshot ends, and checks what lies before (R14, R21)") {
  Fixture f;
  f.write_committed();
  auto opened = f.open();
  raft::LogPosition middle;
  for (size_t i = 0; i < 2; ++i) {
    const raft::Entry& e = opened->restored.entries[i];
    middle = {e.index.next(), e.term, raft::chain_checksum(middle.checksum, e)};
  }
  const bool is_of_this_log = GENERATE(true, false);
  if (!is_of_this_log) ++middle.checksum;
  f.use(std::move(opened));
  f.storage->save_snapshot({{middle, voters, 0, 0}, Buffer::copy_of(std::string("the state"))}, [](const auto&) {});
  f.disk.run_until_idle();
  f.storage.reset();
  SECTION("the log as it is") {
    const auto again = f.open();
    REQUIRE(again.has_value());
    REQUIRE(again->restored.start == middle);
    REQUIRE(again->restored.entries.size() == (is_of_this_log ? 2 : 0));
  }
  SECTION("with damage before the snapshot") {
    f.disk.flip_bit(segment, 8 * 100);
    REQUIRE(f.why_lost());
  }
}

TEST_CASE("a snapshot of a leader is installed once there is room (R15, R81)") {
  Fixture f;
  f.write_committed();
  f.use(f.open());
  const std::string state = "the state";
  const uint32_t checksum = common::records::crc32c(common::model::as_bytes(state));
  const raft::SnapshotMeta meta{{LogIndex(9), Term(1), 77}, voters, state.size(), checksum};
  const char* file = GENERATE(".checkpoint", "restart-at");
  INFO(file);
  f.disk.add_fault({.operation = SimulatedDisk::Operation::write,
                    .path_contains = file,
                    .times = 2,
                    .fault = common::disk::IoFault::no_space});
  f.persist(raft::StoreSnapshotPiece{meta, 0, Buffer::copy_of(state)});
  f.persist(raft::InstallSnapshot{meta});
  REQUIRE(f.stalls == 1);
  f.pass_time();
  REQUIRE(f.stalls == 2);
  REQUIRE(f.durable < f.token);
  SECTION("it comes while the node runs") {
    f.pass_time();
    REQUIRE(f.durable == f.token);
    REQUIRE(f.failure.empty());
    f.persist(raft::AppendEntries{{{Term(1), LogIndex(9), raft::EntryKind::data, Buffer::copy_of(state)}}});
    REQUIRE(f.durable == f.token);
  }
  SECTION("or with the next start") {
    f.storage.reset();
    f.disk.clear_faults();
    const auto again = f.open();
    REQUIRE(again.has_value());
    REQUIRE_FALSE(again->lost);
    REQUIRE(again->restored.snapshot.has_value() == (std::string_view(file) == "restart-at"));
  }
}

TEST_CASE("what snapshots make needless is gone from the disk while the node runs (R14)") {
  Fixture f;
  f.use(f.open(false));
  const auto files = [&](std::string_view suffix) {
    const auto listed = f.disk.list(directory);
    REQUIRE(listed);
    return std::count_if(listed->begin(), listed->end(), [&](const auto& e) { return e.name.ends_with(suffix); });
  };
  const Buffer large = Buffer::copy_of(std::string(12 << 20, 'r'));
  for (int64_t i = 1; i <= 6; ++i)
    f.persist(raft::AppendEntries{{{Term(1), LogIndex(i), raft::EntryKind::data, large}}});
  REQUIRE(f.failure.empty());
  REQUIRE(f.durable == f.token);
  REQUIRE(files(".log") >= 3);
  f.persist(raft::DropPrefix{LogIndex(6)});
  REQUIRE(files(".log") == 1);
  REQUIRE(files(".deleted") > 0);
  f.pass_time();
  REQUIRE(files(".deleted") == 0);
}
