// A data directory over its runs: lock, identity, markers, checkpoints, partitions (R42, R70, R73, R75, R83).
#include "common/log/log_directories.h"
#include "log/log_fixture.h"

using namespace log_test;
using common::model::BrokerEpoch;
using common::model::BrokerId;
using common::model::PartitionIndex;
using common::model::TopicPartition;
using common::model::Uuid;

namespace {

const std::string data = "data";
const TopicPartition orders{"orders", PartitionIndex(0)};
const DirectoryIdentity ours{"MkU3OEVBNTcwNTJENDM2Qg", BrokerId(1), Uuid::from_halves(1, 2)};

std::unique_ptr<LogDirectory> open(SimulatedDisk& disk) {
  auto opened = LogDirectory::open(disk, data);
  INFO((opened ? std::string() : opened.error().message));
  REQUIRE(opened);
  return std::move(*opened);
}

// A first run that has begun, with an epoch.
std::unique_ptr<LogDirectory> begun(SimulatedDisk& disk) {
  auto directory = open(disk);
  REQUIRE(directory->give_identity(ours));
  REQUIRE(directory->begin_run());
  REQUIRE(directory->create_partition(orders, Uuid::from_halves(7, 8)));
  bool noted = false;
  directory->note_broker_epoch(BrokerEpoch(42), [&](const auto& r) { noted = r.has_value(); });
  disk.run_until_idle();
  REQUIRE(noted);
  return directory;
}

}  // namespace

TEST_CASE("a directory is held by one process and keeps its identity (R83)") {
  SimulatedDisk disk;
  auto first = open(disk);
  REQUIRE(first->is_empty());
  REQUIRE(first->previous_end() == PreviousEnd::clean);
  const auto second = LogDirectory::open(disk, data);
  REQUIRE_FALSE(second);
  REQUIRE(second.error().message.find("in use by another process") != std::string::npos);
  REQUIRE(first->give_identity(ours));
  DirectoryIdentity other = ours;
  other.node_id = BrokerId(2);
  REQUIRE(first->give_identity(other).error().code == ErrorCode::invalid_config);
  first.reset();
  disk.crash(SimulatedDisk::Unsynced::lost);
  REQUIRE(open(disk)->identity() == ours);
  REQUIRE(disk.content("data/meta.properties").text() ==
          "#\n#\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\ndirectory.id=AAAAAAAAAAEAAAAAAAAAAg\nnode.id=1\nversion=1\n");
  disk.kill();
  disk.overwrite("data/meta.properties", as_bytes("node.id=1\n"));
  REQUIRE_FALSE(LogDirectory::open(disk, data));
}

TEST_CASE("a data directory that was made survives a loss of power, and those above it") {
  SimulatedDisk disk;
  REQUIRE(disk.create_directories("disks"));
  REQUIRE(disk.sync_file_system("disks"));
  REQUIRE(LogDirectory::open(disk, "disks/first/data"));
  disk.crash(SimulatedDisk::Unsynced::lost);
  REQUIRE(disk.exists("disks/first/data"));
}

TEST_CASE("a run begins on a full disk, and claims nothing that it could not note (R70, R81)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  directory.reset();
  disk.kill();
  directory = open(disk);
  REQUIRE(directory->previous_end() == PreviousEnd::process_crash);
  disk.fill(0);
  REQUIRE(directory->begin_run());
  REQUIRE_FALSE(directory->failure());
  const bool is_noted_later = GENERATE(true, false);
  if (is_noted_later) {
    disk.set_capacity(std::nullopt);
    directory->note_broker_epoch(BrokerEpoch(43), {});
    disk.run_until_idle();
  }
  directory.reset();
  disk.kill();
  disk.set_capacity(std::nullopt);
  directory = open(disk);
  REQUIRE(directory->previous_end() == (is_noted_later ? PreviousEnd::process_crash : PreviousEnd::unknown));
  REQUIRE(directory->previous_broker_epoch().has_value() == is_noted_later);
}

TEST_CASE("how a run ended is told from its markers (R70, R75)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  SECTION("clean") {
    REQUIRE(directory->end_run());
    directory.reset();
    disk.crash(SimulatedDisk::Unsynced::lost);
    directory = open(disk);
    REQUIRE(directory->previous_end() == PreviousEnd::clean);
    REQUIRE(directory->previous_broker_epoch() == BrokerEpoch(42));
    REQUIRE(agreed_previous_epoch({directory.get()}) == BrokerEpoch(42));
    // Once a run has begun the old marker is gone for good.
    REQUIRE(directory->begin_run());
    directory.reset();
    disk.crash(SimulatedDisk::Unsynced::lost);
    REQUIRE(open(disk)->previous_end() == PreviousEnd::unknown);
  }
  SECTION("killed, same kernel") {
    directory.reset();
    disk.kill();
    directory = open(disk);
    REQUIRE(directory->previous_end() == PreviousEnd::process_crash);
    REQUIRE(directory->previous_broker_epoch() == BrokerEpoch(42));
  }
  SECTION("killed, and what was written cannot be made durable") {
    directory.reset();
    disk.kill();
    disk.add_fault({.operation = SimulatedDisk::Operation::sync});
    REQUIRE_FALSE(LogDirectory::open(disk, data));
  }
  SECTION("another boot") {
    directory.reset();
    disk.crash(SimulatedDisk::Unsynced::kept);
    directory = open(disk);
    REQUIRE(directory->previous_end() == PreviousEnd::unknown);
    REQUIRE_FALSE(agreed_previous_epoch({directory.get()}));
  }
  SECTION("what a distrusted run left may be in memory only: it is doubted from the recovery point on (R76)") {
    const bool is_known = GENERATE(true, false);
    if (is_known) REQUIRE(directory->store_checkpoint_blocking(CheckpointKind::recovery_point, {{orders, Offset(12)}}));
    const bool is_distrusted = GENERATE(true, false);
    if (is_distrusted) directory->distrust_run();
    disk.run_until_idle();
    directory.reset();
    const bool is_lost = GENERATE(true, false);
    if (is_lost) {
      disk.crash(SimulatedDisk::Unsynced::kept);
    } else {
      disk.kill();
    }
    directory = open(disk);
    REQUIRE((directory->previous_end() == PreviousEnd::unknown) == (is_distrusted || is_lost));
    const auto doubted = directory->hints_for(orders).doubted_from;
    REQUIRE(doubted == (is_distrusted ? std::optional(Offset(is_known ? 12 : 0)) : std::nullopt));
  }
  SECTION("no clean marker after a failure (KAFKA-13773)") {
    directory->mark_failed({ErrorCode::kafka_storage_error, "test"});
    REQUIRE_FALSE(directory->end_run());
    REQUIRE_FALSE(disk.exists("data/.kafka_cleanshutdown"));
  }
  SECTION("nor before the start had ended") {
    directory.reset();
    disk.kill();
    REQUIRE_FALSE(open(disk)->end_run());
  }
}

TEST_CASE("a clean end counts only if all directories agree on the epoch (R70)") {
  SimulatedDisk disk;
  const auto opened_after = [&](const std::string& path, int64_t epoch) {
    auto first = LogDirectory::open(disk, path);
    REQUIRE(first);
    REQUIRE((*first)->begin_run());
    (*first)->note_broker_epoch(BrokerEpoch(epoch), {});
    disk.run_until_idle();
    REQUIRE((*first)->end_run());
    first->reset();
    auto again = LogDirectory::open(disk, path);
    REQUIRE(again);
    return std::move(*again);
  };
  const auto one = opened_after("one", 42);
  const auto same = opened_after("same", 42);
  const auto older = opened_after("older", 41);
  REQUIRE(agreed_previous_epoch({one.get(), same.get()}) == BrokerEpoch(42));
  REQUIRE_FALSE(agreed_previous_epoch({one.get(), same.get(), older.get()}));
  REQUIRE_FALSE(agreed_previous_epoch({older.get(), one.get()}));
}

TEST_CASE("any flipped bit in a marker makes the end unknown (fault 31)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const bool clean = GENERATE(true, false);
  if (clean) REQUIRE(directory->end_run());
  directory.reset();
  disk.kill();
  const std::string marker = clean ? "data/.kafka_cleanshutdown" : "data/.naru_running";
  const size_t bits = disk.content(marker).size() * 8;
  for (size_t bit = 0; bit < bits; ++bit) {
    auto copy = disk.clone();
    copy->flip_bit(marker, bit);
    REQUIRE(open(*copy)->previous_end() == PreviousEnd::unknown);
  }
}

TEST_CASE("a crash at any step of start and stop is never taken for a clean end of what it was not (fault 7)") {
  for (uint64_t stop = 1;; ++stop) {
    SimulatedDisk disk({.seed = stop, .scheduler = {}});
    auto directory = begun(disk);
    REQUIRE(directory->end_run());
    directory.reset();
    disk.kill();
    // The second run: begins, would append now, ends.
    disk.stop_after(stop);
    bool has_begun = false;
    bool is_ending = false;
    if (auto second = LogDirectory::open(disk, data)) {
      has_begun = (*second)->begin_run().has_value();
      is_ending = has_begun && !disk.has_stopped();
      if (has_begun) (void)(*second)->end_run();
    }
    const bool is_whole = !disk.has_stopped();
    disk.crash(static_cast<SimulatedDisk::Unsynced>(stop % 3));
    const auto third = open(disk);
    INFO("stopped at " << stop);
    if (third->previous_end() == PreviousEnd::clean) REQUIRE((!has_begun || is_ending));
    if (is_whole) {
      REQUIRE(third->previous_end() == PreviousEnd::clean);
      break;
    }
  }
}

TEST_CASE("checkpoints become hints; a bad one is no hint at all (R73)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  int stored = 0;
  // Asked for while the first is being written: only the newest follows.
  for (int64_t offset : {10, 11, 12}) {
    directory->store_checkpoint(CheckpointKind::recovery_point, {{orders, Offset(offset)}},
                                [&](const auto& r) { stored += r ? 1 : 0; });
  }
  disk.run_until_idle();
  REQUIRE(stored == 3);
  REQUIRE(directory->store_checkpoint_blocking(CheckpointKind::high_watermark, {{orders, Offset(9)}}));
  REQUIRE(directory->store_checkpoint_blocking(CheckpointKind::cleaner, {{orders, Offset(7)}}));
  directory.reset();
  disk.crash(SimulatedDisk::Unsynced::lost);
  const bool is_bad = GENERATE(false, true);
  if (is_bad) disk.flip_bit("data/recovery-point-offset-checkpoint", 50);
  const OpenHints hints = open(disk)->hints_for(orders);
  REQUIRE(hints.recovery_point == (is_bad ? std::nullopt : std::optional(Offset(12))));
  REQUIRE(hints.high_watermark == Offset(9));
  REQUIRE(hints.cleaned_to == Offset(7));
  REQUIRE(disk.content("data/cleaner-offset-checkpoint").text().starts_with("0\n1\norders 0 7"));
  REQUIRE_FALSE(hints.log_start_offset);
}

TEST_CASE("a recovery point is lowered before it is said to be (R71)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const TopicPartition other{"other", PartitionIndex(0)};
  REQUIRE(
      directory->store_checkpoint_blocking(CheckpointKind::recovery_point, {{orders, Offset(12)}, {other, Offset(5)}}));
  int done = 0;
  const auto lower_to = [&](int64_t to) {
    directory->lower_checkpoints(orders, {.recovery_point = Offset(to)}, [&](const auto& r) { done += r ? 1 : 0; });
  };
  lower_to(12);
  REQUIRE(done == 1);  // nothing to do
  lower_to(7);
  REQUIRE(done == 1);
  SECTION("one that is being written is waited for") {
    lower_to(9);
    REQUIRE(done == 1);
    disk.run_until_idle();
    REQUIRE(done == 3);
  }
  SECTION("alone") {
    disk.run_until_idle();
    REQUIRE(done == 2);
  }
  directory.reset();
  disk.crash(SimulatedDisk::Unsynced::lost);
  directory = open(disk);
  REQUIRE(directory->hints_for(orders).recovery_point == Offset(7));
  REQUIRE(directory->hints_for(other).recovery_point == Offset(5));
}

TEST_CASE("what else checkpoints say is lowered with the recovery point, where it is to be (R71, R107)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  for (const auto kind : {CheckpointKind::recovery_point, CheckpointKind::high_watermark, CheckpointKind::log_start,
                          CheckpointKind::cleaner})
    REQUIRE(directory->store_checkpoint_blocking(kind, {{orders, Offset(12)}}));
  int done = 0;
  const auto lower = [&](const Ceilings& most) {
    directory->lower_checkpoints(orders, most, [&](const auto& r) { done += r ? 1 : 0; });
  };
  lower({.recovery_point = Offset(12), .high_watermark = Offset(12)});
  REQUIRE(done == 1);  // nothing to do
  lower({.recovery_point = Offset(12), .high_watermark = Offset(9)});
  lower({.recovery_point = Offset(7), .log_start = Offset(3)});
  REQUIRE(done == 1);
  disk.run_until_idle();
  REQUIRE(done == 3);
  directory.reset();
  disk.crash(SimulatedDisk::Unsynced::lost);
  const OpenHints hints = open(disk)->hints_for(orders);
  REQUIRE(hints.recovery_point == Offset(7));
  REQUIRE(hints.high_watermark == Offset(9));
  REQUIRE(hints.log_start_offset == Offset(3));
  REQUIRE(hints.cleaned_to == Offset(7));
}

TEST_CASE("a checkpoint that could not be changed is not believed to be (R42, R71)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  REQUIRE(directory->store_checkpoint_blocking(CheckpointKind::recovery_point, {{orders, Offset(12)}}));
  const bool is_lowered = GENERATE(true, false);  // else forgotten
  disk.add_fault({.operation = SimulatedDisk::Operation::write,
                  .path_contains = "recovery-point-offset-checkpoint",
                  .fault = IoFault::no_space});
  const auto change = [&] {
    std::optional<bool> stored;
    const auto done = [&](const auto& r) { stored = r.has_value(); };
    if (is_lowered) {
      directory->lower_checkpoints(orders, {.recovery_point = Offset(7)}, done);
    } else {
      directory->forget_checkpoints(orders, done);
    }
    disk.run_until_idle();
    return stored;
  };
  REQUIRE(change() == false);
  REQUIRE(change() == true);
  directory.reset();
  disk.crash(SimulatedDisk::Unsynced::lost);
  REQUIRE(open(disk)->hints_for(orders).recovery_point == (is_lowered ? std::optional(Offset(7)) : std::nullopt));
}

TEST_CASE("recovery points that are lowered together share a write") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  common::log::OffsetMap points;
  for (int i = 0; i < 100; ++i) points.emplace(TopicPartition{"many", PartitionIndex(i)}, Offset(12));
  REQUIRE(directory->store_checkpoint_blocking(CheckpointKind::recovery_point, points));
  const auto lower = [&](const TopicPartition& partition, int& done) {
    directory->lower_checkpoints(partition, {.recovery_point = Offset(7)},
                                 [&done](const auto& r) { done += r ? 1 : 0; });
  };
  int first = 0;
  const uint64_t operations_before = disk.operations();
  lower({"many", PartitionIndex(0)}, first);
  disk.run_until_idle();
  REQUIRE(first == 1);
  const uint64_t operations_of_one = disk.operations() - operations_before;
  int done = 0;
  for (int i = 1; i < 100; ++i) lower({"many", PartitionIndex(i)}, done);
  REQUIRE(done == 0);
  disk.run_until_idle();
  REQUIRE(done == 99);
  REQUIRE(disk.operations() - operations_before == 3 * operations_of_one);  // the first of the 99, and the others
  directory.reset();
  disk.crash(SimulatedDisk::Unsynced::lost);
  directory = open(disk);
  for (const auto& [partition, was] : points) REQUIRE(directory->hints_for(partition).recovery_point == Offset(7));
}

TEST_CASE("what is being written of a partition that is gone is written over before its name is used again (R42)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const auto ignore = [](const auto&) {};
  directory->store_checkpoint(CheckpointKind::log_start, {{orders, Offset(1000)}}, ignore);
  directory->store_checkpoint(CheckpointKind::log_start, {}, ignore);  // waits for that one
  bool forgotten = false;
  directory->forget_checkpoints(orders, [&](const auto& done) { forgotten = done.has_value(); });
  while (!forgotten) REQUIRE(disk.run_one());
  disk.run_one();
  directory.reset();
  disk.kill();
  REQUIRE_FALSE(open(disk)->hints_for(orders).log_start_offset);
}

TEST_CASE("partitions are found by name and id; those leaving and strays are told apart (R42)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const TopicPartition dashed{"a-b.c-1", PartitionIndex(3)};
  const TopicPartition gone{"gone", PartitionIndex(0)};
  const TopicPartition odd{"odd", PartitionIndex(0)};
  const TopicPartition like_metadata{"__cluster_metadata-backup", PartitionIndex(0)};
  for (const TopicPartition& p : {dashed, gone, odd, like_metadata}) REQUIRE(directory->create_partition(p, Uuid::from_halves(9, 9)));
  REQUIRE(disk.content("data/orders-0/partition.metadata").text() == "version: 0\ntopic_id: AAAAAAAAAAcAAAAAAAAACA");
  bool deleted = false;
  directory->delete_partition(gone, Uuid::from_halves(1, 1), {}, [&](const auto& r) { deleted = r.has_value(); });
  disk.run_until_idle();
  REQUIRE(deleted);
  const auto aside = directory->set_aside(directory->partition_path(odd), Uuid::from_halves(0xab, 1));
  REQUIRE(aside == "data/odd-0.00000000000000ab0000000000000001-stray");
  REQUIRE(directory->create_partition(odd, Uuid::from_halves(9, 9)));
  const auto kept = directory->set_aside(directory->partition_path(odd), Uuid::from_halves(0xab, 2), Aside::for_good);
  REQUIRE(kept == "data/odd-0.00000000000000ab0000000000000002-damaged");
  REQUIRE(disk.create_directories("data/left-0.00000000000000000000000000000001-delete"));
  REQUIRE(disk.create_directories("data/no_partition"));
  REQUIRE(disk.create_directories("data/__cluster_metadata-0"));  // the controller's business
  REQUIRE(disk.create_directories("data/__cluster_metadata-0.lost-1"));
  REQUIRE(disk.create_directories("data/lost-2"));  // without partition.metadata
  directory.reset();
  disk.kill();

  directory = open(disk);
  std::map<TopicPartition, bool> found;
  for (const PartitionDirectory& p : directory->partitions()) found[p.partition] = p.topic_id.has_value();
  REQUIRE(found == std::map<TopicPartition, bool>{
                       {dashed, true}, {{"lost", PartitionIndex(2)}, false}, {like_metadata, true}, {orders, true}});
  REQUIRE(directory->strays() == std::vector<std::string>{*aside});
  REQUIRE(directory->begin_run());
  disk.run_until_idle();
  REQUIRE_FALSE(disk.exists("data/left-0.00000000000000000000000000000001-delete"));
}

TEST_CASE(
    "a file that cannot be read is not one that is missing: the directory is not opened, and nothing is set aside "
    "(R76)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  REQUIRE(directory->store_checkpoint_blocking(CheckpointKind::recovery_point, {{orders, Offset(12)}}));
  directory.reset();
  disk.kill();
  for (const char* name :
       {"meta.properties", "partition.metadata", "recovery-point-offset-checkpoint", ".naru_running"}) {
    INFO(name);
    disk.add_fault({.operation = SimulatedDisk::Operation::read, .path_contains = name});
    const auto failed = LogDirectory::open(disk, data);
    REQUIRE_FALSE(failed);
    REQUIRE(failed.error().code == ErrorCode::kafka_storage_error);
    directory = open(disk);
    REQUIRE(directory->partitions().at(0).topic_id == Uuid::from_halves(7, 8));
    REQUIRE(directory->hints_for(orders).recovery_point == Offset(12));
    REQUIRE(directory->previous_broker_epoch() == BrokerEpoch(42));
    directory.reset();
    disk.kill();
  }
}

TEST_CASE("records whose topic is not known any more are lost: the run before is not claimed (R44)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  directory.reset();
  disk.kill();
  const std::string id = "data/orders-0/partition.metadata";
  const bool has_records = GENERATE(true, false);
  const bool is_damaged = GENERATE(true, false);
  if (has_records) disk.overwrite("data/orders-0/00000000000000000000.log", as_bytes("something"));
  if (is_damaged) {
    disk.overwrite(id, as_bytes("version: 0\n"));
  } else {
    disk.erase(id);
  }
  directory = open(disk);
  REQUIRE_FALSE(directory->partitions().at(0).topic_id);
  REQUIRE(directory->previous_end() == PreviousEnd::process_crash);
  REQUIRE(directory->previous_broker_epoch() == (has_records ? std::nullopt : std::optional(BrokerEpoch(42))));
  // Nor by the next one, should this one end before it is registered.
  REQUIRE(directory->begin_run());
  REQUIRE(directory->set_aside("data/orders-0", Uuid::from_halves(1, 1)));
  directory.reset();
  disk.kill();
  REQUIRE(open(disk)->previous_broker_epoch() == (has_records ? std::nullopt : std::optional(BrokerEpoch(42))));
}

TEST_CASE("a deletion that failed on its way goes on where it was (R42)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  disk.add_fault(
      {.operation = SimulatedDisk::Operation::sync_directory, .path_contains = data, .fault = IoFault::exhausted});
  const auto is_deleted = [&] {
    bool deleted = false;
    directory->delete_partition(orders, Uuid::from_halves(1, 1), {}, [&](const auto& r) { deleted = r.has_value(); });
    disk.run_until_idle();
    return deleted;
  };
  REQUIRE_FALSE(is_deleted());
  REQUIRE(is_deleted());
  directory.reset();
  disk.crash(SimulatedDisk::Unsynced::lost);
  for (const std::string& path : disk.paths()) {
    INFO(path);
    REQUIRE(path.find("orders-0/") == std::string::npos);
  }
  REQUIRE_FALSE(disk.exists("data/orders-0"));
}

TEST_CASE("a partition that had records and lies in none of the directories is missed (R44)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const auto kind = GENERATE(CheckpointKind::recovery_point, CheckpointKind::high_watermark);
  const TopicPartition empty{"empty", PartitionIndex(0)};
  REQUIRE(directory->store_checkpoint_blocking(kind, {{orders, Offset(12)}, {empty, Offset(0)}}));
  directory.reset();
  disk.kill();
  REQUIRE(disk.create_directories("other"));
  bool is_lost = false;
  SECTION("it is there") {}
  SECTION("its directory was removed") {
    REQUIRE(disk.remove_tree("data/orders-0"));
    is_lost = true;
  }
  SECTION("so was its id, and what it had") {
    REQUIRE(disk.remove_tree("data/orders-0"));
    REQUIRE(disk.create_directories("data/orders-0"));
    is_lost = true;
  }
  SECTION("it was moved to another one of log.dirs") {
    REQUIRE(disk.rename("data/orders-0", "other/orders-0"));
  }
  SECTION("it was damaged and is set aside: what took its place has gone since") {
    REQUIRE(disk.rename("data/orders-0", "data/orders-0.00000000000000000000000000000001-stray"));
    is_lost = true;
  }
  directory = open(disk);
  auto other = LogDirectory::open(disk, "other");
  REQUIRE(other);
  const std::vector<TopicPartition> lost = lost_partitions({directory.get(), other->get()});
  REQUIRE(lost == (is_lost ? std::vector<TopicPartition>{orders} : std::vector<TopicPartition>{}));
}

TEST_CASE("a copy says whether it ever was in sync, durably (R46)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const TopicPartition later{"later", PartitionIndex(0)};
  const TopicPartition again{"again", PartitionIndex(0)};
  REQUIRE(directory->create_partition(later, Uuid::from_halves(7, 9), NewCopy::counts_later));
  REQUIRE(directory->create_partition(again, Uuid::from_halves(7, 9), NewCopy::counts_later));
  REQUIRE(directory->create_partition(again, Uuid::from_halves(7, 10)));  // whoever began it died
  const auto restarted = [&] {
    directory.reset();
    disk.crash(SimulatedDisk::Unsynced::lost);
    directory = open(disk);
    std::map<TopicPartition, bool> never;
    for (const PartitionDirectory& p : directory->partitions()) never[p.partition] = p.never_in_sync;
    return never;
  };
  REQUIRE(restarted() == std::map<TopicPartition, bool>{{again, false}, {later, true}, {orders, false}});
  bool noted = false;
  directory->note_in_sync(later, [&](const auto& r) { noted = r.has_value(); });
  disk.run_until_idle();
  REQUIRE(noted);
  REQUIRE(restarted() == std::map<TopicPartition, bool>{{again, false}, {later, false}, {orders, false}});
}

TEST_CASE("that something was missing is told to the next starts, until its place is taken (R46)") {
  SimulatedDisk disk;
  std::vector<std::unique_ptr<LogDirectory>> all;
  all.push_back(open(disk));
  const auto restarted = [&] {
    all.clear();
    disk.crash(SimulatedDisk::Unsynced::lost);
    all.push_back(open(disk));
    return found_less({all.front().get()});
  };
  REQUIRE(found_less({all.front().get()}));
  note_if_less(all);
  REQUIRE(all.front()->give_identity(ours));
  REQUIRE(restarted());
  REQUIRE_FALSE(all.front()->was_new());
  note_if_less(all);
  REQUIRE(restarted());
  bool is_forgotten = false;
  all.front()->forget_missing_copies([&](const auto& r) { is_forgotten = r.has_value(); });
  disk.run_until_idle();
  REQUIRE(is_forgotten);
  REQUIRE_FALSE(restarted());
  note_if_less(all);
  REQUIRE_FALSE(restarted());
}

TEST_CASE("an entry that is not in log.dirs any more is missed, until its place is taken (R46)") {
  SimulatedDisk disk;
  using All = std::vector<std::unique_ptr<LogDirectory>>;
  const auto started_with = [&](const std::vector<std::string>& paths) {
    disk.crash(SimulatedDisk::Unsynced::lost);
    All all;
    for (const std::string& path : paths) all.push_back(std::move(*LogDirectory::open(disk, path)));
    return all;
  };
  const auto is_less = [](const All& all) {
    std::vector<const LogDirectory*> views;
    for (const auto& directory : all) views.push_back(directory.get());
    return found_less(views);
  };
  const auto take_place = [&](const All& all) {
    for (const auto& directory : all) directory->forget_missing_copies([](const auto&) {});
    disk.run_until_idle();
  };
  All all = started_with({"data", "other"});
  note_if_less(all);
  DirectoryIdentity second = ours;
  second.directory_id = Uuid::from_halves(3, 4);
  REQUIRE(all[0]->give_identity(ours));
  REQUIRE(all[1]->give_identity(second));
  note_siblings(all);
  take_place(all);
  all.clear();
  all = started_with({"data", "other"});
  REQUIRE_FALSE(is_less(all));
  all.clear();
  all = started_with({"data"});
  REQUIRE(is_less(all));
  note_if_less(all);
  note_siblings(all);
  REQUIRE(is_less(all));
  all.clear();
  all = started_with({"data"});
  REQUIRE(is_less(all));
  take_place(all);
  all.clear();
  all = started_with({"data"});
  REQUIRE_FALSE(is_less(all));
  all.clear();
  all = started_with({"other", "data"});
  REQUIRE_FALSE(is_less(all));
}

TEST_CASE("what a damaged list of directories says is not missed (R73)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  directory->note_siblings({ours.directory_id, Uuid::from_halves(3, 4)});
  directory.reset();
  disk.kill();
  directory = open(disk);
  REQUIRE(found_less({directory.get()}));
  directory.reset();
  disk.kill();
  disk.flip_bit("data/.naru_directories", 8 * 12);
  directory = open(disk);
  REQUIRE_FALSE(found_less({directory.get()}));
}

TEST_CASE("a partition is not made where records of another one lie (R42)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  REQUIRE(directory->create_partition(orders, Uuid::from_halves(7, 8)));  // a retry, over nothing
  disk.overwrite("data/orders-0/00000000000000000000.log", as_bytes("something"));
  REQUIRE_FALSE(directory->create_partition(orders, Uuid::from_halves(7, 9)));
}

TEST_CASE("a checkpoint forgets a name durably, and only then the name can be used again (R42)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const TopicPartition other{"orders", PartitionIndex(1)};
  for (const auto kind : {CheckpointKind::recovery_point, CheckpointKind::log_start})
    REQUIRE(directory->store_checkpoint_blocking(kind, {{orders, Offset(12)}, {other, Offset(13)}}));
  directory.reset();
  disk.kill();
  directory = open(disk);
  int forgotten = 0;
  directory->forget_checkpoints(orders, [&](const auto& done) { forgotten += done ? 1 : 0; });
  REQUIRE(forgotten == 0);
  disk.run_until_idle();
  REQUIRE(forgotten == 1);
  directory->forget_checkpoints(orders, [&](const auto& done) { forgotten += done ? 1 : 0; });
  REQUIRE(forgotten == 2);  // nothing to do
  directory.reset();
  disk.crash(SimulatedDisk::Unsynced::lost);
  directory = open(disk);
  REQUIRE_FALSE(directory->hints_for(orders).recovery_point);
  REQUIRE_FALSE(directory->hints_for(orders).log_start_offset);
  REQUIRE(directory->hints_for(other).recovery_point == Offset(13));
}

TEST_CASE("a directory's name stays below 256 characters on its way out") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const TopicPartition longest{std::string(249, 't'), PartitionIndex(0)};
  const auto path = directory->create_partition(longest, Uuid::from_halves(1, 1));
  const auto aside = directory->set_aside(*path, Uuid::from_halves(1, 1));
  REQUIRE(aside->size() - data.size() - 1 == 255);
}

TEST_CASE("a log that has just been made is opened without a change or a sync, on a shard that may not wait (R78)") {
  SimulatedDisk disk;
  auto directory = begun(disk);
  const uint64_t before = disk.operations();
  LogEnvironment environment;
  environment.disk = &disk;
  const OpenHints made{.previous_end = PreviousEnd::clean, .recovery_point = {}, .high_watermark = {}, .log_start_offset = {}};
  const auto log = Log::open(environment, "data/orders-0", {}, made, TimestampMs(0));
  REQUIRE(log);
  REQUIRE((*log)->log_end_offset() == Offset(0));
  REQUIRE(disk.operations() == before);
}
