#include <catch2/catch.hpp>

#include "common/log/tail_cache.h"

using namespace common::log;
using common::model::Buffer;
using common::model::Offset;

namespace {

void add(CachedTail& tail, int64_t offset, size_t bytes) {
  tail.add({Offset(offset), Offset(offset), Buffer::own(std::string(bytes, 'x')), 0});
}
bool has(const CachedTail& tail, int64_t offset) {
  return tail.find(Offset(offset), Offset(1000), 1, true).has_value();
}

}  // namespace

TEST_CASE("the oldest batch of all logs goes first") {
  TailCache cache(1000);
  CachedTail a(&cache);
  CachedTail b(&cache);
  for (int i = 0; i < 4; ++i) {
    add(a, i, 125);
    add(b, i, 125);
  }
  REQUIRE(cache.pinned_bytes() == 1000);
  add(b, 4, 200);
  REQUIRE_FALSE(has(a, 0));
  REQUIRE_FALSE(has(b, 0));
  REQUIRE(has(a, 1));
  REQUIRE(cache.pinned_bytes() == 950);
  a.clear();
  REQUIRE(cache.pinned_bytes() == 575);
  cache.set_budget(300);
  REQUIRE(cache.pinned_bytes() <= 300);
  REQUIRE(has(b, 4));
}

TEST_CASE("the budget counts frames once, and small parts of large frames are copied out") {
  TailCache cache(10000);
  CachedTail tail(&cache);
  const Buffer frame = Buffer::own(std::string(2000, 'f'));
  tail.add({Offset(0), Offset(0), frame.slice(0, 900), frame.size()});
  tail.add({Offset(1), Offset(1), frame.slice(900, 900), frame.size()});
  REQUIRE(cache.pinned_bytes() == 2000);
  REQUIRE(tail.find(Offset(0), Offset(9), 1, true)->bytes.parts()[0].data() == frame.data());
  tail.add({Offset(2), Offset(2), frame.slice(1800, 200), frame.size()});
  REQUIRE(cache.pinned_bytes() == 2200);
  REQUIRE(tail.find(Offset(2), Offset(9), 1, true)->bytes.parts()[0].data() != frame.data() + 1800);
}

TEST_CASE("a batch that the cache cannot hold leaves no gap before the log end") {
  TailCache cache(1000);
  CachedTail tail(&cache);
  add(tail, 0, 100);
  add(tail, 1, 500);
  REQUIRE_FALSE(has(tail, 0));
  add(tail, 2, 100);
  REQUIRE(has(tail, 2));
}
