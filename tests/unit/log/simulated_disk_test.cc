// Faults of the simulated disk that no test of the log uses.
#include "common/disk/simulated_disk.h"

#include <string>

#include <catch2/catch.hpp>

using namespace common::disk;

namespace {

void make_file(SimulatedDisk& disk, const std::string& path, char with, size_t size) {
  REQUIRE(disk.create_directories("/d"));
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
