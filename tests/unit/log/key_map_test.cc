#include "common/log/key_map.h"

#include <catch2/catch.hpp>

#include <fmt/format.h>

using common::log::HashKey;
using common::log::KeyMap;
using common::log::siphash128;
using common::model::as_bytes;
using common::model::Offset;

namespace {

std::string hex_of(size_t length) {
  std::vector<std::byte> in(length);
  for (size_t i = 0; i < length; ++i) in[i] = static_cast<std::byte>(i);
  const auto hash = siphash128({0x0706050403020100u, 0x0f0e0d0c0b0a0908u}, in);
  std::string text;
  for (const uint64_t word : {hash.first, hash.second}) {
    for (int i = 0; i < 8; ++i) text += fmt::format("{:02x}", (word >> (8 * i)) & 0xff);
  }
  return text;
}

}  // namespace

TEST_CASE("SipHash-2-4-128 gives the published vectors") {
  CHECK(hex_of(0) == "a3817f04ba25a8e66df67214c7550293");
  CHECK(hex_of(1) == "da87c1d86b99af44347659119b22fc45");
}

TEST_CASE("a key map knows the newest offset of each key, up to its bound") {
  KeyMap map(1000, {.bytes = 24 * 100, .load_factor = 0.5}, {1, 2});
  REQUIRE(map.room() == 50);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) map.put(as_bytes(fmt::format("key {}", i)), Offset(round * 100 + i));
  }
  CHECK(map.room() == 0);
  CHECK(map.size() == 50);
  for (int i = 0; i < 50; ++i) CHECK(map.find(as_bytes(fmt::format("key {}", i))) == Offset(200 + i));
  CHECK_FALSE(map.find(as_bytes("another")));
  CHECK_FALSE(map.find({}));
}

TEST_CASE("a key map takes what is wanted, not what is allowed") {
  KeyMap none(0, {.bytes = 128u << 20, .load_factor = 0.9}, {1, 2});
  CHECK_FALSE(none.find(as_bytes("key")));
  KeyMap ten(10, {.bytes = 128u << 20, .load_factor = 0.9}, {1, 2});
  CHECK(ten.room() >= 10);
  CHECK(ten.room() < 20);
}
