#include <catch2/catch.hpp>

#include "common/model/random.h"
#include "common/records/batch_builder.h"
#include "common/records/big_endian.h"
#include "common/records/compression.h"
#include "common/records/xerial.h"
#include "golden.h"

using namespace common::records;
using common::model::BytesView;
using common::model::ErrorCode;

namespace {

constexpr auto real_codecs = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

std::vector<std::byte> sample(size_t size, uint64_t seed) {
  common::model::SeededRandom random(seed);
  std::vector<std::byte> out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i % 7 == 0 ? random.next() : i / 100);
  return out;
}

}  // namespace

TEST_CASE("every codec and size comes back") {
  for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    for (const size_t size : {0u, 1u, 100u, 32767u, 32768u, 32769u, 65536u, 1000000u}) {
      const std::vector<std::byte> plain = sample(size, size);
      for (const SnappyFraming framing : {SnappyFraming::xerial, SnappyFraming::raw}) {
        CompressOptions options;
        options.snappy = framing;
        const auto back = decompress(codec, compress(codec, plain, options), {});
        CAPTURE(to_string(codec), size);
        REQUIRE(back.has_value());
        REQUIRE(*back == plain);
      }
    }
  }
}

TEST_CASE("compression levels are honoured") {
  const std::vector<std::byte> plain = sample(200000, 3);
  for (const auto& [codec, low, high] : {std::tuple{Codec::gzip, 1, 9}, {Codec::lz4, 1, 12}, {Codec::zstd, 1, 19}}) {
    CompressOptions fast;
    fast.level = low;
    CompressOptions small;
    small.level = high;
    const auto larger = compress(codec, plain, fast);
    const auto smaller = compress(codec, plain, small);
    REQUIRE(smaller.size() < larger.size());
    REQUIRE(*decompress(codec, smaller, {}) == plain);
  }
}

TEST_CASE("streams that follow each other are one") {
  const std::vector<std::byte> a = sample(50000, 1);
  const std::vector<std::byte> b = sample(70000, 2);
  for (const Codec codec : real_codecs) {
    std::vector<std::byte> both = compress(codec, a);
    append_bytes(both, compress(codec, b));
    std::vector<std::byte> expected = a;
    append_bytes(expected, b);
    CAPTURE(to_string(codec));
    REQUIRE(*decompress(codec, both, {}) == expected);
  }
}

TEST_CASE("xerial headers are written big-endian and read in either order") {
  const std::vector<std::byte> plain = sample(1000, 1);
  std::vector<std::byte> framed = compress(Codec::snappy, plain);
  REQUIRE(load_be<int32_t>(framed.data() + 8) == 1);
  REQUIRE(load_be<int32_t>(framed.data() + 12) == 1);
  store_be<int32_t>(framed.data() + 8, 0x01000000);
  store_be<int32_t>(framed.data() + 12, 0x01000000);
  REQUIRE(*decompress(Codec::snappy, framed, {}) == plain);
}

TEST_CASE("a stream cut at any byte is an error, never a shorter answer") {
  const std::vector<std::byte> plain = sample(3000, 9);
  for (const Codec codec : real_codecs) {
    const std::vector<std::byte> whole = compress(codec, plain);
    for (size_t n = 1; n < whole.size(); ++n) {
      // A snappy stream may end after any block, and its header alone is an empty stream.
      if (codec == Codec::snappy && n == xerial::header_size) continue;
      const auto back = decompress(codec, BytesView(whole).first(n), {});
      CAPTURE(to_string(codec), n, whole.size());
      REQUIRE_FALSE(back.has_value());
      REQUIRE(back.error().code == ErrorCode::corrupt_message);
    }
  }
}

TEST_CASE("garbage is refused") {
  common::model::SeededRandom random(5);
  for (const Codec codec : real_codecs) {
    for (int i = 0; i < 2000; ++i) {
      std::vector<std::byte> garbage(1 + random.below(200));
      for (std::byte& byte : garbage) byte = static_cast<std::byte>(random.next());
      const auto back = decompress(codec, garbage, {});
      // Rarely, random bytes are a legal raw snappy block.
      if (codec != Codec::snappy) REQUIRE_FALSE(back.has_value());
    }
  }
}

TEST_CASE("output stops exactly at the limit (R110)") {
  const std::vector<std::byte> plain = sample(100000, 4);
  for (const Codec codec : real_codecs) {
    const std::vector<std::byte> packed = compress(codec, plain);
    DecompressLimits limits;
    limits.always_allowed_bytes = 0;
    limits.max_output_bytes = plain.size();
    CAPTURE(to_string(codec));
    REQUIRE(*decompress(codec, packed, limits) == plain);
    limits.max_output_bytes = plain.size() - 1;
    const auto refused = decompress(codec, packed, limits);
    REQUIRE_FALSE(refused.has_value());
    REQUIRE(refused.error().code == ErrorCode::message_too_large);
  }
}

// Fault 50: a kilobyte that stands for a gigabyte.
TEST_CASE("a decompression bomb is refused at the ratio cap") {
  const std::vector<std::byte> zeros(64u << 20);
  for (const Codec codec : {Codec::gzip, Codec::lz4, Codec::zstd}) {
    CompressOptions best;
    best.level = 9;
    std::vector<std::byte> bomb = compress(codec, zeros, best);
    const std::vector<std::byte> one = bomb;
    for (int i = 1; i < 8; ++i) bomb.insert(bomb.end(), one.begin(), one.end());
    DecompressLimits limits;
    limits.max_ratio = 20;
    limits.always_allowed_bytes = 1u << 20;
    const std::unique_ptr<Decompressor> reader = make_decompressor(codec, bomb, limits);
    std::vector<std::byte> window(65536);
    size_t produced = 0;
    for (;;) {
      const auto n = reader->read(window);
      if (!n) {
        REQUIRE(n.error().code == ErrorCode::message_too_large);
        break;
      }
      REQUIRE(*n > 0);
      produced += *n;
    }
    CAPTURE(to_string(codec));
    REQUIRE(produced <= limits.allowed_for(bomb.size()));
  }
}

TEST_CASE("a snappy block that claims an impossible size allocates nothing") {
  std::vector<std::byte> lie = {std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                std::byte{0x0f}, std::byte{0x00}, std::byte{0x41}};
  const auto back = decompress(Codec::snappy, lie, {});
  REQUIRE_FALSE(back.has_value());
  REQUIRE(back.error().code == ErrorCode::corrupt_message);
}

TEST_CASE("what is allowed: a floor, a ratio, a ceiling") {
  DecompressLimits limits;
  limits.always_allowed_bytes = 1000;
  limits.max_ratio = 10;
  limits.max_output_bytes = 5000;
  REQUIRE(limits.allowed_for(1) == 1000);
  REQUIRE(limits.allowed_for(200) == 2000);
  REQUIRE(limits.allowed_for(100000) == 5000);
  REQUIRE(limits.allowed_for(SIZE_MAX) == 5000);
}

TEST_CASE("two readers of one thread do not share a context") {
  const std::vector<std::byte> a = sample(100000, 1);
  const std::vector<std::byte> b = sample(100000, 2);
  for (const Codec codec : real_codecs) {
    const auto packed_a = compress(codec, a);
    const auto packed_b = compress(codec, b);
    const auto reader_a = make_decompressor(codec, packed_a, {});
    const auto reader_b = make_decompressor(codec, packed_b, {});
    std::vector<std::byte> out_a(a.size());
    std::vector<std::byte> out_b(b.size());
    for (size_t at = 0; at < a.size(); at += 1000) {
      REQUIRE(*reader_a->read(std::span(out_a).subspan(at, 1000)) == 1000);
      REQUIRE(*reader_b->read(std::span(out_b).subspan(at, 1000)) == 1000);
    }
    REQUIRE(out_a == a);
    REQUIRE(out_b == b);
  }
}

TEST_CASE("a reader dropped in the middle leaves nothing behind for the next") {
  const std::vector<std::byte> plain = sample(100000, 1);
  for (const Codec codec : real_codecs) {
    const auto packed = compress(codec, plain);
    {
      const auto reader = make_decompressor(codec, packed, {});
      std::vector<std::byte> some(1000);
      REQUIRE(reader->read(some).has_value());
    }
    REQUIRE(*decompress(codec, packed, {}) == plain);
  }
}
