// Segment files read apart from a broker: what is well is found well, and damage where it is.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "cli/log_files.h"
#include "common/records/batch_builder.h"

using namespace cli;
namespace records = common::records;
using common::model::as_bytes;
using common::model::Buffer;
using common::model::LeaderEpoch;
using common::model::TimestampMs;

namespace {

class Directory {
 public:
  Directory() : path_(std::filesystem::temp_directory_path() / fmt::format("naru-log-{}", ::getpid()) / "orders-3") {
    std::filesystem::create_directories(path_);
  }
  ~Directory() { std::filesystem::remove_all(path_.parent_path()); }
  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] std::string file(int64_t base) const { return (path_ / fmt::format("{:020}.log", base)).string(); }
  [[nodiscard]] std::filesystem::path data_directory() const { return path_.parent_path(); }
  void write(int64_t base, const std::string& bytes) const { std::ofstream(file(base), std::ios::binary) << bytes; }

 private:
  std::filesystem::path path_;
};

std::string batch(int64_t base, int count) {
  records::BatchBuilder builder(records::BatchOptions{});
  for (int i = 0; i < count; ++i)
    builder.add({.timestamp = TimestampMs(1000), .key = as_bytes("k"), .value = as_bytes("value"), .headers = {}});
  const Buffer bytes = builder.build();
  records::assign_offsets(bytes, {.first_offset = Offset(base), .leader_epoch = LeaderEpoch(4), .log_append_time = {}});
  return std::string(bytes.text());
}

LogFindings found_in(const Directory& directory, bool may_have_gaps = false) {
  const auto segments = segments_at(directory.path());
  REQUIRE(segments);
  const auto found = examine(*segments, may_have_gaps);
  REQUIRE(found);
  return *found;
}

}  // namespace

TEST_CASE("a log that is well") {
  const Directory directory;
  directory.write(0, batch(0, 3) + batch(3, 2));
  directory.write(5, batch(5, 1));
  const auto segments = segments_at(directory.path());
  REQUIRE(segments);
  REQUIRE(segments->size() == 2);
  CHECK((*segments)[1].base == Offset(5));
  CHECK((*segments)[1].topic == "orders");
  CHECK((*segments)[1].partition == 3);
  const LogFindings found = found_in(directory);
  CHECK(found.damages.empty());
  CHECK(found.records == 6);
  CHECK(found.batches == 3);
  CHECK(found.start == Offset(0));
  CHECK(found.end == Offset(6));
}

TEST_CASE("damage is found where it is") {
  const Directory directory;
  const std::string first = batch(0, 3);
  std::string second = batch(3, 2);
  SECTION("a checksum") {
    second.back() = static_cast<char>(second.back() ^ 1);
    directory.write(0, first + second);
    const LogFindings found = found_in(directory);
    REQUIRE(found.damages.size() == 1);
    CHECK(found.damages[0].position == first.size());
    CHECK(found.damages[0].what == "the checksum is wrong");
  }
  SECTION("an end in the middle of a batch") {
    directory.write(0, first + second.substr(0, second.size() - 1));
    const LogFindings found = found_in(directory);
    REQUIRE(found.damages.size() == 1);
    CHECK(found.damages[0].is_at_the_end);
    CHECK(found.is_well());
    directory.write(3, second);  // not the last segment any more
    CHECK_FALSE(found_in(directory).is_well());
    CHECK(found.damages[0].position == first.size());
    CHECK(found.end == Offset(3));
  }
  SECTION("a length that reaches beyond the end, with batches behind it") {
    second[9] = 1;  // 64 KiB more
    directory.write(0, first + second + batch(5, 1));
    const LogFindings found = found_in(directory);
    REQUIRE(found.damages.size() == 1);
    CHECK(found.damages[0].position == first.size());
    CHECK(found.damages[0].what == "its length is wrong: sound batches come after it");
    CHECK_FALSE(found.is_well());
    directory.write(0, first + second);  // as if cut off
    CHECK(found_in(directory).is_well());
  }
  SECTION("reserved space") {
    directory.write(0, first + std::string(5000, '\0'));
    const LogFindings found = found_in(directory);
    REQUIRE(found.damages.size() == 1);
    CHECK(found.is_well());
    CHECK(found.end == Offset(3));
  }
  SECTION("what is no batch") {
    directory.write(0, first + std::string(100, '\xff'));
    REQUIRE(found_in(directory).damages.size() == 1);
    CHECK_FALSE(found_in(directory).is_well());
  }
  SECTION("a gap, where compaction has not been") {
    directory.write(0, first + batch(7, 1));
    REQUIRE(found_in(directory).damages.size() == 1);
    CHECK(found_in(directory).damages[0].what == "offsets 3 to 6 are missing before it");
    CHECK(found_in(directory, true).damages.empty());
  }
  SECTION("offsets that go back") {
    directory.write(0, first);
    directory.write(2, batch(2, 1));
    REQUIRE(found_in(directory, true).damages.size() == 2);  // the name, and the batch
  }
}

TEST_CASE("who says that compaction has been there") {
  const Directory directory;
  directory.write(0, batch(0, 1) + batch(7, 1));
  // By the directory, and by a segment in it.
  const auto is_said = [&] {
    const auto all = segments_at(directory.path());
    const auto one = segments_at(directory.file(0));
    REQUIRE(all);
    REQUIRE(one);
    CHECK(was_compacted(all->front()) == was_compacted(one->front()));
    return was_compacted(one->front());
  };
  CHECK_FALSE(is_said());
  SECTION("a file of ours") {
    std::ofstream(directory.path() + "/offset-gaps").flush();
    CHECK(is_said());
  }
  SECTION("Kafka's cleaner") {
    const std::filesystem::path checkpoint = directory.data_directory() / "cleaner-offset-checkpoint";
    std::ofstream(checkpoint) << "0\n2\norders 33 5\norder 3 5\n";
    CHECK_FALSE(is_said());
    std::ofstream(checkpoint) << "0\n1\norders 3 5\n";
    CHECK(is_said());
  }
}

TEST_CASE("what is no log") {
  const Directory directory;
  CHECK(segments_at(directory.path()).error().exit == Exit::usage);
  CHECK(segments_at(directory.path() + "/nothing").error().exit == Exit::usage);
}
