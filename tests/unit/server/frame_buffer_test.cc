// The memory of a request that is being read: how much there is of it, and when it moves.
#include "broker/server/frame_buffer.h"

#include <algorithm>

#include <catch2/catch.hpp>

using broker::server::FrameBuffer;

namespace {

// Reads `steps` into a frame of their sum, as a connection does; returns how often the memory was made or moved.
int moves_of(const std::vector<size_t>& steps) {
  size_t length = 0;
  for (const size_t step : steps) length += step;
  FrameBuffer frame(length);
  const std::byte* at = nullptr;
  int moves = 0;
  size_t filled = 0;
  for (const size_t step : steps) {
    const size_t room = frame.room();
    REQUIRE(frame.make_room(filled + step));
    if (frame.room() != room || frame.data() != at) ++moves;
    at = frame.data();
    for (size_t i = filled; i < filled + step; ++i) frame.data()[i] = static_cast<std::byte>(i % 251);
    filled += step;
    REQUIRE(frame.room() <= length);
    REQUIRE(frame.room() <= std::max(FrameBuffer::least_room, 2 * filled));
  }
  const auto whole = frame.take();
  REQUIRE(whole.size() == length);
  size_t wrong = 0;
  for (size_t i = 0; i < length; ++i) wrong += whole.data()[i] == static_cast<std::byte>(i % 251) ? 0 : 1;
  CHECK(wrong == 0);
  return moves;
}

}  // namespace

TEST_CASE("a request of Kafka's default batch has all its room at once, and so has one of a proven size") {
  CHECK(moves_of({70}) == 1);
  CHECK(moves_of({4096, 12'400}) == 1);
  CHECK(moves_of({4096, 16'384}) == 1);
  CHECK(moves_of({1'000'100}) == 1);
}

TEST_CASE("a large request has room for what came, at most as much again, and moves a few times only") {
  std::vector<size_t> steps{4096, 16'384, 81'920, 409'600};
  for (int i = 0; i < 20; ++i) steps.push_back(1 << 20);
  CHECK(moves_of(steps) <= 9);
}

TEST_CASE("four bytes claim no more than the least room") {
  FrameBuffer frame(100 << 20);
  REQUIRE(frame.room() == 0);
  REQUIRE(frame.make_room(4096));
  CHECK(frame.room() == FrameBuffer::least_room);
}

TEST_CASE("no memory is told, and what was there is still there") {
  // Gives little and refuses more.
  const auto stingy = [](void* memory, size_t size) -> void* {
    return size <= FrameBuffer::least_room ? std::realloc(memory, size) : nullptr;
  };
  FrameBuffer frame(1 << 20, stingy);
  REQUIRE(frame.make_room(4096));
  frame.data()[4095] = std::byte{7};
  CHECK_FALSE(frame.make_room(1 << 20));
  CHECK(frame.room() == FrameBuffer::least_room);
  CHECK(frame.data()[4095] == std::byte{7});
}
