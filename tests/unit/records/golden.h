// Bytes that Apache Kafka's and librdkafka's own code wrote: golden/golden_batches.txt, made by golden/regenerate.
#pragma once
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "common/records/batch.h"

namespace records_test {

inline std::vector<std::byte> from_hex(const std::string& hex) {
  std::vector<std::byte> out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

// Lines of the file as words.
inline std::vector<std::vector<std::string>> golden_lines() {
  std::ifstream file(NARU_SOURCE_DIR "/tests/unit/records/golden/golden_batches.txt");
  std::vector<std::vector<std::string>> lines;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::vector<std::string> parts;
    for (std::string word; words >> word;) parts.push_back(word);
    lines.push_back(parts);
  }
  REQUIRE(lines.size() >= 20);
  return lines;
}

inline common::model::Buffer golden(const std::string& name) {
  for (const auto& line : golden_lines()) {
    if (line.at(0) == name) return common::model::Buffer::own(from_hex(line.at(1)));
  }
  FAIL("no golden bytes named " << name);
  return {};
}

// A record that outlives its visit.
struct OwnedRecord {
  int64_t offset = 0;
  int64_t timestamp = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  friend bool operator==(const OwnedRecord&, const OwnedRecord&) = default;
};

inline std::optional<std::string> owned(const std::optional<common::model::BytesView>& bytes) {
  if (!bytes) return std::nullopt;
  return std::string(common::model::as_text(*bytes));
}

inline common::model::Result<std::vector<OwnedRecord>> records_of(
    const common::records::BatchView& batch, const common::records::DecompressLimits& limits = {}) {
  std::vector<OwnedRecord> all;
  auto result = common::records::for_each_record(batch, limits, [&](const common::records::Record& record) {
    OwnedRecord one{record.offset.value, record.timestamp.value, owned(record.key), owned(record.value), {}};
    for (const auto& header : record.headers()) one.headers.emplace_back(std::string(header.name), owned(header.value));
    all.push_back(std::move(one));
  });
  if (!result) return tl::unexpected(result.error());
  return all;
}

// What GoldenBatches.java and capture_librdkafka.py put into a batch.
inline std::vector<OwnedRecord> forty_records(int64_t base_offset = 0) {
  std::vector<OwnedRecord> all;
  for (int i = 0; i < 40; ++i) {
    OwnedRecord one;
    one.offset = base_offset + i;
    one.timestamp = 1700000000000 + (i == 0 ? 500 : i * 10);
    if (i != 3) one.key = "key-" + std::to_string(i);
    if (i != 5) {
      one.value.emplace();
      for (int n = 0; n <= i; ++n) *one.value += "value ";
    }
    if (i == 7) one.headers = {{"name", "header"}, {"null", std::nullopt}};
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace records_test
