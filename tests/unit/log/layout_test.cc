// The files as Apache Kafka would find them, byte by byte.
#include "common/log/checkpoint_file.h"
#include "common/log/file_names.h"
#include "log/log_fixture.h"

using namespace log_test;

namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text;
}

// The checksum in trailing blanks, which Kafka's reader ignores.
std::string without_blanks(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      while (!out.empty() && (out.back() == ' ' || out.back() == '\t')) out.pop_back();
    }
    out += c;
  }
  return out;
}

}  // namespace

TEST_CASE("a partition's directory looks like Kafka's") {
  Fixture f;
  f.config.index_interval_bytes = 100;
  f.config.segment_bytes = 400;
  f.open();
  // Each batch has 61 bytes of header and a record of 7 + 20 bytes.
  for (int i = 0; i < 6; ++i) f.append({.timestamp = 1000 + 10 * i}, i / 2);
  f.disk->run_until_idle();
  f.close();
  REQUIRE(f.disk->paths() == std::vector<std::string>{
                                 f.path("00000000000000000000.index"),
                                 f.path("00000000000000000000.log"),
                                 f.path("00000000000000000000.timeindex"),
                                 f.path("00000000000000000004.index"),
                                 f.path("00000000000000000004.log"),
                                 f.path("00000000000000000004.snapshot"),
                                 f.path("00000000000000000004.timeindex"),
                                 f.path("00000000000000000006.snapshot"),
                                 f.path("leader-epoch-checkpoint"),
                             });
  const auto content = [&](std::string_view name) { return std::string(f.disk->content(f.path(name)).text()); };
  const size_t batch = content("00000000000000000000.log").size() / 4;
  REQUIRE(content("00000000000000000000.log").size() == 4 * batch);
  // The first entry comes once more than index.interval.bytes lie before a batch: two batches of 88 bytes.
  REQUIRE(batch == 88);
  REQUIRE(hex(content("00000000000000000000.index")) == hex(std::string("\0\0\0\x02\0\0\0\xb0", 8)));
  // 1020 at the same batch, 1030 when the segment was closed.
  REQUIRE(hex(content("00000000000000000000.timeindex")) ==
          hex(std::string("\0\0\0\0\0\0\x03\xfc\0\0\0\x02\0\0\0\0\0\0\x04\x06\0\0\0\x03", 24)));
  REQUIRE(hex(content("00000000000000000004.timeindex")) == hex(std::string("\0\0\0\0\0\0\x04\x1a\0\0\0\x01", 12)));
  REQUIRE(content("00000000000000000004.index").empty());
  REQUIRE(without_blanks(content("leader-epoch-checkpoint")) == "0\n3\n0 0\n1 2\n2 4\n");
}

TEST_CASE("file names hold twenty digits") {
  REQUIRE(file_path("d", Offset(120), log_suffix) == "d/00000000000000000120.log");
  REQUIRE(offset_in_name("00000000000000000120.log", log_suffix) == Offset(120));
  const char* other =
      GENERATE("00000000000000000120.index", "120.log", "0000000000000000012x.log", "99999999999999999999.log",
               "00000000000000000120.log.deleted", "-0000000000000000120.log");
  REQUIRE_FALSE(offset_in_name(other, log_suffix));
}

TEST_CASE("checkpoints are Kafka's text and notice every changed bit") {
  const OffsetMap offsets{{{"orders", common::model::PartitionIndex(0)}, Offset(120)},
                          {{"orders", common::model::PartitionIndex(1)}, Offset(77)},
                          {{"a.b_c-9", common::model::PartitionIndex(3)}, Offset(0)}};
  const std::string text = encode_offsets(offsets);
  REQUIRE(without_blanks(text) == "0\n3\na.b_c-9 3 0\norders 0 120\norders 1 77\n");
  REQUIRE(decode_offsets(text) == offsets);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string bad = text;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    REQUIRE_FALSE(decode_offsets(bad));
  }
  for (size_t length = 0; length < text.size(); ++length) REQUIRE_FALSE(decode_offsets(text.substr(0, length)));
  REQUIRE(encode_offsets({}) == "0\n0\n");
  REQUIRE(decode_offsets("0\n0\n") == OffsetMap{});

  const std::vector<EpochStart> epochs{{LeaderEpoch(0), Offset(0)}, {LeaderEpoch(7), Offset(12)}};
  REQUIRE(decode_epochs(encode_epochs(epochs)) == epochs);
  REQUIRE_FALSE(decode_epochs(encode_epochs({{LeaderEpoch(7), Offset(0)}, {LeaderEpoch(0), Offset(12)}})));
}
