// Every message, every version, against bytes that Kafka's own classes made (vectors/, golden/make_vectors): what we
// encode is the same, what we decode encodes to the same again, and no truncated or extended form is taken for whole.
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <tuple>

#include <catch2/catch.hpp>

#include "unit/kafka/filler.h"

using namespace kafka;
using namespace kafka::test;

namespace {

using Vectors = std::map<std::tuple<std::string, int16_t, Kind>, Buffer>;

int digit(char c) {
  return c <= '9' ? c - '0' : c - 'a' + 10;
}

Buffer from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; hex != "-" && i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return Buffer::own(std::move(bytes));
}

std::string to_hex(const Buffer& bytes) {
  std::string hex;
  for (const std::byte b : bytes.view()) hex += fmt::format("{:02x}", std::to_integer<int>(b));
  return hex;
}

Vectors load_vectors() {
  Vectors vectors;
  for (const auto& entry : std::filesystem::directory_iterator(NARU_SOURCE_DIR "/tests/unit/kafka/vectors")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("#")) continue;
      std::istringstream words(line);
      std::string name;
      std::string kind;
      std::string hex;
      int16_t version = 0;
      words >> name >> version >> kind >> hex;
      const Kind parsed = kind == "full" ? Kind::full : kind == "nulls" ? Kind::nulls : Kind::defaults;
      vectors[{name, version, parsed}] = from_hex(hex);
    }
  }
  return vectors;
}

const Vectors& vectors() {
  static const Vectors loaded = load_vectors();
  return loaded;
}

const std::vector<MessageCase>& messages() {
  static const std::vector<MessageCase> all = all_messages();
  return all;
}

// The most that this process ever had mapped.
size_t address_space_peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmPeak:")) return std::stoull(line.substr(7));
  }
  FAIL("/proc/self/status does not tell VmPeak");
  return 0;
}

template <class F>
void for_each_vector(F f) {
  for (const MessageCase& message : messages()) {
    for (int16_t version = message.min_version; version <= message.max_version; ++version) {
      for (const Kind kind : {Kind::defaults, Kind::full, Kind::nulls}) {
        INFO(message.name << " version " << version << " kind " << static_cast<int>(kind));
        const auto found = vectors().find({message.name, version, kind});
        REQUIRE(found != vectors().end());
        f(message, version, kind, found->second);
      }
    }
  }
}

}  // namespace

TEST_CASE("every message encodes to Kafka's own bytes in every version") {
  for_each_vector([](const MessageCase& message, int16_t version, Kind kind, const Buffer& golden) {
    const Result<Buffer> ours = message.encode(kind, version);
    if (!ours) FAIL(ours.error().message);
    if (to_hex(*ours) != to_hex(golden)) FAIL("ours   " << to_hex(*ours) << "\nkafka  " << to_hex(golden));
  });
}

TEST_CASE("Kafka's bytes decode and encode to themselves") {
  for_each_vector([](const MessageCase& message, int16_t version, Kind, const Buffer& golden) {
    const Result<Reencoded> again = message.reencode(golden, version);
    if (!again) FAIL(again.error().message);
    REQUIRE(again->left_over == 0);
    if (to_hex(again->bytes) != to_hex(golden))
      FAIL("ours   " << to_hex(again->bytes) << "\nkafka  " << to_hex(golden));
  });
}

TEST_CASE("a message cut at any byte is refused") {
  for_each_vector([](const MessageCase& message, int16_t version, Kind, const Buffer& golden) {
    for (size_t size = 0; size < golden.size(); ++size) {
      // A copy, so that a sanitizer sees a read past the end.
      if (message.decodes(Buffer::copy_of(golden.view().first(size)), version))
        FAIL("decoded from " << size << " bytes");
    }
  });
}

TEST_CASE("a length or count of two thousand million is refused without memory for it") {
  const size_t before = address_space_peak_kib();
  for_each_vector([](const MessageCase& message, int16_t version, Kind, const Buffer& golden) {
    for (size_t at = 0; at + 4 <= golden.size(); ++at) {
      for (const std::string& huge :
           {std::string("\x7f\xff\xff\xff"), std::string("\xff\xff\xff\x7f"), std::string(4, '\xff')}) {
        std::string bytes(golden.text());
        bytes.replace(at, huge.size(), huge);
        (void)message.decodes(Buffer::own(std::move(bytes)), version);
      }
    }
  });
  // One allocation for so many elements, of a byte or more each, would show, touched or not.
  REQUIRE(address_space_peak_kib() - before < size_t{1} << 20);
}

TEST_CASE("versions that do not exist are refused") {
  for (const MessageCase& message : messages()) {
    for (const int version : {message.min_version - 1, message.max_version + 1}) {
      const Result<Buffer> encoded = message.encode(Kind::defaults, static_cast<int16_t>(version));
      REQUIRE(!encoded);
      REQUIRE(encoded.error().code == ErrorCode::unsupported_version);
      const Result<Reencoded> decoded = message.reencode(Buffer{}, static_cast<int16_t>(version));
      REQUIRE(!decoded);
      REQUIRE(decoded.error().code == ErrorCode::unsupported_version);
    }
  }
}
