// Faults of the simulated disk that no test of the log uses.
#include "common/disk/simulated_disk.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace common::disk;

namespace {

void make_file(SimulatedDisk& disk, const std::string& path, char with, size_t size) {
  REQUIRE(disk.create_directories(path.substr(0, path.rfind('/'))));
  const auto file = disk.open(path, OpenMode::create_if_missing);
  REQUIRE(file);
  const std::string text(size, with);
  const BytesView parts[] = {common::model::as_bytes(text)};
  REQUIRE((*file)->write_at(0, parts));
}

std::string content(const SimulatedDisk& disk, const std::string& path) {
  return std::string(disk.content(path).text());
}

}  // namespace

TEST_CASE("a write that landed elsewhere is nowhere and spoils what was there; no file gets longer") {
  SimulatedDisk disk;
  make_file(disk, "/d/a", 'a', 1024);
  make_file(disk, "/d/b", 'b', 700);
  const auto spoilt = disk.misdirect("/d/a", 512, "/d/b", 512);
  REQUIRE(spoilt == std::vector<std::pair<std::string, size_t>>{{"/d/a", 512}, {"/d/b", 512}});
  REQUIRE(content(disk, "/d/a") == std::string(512, 'a') + std::string(188, '\0') + std::string(324, 'a'));
  REQUIRE(content(disk, "/d/b") == std::string(512, 'b') + std::string(188, 'a'));
  SECTION("and so it stays when the power goes") {
    disk.crash(SimulatedDisk::Unsynced::kept);
    REQUIRE(content(disk, "/d/b") == std::string(512, 'b') + std::string(188, 'a'));
  }
}

TEST_CASE("a block that lands on its like harms one place only") {
  SimulatedDisk disk;
  make_file(disk, "/d/a", 'a', 1024);
  const auto spoilt = disk.misdirect("/d/a", 0, "/d/a", 512);
  REQUIRE(spoilt == std::vector<std::pair<std::string, size_t>>{{"/d/a", 0}});
}

TEST_CASE("a copy of a disk has what was written, and calls back where its own machine says") {
  std::vector<std::string> called;
  const auto machine = [&](const std::string& name) {
    SimulatedDisk::Options options;
    options.scheduler = [&called, name](common::model::Duration, std::function<void()> f) {
      called.push_back(name);
      f();
    };
    return options;
  };
  SimulatedDisk disk(machine("first"));
  make_file(disk, "/d/a", 'a', 700);
  const auto copy = disk.clone(machine("second"));
  copy->crash(SimulatedDisk::Unsynced::kept);  // what was not synced was copied all the same
  make_file(disk, "/d/a", 'b', 700);
  REQUIRE(content(*copy, "/d/a") == std::string(700, 'a'));
  const auto file = copy->open("/d/a", OpenMode::existing);
  REQUIRE(file);
  bool is_synced = false;
  (*file)->sync([&](const IoResult<void>& done) { is_synced = done.has_value(); });
  REQUIRE(is_synced);
  for (const std::string& name : called) REQUIRE(name == "second");
  REQUIRE_FALSE(called.empty());
}

TEST_CASE("a directory that was renamed is under one of its names with all that lies in it, whenever the power goes") {
  using Paths = std::vector<std::string>;
  // 0: nothing was synced; 1: where the directory lies; 2: and then its files were removed, which was not synced.
  const int step = GENERATE(0, 1, 2);
  const auto unsynced =
      GENERATE(SimulatedDisk::Unsynced::lost, SimulatedDisk::Unsynced::torn, SimulatedDisk::Unsynced::kept);
  SimulatedDisk::Options options;
  options.seed = GENERATE(uint64_t{1}, uint64_t{2}, uint64_t{3});
  SimulatedDisk disk(options);
  make_file(disk, "/d/old/a", 'a', 10);
  make_file(disk, "/d/old/b", 'b', 10);
  REQUIRE(disk.sync_file_system("/"));
  REQUIRE(disk.rename("/d/old", "/d/new"));
  REQUIRE(disk.paths() == Paths{"/d/new/a", "/d/new/b"});
  if (step > 0) REQUIRE(disk.sync_directory("/d"));
  if (step > 1) REQUIRE(disk.remove_tree("/d/new"));
  const auto copy = disk.clone();
  disk.crash(unsynced);
  copy->crash(unsynced);
  REQUIRE(copy->paths() == disk.paths());
  const auto entries = disk.list("/d");
  REQUIRE(entries);
  REQUIRE(entries->size() <= 1);
  for (const std::string& path : disk.paths()) {
    REQUIRE(!entries->empty());
    REQUIRE(path.starts_with("/d/" + entries->front().name + "/"));
  }
  if (step < 2) REQUIRE(disk.paths().size() == 2);
  if (step == 1) REQUIRE(entries->front().name == "new");
  // What is made under the old name has nothing of the one that had it.
  if (step > 0) {
    REQUIRE(disk.create_directories("/d/old"));
    REQUIRE(disk.list("/d/old")->empty());
  }
}

TEST_CASE("the space that is used is what the files that have a name take, whatever was done to them") {
  const auto is_counted = [](SimulatedDisk& disk) {
    uint64_t all = 0;
    for (const std::string& path : disk.paths()) all += disk.content(path).size();
    const auto space = disk.space("/");
    return space && space->total_bytes - space->free_bytes == all;
  };
  SimulatedDisk disk;
  make_file(disk, "/d/a", 'a', 1000);
  make_file(disk, "/d/b", 'b', 700);
  REQUIRE(is_counted(disk));
  const auto open = disk.open("/d/b", OpenMode::existing);
  REQUIRE(open);
  REQUIRE((*open)->truncate(300));
  REQUIRE((*open)->allocate(2000));
  REQUIRE(disk.sync_file_system("/"));
  REQUIRE(is_counted(disk));
  REQUIRE(disk.rename("/d/a", "/d/b"));  // in its place; the former one is still open
  const BytesView more[] = {common::model::as_bytes("more")};
  REQUIRE((*open)->write_at(5000, more));
  REQUIRE(is_counted(disk));
  REQUIRE(disk.rename("/d", "/e"));
  make_file(disk, "/e/c", 'c', 40);
  disk.overwrite("/e/c", common::model::as_bytes("another"));
  disk.overwrite("/e/d", common::model::as_bytes("new"));
  REQUIRE(is_counted(disk));
  const auto copy = disk.clone();
  disk.erase("/e/d");
  REQUIRE(disk.remove_file("/e/c"));
  REQUIRE(is_counted(disk));
  disk.crash(GENERATE(SimulatedDisk::Unsynced::lost, SimulatedDisk::Unsynced::torn, SimulatedDisk::Unsynced::kept));
  REQUIRE(is_counted(disk));
  make_file(disk, "/f/f", 'f', 5);
  REQUIRE(is_counted(disk));
  REQUIRE(is_counted(*copy));
  REQUIRE(copy->remove_tree("/e"));
  REQUIRE(is_counted(*copy));
}
